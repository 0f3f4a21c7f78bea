"""`adapt/<hospital>`: everything about a hospital's models that training and validation patients decide."""

import numpy as np

from chex_api.stage import AdaptSpec, StageSpec
from chex_jobs.adaptation.stage import Place, adapt
from chex_jobs.artifacts import FinishedArtifact
from chex_jobs.data.dataset import ChestXrayDataset
from chex_jobs.data.splits import TRAIN
from chex_jobs.stages.context import StageContext, StageStopped
from chex_jobs.stages.environment import describe_environment
from chex_jobs.stages.errors import StageFailed
from chex_jobs.stages.parents import finished_parent, have_labels


def run(spec: StageSpec, context: StageContext) -> FinishedArtifact:
    """Run DAPT, sweep and final fits of every arm; what is finished is not done again."""
    work = spec.work.adapt
    assert work is not None
    have_labels(work.dataset, context, f"{spec.kind}/{spec.name}")
    _check_leakage(spec, work, context)
    done = adapt(
        spec,
        Place(context.store, context.attempt_id, context.machine.cpus, context.machine.gpus),
        on_progress=context.on_progress,
        should_stop=context.stop.is_set,
        environment=describe_environment(context.machine),
    )
    if done is None:
        raise StageStopped
    return done


def _check_leakage(spec: StageSpec, work: AdaptSpec, context: StageContext) -> None:
    """No held-out film may be among the training films of a start, whatever file it was decoded from.

    Preflight compares files; the same film saved again as another file is only seen here, by its pixels.
    """
    own = ChestXrayDataset.open(finished_parent(context.store, work.dataset.films))
    held_out = set(own.film_sha256[own.split != TRAIN])
    for reference in work.pretrained_on:
        other = ChestXrayDataset.open(finished_parent(context.store, reference))
        shared = held_out & set(np.asarray(other.film_sha256)[other.split == TRAIN])
        if shared:
            raise StageFailed(
                f"{spec.kind}/{spec.name}",
                f"{len(shared)} validation or test films of {work.hospital.name!r} were pretrained on as training films of data set "
                f"{reference.name!r} (equal pixels, other files); remove them from that data set",
                by_input=True,
            )
