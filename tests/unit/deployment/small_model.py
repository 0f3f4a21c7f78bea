"""A small deployable model with drawn weights."""

from pathlib import Path

import torch

from chex_jobs.deployment.bundle import (
    BundleConfig,
    MemberScaling,
    OperatingThreshold,
    Preprocessing,
    TaskConfig,
)
from chex_jobs.deployment.ensemble import Ensemble, empty_ensemble
from chex_jobs.deployment.write import write_bundle
from chex_jobs.evaluation.statistics.aggregation import ScoringUnit

SIZE = 64
ARCHITECTURE = "chex-densenet-small"
SLOPES, INTERCEPTS = (0.5, 0.8, 1.25), (-1.0, 0.25, 2.0)


def tasks(members: int) -> tuple[TaskConfig, ...]:
    """Two tasks: one calibrated, each member in its own way, and with thresholds; one that could not be."""
    scalings = [MemberScaling(slope=SLOPES[k], intercept=INTERCEPTS[k]) for k in range(members)]
    thresholds = [
        OperatingThreshold(wanted_specificity=share, probability=p) for share, p in ((0.8, 0.0), (0.9, 1.0))
    ]
    nothing = [MemberScaling(slope=1.0, intercept=0.0)] * members
    return (
        TaskConfig(name="effusion", scalings=tuple(scalings), calibrated=True, thresholds=tuple(thresholds)),
        TaskConfig(name="fracture", scalings=tuple(nothing), calibrated=False),
    )


def small_ensemble(members: int) -> Ensemble:
    """An ensemble whose members all have other weights and logits that differ from film to film."""
    model = empty_ensemble(ARCHITECTURE, SIZE, config_of(members, "Image").scalings())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + 0.2 * torch.rand(parameter.shape, generator=generator))
    return model


def config_of(members: int, unit: ScoringUnit) -> BundleConfig:
    """Of a model with that many members."""
    return BundleConfig(
        architecture=ARCHITECTURE,
        size=SIZE,
        members=members,
        unit=unit,
        tasks=tasks(members),
        hospital="north",
        arm="ssl/probe@1",
        provenance={"models": ["0" * 64] * members},
    )


def write_small_bundle(folder: Path, model: Ensemble, unit: ScoringUnit = "Image") -> None:
    """Write the whole deployable model into `folder`."""
    folder.mkdir()
    write_bundle(folder, model, config_of(len(model.members), unit), Preprocessing.of(128, SIZE))
