"""From a stage's kind to its entry point, and from whatever stops it to one sentence."""

import importlib
from collections.abc import Iterable, Iterator

from chex_api.stage import StageSpec
from chex_jobs.adaptation.bench import MissingParent, NoLabels
from chex_jobs.artifacts import ArtifactError, FinishedArtifact
from chex_jobs.data.errors import DataError, TasksFailed
from chex_jobs.evaluation.results.results_json import ResultsFormatError
from chex_jobs.evaluation.statistics.predictions import PredictionsError
from chex_jobs.models.errors import ModelError
from chex_jobs.stages.context import StageContext, StageStopped
from chex_jobs.stages.errors import StageFailed
from chex_jobs.stages.unforeseen import keep_whole
from chex_jobs.sweep.coordinator import UnitFailed
from chex_jobs.training.errors import CheckpointFailed, TrainingError, WorkersFailed

OF_INPUT = (DataError, ModelError, NoLabels, TrainingError)
"""The manifest or the data are at fault: the next attempt would end the same way."""
OF_PLACE = (
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
QUOTING = (WorkersFailed, UnitFailed)
"""Of these, those that end with the type and the text of what another process died of: `failed 2 times: KeyError: '4711'`."""
FORESEEN_ELSEWHERE = {"OutOfMemoryError"}
"""Exceptions of torch and Ray whose text tells memory alone."""


def run_stage(spec: StageSpec, context: StageContext) -> FinishedArtifact:
    """Run a stage to its committed manifest, or adopt the one that is there.

    Raises:
        StageStopped: a stop was asked for; the stage goes on in its next attempt.
        StageFailed: anything else, in one sentence.
    """
    label = f"{spec.kind}/{spec.name}"
    try:
        done = context.store.stage(spec.kind, spec.name, spec.identity).finished()
        if done is not None:
            return done
        return importlib.import_module(f"chex_jobs.stages.{spec.kind}").run(spec, context)
    except (StageStopped, StageFailed):
        raise
    except QUOTING as error:
        raise _quoting(label, error, _attempt_uri(spec, context)) from error
    except OF_PLACE as error:
        raise StageFailed(label, str(error), by_input=False) from error
    except OF_INPUT as error:
        raise StageFailed(label, str(error), by_input=True) from error
    except Exception as error:
        kind, kept = type(error).__name__, keep_whole(error, _attempt_uri(spec, context))
        raise StageFailed(
            label,
            f"unexpected {kind}, a fault of chex; {kept}",
            by_input=False,
            whole=f"unexpected {kind}, a fault of chex: {error}; {kept}",
        ) from error


def _quoting(label: str, error: Exception, attempt_uri: str) -> StageFailed:
    """The failure of another process: of what nobody foresaw there, the type alone is told."""
    own_words, *quoted = str(error).split(": ", 2)
    if len(quoted) < 2 or quoted[0] in FORESEEN_ELSEWHERE.union(_names((*OF_INPUT, *OF_PLACE))):
        return StageFailed(label, str(error), by_input=False)
    kept = keep_whole(error, attempt_uri)
    return StageFailed(label, f"{own_words}: {quoted[0]}; {kept}", by_input=False, whole=f"{error}; {kept}")


def _names(families: Iterable[type[Exception]]) -> Iterator[str]:
    for family in families:
        yield family.__name__
        yield from _names(family.__subclasses__())


def _attempt_uri(spec: StageSpec, context: StageContext) -> str:
    return context.store.stage(spec.kind, spec.name, spec.identity).attempt(context.attempt_id).uri
