"""The ONNX file gives the logits of the model, within 1e-4."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from chex_jobs.deployment.bundle import GOLDEN_FILE, ONNX_FILE
from chex_jobs.deployment.ensemble import Ensemble
from chex_jobs.deployment.golden import logits_of
from tests.unit.deployment.small_model import SIZE

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def session(bundle: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(bundle / ONNX_FILE), options, providers=["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession, views: np.ndarray) -> np.ndarray:
    return np.asarray(session.run(["logits"], {"images": views})[0])


def test_golden_films_get_their_golden_logits(bundle: Path, session: onnxruntime.InferenceSession) -> None:
    with np.load(bundle / GOLDEN_FILE) as stored:
        np.testing.assert_allclose(_run(session, stored["images"]), stored["logits"], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("batch", [1, 2, 5, 33])
def test_films_of_noise_agree_in_batches_of_any_size(
    session: onnxruntime.InferenceSession, ensemble: Ensemble, batch: int
) -> None:
    views = np.random.default_rng(batch).integers(0, 256, (batch, 1, SIZE, SIZE), dtype=np.uint8)
    np.testing.assert_allclose(_run(session, views), logits_of(ensemble, views), atol=TOLERANCE, rtol=0)


def test_it_takes_raw_grey_values_so_that_no_caller_normalises_twice(
    session: onnxruntime.InferenceSession,
) -> None:
    (images,) = session.get_inputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(uint8)", ["batch", 1, SIZE, SIZE])


def test_its_weights_lie_in_the_file_itself(bundle: Path) -> None:
    assert not list(bundle.glob("*.data"))
    assert (bundle / ONNX_FILE).stat().st_size > (bundle / "model.safetensors").stat().st_size / 2
