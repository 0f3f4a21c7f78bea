"""One hospital's data set in the forms in which hospitals have it: labels, splits and pixels are those of its clean form."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from chex_api.dataset import Dataset
from chex_jobs.artifacts import ArtifactStore
from chex_jobs.data.ingest.ingest import ingest
from chex_jobs.data.sources.declaration import declare
from tests.unit.data.films import dicom, drawn_film, png
from tests.unit.data.workbook import workbook

NUM_FILMS = 24
Form = Callable[[Path], dict[str, Any]]
TABLE = {
    "file": "data.csv",
    "image": {"column": "file", "path": "films/{}.png"},
    "patientColumn": "patient",
    "view": {"column": "view", "frontal": ["ap", "pa"]},
    "reportColumn": "report",
    "reportSections": ["Findings"],
    "lists": [{"column": "findings", "separator": "|"}],
    "where": [{"column": "modality", "values": ["CR", "DX"]}],
}
TASKS = [
    {"name": "effusion", "column": "findings", "positive": {"values": ["Effusion"]}},
    {"name": "acidosis", "column": "ph", "positive": {"range": {"max": 7.34}}},
    {"name": "icu", "column": "icu", "positive": {"values": ["yes"]}, "blank": "Ignore"},
]
TEXT = "Kleiner Erguss links. Herz groß."


def clean_rows() -> list[dict[str, str]]:
    return [
        {
            "file": f"film-{number:02d}",
            "patient": f"{100 + number // 2}",
            "view": ("ap", "pa")[number % 2],
            "modality": ("CR", "DX", "CT")[min(number % 12, 2) if number % 12 == 2 else number % 2],
            "findings": ("Effusion|Mass", "Mass", "Effusion", "No Finding")[number % 4],
            "ph": ("7.3", "7.41", "")[number % 3],
            "icu": ("yes", "no", "")[number // 2 % 3],
            "report": f"Findings: {TEXT}\nSignature: Dr. Who",
        }
        for number in range(NUM_FILMS)
    ]


def write_films(root: Path) -> None:
    for number in range(NUM_FILMS):
        path = root / "films" / f"film-{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(drawn_film(number)))


def as_csv(rows: list[dict[str, str]], delimiter: str = ",", line: str = "\n") -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator=line)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def dataset_of(root: Path, table: dict[str, Any], tasks: list[dict[str, Any]] | None = None) -> Dataset:
    source = {"table": TABLE | {"uri": root.as_uri()} | table}
    return Dataset.parse(
        {
            "name": "hospital",
            "source": source,
            "split": {"patients": {"validate": 0.25, "test": 0.25}},
            "storedShortSide": 32,
            "tasks": TASKS if tasks is None else tasks,
        }
    )


def excel_with_semicolons(root: Path) -> dict[str, Any]:
    rows = [row | {"ph": row["ph"].replace(".", ","), "": ""} for row in clean_rows()]
    text = "sep=;\r\n" + as_csv(rows, ";", "\r\n") + ";;;;;;;;\r\n"
    (root / "data.csv").write_bytes(text.encode("cp1252"))
    return {"decimalMark": "Comma"}


def tabs_in_utf16(root: Path) -> dict[str, Any]:
    (root / "data.tsv").write_text(as_csv(clean_rows(), "\t"), "utf-16")
    return {"file": "data.tsv"}


def excel_workbook(root: Path) -> dict[str, Any]:
    rows = clean_rows()
    cells = [[_typed(name, cell) for name, cell in row.items()] for row in rows]
    (root / "data.xlsx").write_bytes(workbook({"Notes": [], "Films": [list(rows[0]), *cells]}))
    return {"file": "data.xlsx", "decimalMark": "Comma"}


def _typed(name: str, cell: str) -> object:
    return (float(cell) if name in ("patient", "ph") else cell) if cell else None


def parquet_folder(root: Path) -> dict[str, Any]:
    for part, rows in enumerate((clean_rows()[:10], clean_rows()[10:])):
        columns: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in rows[0]}
        columns["ph"] = [float(cell) if cell else None for cell in columns["ph"]]
        columns["findings"] = [cell.split("|") for cell in columns["findings"]]
        path = root / "data.parquet" / f"part-{part:05d}.parquet"
        path.parent.mkdir(exist_ok=True)
        pyarrow.parquet.write_table(pa.table(columns), path)
    (root / "data.parquet" / "_SUCCESS").touch()
    return {"file": "data.parquet", "lists": []}


def windows_paths(root: Path) -> dict[str, Any]:
    rows = [row | {"file": f"D:\\Export\\Films\\.\\{row['file']}.DCM"} for row in clean_rows()]
    (root / "data.csv").write_text(as_csv(rows))
    image = {"column": "file", "path": "films/{}", "stripPrefixes": ["d:/export/films/"], "extension": ".png"}
    return {"image": image}


def patients_in_paths(root: Path) -> dict[str, Any]:
    rows = [row | {"file": f"p{row['patient']}/{row['file']}"} for row in clean_rows()]
    for row in rows:
        target = root / "films" / f"{row['file']}.png"
        target.parent.mkdir(exist_ok=True)
        (root / "films" / target.name).rename(target)
    (root / "data.csv").write_text(as_csv(rows))
    return {"patientColumn": "file", "patientPattern": r"^p(\d+)/"}


def german_reports(root: Path) -> dict[str, Any]:
    rows = [
        row
        | {"report": f"<b>Klinische Angaben</b>: Dr. Who\n**BEFUND :** {TEXT}\n\nMfG\nBeurteilung\nDr. Who"}
        for row in clean_rows()
    ]
    rows = [row | {"report": row["report"].replace("MfG\n", "")} for row in rows]
    (root / "data.csv").write_text(as_csv(rows))
    return {}


def reports_in_two_columns(root: Path) -> dict[str, Any]:
    rows = [row | {"findings_of_study": TEXT, "Befund": TEXT, "history": "Dr. Who"} for row in clean_rows()]
    (root / "data.csv").write_text(as_csv(rows))
    return {"reportColumn": "", "reportColumns": ["Befund", "history"]}


def many_spellings(root: Path) -> dict[str, Any]:
    upper = {"yes": ["Yes", "YES "], "no": ["No", "NO"], "": ["NA", "NULL"]}
    rows = [
        row
        | {
            "icu": upper[row["icu"]][number % 2],
            "ph": row["ph"] or ("n/a", "#N/A")[number % 2],
            "modality": row["modality"].lower(),
            "view": row["view"].upper(),
            "patient": f"{row['patient']}.0" if number % 2 else row["patient"],
            "findings": row["findings"].upper(),
        }
        for number, row in enumerate(clean_rows())
    ]
    (root / "data.csv").write_text(as_csv(rows))
    return {}


def names_in_another_unicode_form(root: Path) -> dict[str, Any]:
    rows = [
        {("U\u0308bersicht" if name == "view" else name): cell for name, cell in row.items()}
        for row in clean_rows()
    ]
    (root / "data.csv").write_text("\ufeff" + as_csv(rows), "utf-8")
    return {"view": {"column": "\u00dcbersicht"}}


FORMS: list[Form] = [
    excel_with_semicolons,
    tabs_in_utf16,
    excel_workbook,
    parquet_folder,
    windows_paths,
    patients_in_paths,
    german_reports,
    reports_in_two_columns,
    many_spellings,
    names_in_another_unicode_form,
]


def told(dataset: Dataset, *, pixels: bool, where: Path) -> dict[str, Any]:
    """Everything that later stages get of a data set, by the film's own content where names of files differ."""
    declared = declare(dataset)
    names = [film.key.rpartition("/")[2] for film in declared.table.films]
    order = sorted(range(len(names)), key=lambda row: names[row])
    found: dict[str, Any] = {
        "films": [names[row] for row in order],
        "patients": [declared.table.films[row].patient for row in order],
        "reports": [declared.table.films[row].report for row in order],
        "labels": {task: values[order].tolist() for task, values in declared.labels.items()},
        "faults": dict(declared.faults),
    }
    if pixels:
        attempt = ArtifactStore.open(where.as_uri()).object("ingest", "0" * 64).attempt("one")
        done = ingest(dataset, seed=0, attempt=attempt)
        index = pyarrow.parquet.read_table(io.BytesIO(done.read_bytes("index.parquet")))
        found["stored"] = sorted(
            zip(index["film_sha256"].to_pylist(), index["split"].to_pylist(), strict=True)
        )
    return found


