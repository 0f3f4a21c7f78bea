"""How often a cheaper arm is recommended that is worse than the reference by exactly the margin.

    python -m tests.benchmarks.false_recommendation [--quick] [--runs 400] [--processes 2] [--seed 0]

Films of patients are drawn, scored by the fits of each arm, and go through the product's own functions (influences,
training variances, ``recommend``) with a confidence of 95 %; every cheaper arm is truly worse by the margin, so any
that is said to be enough is an error. Of each cell of the grid

* patients of the larger class are as many as of the smaller one, or five times as many;
* films are one of each patient, or three of each positive and 1.3 of each negative one (geometric), and alike;
* fits are one (training is not looked at), three seeds, or two draws that training moves (0.1 in d');
* arms share 0, 60 or 90 % of the variance of their scores;

in turn. A cell with a rate above 4 % is simulated again with new data, ten times as often, so that the largest of
so many rates is no accident of the simulation; that rate counts. The last line is the largest rate; above 6 % the exit
code is 1. ``--quick`` takes a part of the grid and two minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.stats import norm

from chex_jobs.evaluation.arms.recommendation import ArmEvidence, TestEvidence, ValidationChoice, recommend
from chex_jobs.evaluation.arms.selection import FitStanding, Standing
from chex_jobs.evaluation.results.schema import ArmCost, ArmKey
from chex_jobs.evaluation.statistics.clustered import influences, mean_influence
from chex_jobs.evaluation.statistics.replication import pool_over_arms, training_variance

AUROCS = (0.75, 0.85, 0.90, 0.95, 0.98, 0.999)
PATIENTS = (20, 50, 100, 200)
NUM_ARMS = (1, 4, 8)
MARGINS = (0.01, 0.02, 0.05)
CONFIDENCE = 0.95
SUSPICIOUS = 0.04
AGAIN = 10
MOST = 0.06
TRAINING = 0.1
"""Standard deviation over draws of an arm's separation, in standard deviations of the scores."""


@dataclass(frozen=True)
class Cell:
    """One simulated kind of hospital."""

    auroc: float
    """Of the reference."""
    margin: float
    patients: int
    """Of the smaller class, the positive one."""
    arms: int
    """Cheaper ones."""
    larger: int
    """Patients of the larger class for each of the smaller."""
    films: float
    """Mean number of films of a positive patient."""
    fits: int
    """1, 3 (seeds) or 2 (draws)."""
    shared: float
    """Share of the variance of scores that arms have in common."""


def grid() -> list[Cell]:
    """All cells; the last four columns take turns, so that each meets every value of the others."""
    cells = []
    turns = list(product((1, 5), (1.0, 3.0), (1, 3, 2), (0.6, 0.9, 0.0)))
    order = np.random.default_rng(0).permutation(len(turns))
    for place, (auroc, margin, patients, arms) in enumerate(product(AUROCS, MARGINS, PATIENTS, NUM_ARMS)):
        cells.append(Cell(auroc, margin, patients, arms, *turns[order[place % len(turns)]]))
    return cells


def quick_grid() -> list[Cell]:
    """The corners, and where rates were largest."""
    simple = (1, 1.0, 1)
    return [
        Cell(0.75, 0.05, 200, 1, *simple, 0.0),
        Cell(0.75, 0.01, 20, 8, 1, 3.0, 3, 0.6),
        Cell(0.90, 0.05, 20, 4, *simple, 0.6),
        Cell(0.90, 0.05, 20, 1, 5, 1.0, 1, 0.0),
        Cell(0.90, 0.02, 50, 4, 5, 3.0, 2, 0.9),
        Cell(0.95, 0.02, 20, 1, 5, 1.0, 1, 0.6),
        Cell(0.95, 0.05, 50, 1, 1, 3.0, 3, 0.0),
        Cell(0.98, 0.02, 200, 4, 1, 1.0, 1, 0.6),
        Cell(0.98, 0.05, 20, 8, *simple, 0.6),
        Cell(0.999, 0.02, 20, 4, *simple, 0.6),
        Cell(0.999, 0.01, 20, 1, *simple, 0.9),
        Cell(0.999, 0.05, 50, 1, 5, 1.0, 1, 0.0),
        Cell(0.999, 0.05, 200, 1, *simple, 0.0),
        Cell(0.999, 0.02, 200, 8, 5, 3.0, 3, 0.6),
    ]


