"""`spec.datasets`: where films, reports and labels lie, how they are split, and what is asked of them."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from chex_api.base import (
    OUTSIDE_IDENTITY,
    ApiModel,
    ColumnName,
    Empty,
    Fraction,
    Name,
    OneOf,
    OptionalColumnName,
    PositiveFraction,
    Text,
    Uri,
)

View = Literal["Frontal", "Lateral"]
ScoringUnit = Literal["Image", "Study", "Patient"]
DecimalMark = Literal["Point", "Comma"]

MISSING_SPELLINGS = (
    "",
    "nan",
    "na",
    "n/a",
    "n.a.",
    "<na>",
    "nat",
    "null",
    "(null)",
    "none",
    "nil",
    ".",
    "#n/a",
    "#na",
    "#null!",
    "#div/0!",
    "#value!",
    "#ref!",
    "#name?",
    "#num!",
    "k.a.",
    "k. a.",
)
"""How databases, spreadsheets and statistics programs write that a cell holds nothing, in lower case."""

_PATTERN_CHARACTER = (
    r"([^\\()\[\]{}*+?|^$]|\\[dDwWsS.\\/()\[\]{}*+?|^$_-]|\[\^?([^\\\[\]]|\\[dws.\\/()\[\]{}*+?|^$_-])+\])"
)
_PATTERN_ATOM = rf"{_PATTERN_CHARACTER}([*+?]|\{{[0-9]{{1,2}}(,[0-9]{{1,2}})?\}})?"
PATIENT_PATTERN = rf"^(\^?({_PATTERN_ATOM})*\(({_PATTERN_ATOM})+\)({_PATTERN_ATOM})*\$?)?$"
"""Regular expressions that can be matched in linear time: characters, classes and their repeats around one group."""


class SourceSettings(ApiModel):
    """Where the images of a data set come from. The class attributes say what the source has; the defaults are those of most.

    Attributes:
        PUBLISHES_SPLIT: Whether it comes with a split of its own (`split.official`).
        HAS_REPORTS: Whether it has reports; or the fields any of which, when it is not empty, says that it has.
        IS_GENERATED: Whether images are made as they are read: nothing of it lies anywhere, or can change.
    """

    PUBLISHES_SPLIT: ClassVar[bool] = False
    HAS_REPORTS: ClassVar[bool | tuple[str, ...]] = False
    IS_GENERATED: ClassVar[bool] = False

    def place(self) -> str:
        """What tells it from other sources of its kind, for patient ids: they are local to where they were given."""
        raise NotImplementedError


class FileSource(SourceSettings):
    """A source whose images lie somewhere."""

    uri: Annotated[Uri, OUTSIDE_IDENTITY]

    def place(self) -> str:
        """Where it lies."""
        return self.uri.rstrip("/")


class NihChestXray14(FileSource):
    """NIH ChestX-ray14 as published: `Data_Entry_2017_v2020.csv`, `images/*.png`, optional official lists. No reports."""

    PUBLISHES_SPLIT = True

    uri: Annotated[Uri, OUTSIDE_IDENTITY] = Field(
        description="Folder that holds Data_Entry_2017_v2020.csv and images/."
    )


class CovidChestXray(FileSource):
    """covid-chestxray-dataset as published: `metadata.csv` and `images/`. Its clinical notes serve as reports."""

    HAS_REPORTS = True

    uri: Annotated[Uri, OUTSIDE_IDENTITY] = Field(description="Folder that holds metadata.csv and images/.")


HeaderColumn = Annotated[str, Field(pattern=r"^dicom:[A-Z][A-Za-z0-9]*$", min_length=7, max_length=70)]
"""A column that is read from headers of DICOM films: `dicom:` and the element's keyword."""