def same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for task, values in expected["labels"].items():
        np.testing.assert_array_equal(found["labels"][task], values)
    assert {**found, "labels": None} == {**expected, "labels": None}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("clean")
    write_films(root)
    (root / "data.csv").write_text(as_csv(clean_rows()))
    return told(dataset_of(root, {}), pixels=True, where=root / "artifacts")


def test_the_clean_form_holds_something_of_everything(clean: dict[str, Any]):
    assert len(clean["films"]) == 22
    assert clean["reports"] == [TEXT] * 22
    assert {split for _, split in clean["stored"]} == {"train", "validate", "test"}
    for values in clean["labels"].values():
        assert {0.0, 1.0} <= set(values)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_a_form_gives_the_labels_splits_and_pixels_of_the_clean_form(
    form: Form, tmp_path: Path, clean: dict[str, Any]
):
    write_films(tmp_path)
    changes = form(tmp_path)
    same(told(dataset_of(tmp_path, changes), pixels=True, where=tmp_path / "artifacts"), clean)


def test_a_table_with_a_row_for_each_film_and_finding_gives_the_same(tmp_path: Path, clean: dict[str, Any]):
    write_films(tmp_path)
    long: list[dict[str, str]] = []
    for row in clean_rows():
        facts = {name: row[name] for name in ("file", "patient", "view", "modality", "report")}
        named = {"Effusion": str(int("Effusion" in row["findings"])), "ph": row["ph"], "icu": row["icu"]}
        long += [facts | {"what": what, "value": value} for what, value in named.items()]
    (tmp_path / "data.csv").write_text(as_csv(long))
    where = {"effusion": "effusion", "acidosis": "PH", "icu": "ICU"}
    tasks = [
        task | {"column": "value", "where": [{"column": "what", "values": [where[str(task["name"])]]}]}
        for task in TASKS
    ]
    tasks[0] |= {"positive": {"values": ["1"]}}
    dataset = dataset_of(tmp_path, {"lists": []}, tasks)
    same(told(dataset, pixels=True, where=tmp_path / "artifacts"), clean)


