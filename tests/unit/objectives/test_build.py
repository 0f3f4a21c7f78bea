"""From a manifest's objective to its module."""

import pytest

from chex_api.objective import AnyObjective, Clip, DaptObjective, MoCo, Objective, Supervised
from chex_jobs import objectives
from chex_jobs.objectives import batch_norm_group_size, build_objective
from chex_jobs.objectives.build import BUILDERS
from tests.unit.objectives import towers

MOCO = Objective(moCo=MoCo(queue_size=64))
CLIP = Objective(clip=Clip())


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (MOCO, objectives.MoCo),
        (CLIP, objectives.Clip),
        (Objective(supervised=Supervised()), objectives.Supervised),
        (DaptObjective(moCo=MoCo(queue_size=64)), objectives.MoCo),
        (DaptObjective(clip=Clip()), objectives.Clip),
    ],
)
def test_each_member_has_its_module(wanted: AnyObjective, expected: type) -> None:
    built = build_objective(
        wanted, towers.plain_image_encoder(), towers.text_encoder(),
        seed=0, global_batch_size=8, group_size=None, num_tasks=2,
    )  # fmt: skip
    assert type(built) is expected


def test_every_member_of_a_union_has_a_builder_and_every_builder_a_member() -> None:
    members = {*Objective.members().values(), *DaptObjective.members().values()}
    assert set(BUILDERS) == members


def test_clip_without_a_text_tower_is_refused() -> None:
    with pytest.raises(ValueError, match=r"encoders\.text"):
        build_objective(CLIP, towers.plain_image_encoder(), seed=0, global_batch_size=8, group_size=None)


def test_supervised_without_tasks_is_refused() -> None:
    with pytest.raises(ValueError, match="tasks"):
        build_objective(
            Objective(supervised=Supervised()),
            towers.plain_image_encoder(),
            seed=0,
            global_batch_size=8,
            group_size=None,
        )


@pytest.mark.parametrize(
    ("objective", "wanted", "batch", "expected"),
    [
        (CLIP, 32, 256, 32),
        (CLIP, 32, 16, 16),
        (CLIP, 32, 48, 24),
        (MOCO, 32, 256, 32),
        (MOCO, 32, 32, 16),
        (MOCO, 32, 24, 12),
    ],
)
def test_groups_divide_the_batch_and_moco_has_at_least_two(
    objective: Objective, wanted: int, batch: int, expected: int
) -> None:
    from chex_api.encoder import ImageEncoder
    from chex_jobs.models import build_image_encoder

    encoder = build_image_encoder(ImageEncoder(architecture="chex-densenet-small", size=32), seed=0)
    assert batch_norm_group_size(objective, encoder, wanted=wanted, global_batch_size=batch) == expected


def test_encoders_without_batch_norm_have_no_groups() -> None:
    assert batch_norm_group_size(MOCO, towers.plain_image_encoder(), wanted=32, global_batch_size=64) is None
