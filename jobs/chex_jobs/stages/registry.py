"""From a stage's kind to its entry point, and from whatever stops it to one sentence."""

import importlib
import traceback

from chex_api.stage import StageSpec
from chex_jobs.adaptation.bench import NoLabels
from chex_jobs.artifacts import ArtifactError, FinishedArtifact
from chex_jobs.data.errors import DataError, TasksFailed
from chex_jobs.evaluation.predictions import PredictionsError
from chex_jobs.models.errors import ModelError
from chex_jobs.stages.context import StageContext, StageStopped
from chex_jobs.stages.errors import StageFailed
from chex_jobs.sweep.coordinator import UnitFailed
from chex_jobs.training.errors import CheckpointFailed, TrainingError, WorkersFailed

OF_INPUT = (DataError, ModelError, NoLabels, TrainingError)
"""The manifest or the data are at fault: the next attempt would end the same way."""
OF_PLACE = (ArtifactError, TasksFailed, CheckpointFailed, WorkersFailed, UnitFailed, PredictionsError)
"""Storage or machines are at fault. Looked at first: some of them belong to the other family too."""


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
    except OF_PLACE as error:
        raise StageFailed(label, str(error), by_input=False) from error
    except OF_INPUT as error:
        raise StageFailed(label, str(error), by_input=True) from error
    except Exception as error:
        message = f"unexpected {type(error).__name__}: {error}. {_keep_traceback(spec, context)}"
        raise StageFailed(label, message, by_input=False) from error


def _keep_traceback(spec: StageSpec, context: StageContext) -> str:
    """Store the traceback of the error that is being handled beside the attempt's files, and say where."""
    attempt = context.store.stage(spec.kind, spec.name, spec.identity).attempt(context.attempt_id)
    try:
        attempt.write_bytes("failure.txt", traceback.format_exc().encode())
    except ArtifactError as error:
        return f"Its traceback could not be stored either: {error}"
    return f"This is a fault of chex; its traceback is in {attempt.uri}/failure.txt"
