"""A shipped threshold holds for new patients, whatever way the hospital was divided and whatever its unit is.

Members are simulated films by film: what a film shows, what its patient adds, and what each member gets wrong in its
own way and on its own scale. Everything else goes through the functions of the product, from films to the threshold
and to the score of a new patient.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.special import expit, logit

from chex_jobs.evaluation.arms.cross_hospital import score_of
from chex_jobs.evaluation.arms.deployed_score import Narrowing, deployed_score
from chex_jobs.evaluation.evaluate import evaluate
from chex_jobs.evaluation.results.schema import HospitalResults
from chex_jobs.evaluation.statistics.aggregation import map_units, mean_logits, unit_labels
from chex_jobs.evaluation.statistics.predictions import (
    FitKey,
    FitLogits,
    TestPredictions,
    UnitTable,
    ValidationPredictions,
)
from tests.unit.evaluation.simulated_hospital import SimulatedArm, hospital, settings

ARM = SimulatedArm("lp-ft", 1.0, 100.0)
NUM_SEEDS = 3
TASKS = ("icu",)


@dataclass(frozen=True)
class Division:
    """How a hospital is divided and what it scores."""

    unit: str = "Image"
    num_folds: int = 0
    num_patients: int = 1200
    own_noise: float = 1.0
    """Standard deviation of what each member gets wrong in its own way."""


@dataclass(frozen=True)
class Films:
    """Films of generated patients: one to four of each."""

    patients: np.ndarray
    labels: np.ndarray
    shown: np.ndarray
    """What every member sees of a film."""

    @staticmethod
    def drawn(num_patients: int, rng: np.random.Generator) -> "Films":
        patients = np.repeat(np.arange(num_patients), rng.integers(1, 5, size=num_patients))
        sick = rng.random(num_patients) < 0.3
        difficulty = rng.normal(size=num_patients)
        shown = 1.5 * sick[patients] + 0.7 * difficulty[patients] + 0.7 * rng.normal(size=len(patients))
        return Films(patients, sick[patients].astype(float), shown)

    def units(self, unit: str) -> UnitTable:
        grouped = map_units(unit, np.arange(len(self.patients)), self.patients, self.patients)  # type: ignore[arg-type]
        return UnitTable(grouped.ordinals, grouped.patients, unit_labels(grouped, self.labels[:, None]))

    def said(self, unit: str, fit: FitKey, rng: np.random.Generator, noise: float) -> np.ndarray:
        """Unit logits [n, 1] of one member, on a scale of its own, as an average over films."""
        grouped = map_units(unit, np.arange(len(self.patients)), self.patients, self.patients)  # type: ignore[arg-type]
        own = noise * rng.normal(size=len(self.shown))
        scale, offset = 1.0 + 0.5 * (fit.fold + 2) + 0.3 * fit.seed, 2.0 * fit.fold - fit.seed
        return mean_logits(grouped, (scale * (self.shown + own) + offset)[:, None])


def evaluated(division: Division, seed: int) -> HospitalResults:
    rng = np.random.default_rng(seed)
    inputs, record = hospital([ARM])
    here = Films.drawn(division.num_patients, rng)
    there = here if division.num_folds else Films.drawn(division.num_patients // 2, rng)
    test_units, validation_units = here.units(division.unit), there.units(division.unit)
    test, validation = [], []
    for final_seed in range(NUM_SEEDS):
        for fold in range(division.num_folds) if division.num_folds else (-1,):
            fit = FitKey(ARM.key, 0, final_seed, fold)
            for films, units, fits, shift in (
                (here, test_units, test, 0),
                (there, validation_units, validation, 1),
            ):
                folds = units.patients % division.num_folds if division.num_folds else None
                rows = (
                    np.arange(len(units.ordinals))
                    if folds is None
                    else np.flatnonzero(folds == (fold + shift) % division.num_folds)
                )
                logits = films.said(division.unit, fit, rng, division.own_noise)[rows]
                fits.append(FitLogits(fit, rows, logits))
    inputs = replace(
        inputs,
        objects={each.fit: f"{number:064x}" for number, each in enumerate(test)},
        training_units=validation_units,
        validation=ValidationPredictions(TASKS, validation_units, tuple(validation)),
        test=TestPredictions(TASKS, test_units, tuple(test)),
        subgroups={},
    )
    asked = replace(settings(division.num_folds), unit=division.unit)
    return evaluate(asked, inputs, record)


def on_new_patients(results: HospitalResults, division: Division, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the deployed model, all members together, and labels of 1,000 new patients."""
    rng = np.random.default_rng([seed, 1])
    films, advice = Films.drawn(1000, rng), results.recommendation
    assert advice.deploy is not None
    score, units = score_of(advice.deploy, advice.deployed), films.units(division.unit)
    fits = tuple(
        FitLogits(
            member.fit,
            np.arange(len(units.ordinals)),
            films.said(division.unit, member.fit, rng, division.own_noise),
        )
        for member in score.members
    )
    return expit(score.whole(TestPredictions(TASKS, units, fits), [0])[:, 0]), units.labels[:, 0]


