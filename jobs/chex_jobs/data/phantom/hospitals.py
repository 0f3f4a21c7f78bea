"""What makes one generated hospital differ from another: its machines, patients and habits of speech."""

from dataclasses import dataclass

import numpy as np

from chex_jobs.data.keyed_random import Stream, keyed_generator
from chex_jobs.data.phantom.findings import FINDINGS

NUM_STYLES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """One machine. Grey levels are shares of full scale.

    Attributes:
        device: its name in the metadata.
        bedside: whether it makes AP films of lying patients (else PA films of standing ones).
        contrast: width of the grey scale against a usual machine's; above 1 is harder.
        gamma: power of its grey curve.
        noise: standard deviation of its noise.
        blur: standard deviation of its blur, in 1/64 of the film's short side.
        exposure_spread: how much exposure differs from film to film.
        collimation: probability of black borders.
        marker: probability of burned-in letters.
    """

    device: str
    bedside: bool
    contrast: float = 1.0
    gamma: float = 1.0
    noise: float = 0.02
    blur: float = 0.35
    exposure_spread: float = 1.0
    collimation: float = 0.3
    marker: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """One hospital.

    Attributes:
        name: as in device names.
        scanners: its machines, at least one of each kind (bedside, upright).
        bedside_share: share of films made at the bedside.
        prevalence_odds: odds of each finding against the network's, one per finding.
        mean_age: in years.
        style: whose words its reports use, 0 to NUM_STYLES - 1.
        omission: probability that a report leaves out a finding of middle strength.
        hedging: probability that a finding is worded as uncertain.
        missing_report: probability that a study has no report.
    """

    name: str
    scanners: tuple[Scanner, ...]
    bedside_share: float
    prevalence_odds: tuple[float, ...]
    mean_age: float
    style: int
    omission: float
    hedging: float
    missing_report: float


_ARCHIVE = Hospital(
    name="Archive",
    scanners=(
        Scanner(device="Archive-DR1", bedside=False),
        Scanner(device="Archive-CR2", bedside=False, contrast=0.85, noise=0.03, blur=0.5),
        Scanner(
            device="Archive-M1", bedside=True, contrast=0.9, noise=0.03, exposure_spread=1.3, collimation=0.5
        ),
    ),
    bedside_share=0.45,
    prevalence_odds=(1.0,) * len(FINDINGS),
    mean_age=56.0,
    style=0,
    omission=0.15,
    hedging=0.15,
    missing_report=0.03,
)

_RIVERSIDE = Hospital(
    name="Riverside",
    scanners=(
        Scanner(device="Riverside-DR1", bedside=False, contrast=1.3, gamma=0.85, noise=0.012, blur=0.25),
        Scanner(device="Riverside-M1", bedside=True, contrast=1.2, gamma=0.85, noise=0.02, marker=0.9),
    ),
    bedside_share=0.25,
    prevalence_odds=(0.7, 0.8, 0.8, 0.8, 1.4, 0.6, 0.6, 1.2, 1.2, 1.0),
    mean_age=50.0,
    style=1,
    omission=0.2,
    hedging=0.2,
    missing_report=0.05,
)

_HIGHLAND = Hospital(
    name="Highland",
    scanners=(
        Scanner(
            device="Highland-CR1", bedside=False, contrast=0.75, gamma=1.25, noise=0.045, blur=0.7, marker=0.95,
            exposure_spread=1.4,
        ),
        Scanner(
            device="Highland-CR2", bedside=True, contrast=0.7, gamma=1.3, noise=0.055, blur=0.8, marker=0.95,
            exposure_spread=1.6, collimation=0.7,
        ),
    ),
    bedside_share=0.35,
    prevalence_odds=(1.0, 1.4, 0.7, 1.3, 0.9, 1.2, 0.6, 1.2, 1.0, 1.8),
    mean_age=63.0,
    style=2,
    omission=0.3,
    hedging=0.25,
    missing_report=0.1,
)  # fmt: skip

_COAST = Hospital(
    name="Coast",
    scanners=(
        Scanner(device="Coast-DR1", bedside=False, gamma=1.1),
        Scanner(device="Coast-M1", bedside=True, gamma=1.1, noise=0.03, exposure_spread=1.4, collimation=0.8),
        Scanner(device="Coast-M2", bedside=True, contrast=0.8, noise=0.04, blur=0.5, exposure_spread=1.4),
    ),
    bedside_share=0.8,
    prevalence_odds=(1.8, 1.2, 1.8, 1.5, 0.8, 2.0, 2.5, 1.0, 1.4, 1.0),
    mean_age=64.0,
    style=3,
    omission=0.25,
    hedging=0.2,
    missing_report=0.05,
)

_MADE_BY_HAND = (_ARCHIVE, _RIVERSIDE, _HIGHLAND, _COAST)


def hospital(number: int) -> Hospital:
    """Return hospital `number` (0 to 63): Archive, Riverside, Highland, Coast, then ones drawn from the number."""
    if number < len(_MADE_BY_HAND):
        return _MADE_BY_HAND[number]
    rng = keyed_generator(Stream.PHANTOM_HOSPITAL, number)
    name = f"Hospital{number}"
    scanners = tuple(_drawn_scanner(f"{name}-{i}", bedside, rng) for i, bedside in enumerate((False, True)))
    return Hospital(
        name=name,
        scanners=scanners,
        bedside_share=float(rng.uniform(0.2, 0.8)),
        prevalence_odds=tuple(np.exp(rng.normal(0.0, 0.4, len(FINDINGS))).tolist()),
        mean_age=float(rng.uniform(48.0, 66.0)),
        style=int(rng.integers(NUM_STYLES)),
        omission=float(rng.uniform(0.1, 0.35)),
        hedging=float(rng.uniform(0.1, 0.3)),
        missing_report=float(rng.uniform(0.0, 0.1)),
    )


def _drawn_scanner(device: str, bedside: bool, rng: np.random.Generator) -> Scanner:
    return Scanner(
        device=device,
        bedside=bedside,
        contrast=float(rng.uniform(0.7, 1.3)),
        gamma=float(rng.uniform(0.8, 1.3)),
        noise=float(rng.uniform(0.01, 0.05)),
        blur=float(rng.uniform(0.25, 0.8)),
        exposure_spread=float(rng.uniform(0.8, 1.6)),
        collimation=float(rng.uniform(0.1, 0.8)),
        marker=float(rng.uniform(0.2, 1.0)),
    )
