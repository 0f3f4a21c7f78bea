"""How often 95 % intervals of an AUROC contain the truth, on simulated films of patients.

    python -m tests.benchmarks.interval_coverage [--runs 2000] [--seed 0]

Films are simulated as in ``tests/unit/evaluation/clustered_films.py``: positive patients have 6.8 films on average, the
others 1.3, as in the public hospital set on which plain intervals were seen to fail, and films of a patient are alike.
Printed is the share of intervals that cover (its own standard error at 2,000 runs is 0.5 points), for

* DeLong: every film its own patient (one row, for comparison, has one film per patient, where this is right),
* Obuchowski: clustered variance, normal quantile,
* Obuchowski, t: the same with Student's quantile, which is what the product uses,
* bootstrap: percentiles of 500 stratified patient resamples (``--bootstrap-runs`` runs, as it is slow).
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from chex_jobs.evaluation.bootstrap import Resamples, percentile_interval
from chex_jobs.evaluation.clustered import CorrelatedAurocs, delong, logit_interval, obuchowski
from tests.unit.evaluation.clustered_films import Films, simulate, true_auroc

CONFIDENCE = 0.95
RESAMPLES = 500
SETTINGS = ((13, 13, 6.8), (20, 20, 6.8), (20, 80, 6.8), (50, 100, 6.8), (200, 400, 6.8), (50, 100, 1.0))
"""Positive patients, negative patients, mean films of a positive patient."""


def weighted_auroc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUROC under weightings [n, B], by cumulating negatives from the lowest score up (no ties here)."""
    order = np.argsort(scores)
    ordered, of_positives = weights[order], positive[order]
    below = np.cumsum(ordered * ~of_positives[:, None], axis=0)[of_positives]
    above = ordered[of_positives]
    return (below * above).sum(axis=0) / (above.sum(axis=0) * ordered[~of_positives].sum(axis=0))


def logit_covers(found: CorrelatedAurocs, critical: float, truth: float) -> bool:
    lower, upper = logit_interval(float(found.aurocs[0]), float(found.standard_errors[0]), critical)
    return lower <= truth <= upper


def bootstrap_covers(films: Films, truth: float, seed: int) -> bool:
    positive, num_patients = films.labels == 1, int(films.patients.max()) + 1
    resamples = Resamples.make(films.patients, positive, num_patients, seed=(seed,), num_resamples=RESAMPLES)
    samples = resamples.measure(weighted_auroc, films.scores[0], positive, films.patients)
    lower, upper = percentile_interval(samples, CONFIDENCE)
    return lower <= truth <= upper


def coverage(setting: tuple[int, int, float], runs: int, bootstrap_runs: int, seed: int) -> dict[str, float]:
    """Share of covering intervals by method."""
    num_positive, num_negative, films_of_positive = setting
    rng, truth = np.random.default_rng(seed), true_auroc()
    normal = float(norm.ppf((1 + CONFIDENCE) / 2))
    with_t = float(student.ppf((1 + CONFIDENCE) / 2, min(num_positive, num_negative) - 1))
    covered = dict.fromkeys(("DeLong", "Obuchowski", "Obuchowski, t", "bootstrap"), 0)
    for run in range(runs):
        films = simulate(
            rng,
            num_positive=num_positive,
            num_negative=num_negative,
            films_of_positive=films_of_positive,
            films_of_negative=min(films_of_positive, 1.3),
        )
        clustered = obuchowski(films.scores, films.labels, films.patients)
        covered["DeLong"] += logit_covers(delong(films.scores, films.labels), normal, truth)
        covered["Obuchowski"] += logit_covers(clustered, normal, truth)
        covered["Obuchowski, t"] += logit_covers(clustered, with_t, truth)
        if run < bootstrap_runs:
            covered["bootstrap"] += bootstrap_covers(films, truth, run)
    shares = {method: count / runs for method, count in covered.items()}
    return shares | {"bootstrap": covered["bootstrap"] / max(bootstrap_runs, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--bootstrap-runs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(
        "| positive / negative patients | films of a positive | DeLong | Obuchowski | Obuchowski, t | bootstrap |"
    )
    print("|---|---|---|---|---|---|")
    for setting in SETTINGS:
        shares = coverage(setting, chosen.runs, chosen.bootstrap_runs, chosen.seed)
        cells = " | ".join(f"{100 * share:.1f} %" for share in shares.values())
        print(f"| {setting[0]} / {setting[1]} | {setting[2]:g} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
