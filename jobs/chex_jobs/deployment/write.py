"""Making a deployable model from the final fits that the evaluation names."""

import hashlib
from pathlib import Path

from safetensors.torch import save_file

from chex_jobs.deployment.bundle import (
    CONFIG_FILE,
    EXAMPLE_FILE,
    FILES,
    GOLDEN_FILE,
    GOLDEN_FILM_FILE,
    MODEL_FILE,
    ONNX_FILE,
    PREPROCESSING_FILE,
    SUMS_FILE,
    BundleConfig,
    Preprocessing,
)
from chex_jobs.deployment.ensemble import Ensemble
from chex_jobs.deployment.golden import (
    golden_film,
    golden_film_view,
    golden_views,
    logits_of,
    write_golden,
)
from chex_jobs.deployment.onnx_export import export_onnx


def write_bundle(folder: Path, model: Ensemble, config: BundleConfig, preprocessing: Preprocessing) -> None:
    """Write every file of a deployable model into an existing, empty folder."""
    save_file(
        {name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()},
        folder / MODEL_FILE,
    )
    (folder / CONFIG_FILE).write_text(config.model_dump_json(indent=2) + "\n")
    (folder / PREPROCESSING_FILE).write_text(preprocessing.model_dump_json(indent=2) + "\n")
    views = golden_views(config.size)
    film = golden_film(preprocessing.stored_short_side)
    film_logits = logits_of(model, golden_film_view(film, preprocessing))[0]
    (folder / GOLDEN_FILM_FILE).write_bytes(film)
    (folder / GOLDEN_FILE).write_bytes(write_golden(views, logits_of(model, views), film_logits))
    (folder / EXAMPLE_FILE).write_bytes(Path(__file__).with_name(EXAMPLE_FILE).read_bytes())
    export_onnx(model, config.size, folder / ONNX_FILE)
    sums = (f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in FILES)
    (folder / SUMS_FILE).write_text("".join(sums))
