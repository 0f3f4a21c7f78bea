"""How often 95 % intervals contain the truth, on simulated films of patients.

    python -m tests.benchmarks.interval_coverage [auroc | shares | auprc | folds ...] [--runs 1000] [--seed 0]

Films are simulated as in ``tests/unit/evaluation/clustered_films.py``: several films of a patient are alike. The
intervals are the product's own (``evaluation.estimates``). Printed are the shares that cover and, below and above, the
shares of intervals that lie below and above the truth. The standard error is 0.7 points at 1,000 runs.

* ``auroc``: also plain DeLong (every film its own patient) and the logit interval of the clustered variance, for
  comparison; from 0.75 to 0.99.
* ``shares``: sensitivities of 0.5 to 0.99 with 20 to 500 positive patients.
* ``auprc``: average precision at several prevalences.
* ``folds``: fold models are trained (class means) and tested on simulated patients dealt out by the product. *Mean told*
  and coverage are of pairs within folds; *pooled* is the mean told when the folds' scaled logits are put in one list.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from scipy.integrate import quad
from scipy.special import logit
from scipy.stats import norm
from scipy.stats import t as student

from chex_jobs.data.splits.folds import deal_out
from chex_jobs.evaluation.results.schema import Estimate
from chex_jobs.evaluation.statistics.clustered import (
    CorrelatedAurocs,
    average_precisions,
    delong,
    influences,
    mean_of_units,
    obuchowski,
)
from chex_jobs.evaluation.statistics.discrimination import auroc
from chex_jobs.evaluation.statistics.estimates import auroc_estimate, measure_estimate, share_estimate
from chex_jobs.evaluation.statistics.intervals import AVERAGE_PRECISION
from chex_jobs.evaluation.statistics.platt_scaling import fit_slope_and_intercept
from chex_jobs.evaluation.statistics.replication import TrainingVariance
from tests.unit.evaluation.clustered_films import Films, simulate

CONFIDENCE = 0.95
GIVEN = TrainingVariance(0.0, 0)
AUROCS = (0.75, 0.90, 0.95, 0.98, 0.99)
SIZES = (
    (20, 20, 1.0, 1.0),
    (20, 100, 1.0, 1.0),
    (20, 20, 6.8, 1.3),
    (20, 80, 6.8, 1.3),
    (50, 100, 6.8, 1.3),
    (200, 400, 6.8, 1.3),
)
"""Positive patients, negative patients, mean films of a positive and of a negative patient."""
SHARES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
POSITIVES = (20, 50, 100, 200, 500)
AUPRC_SIZES = (
    (20, 20, 1.0, 1.0),
    (20, 100, 1.0, 1.0),
    (20, 100, 3.0, 3.0),
    (20, 80, 6.8, 1.3),
    (50, 100, 6.8, 1.3),
    (50, 500, 1.0, 1.0),
    (200, 800, 1.0, 1.0),
)
FOLDS = ((20, 40, 5), (20, 100, 5), (30, 60, 3), (40, 40, 10), (60, 140, 5))
"""Positive patients, negative patients, folds."""
FEATURES = 10


class Tally:
    """Intervals beside the truth."""

    def __init__(self) -> None:
        self.below = self.above = self.covered = 0

    def add(self, found: Estimate, truth: float) -> None:
        assert found.interval is not None
        self.add_bounds(found.interval.lower, found.interval.upper, truth)

    def add_bounds(self, lower: float, upper: float, truth: float) -> None:
        self.below += upper < truth
        self.above += lower > truth
        self.covered += lower <= truth <= upper

    def __str__(self) -> str:
        total = self.below + self.above + self.covered
        shares = [100 * each / max(total, 1) for each in (self.covered, self.below, self.above)]
        return "{:.1f} % ({:.1f}, {:.1f})".format(*shares)


def separation(area: float) -> float:
    """Distance of the classes, in standard deviations of the scores, at which the AUROC is ``area``."""
    return float(np.sqrt(2.0) * norm.ppf(area))


def films_of(
    rng: np.random.Generator, size: tuple[int, int, float, float], area: float, num_scorers: int = 1
) -> Films:
    positive, negative, of_positive, of_negative = size
    return simulate(
        rng,
        num_positive=positive,
        num_negative=negative,
        films_of_positive=of_positive,
        films_of_negative=of_negative,
        separation=separation(area),
        num_scorers=num_scorers,
    )


def on_logit(found: CorrelatedAurocs, critical: float) -> tuple[float, float]:
    """The delta method; at 1 there is no interval, which counts as a point."""
    value = float(found.aurocs[0])
    if value in (0.0, 1.0):
        return value, value
    reach = critical * float(found.standard_errors[0]) / (value * (1 - value))
    lower, upper = (1 / (1 + np.exp(-(logit(value) + sign * reach))) for sign in (-1, 1))
    return lower, upper


def describe(size: tuple[int, int, float, float]) -> str:
    return f"{size[0]} / {size[1]} | {size[2]:g} / {size[3]:g}"


def auroc_rows(runs: int, rng: np.random.Generator) -> Iterator[str]:
    yield "| patients | films | AUROC | DeLong | clustered, logit | clustered score |"
    yield "|---|---|---|---|---|---|"
    for size in SIZES:
        critical = float(student.ppf((1 + CONFIDENCE) / 2, min(size[:2]) - 1))
        for area in AUROCS:
            plain, on_logits, ours = Tally(), Tally(), Tally()
            for _ in range(runs):
                films = films_of(rng, size, area)
                plain.add_bounds(*on_logit(delong(films.scores, films.labels), critical), area)
                on_logits.add_bounds(
                    *on_logit(obuchowski(films.scores, films.labels, films.patients), critical), area
                )
                (item,) = influences(films.scores, films.labels, films.patients, sum(size[:2]))
                ours.add(auroc_estimate(item, GIVEN, CONFIDENCE), area)
            yield f"| {describe(size)} | {area:g} | {plain} | {on_logits} | {ours} |"


def share_rows(runs: int, rng: np.random.Generator) -> Iterator[str]:
    yield "| positive patients | films | " + " | ".join(f"{each:g}" for each in SHARES) + " |"
    yield "|---|---|" + "---|" * len(SHARES)
    for films_of_positive in (1.0, 3.0, 6.8):
        for positive in POSITIVES:
            tallies = []
            for truth in SHARES:
                tally = Tally()
                for _ in range(runs):
                    films = films_of(rng, (positive, 2, films_of_positive, 1.0), 0.5)
                    chosen = films.labels == 1
                    hits = (films.scores[0, chosen] < norm.ppf(truth)).astype(float)
                    (item,) = mean_of_units(hits, films.patients[chosen], positive + 2)
                    tally.add(share_estimate(item, CONFIDENCE), truth)
                tallies.append(tally)
            cells = " | ".join(str(each) for each in tallies)
            yield f"| {positive} | {films_of_positive:g} | {cells} |"


def true_auprc(area: float, odds: float) -> float:
    """Average precision in a population with these odds of a positive film."""
    distance = separation(area)

    def at(score: float) -> float:
        caught = odds * norm.sf(score - distance)
        return float(norm.pdf(score - distance) * caught / (caught + norm.sf(score)))

    return float(quad(at, -8.0, 8.0 + distance, limit=200)[0])


def auprc_rows(runs: int, rng: np.random.Generator) -> Iterator[str]:
    yield "| patients | films | AUPRC | mean told | covered |"
    yield "|---|---|---|---|---|"
    for size in AUPRC_SIZES:
        for area in (0.65, 0.75, 0.9, 0.97, 0.99):
            truth = true_auprc(area, size[0] * size[2] / (size[1] * size[3]))
            tally, told = Tally(), []
            for _ in range(runs):
                films = films_of(rng, size, area)
                (item,) = average_precisions(films.scores, films.labels == 1, films.patients, sum(size[:2]))
                told.append(item.value)
                tally.add(measure_estimate(item, GIVEN, CONFIDENCE, AVERAGE_PRECISION), truth)
            yield f"| {describe(size)} | {truth:.3f} | {np.mean(told):.3f} | {tally} |"


def fold_rows(runs: int, rng: np.random.Generator) -> Iterator[str]:
    yield "| patients | folds | class shift | truth | mean told | covered | covers the mean truth | pooled |"
    yield "|---|---|---|---|---|---|---|---|"
    for positive, negative, num_folds in FOLDS:
        for shift in (0.25, 0.5, 1.0):
            rows = [small_hospital(rng, positive, negative, num_folds, shift) for _ in range(runs)]
            truths = np.array([truth for truth, _, _ in rows])
            own, mean = Tally(), Tally()
            for truth, found, _ in rows:
                own.add(found, truth)
                mean.add(found, float(truths.mean()))
            told = np.mean([found.value for _, found, _ in rows if found.value is not None])
            pooled = np.mean([each for _, _, each in rows])
            yield (
                f"| {positive} / {negative} | {num_folds} | {shift:g} | {truths.mean():.3f} | {told:.3f} | {own} | "
                f"{mean} | {pooled:.3f} |"
            )


def small_hospital(
    rng: np.random.Generator, positive: int, negative: int, num_folds: int, shift: float
) -> tuple[float, Estimate, float]:
    """True AUROC of the fold models, what is told of them, and what pooling their scaled logits would tell.

    Films have ten features, of which 70 % of the variance is the patient's; the first is shifted in positives.
    """
    films = simulate(
        rng,
        num_positive=positive,
        num_negative=negative,
        films_of_positive=2.0,
        films_of_negative=1.3,
        separation=0.0,
        num_scorers=FEATURES,
        between_scorers=0.0,
    )
    features = films.scores.T.copy()
    features[:, 0] += shift * films.labels
    sick = np.arange(positive + negative) < positive
    folds = deal_out(np.stack([sick, ~sick], axis=1), num_folds)[films.patients]
    scores, scaled, truths, pairs = np.empty(len(folds)), np.empty(len(folds)), [], []
    for fold in range(num_folds):
        tested, validated = folds == fold, folds == (fold + 1) % num_folds
        trained = ~tested & ~validated
        weights, offset = _class_means(features[trained], films.labels[trained])
        logits = features @ weights + offset
        scores[tested] = logits[tested]
        scaling = fit_slope_and_intercept(logits[validated], films.labels[validated])
        scaled[tested] = scaling.apply(logits[tested])
        truths.append(norm.cdf(weights[0] * shift / np.sqrt(2.0 * np.sum(weights**2))))
        pairs.append(films.labels[tested].sum() * (1 - films.labels[tested]).sum())
    (item,) = influences(scores[None], films.labels, films.patients, positive + negative, folds)
    pooled = auroc(scaled, films.labels).value
    assert pooled is not None
    return float(np.average(truths, weights=pairs)), auroc_estimate(item, GIVEN, CONFIDENCE), pooled


def _class_means(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights and offset of the linear model of two normal classes with equal variance."""
    one, other = features[labels == 1].mean(axis=0), features[labels == 0].mean(axis=0)
    return one - other, float((other @ other - one @ one) / 2)


SECTIONS: dict[str, Callable[[int, np.random.Generator], Iterator[str]]] = {
    "auroc": auroc_rows,
    "shares": share_rows,
    "auprc": auprc_rows,
    "folds": fold_rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, []], default=[])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    for section in chosen.sections or SECTIONS:
        print(f"\n{section}: covered (below the truth, above it)\n")
        for row in SECTIONS[section](chosen.runs, np.random.default_rng(chosen.seed)):
            print(row, flush=True)


if __name__ == "__main__":
    main()
