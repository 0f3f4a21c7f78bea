"""Each published format, in small, as it lies on disk."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chex_api.dataset import Source
from chex_jobs.data.decoding.faults import FilmError, Reason
from chex_jobs.data.errors import ColumnError, SourceError
from chex_jobs.data.records.film_table import MISSING, FilmTable
from chex_jobs.data.sources import READERS, open_source
from chex_jobs.data.splits.assignment import OFFICIAL_TRAIN, TEST, UNUSED
from tests.unit.data.films import drawn_film, hospital_dataset, png, write_csv, write_hospital

NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
NIH_ROWS = (
    "00000061_012.png,Edema|Effusion,12,61,77,M,AP,3056,2544,0.139,0.139",
    "00000061_015.png,No Finding,15,61,93,M,PA,3056,2544,0.139,0.139",
    "00000007_000.png,Hernia,0,7,414,F,PA,2500,2048,0.171,0.171",
)
COVID_ROWS = [
    {
        "filename": "b.jpg",
        "patientid": 5,
        "offset": "",
        "sex": "M",
        "age": 54,
        "view": "AP Supine",
        "modality": "X-ray",
    },
    {
        "filename": "a.jpg",
        "patientid": 5,
        "offset": 3,
        "sex": "F",
        "age": "",
        "view": "L",
        "modality": "X-ray",
    },
    {
        "filename": "c.jpg",
        "patientid": 6,
        "offset": "",
        "sex": "",
        "age": "",
        "view": "Axial",
        "modality": "CT",
    },
]


def write_again(path: Path, content: bytes) -> None:
    """Write a file a second later: the clock of a file system may tick every few milliseconds only."""
    later = path.stat().st_mtime_ns + 10**9
    path.write_bytes(content)
    os.utime(path, ns=(later, later))


def nih(root: Path, **kind: Any) -> FilmTable:
    return open_source(Source.parse({"nihChestXray14": {"uri": root.as_uri()}})).films(
        kind.get("columns", ())
    )


@pytest.fixture
def nih_root(tmp_path: Path) -> Path:
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text("\n".join((NIH_HEADER, *NIH_ROWS)) + "\n")
    for number, folder in ((0, "images_001/images"), (1, "images")):
        path = tmp_path / folder / ("00000007_000.png", "00000061_012.png")[number]
        path.parent.mkdir(parents=True)
        path.write_bytes(png(drawn_film(number)))
    return tmp_path


def test_nih_films_are_found_in_any_of_its_folders_and_come_in_order_of_keys(nih_root: Path):
    films = nih(nih_root).films
    assert [film.key for film in films] == [
        "images/00000061_012.png",
        "images/00000061_015.png",
        "images_001/images/00000007_000.png",
    ]
    assert [film.size_bytes == MISSING for film in films] == [False, True, False]
    assert [(film.patient, film.study, film.view) for film in films] == [
        ("61", "12", "Frontal"),
        ("61", "15", "Frontal"),
        ("7", "0", "Frontal"),
    ]


@pytest.mark.parametrize("other", ["thumbnails", "images_001/images", "a"])
def test_two_nih_files_of_one_name_are_an_error_that_names_both(nih_root: Path, other: str):
    (nih_root / other).mkdir(parents=True, exist_ok=True)
    (nih_root / other / "00000061_012.png").write_bytes(png(drawn_film(2, height=8, width=8)))
    with pytest.raises(SourceError, match="two files of one name") as caught:
        nih(nih_root)
    assert "images/00000061_012.png" in str(caught.value)
    assert f"{other}/00000061_012.png" in str(caught.value)


def test_files_of_one_name_that_the_nih_table_does_not_name_are_nobodys_business(nih_root: Path):
    for folder in ("a", "b"):
        (nih_root / folder).mkdir()
        (nih_root / folder / "cover.png").write_bytes(png(drawn_film(2)))
    assert len(nih(nih_root).films) == 3


def test_nih_metadata_is_cleaned_and_old_ages_are_not_told(nih_root: Path):
    metadata = nih(nih_root).metadata
    assert metadata == {"view": ["AP", "PA", "PA"], "sex": ["M", "M", "F"], "age": ["77", "90", ""]}


def test_the_odd_header_of_nih_gives_every_column_its_own_cells(nih_root: Path):
    table = nih(nih_root, columns=("Finding Labels", "OriginalImage[Width", "Height]", "y]"))
    assert table.columns["Finding Labels"] == ["Edema|Effusion", "No Finding", "Hernia"]
    assert table.columns["OriginalImage[Width"] == ["3056", "3056", "2500"]
    assert table.columns["Height]"] == ["2544", "2544", "2048"]
    assert table.columns["y]"] == ["0.139", "0.139", "0.171"]


def test_an_nih_film_that_is_written_again_is_told_by_its_mark(nih_root: Path):
    before = [film.mark for film in nih(nih_root).films]
    write_again(nih_root / "images" / "00000061_012.png", png(drawn_film(1)))
    first, missing, other = [film.mark for film in nih(nih_root).films]
    assert first != before[0]
    assert [missing, other] == before[1:]


def test_the_official_nih_lists_are_read(nih_root: Path):
    (nih_root / "train_val_list.txt").write_text("00000061_012.png\n00000061_015.png\n")
    (nih_root / "test_list.txt").write_text("00000007_000.png\r\n")
    assert [film.official for film in nih(nih_root).films] == [OFFICIAL_TRAIN, OFFICIAL_TRAIN, TEST]


def test_without_lists_no_nih_film_has_an_official_part(nih_root: Path):
    assert {film.official for film in nih(nih_root).films} == {UNUSED}


@pytest.mark.parametrize(
    ("present", "absent"), [("train_val_list.txt", "test_list.txt"), ("test_list.txt", "train_val_list.txt")]
)
def test_one_official_list_without_the_other_is_an_error(nih_root: Path, present: str, absent: str):
    (nih_root / present).write_text("00000061_012.png\n")
    with pytest.raises(SourceError, match=f"no {absent}"):
        nih(nih_root)


def test_official_lists_that_share_a_film_are_an_error(nih_root: Path):
    for name in ("train_val_list.txt", "test_list.txt"):
        (nih_root / name).write_text("00000061_012.png\n")
    with pytest.raises(SourceError, match="share 1 films"):
        nih(nih_root)


def test_a_folder_without_the_nih_table_is_an_error_that_says_what_is_missing(tmp_path: Path):
    with pytest.raises(SourceError, match=r"has no Data_Entry_2017_v2020.csv"):
        nih(tmp_path)


def covid(root: Path, rows: list[dict[str, object]]) -> FilmTable:
    notes = [
        {"finding": "todo", "clinical_notes": f"note {number}" if number else ""}
        for number in range(len(rows))
    ]
    write_csv(root / "metadata.csv", [row | note for row, note in zip(rows, notes, strict=True)])
    return open_source(Source.parse({"covidChestXray": {"uri": root.as_uri()}})).films(("finding",))


def test_covid_rows_become_films_with_notes_as_reports_and_ct_is_left_out(tmp_path: Path):
    table = covid(tmp_path, COVID_ROWS)
    assert [(film.key, film.patient, film.view, film.report) for film in table.films] == [
        ("images/a.jpg", "5", "Lateral", "note 1"),
        ("images/b.jpg", "5", "Frontal", None),
    ]
    assert table.left_out == {"not an X-ray": 1}
    assert table.metadata == {"view": ["L", "AP SUPINE"], "sex": ["F", "M"], "age": ["", "54"]}


def test_a_covid_film_that_is_written_again_is_told_by_its_mark(tmp_path: Path):
    film = tmp_path / "images" / "a.jpg"
    film.parent.mkdir()
    film.write_bytes(b"bad")
    before = covid(tmp_path, COVID_ROWS).films[0].mark
    write_again(film, b"old")
    assert covid(tmp_path, COVID_ROWS).films[0].mark != before


def test_early_covid_tables_name_the_film_otherwise_and_tell_ct_by_its_view(tmp_path: Path):
    rows = [{**row, "image": row["filename"]} for row in COVID_ROWS]
    for row in rows:
        del row["filename"], row["modality"]
    table = covid(tmp_path, rows)
    assert [film.key for film in table.films] == ["images/a.jpg", "images/b.jpg"]
    assert table.left_out == {"not an X-ray": 1}


def table_source(root: Path, **changes: Any) -> Any:
    plain = hospital_dataset(root).source.plain()["table"] | changes
    return open_source(Source.parse({"table": plain}))


def test_a_table_gives_each_film_what_the_manifest_says(tmp_path: Path):
    write_hospital(tmp_path, 2)
    first, second = table_source(tmp_path).films(("icu",)).films
    assert (first.key, first.patient, first.study, first.view) == (
        "films/film-000.png",
        "patient-0",
        "study-0",
        "Frontal",
    )
    assert second.report == "Film number 1 is drawn."
    assert second.size_bytes == len(png(drawn_film(1)))


def test_only_the_wanted_sections_of_a_report_are_kept(tmp_path: Path):
    rows = write_hospital(tmp_path, 2)
    rows[0]["report"] = (
        "INDICATION: Fever in a named patient.\nFINDINGS: Small effusion.\nIMPRESSION: Effusion."
    )
    rows[1]["report"] = "No headers at all."
    write_csv(tmp_path / "data.csv", rows)
    table = table_source(tmp_path, reportSections=["Impression", "findings"]).films(())
    assert [film.report for film in table.films] == ["Effusion.\nSmall effusion.", None]
    (finding,) = table.findings
    assert (finding.kind, finding.count, finding.row) == ("NoReport", 1, 2)


def test_filters_keep_rows_that_hold_one_of_their_values_and_count_the_others(tmp_path: Path):
    write_hospital(tmp_path, 8)
    table = table_source(
        tmp_path, where=[{"column": "view", "values": ["ap"]}, {"column": "sex", "values": ["f", "d"]}]
    ).films(())
    assert [film.key for film in table.films] == ["films/film-000.png", "films/film-004.png"]
    assert table.left_out == {"where": 6}


@pytest.mark.parametrize("nobody", ["nan", "NULL", "", "Unknown", "#N/A"])
def test_missing_ids_are_not_one_person_whatever_the_manifest_calls_missing(tmp_path: Path, nobody: str):
    rows = write_hospital(tmp_path, 4)
    for row in rows[:3]:
        row["patient"] = nobody
    write_csv(tmp_path / "data.csv", rows)
    films = table_source(tmp_path, missing=["-9"]).films(()).films
    assert list(films.patients) == ["", "", "", "patient-1"]


def test_spellings_of_a_view_column_that_may_name_people_are_not_told(tmp_path: Path):
    rows = write_hospital(tmp_path, 4)
    for row, view in zip(rows, ("ap", "ap", "Doe, Jane", "Roe, Joe"), strict=True):
        row["view"] = view
    write_csv(tmp_path / "data.csv", rows)
    findings = table_source(tmp_path, view={"column": "view"}).films(()).findings
    assert [(each.count, each.spelling) for each in findings] == [(2, "")]
    assert "Doe" not in str(findings)


def test_a_filter_leaves_no_row_out_for_its_decimal_mark_alone(tmp_path: Path):
    rows = write_hospital(tmp_path, 4)
    for row, device in zip(rows, ("1", "1,0", "2,0", "2"), strict=True):
        row["device"] = device
    write_csv(tmp_path / "data.csv", rows)
    where = [{"column": "device", "values": ["1"]}]
    with pytest.raises(ColumnError, match=r"source.table.where\[0\]: 1 cells .*decimalMark is Point"):
        table_source(tmp_path, where=where).films(())
    assert len(table_source(tmp_path, where=where, decimalMark="Comma").films(()).films) == 2


def test_views_are_told_by_the_mapping_and_others_by_none(tmp_path: Path):
    rows = write_hospital(tmp_path, 3)
    for row, view in zip(rows, ("AP ", "lat", "oblique"), strict=True):
        row["view"] = view
    write_csv(tmp_path / "data.csv", rows)
    view = {"column": "view", "frontal": ["ap"], "lateral": ["LAT"]}
    table = table_source(tmp_path, view=view).films(())
    assert [film.view for film in table.films] == ["Frontal", "Lateral", ""]
    assert table.metadata["view"] == ["AP", "LAT", "OBLIQUE"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"patientColumn": "Patient"},
            "source.table.patientColumn: data.csv has no column 'Patient'; the nearest is 'patient'",
        ),
        ({"studyColumn": "studie"}, "source.table.studyColumn: .*'study'"),
        ({"reportColumn": "reports"}, "source.table.reportColumn: .*'report'"),
        ({"image": {"column": "files"}}, "source.table.image.column: .*'file'"),
        ({"view": {"column": "views"}}, "source.table.view.column: .*'view'"),
        ({"subgroupColumns": ["sex", "gender"]}, r"source.table.subgroupColumns\[1\]: .*'gender'"),
        ({"where": [{"column": "vew", "values": ["ap"]}]}, r"source.table.where\[0\].column: .*'view'"),
    ],
)
def test_a_missing_column_is_an_error_that_names_field_file_and_nearest_column(
    tmp_path: Path, changes: dict[str, Any], message: str
):
    write_hospital(tmp_path, 2)
    with pytest.raises(ColumnError, match=message):
        table_source(tmp_path, **changes).films(())


def test_a_missing_task_column_is_an_error(tmp_path: Path):
    write_hospital(tmp_path, 2)
    with pytest.raises(ColumnError, match=r"data.csv has no column 'icu_days'; the nearest is 'icu'"):
        table_source(tmp_path).films(("icu_days",))


def test_a_cell_that_points_outside_the_source_finds_no_film(tmp_path: Path):
    rows = write_hospital(tmp_path / "hospital", 2)
    (tmp_path / "secret.png").write_bytes(png(drawn_film(0)))
    rows[0]["file"] = "../../secret.png"
    write_csv(tmp_path / "hospital" / "data.csv", rows)
    source = table_source(tmp_path / "hospital")
    films = {film.key: film for film in source.films(()).films}
    assert films["films/../../secret.png"].size_bytes == MISSING
    with pytest.raises(FilmError) as caught:
        source.reader().read("films/../../secret.png")
    assert caught.value.fault.reason == Reason.MISSING_FILE


def phantom(**changes: Any) -> Any:
    return open_source(Source.parse({"phantom": {"patients": 20, "size": 32, **changes}}))


def test_a_phantom_declares_and_makes_its_films():
    source = phantom()
    table = source.films(("Effusion",))
    film = source.reader().read(table.films[3].key)
    assert film.dtype == np.uint8
    assert min(film.shape) == 32
    assert set(table.columns["Effusion"]) == {"0", "1"}
    assert set(table.metadata) == {"view", "sex", "age", "device"}


def test_a_finding_that_phantoms_do_not_have_is_an_error_that_names_the_nearest():
    with pytest.raises(ColumnError, match="no column 'effusion'; the nearest is 'Effusion'"):
        phantom().films(("effusion",))


def test_an_age_column_is_an_age_whatever_it_is_called_and_no_other_is(tmp_path: Path):
    rows = write_hospital(tmp_path, 2)
    for row, age, height in zip(rows, ("97", "058Y"), ("2048", "97"), strict=True):
        row["alter"], row["image_height"] = age, height
    write_csv(tmp_path / "data.csv", rows)
    metadata = table_source(tmp_path, ageColumn="alter", subgroupColumns=["image_height"]).films(()).metadata
    assert metadata["age"] == ["90", "58"]
    assert metadata["image_height"] == ["2048", "97"]


def test_every_source_has_a_reader_and_every_reader_a_source() -> None:
    assert set(READERS) == set(Source.members().values())
