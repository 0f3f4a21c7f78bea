"""`chex predict`: the same picture gets the same logits, whatever file it comes in."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from chex_jobs.cli.main import main
from chex_jobs.deployment.ensemble import Ensemble
from chex_jobs.deployment.film_units import film_units
from chex_jobs.evaluation.statistics.aggregation import ScoringUnit
from tests.unit.data.films import dicom, drawn_film, png
from tests.unit.deployment.small_model import INTERCEPTS, SLOPES, write_small_bundle

FILM = drawn_film(3, 64, 64)


def _predict(
    capsys: pytest.CaptureFixture[str], bundle: Path, *images: Path
) -> tuple[int, list[dict[str, object]], str]:
    code = main(["predict", str(bundle), *map(str, images), "-o", "json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out)["predictions"], printed.err


def _logits(capsys: pytest.CaptureFixture[str], bundle: Path, file: Path, content: bytes) -> np.ndarray:
    file.write_bytes(content)
    code, rows, _ = _predict(capsys, bundle, file)
    assert code == 0
    return np.array([row["logit"] for row in rows])


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(png(np.dstack([FILM, FILM, FILM, np.full_like(FILM, 255)])), id="RGBA PNG"),
        pytest.param(png(FILM.astype(np.uint16) * 257), id="16-bit PNG"),
        pytest.param(png(FILM.astype(np.uint16) * 16), id="12 bits in a 16-bit PNG"),
        pytest.param(
            dicom(
                (255 - FILM).astype(np.uint16),
                PhotometricInterpretation="MONOCHROME1",
                BitsStored=8,
                HighBit=7,
                WindowCenter=128,
                WindowWidth=256,
            ),
            id="MONOCHROME1 DICOM",
        ),
    ],
)
def test_the_same_picture_gets_the_same_logits_from_another_kind_of_file(
    capsys: pytest.CaptureFixture[str], bundle: Path, tmp_path: Path, other: bytes
) -> None:
    expected = _logits(capsys, bundle, tmp_path / "film", png(FILM))
    # One grey level in 255 of rounding moves a logit of this model by less than 1e-2; an inverted film by more.
    np.testing.assert_allclose(
        _logits(capsys, bundle, tmp_path / "other", other), expected, atol=5e-3, rtol=0
    )
    inverted = _logits(capsys, bundle, tmp_path / "inverted", png(255 - FILM))
    assert np.abs(inverted - expected).max() > 1e-2


def test_an_unreadable_film_fails_the_command_but_not_the_other_films(
    capsys: pytest.CaptureFixture[str], bundle: Path, tmp_path: Path
) -> None:
    good, broken, absent, last = (
        tmp_path / name for name in ("good.png", "broken.png", "absent.png", "last.png")
    )
    good.write_bytes(png(FILM))
    broken.write_bytes(png(FILM)[:100])
    last.write_bytes(png(255 - FILM))
    code, rows, errors = _predict(capsys, bundle, good, broken, absent, last)
    assert code == 1
    assert [row["image"] for row in rows] == [str(good)] * 2 + [str(last)] * 2
    assert str(broken) in errors
    assert str(absent) in errors
    assert str(good) not in errors
    assert "Traceback" not in errors


def test_probabilities_are_those_of_the_scaled_members_and_say_where_they_are_not_calibrated(
    capsys: pytest.CaptureFixture[str], bundle: Path, ensemble: Ensemble, tmp_path: Path
) -> None:
    (tmp_path / "film.png").write_bytes(png(FILM))
    _, (effusion, fracture), _ = _predict(capsys, bundle, tmp_path / "film.png")
    assert (effusion["task"], effusion["calibrated"]) == ("effusion", True)
    assert (fracture["task"], fracture["calibrated"]) == ("fracture", False)
    with torch.inference_mode():
        said = [float(member(torch.from_numpy(FILM)[None, None])[0, 0]) for member in ensemble.members]
    expected = np.mean([SLOPES[k] * said[k] + INTERCEPTS[k] for k in range(2)])
    assert effusion["logit"] == pytest.approx(expected, abs=1e-4)
    assert effusion["probability"] == pytest.approx(1 / (1 + math.exp(-expected)), abs=1e-4)


def test_each_threshold_of_the_model_gives_a_decision(
    capsys: pytest.CaptureFixture[str], bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "film.png").write_bytes(png(FILM))
    _, (effusion, fracture), _ = _predict(capsys, bundle, tmp_path / "film.png")
    assert [(each["wantedSpecificity"], each["positive"]) for each in effusion["decisions"]] == [  # type: ignore[union-attr]
        (0.8, True),
        (0.9, False),
    ]
    assert fracture["decisions"] == []


@pytest.fixture(scope="module")
def of_studies(tmp_path_factory: pytest.TempPathFactory, ensemble: Ensemble) -> Path:
    """The same model, whose thresholds hold for studies."""
    folder = tmp_path_factory.mktemp("deployable") / "studies"
    write_small_bundle(folder, ensemble, "Study")
    return folder


@pytest.fixture
def films(tmp_path: Path) -> Path:
    for name, film in (("a", FILM), ("b", 255 - FILM), ("c", FILM[::-1])):
        (tmp_path / f"{name}.png").write_bytes(png(np.ascontiguousarray(film)))
    return tmp_path


@pytest.mark.parametrize("names", [["a"], ["a", "b"]])
def test_a_study_model_decides_nothing_from_films_of_which_nobody_says_what_they_belong_to(
    capsys: pytest.CaptureFixture[str], of_studies: Path, films: Path, names: list[str]
) -> None:
    assert main(["predict", str(of_studies), *(str(films / f"{name}.png") for name in names)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "all films of a study" in printed.err
    assert "--table" in printed.err


def test_a_study_is_scored_by_the_mean_over_its_films_that_a_table_puts_together(
    capsys: pytest.CaptureFixture[str], bundle: Path, of_studies: Path, films: Path
) -> None:
    (films / "films.csv").write_text("file,visit\na.png,1\nc.png,2\nb.png,1\n")
    _, alone, _ = _predict(capsys, bundle, *(films / f"{name}.png" for name in "abc"))
    a, b, c = (np.array([row["logit"] for row in alone[2 * k : 2 * k + 2]]) for k in range(3))
    asked = ["--table", str(films / "films.csv"), "--image-column", "file", "--unit-column", "visit"]
    assert main(["predict", str(of_studies), *asked, "-o", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["unit"] == "Study"
    rows = said["predictions"]
    assert [row["unit"] for row in rows] == ["1", "1", "2", "2"]
    np.testing.assert_allclose([row["logit"] for row in rows[:2]], (a + b) / 2, atol=1e-5)
    np.testing.assert_allclose([row["logit"] for row in rows[2:]], c, atol=1e-5)
    assert rows[0]["images"] == [str(films / "a.png"), str(films / "b.png")]


def test_a_film_that_is_named_brings_the_other_films_of_its_study_along(
    capsys: pytest.CaptureFixture[str], of_studies: Path, films: Path
) -> None:
    (films / "films.csv").write_text("image,study\na.png,1\nc.png,2\nb.png,1\n")
    asked = [str(films / "a.png"), "--table", str(films / "films.csv"), "-o", "json"]
    assert main(["predict", str(of_studies), *asked]) == 0
    rows = json.loads(capsys.readouterr().out)["predictions"]
    assert {(row["unit"], len(row["images"])) for row in rows} == {("1", 2)}


def test_a_study_with_a_film_that_cannot_be_used_is_not_scored_from_the_others(
    capsys: pytest.CaptureFixture[str], of_studies: Path, films: Path
) -> None:
    (films / "b.png").write_bytes(b"no film")
    (films / "films.csv").write_text("image,study\na.png,1\nb.png,1\nc.png,2\n")
    assert main(["predict", str(of_studies), "--table", str(films / "films.csv"), "-o", "json"]) == 1
    printed = capsys.readouterr()
    assert {row["unit"] for row in json.loads(printed.out)["predictions"]} == {"2"}
    assert "1: not scored, as 1 of its 2 films cannot be used" in printed.err


@pytest.mark.parametrize("unit", ["Patient", "Study"])
def test_a_patient_or_study_is_one_unit_however_the_id_is_spelled(tmp_path: Path, unit: ScoringUnit) -> None:
    table = tmp_path / "films.csv"
    table.write_text(f"image,{unit.lower()}\na.png,00100\nb.png,100.0\nc.png,7\n")
    units = film_units(unit, [], table, "image", "")
    assert {name: len(films) for name, films in units.items()} == {"00100": 2, "7": 1}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("image,visit\na.png,1\n", "no column 'study'"),
        ("image,study\na.png,\n", "row 1 after the header: 'study' is empty"),
        ("image,study\na.png,1\na.png,2\n", "row 2 after the header: a.png is there twice"),
        ("image,study\nb.png,1\n", "a.png is not in"),
        (
            "image,patient,study\na.png,100,1\nb.png,100.0,1\nc.png,7,1\n",
            "row 3 after the header: the study of this row",
        ),
    ],
)
def test_a_table_that_does_not_say_what_a_film_belongs_to_is_refused(
    capsys: pytest.CaptureFixture[str], of_studies: Path, films: Path, table: str, message: str
) -> None:
    (films / "films.csv").write_text(table)
    asked = [str(films / "a.png"), "--table", str(films / "films.csv")]
    assert main(["predict", str(of_studies), *asked]) == 2
    assert message in capsys.readouterr().err


def test_without_output_format_a_table_that_says_research_use_is_printed(
    capsys: pytest.CaptureFixture[str], bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "film.png").write_bytes(png(FILM))
    assert main(["predict", str(bundle), str(tmp_path / "film.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Research use only" in lines[0]
    assert len(lines) == 4
    assert "effusion" in lines[2]
    assert "(not calibrated)" in lines[3]


def test_a_folder_that_is_no_model_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["predict", str(tmp_path), "film.png"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "no deployable model" in line
