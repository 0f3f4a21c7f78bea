"""The deployable model for other runtimes."""

import warnings
from pathlib import Path

import torch

from chex_jobs.deployment.ensemble import Ensemble
from chex_jobs.deployment.golden import golden_views

INPUT, OUTPUT = "images", "logits"
OPSET = 17


def export_onnx(model: Ensemble, size: int, path: Path) -> None:
    """Write the model with input `images` uint8 `[N, 1, S, S]` and output `logits` float32 `[N, T]`, N free.

    By tracing, not by the exporter over `torch.export`: on a DenseNet-121 that one took 24 s of CPU for each member, tracing
    takes 2 (torch 2.15). An image encoder in evaluation mode has no branch on its input that a trace could miss; the tests
    compare the file's logits with the model's.
    """
    example = torch.from_numpy(golden_views(size)[:2])
    with warnings.catch_warnings():
        # Tracing is announced as deprecated; parity is what counts here, and is checked.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model,
            (example,),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
        )
