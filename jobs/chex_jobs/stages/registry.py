"""From a stage's kind to its entry point, and from whatever stops it to one sentence."""

from collections.abc import Callable, Iterable, Iterator

from chex_api.stage import StageKind, StageSpec
from chex_jobs.adaptation.context import NoLabels
from chex_jobs.artifacts import ArtifactError, FinishedArtifact
from chex_jobs.data.errors import DataError, TasksFailed
from chex_jobs.evaluation.results.results_json import ResultsFormatError
from chex_jobs.evaluation.statistics.predictions import PredictionsError
from chex_jobs.handover.context import StageContext, StageStopped
from chex_jobs.handover.failures import ProcessFailed
from chex_jobs.handover.parents import MissingParent
from chex_jobs.models.errors import ModelError
from chex_jobs.stages.errors import StageFailed
from chex_jobs.stages.unexpected_errors import keep_whole
from chex_jobs.sweep.coordinator import UnitFailed
from chex_jobs.training.errors import CheckpointFailed, TrainingError, WorkersFailed

Run = Callable[[StageSpec, StageContext], FinishedArtifact]
USER_ERRORS = (DataError, ModelError, NoLabels, TrainingError)
"""The manifest or the data are at fault: the next attempt would end the same way."""
INFRASTRUCTURE_ERRORS = (
    ArtifactError,
    TasksFailed,
    CheckpointFailed,
    WorkersFailed,
    UnitFailed,
    MissingParent,
    PredictionsError,
    ResultsFormatError,
)
"""Storage or machines are at fault. Looked at first: some of them belong to the other family too."""
EXPECTED_ELSEWHERE = {"OutOfMemoryError"}
"""Exceptions of torch and Ray whose text tells memory alone."""


def _ingest() -> Run:
    from chex_jobs.stages.ingest import run

    return run


def _pretrain() -> Run:
    from chex_jobs.stages.pretrain import run

    return run


def _adapt() -> Run:
    from chex_jobs.stages.adapt import run

    return run


def _evaluate() -> Run:
    from chex_jobs.stages.evaluate import run

    return run


def _report() -> Run:
    from chex_jobs.stages.report import run

    return run


ENTRY_POINTS: dict[StageKind, Callable[[], Run]] = {
    "ingest": _ingest,
    "pretrain": _pretrain,
    "adapt": _adapt,
    "evaluate": _evaluate,
    "report": _report,
}
"""Imported when they are needed: a report loads no torch, an ingest no Ray Tune. A test holds the keys equal to the kinds."""


def run_stage(spec: StageSpec, context: StageContext) -> FinishedArtifact:
    """Run a stage to its committed manifest, or adopt the one that is there.

    Raises:
        StageStopped: a stop was asked for; the stage goes on in its next attempt.
        StageFailed: anything else, in one sentence.
    """
    label = spec.label
    try:
        done = context.store.stage(spec.kind, spec.name, spec.identity).finished()
        if done is not None:
            return done
        return ENTRY_POINTS[spec.kind]()(spec, context)
    except (StageStopped, StageFailed):
        raise
    except ProcessFailed as error:
        raise _of_another_process(label, error, _attempt_uri(spec, context)) from error
    except INFRASTRUCTURE_ERRORS as error:
        raise StageFailed(label, str(error), user_error=False) from error
    except USER_ERRORS as error:
        raise StageFailed(label, str(error), user_error=True) from error
    except Exception as error:
        kind, kept = type(error).__name__, keep_whole(error, _attempt_uri(spec, context))
        raise StageFailed(
            label,
            f"unexpected {kind}, a fault of chex; {kept}",
            user_error=False,
            whole=f"unexpected {kind}, a fault of chex: {error}; {kept}",
        ) from error


def _of_another_process(label: str, error: ProcessFailed, attempt_uri: str) -> StageFailed:
    """The failure of another process: of what nobody foresaw there, the type alone is told."""
    cause = error.cause
    if cause is None or cause.kind in EXPECTED_ELSEWHERE.union(
        _names((*USER_ERRORS, *INFRASTRUCTURE_ERRORS))
    ):
        return StageFailed(label, str(error), user_error=False)
    kept = keep_whole(error, attempt_uri)
    return StageFailed(
        label, f"{error.words}: {cause.kind}; {kept}", user_error=False, whole=f"{error}; {kept}"
    )


def _names(families: Iterable[type[Exception]]) -> Iterator[str]:
    for family in families:
        yield family.__name__
        yield from _names(family.__subclasses__())


def _attempt_uri(spec: StageSpec, context: StageContext) -> str:
    return context.store.stage(spec.kind, spec.name, spec.identity).attempt(context.attempt_id).uri
