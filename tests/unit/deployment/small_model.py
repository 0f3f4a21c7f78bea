"""A small deployable model with drawn weights."""

from pathlib import Path

import torch

from chex_jobs.deployment.bundle import BundleConfig, Preprocessing, TaskConfig
from chex_jobs.deployment.ensemble import Ensemble, empty_ensemble
from chex_jobs.deployment.write import write_bundle

SIZE = 64
ARCHITECTURE = "chex-densenet-small"
TASKS = (TaskConfig(name="effusion", temperature=1.5), TaskConfig(name="fracture", temperature=None))


def small_ensemble(members: int) -> Ensemble:
    """An ensemble whose members all have other weights and logits that differ from film to film."""
    model = empty_ensemble(ARCHITECTURE, SIZE, len(TASKS), members)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1 + 0.2 * torch.rand(parameter.shape, generator=generator))
    return model


def write_small_bundle(folder: Path, model: Ensemble) -> None:
    """Write the whole deployable model into `folder`."""
    folder.mkdir()
    config = BundleConfig(
        architecture=ARCHITECTURE,
        size=SIZE,
        members=len(model.members),
        tasks=TASKS,
        hospital="north",
        arm="ssl/probe@1",
        provenance={"models": ["0" * 64] * len(model.members)},
    )
    write_bundle(folder, model, config, Preprocessing.of(128, SIZE))
