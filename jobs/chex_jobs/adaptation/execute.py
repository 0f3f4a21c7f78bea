"""From a unit of work to the function that does it."""

import logging
import warnings
from functools import partial

import torch
from threadpoolctl import threadpool_limits

from chex_api.stage import StageSpec
from chex_jobs.adaptation.context import AdaptationContext, NoLabels, NotFinite
from chex_jobs.adaptation.dapt import run_dapt
from chex_jobs.adaptation.features import run_features
from chex_jobs.adaptation.fine_tune import run_final_fit, run_trial
from chex_jobs.adaptation.probe import run_final_probe, run_probe
from chex_jobs.artifacts import ArtifactStore
from chex_jobs.sweep.actors import Execute
from chex_jobs.sweep.arms import FAILED, Summary
from chex_jobs.sweep.units import (
    DaptUnit,
    FeaturesUnit,
    FinalFitUnit,
    FinalProbeUnit,
    ProbeUnit,
    TrialUnit,
    WorkUnit,
)
from chex_jobs.training.errors import NonFiniteLoss

WITHOUT_RESULT = (NonFiniteLoss, NoLabels, NotFinite)
"""Another try would end the same way, and units of other arms would not."""


def execute(unit: WorkUnit, context: AdaptationContext) -> Summary:
    """Do a unit's work and commit its object, unless it is finished. Returns its summary.

    A unit that can have no result, whoever tries, is finished too: its object holds nothing but the reason (`FAILED`).
    """
    done = context.object(unit).finished()
    if done is not None:
        return dict(done.summary)
    summary: Summary = {}
    try:
        with context.timed(summary):
            return _work(unit, context)
    except WITHOUT_RESULT as error:
        context.object(unit).remove_checkpoints()
        return context.commit(context.attempt(unit), unit, {**summary, FAILED: str(error), "filmPasses": 0})


def _work(unit: WorkUnit, context: AdaptationContext) -> Summary:
    match unit:
        case DaptUnit():
            return run_dapt(unit, context)
        case FeaturesUnit():
            return run_features(unit, context)
        case ProbeUnit():
            return run_probe(unit, context)
        case TrialUnit():
            return run_trial(unit, context)
        case FinalProbeUnit():
            return run_final_probe(unit, context)
        case FinalFitUnit():
            return run_final_fit(unit, context)
        case _:
            raise TypeError(f"no function does a unit of kind {unit.kind}")


def open_executor(stage: StageSpec, store: ArtifactStore, attempt_id: str) -> Execute:
    """Make this process ready for the units of a hospital: one thread for arithmetic, and a workbench.

    One thread whatever the number of cores: sums are rounded in another order with another number of threads, and a
    sweep's result must not depend on how many units run at once.
    """
    torch.set_num_threads(1)
    threadpool_limits(1)
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    return partial(execute, context=AdaptationContext(stage, store, attempt_id))
