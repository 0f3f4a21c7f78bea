"""`adapt/<hospital>`: everything about a hospital's models that training and validation patients decide."""

from chex_api.stage import AdaptSpec, StageSpec
from chex_jobs.adaptation.stage import adapt
from chex_jobs.artifacts import FinishedArtifact
from chex_jobs.handover.context import StageContext, StageStopped
from chex_jobs.stages.environment import describe_environment
from chex_jobs.stages.leakage import check_unseen, held_out_part, trained_on
from chex_jobs.stages.parents import have_labels


def run(spec: StageSpec, context: StageContext) -> FinishedArtifact:
    """Run DAPT, sweep and final fits of every arm; what is finished is not done again."""
    work = spec.work.adapt
    assert work is not None
    have_labels(work.dataset, context, spec.label)
    _check_leakage(spec, work, context)
    done = adapt(spec, context, environment=describe_environment(context.machine))
    if done is None:
        raise StageStopped
    return done


def _check_leakage(spec: StageSpec, work: AdaptSpec, context: StageContext) -> None:
    """No validation or test film may be among what a start has seen: found before anything is trained."""
    check_unseen(
        spec.label,
        f"validation or test films of hospital {work.hospital.name!r}",
        held_out_part(work.dataset.films, context),
        [
            (f"what start {each.start!r} was trained on", trained_on(each, context).seen)
            for each in work.exposures
        ],
    )
