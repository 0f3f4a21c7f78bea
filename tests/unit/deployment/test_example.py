"""The example in a model's folder: the golden logits from the golden film, without anything of ours."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from PIL import Image

from chex_jobs.data.decoding.decode import decode_film
from chex_jobs.data.loading.augmentation import standard_view
from chex_jobs.deployment.bundle import EXAMPLE_FILE, GOLDEN_FILE, GOLDEN_FILM_FILE
from chex_jobs.deployment.ensemble import Ensemble
from chex_jobs.deployment.load import load_bundle
from tests.unit.data.films import drawn_film, png
from tests.unit.deployment.small_model import SIZE, write_small_bundle

STORED = 128
SIZES = [
    (64, 64), (65, 64), (63, 63), (17, 33), (50, 41), (97, 131), (128, 128), (129, 127), (255, 193), (256, 192), (257, 193),
    (259, 31), (259, 83), (331, 207), (383, 385), (512, 512), (641, 513), (1023, 767), (701, 9), (1, 51), (131, 261),
]  # fmt: skip


@pytest.fixture(scope="module")
def example(bundle: Path) -> ModuleType:
    """The module as it lies in the folder."""
    spec = importlib.util.spec_from_file_location("example_of_a_model", bundle / EXAMPLE_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _film(height: int, width: int) -> np.ndarray:
    """Texture as a film has it, with an edge in it."""
    film = np.random.default_rng([height, width]).integers(0, 256, (height, width), dtype=np.uint8)
    film = cv2.GaussianBlur(film, (0, 0), 1.5).reshape(height, width)
    film[height // 3 :, : width // 2] //= 2
    return film


def _agree(found: np.ndarray, expected: np.ndarray) -> None:
    """Where a mean lies halfway between two grey values, float32 and float64 may round apart: one value, rarely."""
    assert found.shape == expected.shape
    apart = np.abs(found.astype(int) - expected)
    assert apart.max() <= 1
    assert np.count_nonzero(apart) <= max(1, 0.01 * apart.size)


def test_it_imports_only_numpy_pillow_and_onnxruntime(bundle: Path) -> None:
    found = set()
    for node in ast.walk(ast.parse((bundle / EXAMPLE_FILE).read_text())):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    assert found - sys.stdlib_module_names == {"numpy", "PIL", "onnxruntime"}


def test_the_golden_film_gets_its_golden_logits_from_its_file(bundle: Path, example: ModuleType) -> None:
    with np.load(bundle / GOLDEN_FILE) as stored:
        golden = stored["film_logits"]
    found = example.logits_of([example.view_of(bundle / GOLDEN_FILM_FILE)])[0]
    np.testing.assert_allclose(found, golden, atol=1e-4, rtol=0)
    np.testing.assert_allclose(
        load_bundle(bundle.as_uri()).logits((bundle / GOLDEN_FILM_FILE).read_bytes()),
        golden,
        atol=1e-4,
        rtol=0,
    )


def test_the_golden_film_has_odd_sizes_and_is_larger_than_what_is_stored(bundle: Path) -> None:
    film = cv2.imread(str(bundle / GOLDEN_FILM_FILE), cv2.IMREAD_UNCHANGED)
    assert film is not None
    assert min(film.shape) > STORED
    assert all(side % 2 for side in film.shape)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_model_sees_the_same_of_a_film_of_any_size(
    tmp_path: Path, example: ModuleType, size: tuple[int, int]
) -> None:
    file = tmp_path / "film.png"
    file.write_bytes(png(_film(*size)))
    _agree(example.view_of(file), standard_view(decode_film(file.read_bytes(), STORED), SIZE))


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(np.dstack([_film(201, 163), _film(202, 163)[:-1], _film(203, 163)[:-2]]), id="colour"),
        pytest.param(np.dstack([_film(201, 163)] * 3 + [_film(204, 163)[:-3]]), id="transparent"),
        pytest.param(_film(201, 163).astype(np.uint16) * 16, id="16 bits"),
    ],
)
def test_the_model_sees_the_same_of_every_kind_of_png(
    tmp_path: Path, example: ModuleType, picture: np.ndarray
) -> None:
    file = tmp_path / "film.png"
    file.write_bytes(png(picture))
    _agree(example.view_of(file), standard_view(decode_film(file.read_bytes(), STORED), SIZE))


def test_it_runs_as_a_program_and_gives_a_study_the_mean_over_its_films(
    tmp_path: Path, ensemble: Ensemble, example: ModuleType
) -> None:
    folder = tmp_path / "model"
    write_small_bundle(folder, ensemble, "Study")
    films = [tmp_path / "a.png", tmp_path / "b.png"]
    for number, file in enumerate(films):
        file.write_bytes(png(drawn_film(number, 151, 97)))
    logit = example.logits_of([example.view_of(file) for file in films]).mean(axis=0)[0]
    done = subprocess.run(
        [sys.executable, str(folder / EXAMPLE_FILE), *map(str, films)],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert "golden film" in done.stdout
    assert "Research use only" in done.stdout
    assert f"the study of 2 films  effusion  probability {1 / (1 + np.exp(-logit)):.4f}" in done.stdout


def test_a_picture_that_it_cannot_read_as_we_do_is_refused(tmp_path: Path, example: ModuleType) -> None:
    cv2.imwrite(str(tmp_path / "film.jpg"), _film(100, 100))
    with pytest.raises(SystemExit, match="export the film as PNG"):
        example.view_of(tmp_path / "film.jpg")


def test_a_png_that_pillow_shows_otherwise_than_we_decode_it_is_refused(
    tmp_path: Path, example: ModuleType
) -> None:
    film = _film(100, 100)
    cv2.imwrite(str(tmp_path / "deep.png"), np.dstack([film.astype(np.uint16) * 16] * 3))
    Image.fromarray(film).convert("RGB").save(tmp_path / "key.png", transparency=(9, 9, 9))
    Image.fromarray(film // 128).convert("1").save(tmp_path / "bilevel.png")
    for name, words in (("deep", "16 bits"), ("key", "with a colour key"), ("bilevel", "1 bits")):
        with pytest.raises(SystemExit, match=words):
            example.view_of(tmp_path / f"{name}.png")
