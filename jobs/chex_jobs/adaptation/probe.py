"""Linear probes as units of work: the whole path of penalties, the head it gives to LP-FT, and the probe as a model."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from chex_jobs.adaptation.bench import Workbench
from chex_jobs.adaptation.head import Classifier, Head
from chex_jobs.adaptation.logistic import fit_path
from chex_jobs.adaptation.model_files import write_model
from chex_jobs.sweep.arms import best_of_path
from chex_jobs.sweep.units import FinalProbeUnit, ProbeUnit

PATH_FILE = "path.safetensors"


def run_probe(unit: ProbeUnit, bench: Workbench) -> dict[str, Any]:
    """Fit the path on the draw's training labels and score each C on its validation labels."""
    summary: dict[str, Any] = {}
    fold = unit.features.fold
    with bench.timed(summary):
        features = bench.features(unit.features)
        train = bench.labelled(fold, "train", unit.labels)
        path = fit_path(features.of(train.ordinals), train.labels, unit.c_values, str(bench.device))
        validation = bench.validation_set(fold, unit.labels)
        logits = path.logits(features.of(validation.films))
        scores = [validation.score(logits[i]) for i in range(len(unit.c_values))]
    attempt = bench.attempt(unit)
    attempt.write_safetensors(PATH_FILE, {"weight": path.weight, "bias": path.bias})
    return bench.commit(attempt, unit, {**summary, "scores": scores, "filmPasses": 0})


def best_head(unit: ProbeUnit, bench: Workbench) -> Head:
    """The head of the C that is best on the probe's validation labels."""
    index, _ = best_of_path(dict(bench.finished(unit).summary))
    return _head(unit, bench, index)


def run_final_probe(unit: FinalProbeUnit, bench: Workbench) -> dict[str, Any]:
    """Put the encoder and the head of one C together, and keep what the model says of the validation films."""
    summary: dict[str, Any] = {}
    probe = unit.probe
    with bench.timed(summary):
        head = _head(probe, bench, probe.c_values.index(unit.c))
        encoder = bench.image_encoder(unit.encoder, unit.site.encoder)
        classifier = Classifier(encoder, nn.Linear(encoder.num_features, len(unit.site.tasks)))
        head.put_into(classifier.head)
        validation = bench.validation_set(probe.features.fold, probe.labels)
        logits = _logits(classifier, bench.features(probe.features).of(validation.films))
    attempt = bench.attempt(unit)
    write_model(attempt, classifier, unit.site, validation.films, logits)
    summary |= {
        "score": validation.score(logits),
        "labels": bench.label_counts(probe.features.fold, probe.labels),
    }
    return bench.commit(attempt, unit, {**summary, "filmPasses": 0})


def _head(unit: ProbeUnit, bench: Workbench, index: int) -> Head:
    tensors = bench.finished(unit).read_safetensors(PATH_FILE)
    return Head(tensors["weight"][index], tensors["bias"][index])


def _logits(classifier: Classifier, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """The model's own head on features that its encoder gave before: the films need not be read again."""
    with torch.inference_mode():
        return classifier.head(torch.from_numpy(features)).numpy()
