"""Headers of DICOM films as columns: filters, views, patients, subgroups and tasks, with a table and without one."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset as DicomDataset
from pydicom.sequence import Sequence

from chex_api.dataset import Dataset, Source
from chex_jobs.artifacts.backends import open_storage
from chex_jobs.data.decoding.faults import Reason
from chex_jobs.data.errors import ColumnError
from chex_jobs.data.records.film_table import MISSING, FilmTable
from chex_jobs.data.sources import open_source
from chex_jobs.data.sources.contents import film_contents, films_digest
from chex_jobs.data.sources.declaration import declare
from chex_jobs.data.sources.dicom_header import read_header
from chex_jobs.data.sources.header_columns import HEADER_BYTES, read_headers
from tests.unit.data.films import dicom, drawn_film, png, write_csv

COLUMNS = ("dicom:Modality", "dicom:PatientAge")


def film(number: int, **attributes: Any) -> bytes:
    """A DICOM film of a patient of its own; attributes override its header."""
    header: dict[str, Any] = {
        "PatientID": f"patient-{number}",
        "StudyInstanceUID": f"1.2.3.{number}",
        "Modality": "DX",
        "ViewPosition": "PA",
        "PatientSex": "F",
        "PatientAge": "045Y",
        "BodyPartExamined": "CHEST",
        "PresentationIntentType": "FOR PRESENTATION",
    }
    return dicom(drawn_film(number).astype(np.uint16) * 16, **header | attributes)


def written(root: Path, **files: bytes) -> Path:
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def from_folder(root: Path, columns: tuple[str, ...] = (), **settings: Any) -> FilmTable:
    source = {"dicomFolder": {"uri": root.as_uri()} | settings}
    return open_source(Source.parse(source)).films(columns)


def from_table(root: Path, columns: tuple[str, ...] = (), **settings: Any) -> FilmTable:
    plain = {
        "uri": root.as_uri(),
        "file": "data.csv",
        "image": {"column": "file"},
        "patientColumn": "patient",
    }
    return open_source(Source.parse({"table": plain | settings})).films(columns)


def cell_of(keyword: str, **attributes: Any) -> str:
    header = read_header(film(0, **attributes), [keyword], is_whole=True)
    assert header is not None
    return header.cells[keyword]


def test_a_folder_of_dicom_files_is_a_source_whatever_they_are_called(tmp_path: Path):
    written(tmp_path, IM0001=film(1), **{"a__b.dcm": film(0, ViewPosition="LL")})
    table = from_folder(tmp_path, COLUMNS)
    assert [each.key for each in table.films] == ["IM0001", "a/b.dcm"]
    assert [each.patient for each in table.films] == ["patient-1", "patient-0"]
    assert [each.study for each in table.films] == ["1.2.3.1", "1.2.3.0"]
    assert [each.view for each in table.films] == ["Frontal", "Lateral"]
    assert table.columns == {"dicom:Modality": ["DX", "DX"], "dicom:PatientAge": ["45", "45"]}
    assert table.metadata == {"view": ["PA", "LL"], "sex": ["F", "F"], "age": ["45", "45"]}


def test_what_is_no_dicom_or_has_no_image_is_left_out_and_counted(tmp_path: Path):
    report = Path(str(get_testdata_file("test-SR.dcm", download=False))).read_bytes()
    written(tmp_path, film=film(0), report=report, **{"README.txt": b"films", "empty": b""})
    table = from_folder(tmp_path)
    assert [each.key for each in table.films] == ["film"]
    assert table.left_out == {"not DICOM": 2, "no image": 1}


def test_objects_in_colour_and_of_several_frames_are_set_aside_with_a_reason(tmp_path: Path):
    colour = film(0, PhotometricInterpretation="RGB", SamplesPerPixel=3)
    written(tmp_path, colour=colour, film=film(1), frames=film(2, NumberOfFrames=12))
    told = {each.key: each.fault for each in from_folder(tmp_path).films}
    assert told["film"] is None
    for key, words in (("colour", "DICOM in colour (RGB)"), ("frames", "DICOM with 12 frames")):
        fault = told[key]
        assert fault is not None
        assert (fault.reason, fault.detail) == (Reason.UNSUPPORTED_MODE, words)


@pytest.mark.parametrize(
    ("keyword", "kept", "other"),
    [
        ("Modality", "CR", "CT"),
        ("BodyPartExamined", "CHEST", "HAND"),
        ("ViewPosition", "AP", "PA"),
        ("PresentationIntentType", "FOR PRESENTATION", "FOR PROCESSING"),
    ],
)
def test_films_are_kept_by_what_their_header_says(tmp_path: Path, keyword: str, kept: str, other: str):
    written(tmp_path, a=film(0, **{keyword: kept}), b=film(1, **{keyword: other}))
    where = [{"column": f"dicom:{keyword}", "values": [kept]}]
    for table in (from_folder(tmp_path, where=where), _table_over(tmp_path, ["a", "b"], where=where)):
        assert [each.key for each in table.films] == ["a"]
        assert table.left_out["where"] == 1


def _table_over(root: Path, names: list[str], **settings: Any) -> FilmTable:
    write_csv(root / "data.csv", [{"file": name, "patient": name} for name in names])
    return from_table(root, **settings)


def test_a_table_takes_patient_study_view_and_subgroups_from_headers(tmp_path: Path):
    written(tmp_path, a=film(7, ViewPosition="AP"), b=png(drawn_film(1)))
    table = _table_over(
        tmp_path,
        ["a", "b"],
        columns=("dicom:PatientSex",),
        patientColumn="dicom:PatientID",
        studyColumn="dicom:StudyInstanceUID",
        view={"column": "dicom:ViewPosition", "frontal": ["AP"]},
        subgroupColumns=["dicom:PatientSex", "dicom:PatientAge", "dicom:Manufacturer"],
    )
    assert [(each.patient, each.study, each.view) for each in table.films] == [
        ("patient-7", "1.2.3.7", "Frontal"),
        ("", "", ""),
    ]
    assert table.columns == {"dicom:PatientSex": ["F", ""]}
    assert table.metadata == {
        "view": ["AP", ""],
        "sex": ["F", ""],
        "age": ["45", ""],
        "Manufacturer": ["", ""],
    }


def test_a_table_that_names_no_header_opens_no_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written(tmp_path, a=film(7))

    def fail(*_: object) -> None:
        raise AssertionError("a film was opened")

    monkeypatch.setattr("chex_jobs.artifacts.file_storage.FileStorage.read_start", fail)
    assert len(_table_over(tmp_path, ["a"]).films) == 1


def test_films_whose_header_tells_no_view_are_left_out_unless_the_manifest_says_what_that_means(
    tmp_path: Path,
):
    written(tmp_path, a=film(0, ViewPosition=""), b=film(1))
    assert [each.view for each in from_folder(tmp_path).films] == ["", "Frontal"]
    view = {"column": "dicom:ViewPosition", "frontal": ["AP", "PA", ""]}
    assert [each.view for each in from_folder(tmp_path, view=view).films] == ["Frontal", "Frontal"]


@pytest.mark.filterwarnings("ignore")  # pydicom's, when it writes what the standard forbids
@pytest.mark.parametrize(
    ("told", "years"),
    [("045Y", "45"), ("018M", "1"), ("030W", "0"), ("010D", "0"), ("45", "45"), ("", "40"), ("?", "40")],
)
def test_an_age_is_in_years_and_counted_where_the_header_does_not_tell_it(told: str, years: str):
    dates = {"PatientBirthDate": "19800615", "StudyDate": "20210614"}
    assert cell_of("PatientAge", PatientAge=told, **dates) == years


def test_an_age_that_cannot_be_counted_is_blank():
    assert cell_of("PatientAge", PatientAge="") == ""
    assert cell_of("PatientAge", PatientAge="", PatientBirthDate="20300101", StudyDate="20210614") == ""


def test_ages_from_90_up_are_not_told_by_subgroup(tmp_path: Path):
    written(tmp_path, a=film(0, PatientAge="097Y"))
    assert from_folder(tmp_path).metadata["age"] == ["90"]


def test_several_values_are_parted_as_dicom_parts_them_and_codes_are_their_meaning():
    code = DicomDataset()
    code.CodeMeaning = "postero-anterior"
    assert cell_of("ImageType", ImageType=["DERIVED", "PRIMARY"]) == "DERIVED\\PRIMARY"
    assert cell_of("ViewCodeSequence", ViewCodeSequence=Sequence([code])) == "postero-anterior"
    assert cell_of("ViewCodeSequence") == ""


@pytest.mark.parametrize(
    ("meaning", "view"),
    [
        ("postero-anterior", "PA"),
        ("Antero-posterior", "AP"),
        ("left lateral", "LL"),
        ("Right Lateral", "RL"),
        ("oblique", ""),
    ],
)
def test_a_view_that_stands_in_the_code_alone_is_read_from_there(meaning: str, view: str):
    code = DicomDataset()
    code.CodeMeaning = meaning
    assert cell_of("ViewPosition", ViewPosition="", ViewCodeSequence=Sequence([code])) == view
    assert cell_of("ViewPosition", ViewPosition="AP", ViewCodeSequence=Sequence([code])) == "AP"


@pytest.mark.parametrize(
    ("value", "view"),
    [
        ("399348003", "AP"),
        ("R-10206", "AP"),
        ("272479007", "PA"),
        ("R-10214", "PA"),
        ("R-10236", "LL"),
        ("399198007", "RL"),
    ],
)
def test_a_view_is_known_by_its_code_whatever_the_language_of_its_meaning(value: str, view: str):
    code = DicomDataset()
    code.CodeValue, code.CodeMeaning = value, "Aufnahme"
    assert cell_of("ViewPosition", ViewPosition="", ViewCodeSequence=Sequence([code])) == view


def test_an_element_that_is_damaged_is_blank_and_costs_no_film():
    whole = film(0, Exposure=4711)
    start = whole.index(b"\x28\0\x10\0US\x02\0")  # Rows
    damaged = whole[: start + 6] + b"\x01\0" + whole[start + 8 : start + 9] + whole[start + 10 :]
    header = read_header(damaged, ["Rows", "PatientID"], is_whole=True)
    assert header is not None
    assert header.cells == {"Rows": "", "PatientID": "patient-0"}
    assert cell_of("PatientAge", PatientAge="²Y", PatientID="x") == ""


def test_an_element_that_dicom_does_not_know_is_named_with_the_nearest(tmp_path: Path):
    written(tmp_path, a=film(0))
    where = [{"column": "dicom:Modalty", "values": ["CR"]}]
    with pytest.raises(ColumnError, match=r"dicomFolder.where\[0\].column.*'dicom:Modality'"):
        from_folder(tmp_path, where=where)
    with pytest.raises(ColumnError, match=r"source.table.where\[0\].column.*'dicom:Modality'"):
        _table_over(tmp_path, ["a"], where=where)


@pytest.mark.parametrize("keyword", ["PatientName", "PatientID", "StudyInstanceUID", "PatientBirthDate"])
def test_subgroups_cannot_tell_who_somebody_is(tmp_path: Path, keyword: str):
    written(tmp_path, a=film(0))
    with pytest.raises(ColumnError, match="identifies patients"):
        from_folder(tmp_path, subgroupColumns=[f"dicom:{keyword}"])


def test_of_a_film_only_the_beginning_is_read_and_of_one_with_a_longer_header_all(tmp_path: Path):
    long = pydicom.dcmread(io.BytesIO(film(1)))
    block = long.private_block(0x0029, "long", create=True)
    block.add_new(0x10, "OB", bytes(2 * HEADER_BYTES))
    file = io.BytesIO()
    long.save_as(file)
    written(tmp_path, a=film(0) + bytes(4 * HEADER_BYTES), b=file.getvalue())
    start = (tmp_path / "a").read_bytes()[:HEADER_BYTES]
    assert read_header(start, ["Modality"], is_whole=False) is not None
    headers = read_headers(open_storage(tmp_path.as_uri()), ["a", "b", "absent"], ["PatientID"])
    assert [header and header.cells["PatientID"] for header in headers.values()] == [
        "patient-0",
        "patient-1",
        None,
    ]


def test_every_published_object_is_read_or_told_to_be_none(tmp_path: Path):
    root = Path(pydicom.__file__).parent / "data"
    storage = open_storage(root.as_uri())
    headers = read_headers(storage, storage.sizes(), ["Modality", "Rows"])
    told = {key.rpartition("/")[2]: header for key, header in headers.items()}
    small = told["CT_small.dcm"]
    assert small is not None
    assert (small.cells, small.has_image) == ({"Modality": "CT", "Rows": "128"}, True)
    plan = told["rtplan.dcm"]
    assert plan is not None
    assert not plan.has_image
    assert told["README.txt"] is None


def test_the_digest_of_a_folder_changes_with_a_header(tmp_path: Path):
    dataset = Dataset.parse(
        {"name": "pacs", "source": {"dicomFolder": {"uri": tmp_path.as_uri()}}, "split": {"patients": {}}}
    )

    def digest() -> str:
        table = declare(dataset).table
        return films_digest(table, film_contents(dataset, table.films))

    written(tmp_path, a=film(0), **{"README.txt": b"one"})
    before = digest()
    written(tmp_path, a=film(0), **{"README.txt": b"another"})
    assert digest() == before
    written(tmp_path, a=film(0, PatientSex="M"))
    assert digest() != before


def test_a_table_finds_its_films_by_an_element_of_their_headers(tmp_path: Path):
    written(
        tmp_path,
        **{
            "x__1": film(1, AccessionNumber="A1", ViewPosition="PA"),
            "x__2": film(1, AccessionNumber="A1", ViewPosition="LL", StudyInstanceUID="1.2.3.9"),
            "y__1": film(2, AccessionNumber="A2"),
            "y__nobody": film(3, AccessionNumber="A9"),
            "notes.txt": b"A1",
        },
    )
    rows = [
        {"accession": name, "icu": icu}
        for name, icu in (("A2", "yes"), ("A1", "no"), ("A3", "no"), ("", "yes"))
    ]
    write_csv(tmp_path / "data.csv", rows)
    table = from_table(
        tmp_path,
        columns=("icu", "dicom:PatientSex"),
        image={"column": "accession", "element": "AccessionNumber"},
        patientColumn="dicom:PatientID",
        studyColumn="accession",
        view={"column": "dicom:ViewPosition", "frontal": ["PA"], "lateral": ["LL"]},
    )
    told = [
        (each.key, each.patient, each.study, each.view, each.size_bytes == MISSING) for each in table.films
    ]
    assert told == [
        ("A3", "", "A3", "", True),
        ("x/1", "patient-1", "A1", "Frontal", False),
        ("x/2", "patient-1", "A1", "Lateral", False),
        ("y/1", "patient-2", "A2", "Frontal", False),
    ]
    assert table.columns["icu"] == ["no", "no", "no", "yes"]
    assert table.left_out == {"no film named": 1}


def test_nothing_of_a_header_is_said_in_warnings_or_logs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
):
    damaged = film(0).replace(b"patient-0 ", b"pat\xe4\xff\\en").replace(b"1.2.3.0\0", b"Hans 0.\0")
    written(tmp_path, a=damaged)
    from_folder(tmp_path)
    assert not caplog.records
    assert not recwarn.list