def test_boxes_a_row_each_give_the_same_where_the_manifest_says_any(tmp_path: Path, clean: dict[str, Any]):
    write_films(tmp_path)
    rows = [row | {"findings": finding} for row in clean_rows() for finding in row["findings"].split("|")]
    (tmp_path / "data.csv").write_text(as_csv(rows))
    tasks = [dict(task) for task in TASKS]
    tasks[0]["merge"] = {"any": {}}
    same(told(dataset_of(tmp_path, {"lists": []}, tasks), pixels=True, where=tmp_path / "artifacts"), clean)


def test_dicom_films_beside_the_table_give_the_same_labels_and_splits(tmp_path: Path, clean: dict[str, Any]):
    rows = clean_rows()
    for number, row in enumerate(rows):
        path = tmp_path / "films" / f"{row['file']}.dcm"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(dicom(drawn_film(number).astype(np.uint16) * 16))
    (tmp_path / "data.csv").write_text(as_csv(rows))
    found = told(
        dataset_of(tmp_path, {"image": {"column": "file", "path": "films/{}", "extension": ".dcm"}}),
        pixels=False,
        where=tmp_path,
    )
    for task, values in clean["labels"].items():
        np.testing.assert_array_equal(found["labels"][task], values)
    assert found["patients"] == clean["patients"]
    assert not found["faults"]
