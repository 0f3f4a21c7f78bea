"""The results of a hospital for which validation could not choose: no model, and no test film was read."""

from __future__ import annotations

from chex_jobs.evaluation.arms.selection import CouldNotChoose, choose_reference, standings
from chex_jobs.evaluation.hospital_evaluation import Evaluation
from chex_jobs.evaluation.reporting.patient_flow import patient_flow
from chex_jobs.evaluation.reporting.sentences import could_not_choose
from chex_jobs.evaluation.results.schema import SCHEMA, HospitalResults, Recommendation, RecommendationVerdict
from chex_jobs.evaluation.test_access.ledger import LedgerStorage, TestLedger, summarise
from chex_jobs.evaluation.test_access.unit_predictions import predictions_on_validation

NO_SCORE = (
    "No arm with the most labels has a validation score: the sample of its validation labels lacks a class."
)


def validation_can_choose(asked: Evaluation) -> bool:
    """Whether any arm that may be the reference has a validation score."""
    if not asked.arms:
        return False
    validation = predictions_on_validation(asked.home.data, asked.models)
    costs = {each.arm: each.cost for each in asked.arms}
    try:
        choose_reference(standings(validation, costs, asked.settings.metric))
    except CouldNotChoose:
        return False
    return True


def unchosen(asked: Evaluation, storage: LedgerStorage) -> HospitalResults:
    """What is left to say: why, the patient flow, and how often these test patients were read before."""
    settings = asked.settings
    openings = TestLedger(storage, asked.home.test_set).openings()
    return HospitalResults(
        schema=SCHEMA,
        hospital=settings.hospital,
        dataset=settings.dataset,
        unit=settings.unit,
        split=settings.split,
        num_folds=settings.num_folds,
        margin=settings.margin,
        confidence=settings.confidence,
        tasks=(),
        arms=(),
        recommendation=Recommendation(
            deploy=None,
            enough=None,
            verdict=RecommendationVerdict.VALIDATION_COULD_NOT_CHOOSE,
            proven=False,
            sentence=could_not_choose(_reasons(asked)),
            margin=settings.margin,
            confidence=settings.confidence,
            critical_value=None,
            tasks=(),
            comparisons=(),
            deployed=(),
            deployed_performance=(),
        ),
        metadata_baselines=(),
        calibrations=(),
        curves=(),
        subgroups=(),
        cross_hospital=(),
        flow=patient_flow(asked.home.dataset, asked.home.summary, asked.home.data),
        ledger=summarise(openings),
        compute=asked.compute,
        identities=dict(asked.identities),
        selection_metric=settings.metric,
        unlearnable=dict(asked.unlearnable),
        warnings=tuple(asked.notices),
    )


def _reasons(asked: Evaluation) -> list[str]:
    lost = [] if asked.arms else list(asked.notices)
    return [*asked.unlearnable.values(), *lost] or [NO_SCORE]
