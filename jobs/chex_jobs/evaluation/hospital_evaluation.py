"""One hospital's evaluation from start to end: open the test films, predict, compare, look elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from chex_api.summaries import IngestSummary
from chex_jobs.data.dataset.fingerprints import Fingerprints
from chex_jobs.evaluation.baseline.metadata_baseline import BaselinePredictions, baseline_predictions
from chex_jobs.evaluation.evaluate import ArmFacts, Inputs, Record, Settings, evaluate, with_cross_hospital
from chex_jobs.evaluation.reporting.patient_flow import patient_flow
from chex_jobs.evaluation.results.schema import HospitalCompute, HospitalResults, Opening
from chex_jobs.evaluation.statistics.predictions import (
    FitKey,
    TestPredictions,
    UnitTable,
    ValidationPredictions,
)
from chex_jobs.evaluation.test_access.evaluation_data import EvaluationData
from chex_jobs.evaluation.test_access.final_models import FinalModel, objects_of
from chex_jobs.evaluation.test_access.ledger import LedgerStorage, TestLedger, Visit, summarise
from chex_jobs.evaluation.test_access.predictor import Predictor, predict_test
from chex_jobs.evaluation.test_access.unit_predictions import predictions_on_test, predictions_on_validation


@dataclass(frozen=True)
class IngestedSet:
    """An ingested data set that is opened for testing."""

    dataset: str
    summary: IngestSummary
    """Of the ingest stage."""
    data: EvaluationData
    test_set: Fingerprints
    """Its test films and their patients, by content: what the ledger counts by."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation is asked to do."""

    settings: Settings
    home: IngestedSet
    elsewhere: Mapping[str, IngestedSet]
    """Other hospital -> its data set, with those of our tasks that it has too (``alsoOn``)."""
    arms: Sequence[ArmFacts]
    models: Sequence[FinalModel]
    compute: HospitalCompute
    identities: Mapping[str, str]
    stage_identity: str
    attempt: str
    unlearnable: Mapping[str, str] = field(default_factory=dict)
    """Tasks that no arm was trained for -> why."""
    notices: Sequence[str] = ()
    """What the adaptation has to say of its arms."""


@dataclass(frozen=True)
class Evaluated:
    """What it found, to be written down."""

    results: HospitalResults
    validation: ValidationPredictions
    test: TestPredictions
    elsewhere: Mapping[str, TestPredictions]
    openings: tuple[Opening, ...]
    """Of the hospital's own test data, all there ever were."""


def run_evaluation(
    asked: Evaluation, predictor: Predictor, storage: LedgerStorage, now: Callable[[], datetime]
) -> Evaluated:
    """Runs one evaluation. Raises PredictionsError when models and predictions do not fit together."""
    home = asked.home.data
    validation = predictions_on_validation(home, asked.models)
    ledger = TestLedger(storage, asked.home.test_set)
    visit = _visit(asked, asked.home, "evaluate")
    said = predict_test(home, asked.models, predictor, ledger=ledger, visit=visit, now=now(), own=True)
    test = predictions_on_test(home, asked.models, said)
    openings = ledger.openings()
    inputs = Inputs(
        arms=asked.arms,
        objects=objects_of(asked.models),
        training_units=home.training_units,
        validation=validation,
        test=test,
        baselines=baselines(home),
        subgroups=home.test_subgroups(),
    )
    flow = patient_flow(asked.home.dataset, asked.home.summary, home)
    record = Record(
        flow, summarise(openings), asked.compute, asked.identities, asked.unlearnable, asked.notices
    )
    results = evaluate(asked.settings, inputs, record)
    elsewhere = _elsewhere(asked, results, predictor, storage, now)
    return Evaluated(with_cross_hospital(results, elsewhere), validation, test, elsewhere, openings)


def baselines(data: EvaluationData) -> dict[str, BaselinePredictions | str]:
    """The metadata baseline of every task, or why there is none."""
    return {
        task: baseline_predictions(
            task,
            data.metadata,
            data.labels[:, column],
            data.units,
            data.roles,
            _one_task(data.validation_units, column),
            _one_task(data.test_units, column),
        )
        for column, task in enumerate(data.tasks)
    }


def _one_task(table: UnitTable, column: int) -> UnitTable:
    return replace(table, labels=table.labels[:, [column]])


def _elsewhere(
    asked: Evaluation,
    results: HospitalResults,
    predictor: Predictor,
    storage: LedgerStorage,
    now: Callable[[], datetime],
) -> dict[str, TestPredictions]:
    """What the members of the model to deploy, and of the one that is enough, say of other hospitals' test sets."""
    advice = results.recommendation
    shown = {
        FitKey(arm, each.draw, each.seed, each.fold)
        for arm, members in ((advice.deploy, advice.deployed), (advice.enough, advice.enough_deployed))
        if arm is not None
        for each in members
    }
    models = [
        replace(model, fits=fits)
        for model in asked.models
        if (fits := tuple(fit for fit in model.fits if fit in shown))
    ]
    found = {}
    for hospital, there in asked.elsewhere.items():
        ledger = TestLedger(storage, there.test_set)
        visit = _visit(asked, there, "alsoOn")
        said = predict_test(there.data, models, predictor, ledger=ledger, visit=visit, now=now(), own=False)
        columns = [asked.home.data.tasks.index(task) for task in there.data.tasks]
        chosen = {
            key: replace(each, logits=np.take(each.logits, columns, axis=1)) for key, each in said.items()
        }
        found[hospital] = predictions_on_test(there.data, models, chosen)
    return found


def _visit(asked: Evaluation, opened: IngestedSet, purpose: str) -> Visit:
    return Visit(opened.dataset, asked.settings.hospital, asked.stage_identity, asked.attempt, purpose)