class TableImage(ApiModel):
    """How a row names its film."""

    column: ColumnName = Field(description="Column that names the film.")
    path: str = Field(
        default="{}",
        min_length=2,
        max_length=256,
        pattern=r"^[^{}]*\{\}[^{}]*$",
        description="Path of the film below `uri`; `{}` stands for the column's value. Backslashes count as slashes, and `./` as nothing.",
    )
    strip_prefixes: tuple[Text, ...] = Field(
        default=(),
        max_length=16,
        description="Folders to take off the front of the column's value, such as `D:\\export` or `/mnt/pacs`, compared without regard to case and to the kind of slash; the longest that fits.",
    )
    extension: str = Field(
        default="",
        max_length=16,
        pattern=r"^(\.[A-Za-z0-9.]+)?$",
        description="Extension of the film's file, such as `.png`, in place of the one that the column's value has or lacks; empty: as the column has it.",
    )
    element: str = Field(
        default="",
        max_length=64,
        pattern=r"^([A-Z][A-Za-z0-9]*)?$",
        description="DICOM keyword, such as AccessionNumber, StudyInstanceUID or SOPInstanceUID: a row's films are the DICOM files below `uri`, at any depth, whose header has the column's value there. Empty: `path` says where the film lies.",
    )


class TableView(ApiModel):
    """Values of a column that tell the view; they are compared without regard to case."""

    column: ColumnName = Field(description="Column that names the view.")
    frontal: tuple[Text, ...] = Field(
        default=("ap", "pa"), min_length=1, max_length=16, description="Values that mean a frontal film."
    )
    lateral: tuple[Text, ...] = Field(
        default=(), max_length=16, description="Values that mean a lateral film."
    )


class RowFilter(ApiModel):
    """Keeps a row by what its column holds. Cells are compared as labels are: without regard to case, numbers as numbers."""

    column: ColumnName = Field(description="Column to look at.")
    values: tuple[Text, ...] = Field(
        default=(),
        max_length=64,
        description="Values to keep; an empty string stands for a missing cell. Empty: whatever `notValues` does not name.",
    )
    not_values: tuple[Text, ...] = Field(
        default=(),
        max_length=64,
        description="Values to leave out; an empty string stands for a missing cell.",
    )


class ListColumn(ApiModel):
    """A column whose cells list several values, such as `Effusion|Mass`."""

    column: ColumnName = Field(description="Column that lists values.")
    separator: str = Field(
        max_length=8,
        description="Characters each of which parts two values, such as `|`; a blank does so only where it stands alone; brackets and quotes around the list and its values are taken off. Empty: a cell is one value, whatever it looks like.",
    )


