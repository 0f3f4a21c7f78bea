"""Loading a deployable model: every file's checksum, then its golden logits, before it says anything about a patient."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from chex_jobs.artifacts import ArtifactError, open_storage
from chex_jobs.data.decoding.decode import decode_film
from chex_jobs.data.loading.augmentation import standard_view
from chex_jobs.deployment.bundle import (
    CONFIG_FILE,
    FILES,
    GOLDEN_FILE,
    GOLDEN_FILM_FILE,
    MODEL_FILE,
    PREPROCESSING_FILE,
    SUMS_FILE,
    BundleConfig,
    BundleError,
    Preprocessing,
)
from chex_jobs.deployment.ensemble import Ensemble, empty_ensemble
from chex_jobs.deployment.golden import check_golden, logits_of
from chex_jobs.evaluation.statistics.aggregation import UnitMap, mean_logits


@dataclass(frozen=True)
class UnitScore:
    """What a model says of one unit."""

    logits: tuple[float, ...]
    """[T]; their sigmoid is the probability."""


@dataclass(frozen=True)
class Scorer:
    """A deployable model that has proved itself on this machine."""

    config: BundleConfig
    preprocessing: Preprocessing
    model: Ensemble

    def logits(self, film_file: bytes) -> NDArray[np.float32]:
        """Logits `[T]` of one film file (PNG, JPEG or DICOM): the score of a unit is their mean over its films. Raises `FilmError` for one that cannot be used."""
        film = decode_film(film_file, self.preprocessing.stored_short_side)
        return logits_of(self.model, standard_view(film, self.config.size)[None, None])[0]

    def score_unit(self, films: Sequence[NDArray[np.float32]]) -> UnitScore:
        """The score of one unit from the logits `[T]` of all its films."""
        one = np.zeros(1, dtype=np.int64)
        unit = UnitMap(np.zeros(len(films), dtype=np.int64), one, one)
        logits = mean_logits(unit, np.stack(films).astype(np.float64))[0]
        return UnitScore(tuple(float(each) for each in logits))


def load_bundle(uri: str) -> Scorer:
    """Load and check the folder at `file://` or `s3://`.

    Raises:
        BundleError: a file is missing or damaged, the format is unknown, or the golden logits differ here.
        ArtifactError: storage is out of reach.
    """
    files = _checked_files(uri)
    try:
        config = BundleConfig.model_validate_json(files[CONFIG_FILE])
        preprocessing = Preprocessing.model_validate_json(files[PREPROCESSING_FILE])
    except ValidationError as error:
        raise BundleError(
            f"{uri}: its description is of another version of chex: {error.errors()[0]['msg']}"
        ) from error
    model = empty_ensemble(config.architecture, config.size, config.scalings())
    try:
        model.load_state_dict(load_tensors(files[MODEL_FILE]))
    except (RuntimeError, SafetensorError) as error:
        raise BundleError(
            f"{uri}/{MODEL_FILE} does not hold the model that {CONFIG_FILE} describes: {error}"
        ) from error
    check_golden(model, files[GOLDEN_FILE], files[GOLDEN_FILM_FILE], preprocessing)
    return Scorer(config, preprocessing, model)


def _checked_files(uri: str) -> dict[str, bytes]:
    storage = open_storage(uri)
    try:
        sums = storage.read_bytes(SUMS_FILE).decode()
        files = {name: storage.read_bytes(name) for name in FILES}
    except ArtifactError as error:
        raise BundleError(f"{uri} is no deployable model: {error}") from error
    expected = {name: digest for digest, _, name in (line.partition("  ") for line in sums.splitlines())}
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != expected.get(name):
            raise BundleError(
                f"{uri}/{name} is damaged: it does not have the checksum in {SUMS_FILE}; get the folder again"
            )
    return files
