"""`chex predict`: the same picture gets the same logits, whatever file it comes in."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from chex_jobs.cli.main import main
from tests.unit.data.films import dicom, drawn_film, png

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


def test_probabilities_use_the_temperature_and_say_where_there_is_none(
    capsys: pytest.CaptureFixture[str], bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "film.png").write_bytes(png(FILM))
    _, (effusion, fracture), _ = _predict(capsys, bundle, tmp_path / "film.png")
    assert (effusion["task"], effusion["calibrated"]) == ("effusion", True)
    assert (fracture["task"], fracture["calibrated"]) == ("fracture", False)
    assert effusion["probability"] == pytest.approx(1 / (1 + math.exp(-float(str(effusion["logit"])) / 1.5)))
    assert fracture["probability"] == pytest.approx(1 / (1 + math.exp(-float(str(fracture["logit"])))))


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