class Table(FileSource):
    """Any hospital's CSV, Excel or Parquet table with PNG, JPEG or DICOM films beside it: one row for each film, or several. A column written `dicom:` and a DICOM keyword, such as `dicom:Modality`, is read from the header of each row's film."""

    HAS_REPORTS = ("report_column", "report_columns")

    uri: Annotated[Uri, OUTSIDE_IDENTITY] = Field(
        description="Folder that holds the table and, below it, the films."
    )
    file: str = Field(
        min_length=1,
        max_length=256,
        pattern=r"^[^/].*(\.(csv|tsv|txt|csv\.gz|tsv\.gz|txt\.gz|parquet|xlsx)|/)$",
        description="The table, relative to `uri`: .csv, .tsv or .txt (also .gz), .xlsx, .parquet, or a folder of Parquet files, which ends in a slash unless its own name ends in .parquet.",
    )
    sheet: Text = Field(
        default="", description="Sheet of an .xlsx file; empty: the only one that holds cells."
    )
    separator: str = Field(
        default="",
        max_length=1,
        description="Character that parts the cells of a .csv, .tsv or .txt file; empty: told by a `sep=` line, or by the header, where one of comma, semicolon, tab and | gives every row as many cells.",
    )
    encoding: Literal["Auto", "UTF8", "UTF16", "Windows1252"] = Field(
        default="Auto",
        description="How a .csv, .tsv or .txt file writes its characters. Auto: by its byte order mark, else UTF8, else Windows1252 where no character is one of UTF8; a file of UTF8 with a wrong byte is refused with the row.",
    )
    decimal_mark: DecimalMark = Field(
        default="Point",
        description="What stands before the decimals of a number. Numbers with the other mark are refused, with their count.",
    )
    missing: tuple[Text, ...] = Field(
        default=MISSING_SPELLINGS,
        max_length=64,
        description="Cells that count as missing, without regard to case; those of nothing but white space do in any case. A spelling that a task names itself is a value to that task.",
    )
    lists: tuple[ListColumn, ...] = Field(
        default=(),
        max_length=32,
        description="Columns whose cells list several values. A cell that lists a value of a task in a column not named here is refused.",
    )
    image: TableImage = Field(description="How a row names its film.")
    patient_column: ColumnName = Field(
        description="Column of the patient id. Splits never part a patient's films."
    )
    patient_pattern: str = Field(
        default="",
        max_length=256,
        pattern=PATIENT_PATTERN,
        description="Regular expression whose one group is the patient id within the column's value, such as `^patients/([^/]+)/`; a cell where it is not found has no patient id. Characters, classes and their repeats, without alternatives; empty: the whole cell.",
    )
    study_column: OptionalColumnName = Field(
        default="", description="Column of the study id; empty: each film is a study."
    )
    report_column: OptionalColumnName = Field(
        default="", description="Column of the report's text; empty: no reports, or those of `reportColumns`."
    )
    report_columns: tuple[ColumnName, ...] = Field(
        default=(),
        max_length=8,
        description="Columns that hold a report's sections, each named as its column, in place of `reportColumn`.",
    )
    report_sections: tuple[Text, ...] = Field(
        default=(),
        max_length=16,
        description="Sections of a report to keep, such as Findings and Impression, in this order; headers are known in any case, in English, German, French, Spanish and Portuguese. Empty: the whole report. A report in which none of them is found is left out, and counted.",
    )
    view: TableView | None = Field(
        default=None, description="How a row tells its view; absent: every film counts as frontal."
    )
    subgroup_columns: tuple[ColumnName, ...] = Field(
        default=(),
        max_length=16,
        description="Columns such as sex or device: reported by subgroup and used by the metadata baseline.",
    )
    age_column: OptionalColumnName = Field(
        default="",
        description="Column of the age in years, whatever it is called: reported in bands, used by the metadata baseline, and stored as `age` with 90 for all from 90 up. A subgroup column called `age` is read as one, too; others are not ages.",
    )
    where: tuple[RowFilter, ...] = Field(
        default=(), max_length=16, description="Rows to keep: every filter must hold."
    )


class DicomFolder(FileSource):
    """A folder of DICOM files without a table: each file is a film, whatever its name. Columns, those of tasks too, are elements of its header, written `dicom:` and the DICOM keyword, such as `dicom:BodyPartExamined`. What is no DICOM object or has no image is left out and counted."""

    uri: Annotated[Uri, OUTSIDE_IDENTITY] = Field(
        description="Folder that holds the DICOM files, at any depth."
    )
    patient_column: HeaderColumn = Field(
        default="dicom:PatientID",
        description="Element of the patient id. Splits never part a patient's films.",
    )
    study_column: HeaderColumn = Field(
        default="dicom:StudyInstanceUID", description="Element of the study id."
    )
    view: TableView = Field(
        default=TableView(column="dicom:ViewPosition", frontal=("AP", "PA"), lateral=("LL", "RL", "LATERAL")),
        description="How a header tells its view; an empty string among the values stands for a header that does not.",
    )
    subgroup_columns: tuple[HeaderColumn, ...] = Field(
        default=("dicom:PatientSex",),
        max_length=16,
        description="Elements that are reported by subgroup and used by the metadata baseline; none that identifies a patient or study.",
    )
    age_column: HeaderColumn = Field(
        default="dicom:PatientAge",
        description="Element of the age, in years; reported in bands, and stored with 90 for all from 90 up. PatientAge is counted from the dates of birth and study where it is not told.",
    )
    where: tuple[RowFilter, ...] = Field(
        default=(),
        max_length=16,
        description="Films to keep, such as `dicom:Modality` CR and DX, `dicom:BodyPartExamined` CHEST, `dicom:PresentationIntentType` FOR PRESENTATION: every filter must hold.",
    )


class FindingPrevalence(ApiModel):
    """How often a generated study shows one finding."""

    finding: str = Field(
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z]+$",
        description="Name of a generated finding, such as Effusion.",
    )
    prevalence: float = Field(
        ge=0.001, le=0.999, description="Probability that a study of the average patient shows it."
    )


