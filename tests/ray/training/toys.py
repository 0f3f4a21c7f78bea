"""Small trainings on made-up films: objectives, batches, and a store whose checkpoints are read back."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from chex_api.encoder import ImageEncoder, TextEncoder
from chex_api.objective import Objective
from chex_api.pretraining import Optimization
from chex_jobs.artifacts import ArtifactStore, Checkpoint, CheckpointStore
from chex_jobs.models import build_image_encoder, build_text_encoder
from chex_jobs.objectives import Loss, build_objective
from chex_jobs.training.batch_norm import use_group_batch_norm
from chex_jobs.training.checkpoint_policy import CheckpointPolicy
from chex_jobs.training.checkpoints import restore
from chex_jobs.training.loop import LoopSettings
from chex_jobs.training.model_state import ModelState

SIZE, NUM_TASKS, NUM_TOKENS = 64, 2, 12
GLOBAL_BATCH, GROUP = 32, 8

OBJECTIVES = {
    "moCo": Objective.parse({"moCo": {"queueSize": 128, "momentum": 0.9, "projectionDim": 8}}),
    "clip": Objective.parse({"clip": {"projectionDim": 8}}),
    "supervised": Objective.parse({"supervised": {}}),
}


def objective(name: str) -> nn.Module:
    """A real objective around the small DenseNet and, for clip, the tiny BERT."""
    image_encoder = build_image_encoder(ImageEncoder(architecture="chex-densenet-small", size=SIZE), 0)
    use_group_batch_norm(image_encoder, GROUP)
    text_encoder = (
        build_text_encoder(TextEncoder(max_tokens=16, trainable_layers=2), 0) if name == "clip" else None
    )
    return build_objective(
        OBJECTIVES[name], image_encoder, text_encoder,
        seed=0, global_batch_size=GLOBAL_BATCH, group_size=GROUP, num_tasks=NUM_TASKS,
    )  # fmt: skip


class OddObjective(nn.Module):
    """Odd sizes, BatchNorm and dropout: a parameter's size is never a multiple of the number of workers."""

    def __init__(self, learns: bool = True, explodes_at: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.image_encoder = nn.Sequential(
            nn.Conv2d(1, 7, 3, bias=False),
            nn.BatchNorm2d(7),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        use_group_batch_norm(self.image_encoder, GROUP)
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(7, 3), nn.Linear(3, NUM_TASKS))
        self.register_buffer("calls", torch.zeros(1, dtype=torch.int64))
        self.register_buffer("scratch", torch.zeros(3), persistent=False)
        self.explodes_at = explodes_at
        self.requires_grad_(learns)

    def forward(self, batch: dict[str, Tensor]) -> Loss:
        logits = self.head(self.image_encoder(batch["images"][:, 0:1].float() / 255))
        loss = nn.functional.binary_cross_entropy_with_logits(logits, batch["labels"])
        if self.explodes_at is not None and int(self.calls) >= self.explodes_at:
            loss = loss * torch.tensor(float("nan"))
        if self.training:
            self.calls += 1
        return Loss(loss, {"logit": logits.detach().mean()})


@dataclass
class MadeUpBatches:
    """Global batches that depend on (epoch, step) alone, cut for one worker."""

    rank: int
    world_size: int
    steps_per_epoch: int = 3
    wait_seconds: float = 0.0

    def epoch(self, epoch: int, first_step: int = 0) -> Iterator[dict[str, Tensor]]:
        part = GLOBAL_BATCH // self.world_size
        own = slice(self.rank * part, (self.rank + 1) * part)
        for step in range(first_step, self.steps_per_epoch):
            random = torch.Generator().manual_seed(1000 * epoch + step)
            batch = {
                "images": _films(random),
                "ordinals": torch.arange(GLOBAL_BATCH),
                "labels": torch.randint(0, 2, (GLOBAL_BATCH, NUM_TASKS), generator=random).float(),
                "input_ids": torch.randint(5, 60, (GLOBAL_BATCH, NUM_TOKENS), generator=random),
                "attention_mask": torch.ones((GLOBAL_BATCH, NUM_TOKENS), dtype=torch.int64),
                "text_group": torch.randint(0, 12, (GLOBAL_BATCH,), generator=random),
            }
            yield {name: tensor[own] for name, tensor in batch.items()}


def _films(random: torch.Generator) -> Tensor:
    """Two views of films that differ from each other.

    Noise alone would not do: pooled, all of it looks the same, and BatchNorm would blow rounding up. Nor would smooth films:
    where pixels are nearly equal, rounding decides which of them max pooling takes.
    """
    patches = torch.rand((GLOBAL_BATCH, 1, 4, 4), generator=random)
    films = nn.functional.interpolate(patches, size=(SIZE, SIZE), mode="bilinear")
    views = films + 0.5 * torch.rand((GLOBAL_BATCH, 2, SIZE, SIZE), generator=random)
    return (views / 1.5 * 255).to(torch.uint8)


def settings(
    *,
    zero_stage: int = 0,
    epochs: int = 3,
    every_steps: int | None = None,
    bfloat16: bool = False,
    **optimization: Any,
) -> LoopSettings:
    """Settings of a short run; checkpoints by step only."""
    return LoopSettings(
        optimization=Optimization(
            **{"global_batch_size": GLOBAL_BATCH, "epochs": epochs, "learning_rate": 0.01, **optimization}
        ),
        bfloat16=bfloat16,
        zero_stage=zero_stage,
        seed=5,
        checkpoint=CheckpointPolicy(every_minutes=None, every_steps=every_steps),
    )


def store_in(folder: Path) -> CheckpointStore:
    """The real store, keeping every checkpoint."""
    attempt = ArtifactStore.open(f"file://{folder}").stage("pretrain", "toy", "ab" * 32).attempt("attempt-1")
    return replace(attempt.checkpoints, keep_last=1000)


def checkpoint_at(folder: Path, step: int) -> Checkpoint:
    """The checkpoint of exactly that step."""
    with_earlier = copied_up_to(folder, folder.with_name(f"{folder.name}-up-to-{step}"), step)
    newest = store_in(with_earlier).latest()
    assert newest is not None
    assert newest.step == step
    return newest


def state_at(folder: Path, step: int) -> ModelState:
    """The tensors of that checkpoint."""
    return restore(checkpoint_at(folder, step))[0]


def copied_up_to(folder: Path, target: Path, step: int) -> Path:
    """What a kill after `step` would have left: a copy without the later commit records."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    for record in target.rglob("checkpoints/*.json"):
        if int(record.name.partition("-")[0]) > step:
            record.unlink()
    return target


def tensors_of(state: ModelState) -> dict[str, Tensor]:
    """All tensors of a state in one dict."""
    groups = {
        "weights": state.weights,
        "buffers": state.buffers,
        "statistics": state.statistics,
        **state.moments,
    }
    return {f"{group}/{name}": tensor for group, named in groups.items() for name, tensor in named.items()}


def write_result(folder: Path, name: str, result: Any) -> None:
    """Leave a result for the test that started the workers."""
    (folder / f"{name}.json").write_text(json.dumps(result))


def read_result(folder: Path, name: str) -> Any:
    """What a worker left."""
    return json.loads((folder / f"{name}.json").read_text())
