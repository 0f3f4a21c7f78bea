"""The deployable model for other runtimes."""

import logging
import warnings
from pathlib import Path

import torch

from chex_jobs.deployment.ensemble import Ensemble
from chex_jobs.deployment.golden import golden_views

INPUT, OUTPUT = "images", "logits"


def export_onnx(model: Ensemble, size: int, path: Path) -> None:
    """Write the model with input `images` uint8 `[N, 1, S, S]` and output `logits` float32 `[N, T]`, N free."""
    example = torch.from_numpy(golden_views(size)[:2])
    batch = torch.export.Dim("batch", min=1, max=4096)
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # The exporter warns of its own deprecated imports; none of it concerns the model.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            model,
            (example,),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: batch},),
            verbose=False,
        )
    assert program is not None, "the dynamo exporter returns a program"
    program.save(str(path), external_data=False)
