"""What a final unit leaves: the model, and what it says of its validation films."""

import json

import numpy as np
from numpy.typing import NDArray

from chex_jobs.adaptation.head import MODEL_FILE, Classifier, model_tensors
from chex_jobs.artifacts import AttemptWriter, FinishedArtifact
from chex_jobs.sweep.units import Site

VALIDATION_FILE = "validation.safetensors"


def write_model(
    attempt: AttemptWriter,
    classifier: Classifier,
    site: Site,
    films: NDArray[np.int64],
    logits: NDArray[np.float32],
) -> None:
    """Write `model.safetensors` and `validation.safetensors`: logits [N, T] of films [N]."""
    about = {
        "architecture": site.encoder.architecture,
        "size": str(site.encoder.size),
        "tasks": json.dumps(site.tasks),
    }
    attempt.write_safetensors(MODEL_FILE, model_tensors(classifier), about)
    attempt.write_safetensors(VALIDATION_FILE, {"ordinals": films, "logits": logits.astype(np.float32)})


def validation_logits(done: FinishedArtifact) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Film ordinals [N] and logits [N, T] that a final unit left."""
    tensors = done.read_safetensors(VALIDATION_FILE)
    return tensors["ordinals"], tensors["logits"]