def thresholds(results: HospitalResults) -> Mapping[float, float]:
    (calibration,) = (each for each in results.calibrations if each.arm == results.recommendation.deploy)
    return {
        point.wanted_specificity: point.threshold
        for point in calibration.operating_points
        if point.threshold is not None
    }


DIVISIONS = [
    pytest.param(Division(), id="split"),
    pytest.param(Division(unit="Patient"), id="split, patients"),
    pytest.param(Division(num_folds=5, num_patients=800), id="folds"),
    pytest.param(Division(num_folds=5, num_patients=800, own_noise=2.5), id="folds that share little"),
    pytest.param(Division(num_folds=5, num_patients=800, own_noise=0.1), id="folds that share nearly all"),
    pytest.param(Division(num_folds=3, num_patients=800, unit="Patient"), id="folds, patients"),
]


@pytest.mark.parametrize("division", DIVISIONS)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_threshold_for_specificity_090_reaches_it_on_a_thousand_new_patients(division, seed):
    results = evaluated(division, seed)
    probabilities, labels = on_new_patients(results, division, seed)
    reached = (probabilities[labels == 0] < thresholds(results)[0.9]).mean()
    assert 0.85 <= reached <= 0.95


@pytest.mark.parametrize("division", DIVISIONS)
def test_probabilities_hold_for_new_patients(division):
    results = evaluated(division, 3)
    probabilities, labels = on_new_patients(results, division, 3)
    assert probabilities.mean() == pytest.approx(labels.mean(), abs=0.05)
    for part in np.array_split(np.argsort(probabilities), 4):
        assert probabilities[part].mean() == pytest.approx(labels[part].mean(), abs=0.09)


@pytest.mark.parametrize("division", DIVISIONS)
def test_what_the_results_say_of_a_threshold_is_what_new_patients_see(division):
    results = evaluated(division, 4)
    (calibration,) = (each for each in results.calibrations if each.arm == results.recommendation.deploy)
    probabilities, labels = on_new_patients(results, division, 4)
    for point in calibration.operating_points:
        assert point.threshold is not None
        flagged = probabilities >= point.threshold
        assert point.sensitivity.value == pytest.approx(flagged[labels == 1].mean(), abs=0.08)
        assert point.specificity.value == pytest.approx(1 - flagged[labels == 0].mean(), abs=0.05)


def test_without_folds_nothing_is_narrowed():
    inputs, _ = hospital([ARM])
    score = deployed_score(sorted(inputs.objects), inputs.validation, inputs.test)
    labels = inputs.validation.units.labels[:, 0]
    np.testing.assert_array_equal(score.narrowing[0].apply(labels + 1.0, labels), labels + 1.0)


def test_narrowing_keeps_the_mean_of_each_class_and_takes_off_what_folds_do_not_share():
    rng = np.random.default_rng(0)
    labels = np.r_[np.zeros(4000), np.ones(4000)]
    shared = 2.0 * labels + rng.normal(size=8000)
    one_fold = shared + rng.normal(size=8000)
    all_folds = shared + rng.normal(size=(5, 8000)).mean(axis=0)
    narrowed = Narrowing(disagreement=1.0, num_folds=5).apply(one_fold, labels)
    for label in (0, 1):
        assert narrowed[labels == label].mean() == pytest.approx(one_fold[labels == label].mean())
        assert narrowed[labels == label].std() == pytest.approx(all_folds[labels == label].std(), rel=0.05)


def test_test_labels_have_no_part_in_the_deployed_model():
    inputs, _ = hospital([ARM], num_folds=5)
    fits = sorted(inputs.objects)
    score = deployed_score(fits, inputs.validation, inputs.test)
    units = replace(inputs.test.units, labels=1.0 - inputs.test.units.labels)
    assert deployed_score(fits, inputs.validation, replace(inputs.test, units=units)) == score


def test_a_probability_of_a_threshold_is_the_sigmoid_of_its_logit():
    results = evaluated(Division(), 1)
    assert all(np.isfinite(logit(each)) for each in thresholds(results).values())
