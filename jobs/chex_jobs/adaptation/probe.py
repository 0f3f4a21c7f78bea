"""Linear probes as units of work: the whole path of penalties, the head it gives to LP-FT, and the probe as a model."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from chex_jobs.adaptation.context import AdaptationContext
from chex_jobs.adaptation.head import Classifier, Head
from chex_jobs.adaptation.logistic import fit_path
from chex_jobs.adaptation.model_files import write_model
from chex_jobs.sweep.arms import best_of_path
from chex_jobs.sweep.units import FinalProbeUnit, ProbeUnit

PATH_FILE = "path.safetensors"


def run_probe(unit: ProbeUnit, context: AdaptationContext) -> dict[str, Any]:
    """Fit the path on the draw's training labels and score each C on its validation labels."""
    summary: dict[str, Any] = {}
    fold = unit.features.fold
    with context.timed(summary):
        features = context.features(unit.features)
        train = context.labelled(fold, "train", unit.labels)
        path = fit_path(features.of(train.ordinals), train.labels, unit.c_values, str(context.device))
        validation = context.validation_set(fold, unit.labels)
        logits = path.logits(features.of(validation.films))
        scores = [validation.score(logits[i]) for i in range(len(unit.c_values))]
    attempt = context.attempt(unit)
    attempt.write_safetensors(PATH_FILE, {"weight": path.weight, "bias": path.bias})
    return context.commit(attempt, unit, {**summary, "scores": scores, "filmPasses": 0})


def best_head(unit: ProbeUnit, context: AdaptationContext) -> Head:
    """The head of the C that is best on the probe's validation labels."""
    index, _ = best_of_path(dict(context.finished(unit).summary))
    return _head(unit, context, index)


def run_final_probe(unit: FinalProbeUnit, context: AdaptationContext) -> dict[str, Any]:
    """Put the encoder and the head of one C together, and keep what the model says of the validation films."""
    summary: dict[str, Any] = {}
    probe = unit.probe
    with context.timed(summary):
        head = _head(probe, context, probe.c_values.index(unit.c))
        encoder = context.image_encoder(unit.encoder, unit.site.encoder)
        classifier = Classifier(encoder, nn.Linear(encoder.num_features, len(unit.site.tasks)))
        head.put_into(classifier.head)
        validation = context.validation_set(probe.features.fold, probe.labels)
        logits = _logits(classifier, context.features(probe.features).of(validation.films))
    attempt = context.attempt(unit)
    write_model(attempt, classifier, unit.site, validation.films, logits)
    summary |= {
        "score": validation.score(logits),
        "labels": context.label_counts(probe.features.fold, probe.labels),
    }
    return context.commit(attempt, unit, {**summary, "filmPasses": 0})


def _head(unit: ProbeUnit, context: AdaptationContext, index: int) -> Head:
    tensors = context.finished(unit).read_safetensors(PATH_FILE)
    return Head(tensors["weight"][index], tensors["bias"][index])


def _logits(classifier: Classifier, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The model's own head on features that its encoder gave before: the films need not be read again."""
    with torch.inference_mode():
        return classifier.head(torch.from_numpy(features)).numpy()
