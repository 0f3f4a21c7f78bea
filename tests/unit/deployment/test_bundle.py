"""A deployable model: what is written is what is loaded, and nothing else is accepted."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from chex_jobs.deployment.bundle import FILES, GOLDEN_FILE, GOLDEN_FILM_FILE, SUMS_FILE, BundleError
from chex_jobs.deployment.ensemble import Ensemble
from chex_jobs.deployment.golden import golden_views, logits_of, write_golden
from chex_jobs.deployment.load import load_bundle
from chex_jobs.evaluation.arms.deployed_score import deployed_logits
from tests.unit.data.films import drawn_film, png
from tests.unit.deployment.small_model import SIZE, tasks


@pytest.fixture
def copied(bundle: Path, tmp_path: Path) -> Path:
    return shutil.copytree(bundle, tmp_path / "copy")


def _sign_again(folder: Path, name: str) -> None:
    """Let the checksum of a changed file be right, so that only its content can be refused."""
    lines = (folder / SUMS_FILE).read_text().splitlines()
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / SUMS_FILE).write_text(
        "".join(f"{digest}  {name}\n" if line.endswith(name) else f"{line}\n" for line in lines)
    )


def _golden(folder: Path, logits: np.ndarray) -> bytes:
    """The folder's golden views with other logits."""
    with np.load(folder / GOLDEN_FILE) as stored:
        return write_golden(stored["images"], logits, stored["film_logits"])


def test_a_loaded_model_gives_bit_for_bit_the_logits_of_the_one_that_was_written(
    bundle: Path, ensemble: Ensemble
) -> None:
    views = golden_views(SIZE)
    np.testing.assert_array_equal(
        logits_of(load_bundle(bundle.as_uri()).model, views), logits_of(ensemble, views)
    )


def test_a_loaded_model_knows_its_tasks_scalings_and_preprocessing(bundle: Path) -> None:
    scorer = load_bundle(bundle.as_uri())
    assert scorer.config.tasks == tasks(2)
    assert (scorer.preprocessing.stored_short_side, scorer.preprocessing.size) == (128, SIZE)


def test_the_folder_holds_only_files_that_the_checksums_name(bundle: Path) -> None:
    assert {path.name for path in bundle.iterdir()} == {*FILES, SUMS_FILE}


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_in_any_file_is_refused(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} is damaged"):
        load_bundle(copied.as_uri())


@pytest.mark.parametrize("name", [*FILES, SUMS_FILE])
def test_a_missing_file_is_refused(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(BundleError, match="no deployable model"):
        load_bundle(copied.as_uri())


def test_a_file_without_checksum_is_refused(copied: Path) -> None:
    (copied / SUMS_FILE).write_text("")
    with pytest.raises(BundleError, match="damaged"):
        load_bundle(copied.as_uri())


def test_golden_logits_that_the_model_does_not_give_are_refused(copied: Path, ensemble: Ensemble) -> None:
    views = golden_views(SIZE)
    (copied / GOLDEN_FILE).write_bytes(_golden(copied, logits_of(ensemble, views) + np.float32(0.01)))
    _sign_again(copied, GOLDEN_FILE)
    with pytest.raises(BundleError, match="other logits here"):
        load_bundle(copied.as_uri())


def test_golden_logits_that_are_not_numbers_are_refused(copied: Path, ensemble: Ensemble) -> None:
    views = golden_views(SIZE)
    (copied / GOLDEN_FILE).write_bytes(_golden(copied, logits_of(ensemble, views) * np.float32("nan")))
    _sign_again(copied, GOLDEN_FILE)
    with pytest.raises(BundleError, match="other logits here"):
        load_bundle(copied.as_uri())


def test_another_golden_film_is_refused_as_the_way_from_file_to_logits_is_part_of_the_model(
    copied: Path,
) -> None:
    (copied / GOLDEN_FILM_FILE).write_bytes(png(drawn_film(5, 201, 163)))
    _sign_again(copied, GOLDEN_FILM_FILE)
    with pytest.raises(BundleError, match="other logits here"):
        load_bundle(copied.as_uri())


def test_golden_logits_of_another_number_of_tasks_are_refused(copied: Path, ensemble: Ensemble) -> None:
    views = golden_views(SIZE)
    (copied / GOLDEN_FILE).write_bytes(_golden(copied, logits_of(ensemble, views)[:, :1]))
    _sign_again(copied, GOLDEN_FILE)
    with pytest.raises(BundleError, match="shape"):
        load_bundle(copied.as_uri())


def test_a_description_of_another_format_is_refused(copied: Path) -> None:
    config = copied / "config.json"
    config.write_text(config.read_text().replace("model/v2", "model/v1"))
    _sign_again(copied, "config.json")
    with pytest.raises(BundleError, match="another version"):
        load_bundle(copied.as_uri())


def test_weights_of_another_shape_are_refused(copied: Path) -> None:
    config = copied / "config.json"
    config.write_text(config.read_text().replace("chex-densenet-small", "densenet121"))
    _sign_again(copied, "config.json")
    with pytest.raises(BundleError, match="does not hold the model"):
        load_bundle(copied.as_uri())


def test_golden_films_differ_in_their_logits_so_that_they_can_tell_models_apart(bundle: Path) -> None:
    with np.load(bundle / GOLDEN_FILE) as stored:
        assert stored["images"].shape == (8, 1, SIZE, SIZE)
        assert np.ptp(stored["logits"], axis=0).min() > 0.01


def test_an_ensemble_is_the_score_that_the_evaluation_computes_from_its_members(bundle: Path) -> None:
    scorer = load_bundle(bundle.as_uri())
    views = torch.from_numpy(golden_views(SIZE))
    with torch.inference_mode():
        said = [member(views).double().numpy() for member in scorer.model.members]
        found = scorer.model(views).numpy()
    assert np.abs(said[0] - said[1]).max() > 0.01, "the members must differ for this to say anything"
    np.testing.assert_allclose(found, deployed_logits(said, scorer.config.scalings()), atol=1e-5, rtol=0)


def test_a_scaling_that_was_changed_in_the_description_is_found_by_the_golden_logits(copied: Path) -> None:
    config = copied / "config.json"
    config.write_text(config.read_text().replace('"intercept": 0.25', '"intercept": 0.5'))
    _sign_again(copied, "config.json")
    with pytest.raises(BundleError, match="other logits here"):
        load_bundle(copied.as_uri())


def test_a_number_of_members_that_differs_from_the_scalings_is_refused(copied: Path) -> None:
    config = copied / "config.json"
    config.write_text(config.read_text().replace('"members": 2', '"members": 3'))
    _sign_again(copied, "config.json")
    with pytest.raises(BundleError, match="one scaling for each of 3 members"):
        load_bundle(copied.as_uri())


def test_a_film_file_is_scored_as_its_standard_view(bundle: Path) -> None:
    scorer = load_bundle(bundle.as_uri())
    film = drawn_film(1, SIZE, SIZE)
    np.testing.assert_array_equal(scorer.logits(png(film)), logits_of(scorer.model, film[None, None])[0])