class Phantom(SourceSettings):
    """Generated films and reports, for demonstrations and tests. Nothing measured on them is accuracy."""

    HAS_REPORTS = ("reports",)
    IS_GENERATED = True

    patients: int = Field(default=400, ge=1, le=1_000_000, description="Number of generated patients.")
    films_per_patient: float = Field(
        default=1.5, ge=1.0, le=20.0, description="Mean number of films of a patient."
    )
    size: int = Field(default=64, ge=32, le=1024, description="Side of a film in pixels.")
    hospital: int = Field(
        default=0,
        ge=0,
        le=63,
        description="Which generated hospital: scanner, prevalence and wording follow from it.",
    )
    reports: bool = Field(default=True, description="Whether the films come with reports.")
    seed: int = Field(
        default=0, ge=0, le=2_147_483_647, description="Seed of the generator, independent of `spec.seed`."
    )
    prevalence: tuple[FindingPrevalence, ...] = Field(
        default=(), max_length=32, description="Replaces the hospital's prevalence of the findings named."
    )

    def place(self) -> str:
        """Generated patients are those of a hospital and a seed."""
        return f"{self.hospital}:{self.seed}"


class Source(OneOf):
    """Where the films come from. Exactly one member."""

    nih_chest_xray14: NihChestXray14 | None = Field(
        default=None, description="NIH ChestX-ray14 as published."
    )
    covid_chest_xray: CovidChestXray | None = Field(
        default=None, description="covid-chestxray-dataset as published."
    )
    table: Table | None = Field(default=None, description="A CSV or Parquet table with films beside it.")
    dicom_folder: DicomFolder | None = Field(
        default=None, description="A folder of DICOM files without a table."
    )
    phantom: Phantom | None = Field(default=None, description="Generated films and reports.")

    @property
    def settings(self) -> SourceSettings:
        """The settings of the source that is given."""
        return self.member()[1]

    @property
    def is_generated(self) -> bool:
        """Whether nothing of it lies anywhere, or can change."""
        return self.settings.IS_GENERATED

    @classmethod
    def members(cls) -> dict[str, type[SourceSettings]]:
        """The class of each member's settings, by wire name."""
        types = cls.member_types()
        return {name: each for name, each in types.items() if issubclass(each, SourceSettings)}


class OfficialSplit(ApiModel):
    """The split that the data set publishes; validation patients are taken from its training part."""

    validate_: PositiveFraction = Field(
        default=0.1, alias="validate", description="Share of the official training patients that validate."
    )


class PatientSplit(ApiModel):
    """A split by patient. A patient's part depends on `spec.seed` and its id alone, so new data never moves old patients."""

    validate_: Fraction = Field(
        default=0.15,
        alias="validate",
        description="Share of patients that validate; 0 where the data set is only pretrained on.",
    )
    test: Fraction = Field(
        default=0.25, description="Share of patients that test; 0 where the data set is only pretrained on."
    )


class Split(OneOf):
    """How patients are divided into training, validation and test. Exactly one member."""

    official: OfficialSplit | None = Field(default=None, description="The published split.")
    patients: PatientSplit | None = Field(default=None, description="Shares of patients.")
    grouped_folds: int | None = Field(
        default=None,
        ge=3,
        le=20,
        description="Number of folds of patients, for a small hospital: each fold tests once, the next one validates. Such a data set cannot be pretrained on.",
    )


class ValueRange(ApiModel):
    """A closed range of numbers; at least one end is given."""

    min: float | None = Field(
        default=None, ge=-1e12, le=1e12, description="Smallest positive value, included."
    )
    max: float | None = Field(
        default=None, ge=-1e12, le=1e12, description="Largest positive value, included."
    )


class Present(ApiModel):
    """The column holds anything at all, but for the values named here."""

    except_: tuple[Text, ...] = Field(
        default=(),
        alias="except",
        max_length=64,
        description="Values that mean no although the cell is not blank, such as -1 or No Finding.",
    )