def evidence(cell: Cell, arms: list[ArmKey], rng: np.random.Generator) -> TestEvidence:
    """One simulated test set, scored by all fits of all arms; the first arm is the reference."""
    sick = np.repeat([1.0, 0.0], [cell.patients, cell.patients * cell.larger])
    means = np.where(sick == 1, cell.films, min(cell.films, 1.3))
    films = rng.geometric(1 / means)
    patients = np.repeat(np.arange(len(sick)), films)
    labels = sick[patients]
    spread = TRAINING if cell.fits == 2 else 0.0
    variances, items = [], []
    common = _effects(rng, patients, len(sick))
    for place, _ in enumerate(arms):
        truth = cell.auroc - (cell.margin if place else 0.0)
        # The mean of Phi over normal separations is Phi with their variance added.
        separation = norm.ppf(truth) * np.sqrt(2.0 + spread**2) + spread * rng.standard_normal(cell.fits)
        own = _effects(rng, patients, len(sick))
        of_arm = np.sqrt(cell.shared) * common + np.sqrt(1 - cell.shared) * own
        scores = np.stack(
            [each * labels + (of_arm if cell.fits == 1 else _of_fit(rng, of_arm)) for each in separation]
        )
        of_fits = influences(scores, labels, patients, len(sick))
        draws = range(cell.fits) if cell.fits == 2 else [0] * cell.fits
        variances.append(training_variance([each.value for each in of_fits], list(draws)))
        items.append(mean_influence(of_fits))
    pooled = pool_over_arms(variances, [0] * len(arms))
    return TestEvidence(
        {arm: ArmEvidence(*each) for arm, each in zip(arms, zip(items, pooled, strict=True), strict=True)}
    )


def _effects(rng: np.random.Generator, patients: np.ndarray, num_patients: int) -> np.ndarray:
    """Of each film: 70 % of the variance is its patient's."""
    return np.sqrt(0.7) * rng.standard_normal(num_patients)[patients] + np.sqrt(0.3) * rng.standard_normal(
        len(patients)
    )


def _of_fit(rng: np.random.Generator, of_arm: np.ndarray) -> np.ndarray:
    """Fits of one arm differ by 10 % of the variance."""
    return np.sqrt(0.9) * of_arm + np.sqrt(0.1) * rng.standard_normal(len(of_arm))


def false_rate(cell: Cell, runs: int, seed: tuple[int, ...]) -> float:
    """Share of simulated hospitals in which an arm at the margin is said to be enough."""
    rng = np.random.default_rng(seed)
    arms = [ArmKey("ssl", f"arm-{place:02}", 1.0) for place in range(cell.arms + 1)]
    standings = tuple(
        Standing(
            arm,
            ArmCost(float(cell.arms + 1 if place == 0 else place), 100, 1, 1),
            1.0 if place == 0 else 0.5,
            (FitStanding(0, 0, 0.5, ()),),
        )
        for place, arm in enumerate(arms)
    )
    choice = ValidationChoice.of(standings)
    wrong = 0
    for _ in range(runs):
        found = evidence(cell, arms, rng)
        wrong += (
            recommend(choice, found, margin=cell.margin, confidence=CONFIDENCE, seed=0).enough is not None
        )
    return wrong / runs


def measured(job: tuple[int, Cell, int, int]) -> tuple[Cell, float, int]:
    """The rate of one cell and the number of runs behind it."""
    place, cell, runs, seed = job
    rate = false_rate(cell, runs, (seed, place, 0))
    if rate <= SUSPICIOUS:
        return cell, rate, runs
    return cell, false_rate(cell, AGAIN * runs, (seed, place, 1)), AGAIN * runs


def report(found: Iterable[tuple[Cell, float, int]]) -> float:
    """Prints one line for each cell as it comes, and returns the largest rate."""
    print("| AUROC | margin | patients | arms | larger class | films | fits | shared | runs | false |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    largest = 0.0
    for cell, rate, runs in found:
        print(
            f"| {cell.auroc:g} / {cell.auroc - cell.margin:.3f} | {cell.margin:g} | {cell.patients} | {cell.arms} | "
            f"x {cell.larger} | {cell.films:g} | {cell.fits} | {cell.shared:g} | {runs} | {100 * rate:.1f} % |",
            flush=True,
        )
        largest = max(largest, rate)
    return largest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="a part of the grid, two minutes on two cores")
    parser.add_argument("--runs", type=int, default=400, help="of each cell (400)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    cells = quick_grid() if chosen.quick else grid()
    runs = chosen.runs
    jobs = [(place, cell, runs, chosen.seed) for place, cell in enumerate(cells)]
    with ProcessPoolExecutor(chosen.processes) as pool:
        largest = report(pool.map(measured, jobs))
    print(f"largest rate of false recommendations: {100 * largest:.1f} %")
    return int(largest > MOST)


if __name__ == "__main__":
    sys.exit(main())