class Positive(OneOf):
    """What counts as yes. Exactly one member."""

    present: Present | None = Field(default=None, description="The column holds anything at all.")
    values: tuple[Text, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="The column holds, or lists, one of these values, without regard to case; numbers are compared as numbers.",
    )
    range: ValueRange | None = Field(default=None, description="The column holds a number in this range.")


class Merge(OneOf):
    """How the labels of several rows of one film become one; rows whose label is unknown have no voice. Exactly one member."""

    any: Empty | None = Field(default=None, description="Yes where one row says yes.")
    all: Empty | None = Field(default=None, description="Yes where every row says yes.")
    majority: Empty | None = Field(
        default=None,
        description="What more than half of the rows say; unknown where there are as many of each.",
    )
    mean_above: Fraction | None = Field(
        default=None, description="Yes where the share of rows that say yes is above this."
    )


class Task(ApiModel):
    """One yes-or-no question about a film, answered by a column of the table."""

    name: Name = Field(description="Name of the task, unique in its data set.")
    column: ColumnName = Field(description="Column that answers it.")
    positive: Positive = Field(description="What counts as yes.")
    blank: Literal["Negative", "Ignore"] | None = Field(
        default=None,
        description="What a blank cell means: no, or not known. Absent: not known where `positive` is `range`, for a value that was not measured is no small one; else no.",
    )
    negative_values: tuple[Text, ...] = Field(
        default=(),
        max_length=64,
        description="Values that mean no, where `positive` is `values`; what is neither is then unknown, and counted. Empty: every other value means no, except that of a column of yes and no another word for yes is unknown.",
    )
    where: tuple[RowFilter, ...] = Field(
        default=(),
        max_length=8,
        description="Rows that answer this task, in a table with one row for each film and finding; a film without such a row counts as blank.",
    )
    merge: Merge | None = Field(
        default=None,
        description="How several rows of one film become one label; absent: rows that disagree are refused.",
    )
    uncertain: Literal["Ignore", "Negative", "Positive"] = Field(
        default="Ignore", description="What a value listed in `uncertainValues` means."
    )
    uncertain_values: tuple[Text, ...] = Field(
        default=("-1", "-1.0"),
        max_length=16,
        description="Values that mean uncertain, as CheXpert's -1, where `positive` is `values`; the other predicates ignore them.",
    )

    def blank_is_unknown(self) -> bool:
        """Whether a blank cell is left unlabelled; else it is a no."""
        if self.blank is None:
            return self.positive.range is not None
        return self.blank == "Ignore"


class Quarantine(ApiModel):
    """What happens to films that cannot be used: they are set aside with a reason, and too many of them stop the stage."""

    max_share: Fraction = Field(
        default=0.05, description="Largest share of films in quarantine before preflight or ingest fails."
    )


class Dataset(ApiModel):
    """A named set of films with, as far as it has them, reports and labels."""

    name: Annotated[Name, OUTSIDE_IDENTITY] = Field(
        description="Name of the data set, unique in the manifest."
    )
    source: Source = Field(description="Where the films come from.")
    views: tuple[View, ...] = Field(
        default=("Frontal",), min_length=1, max_length=2, description="Views to keep."
    )
    unit: ScoringUnit = Field(
        default="Image", description="What is scored: each film, or one score for a study or a patient."
    )
    split: Split = Field(description="How patients are divided into training, validation and test.")
    patient_domain: OptionalColumnName = Field(
        default="",
        description="Data sets of one domain share patient ids, and preflight checks that none leaks; empty: the source's own location.",
    )
    stored_short_side: int = Field(
        default=512,
        ge=32,
        le=2048,
        description="Short side of stored films in pixels; smaller films are never enlarged.",
    )
    quarantine: Annotated[Quarantine, OUTSIDE_IDENTITY] = Field(
        default=Quarantine(), description="How many unusable films are tolerated."
    )
    tasks: tuple[Task, ...] = Field(
        default=(), max_length=32, description="What can be asked of these films."
    )

    def domain(self) -> str:
        """The domain in which patient ids are unique: as declared, else the source's own location.

        Ids are local to where they were given: a 165 of one source and a 165 of another are different people.
        """
        if self.patient_domain:
            return f"domain:{self.patient_domain}"
        kind, source = self.source.member()
        return f"{kind}:{source.place()}"
