"""Who comes to a hospital, what they have, and how often they are filmed: all of it drawn before any picture.

Everything is drawn for all patients, studies and films at once and in their order, each array from a stream of its own,
so that the first films of a larger archive are the films of the smaller one, and a film can be drawn alone.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from scipy.special import ndtr

from chex_jobs.data.keyed_random import Stream, keyed_generator
from chex_jobs.data.phantom.findings import FINDING_NAMES, FINDINGS
from chex_jobs.data.phantom.hospitals import Hospital, hospital
from chex_jobs.data.phantom.settings import PhantomSettings

NUM_SHAPE = 10
NUM_CONDITIONS = 12

_MAX_FILMS = 24
_NEW_STUDY = 0.65
_MAX_PREVALENCE = 0.95


@dataclass(frozen=True, slots=True)
class Population:
    """P patients, S studies, N films, F findings; studies and films are in the order of their patients.

    Attributes:
        female: bool `[P]`.
        age: int `[P]`, years.
        shape: float `[P, NUM_SHAPE]`, standard normal; what the body looks like, see `anatomy`.
        patient_of_study: int `[S]`.
        severity: float `[S, F]`; 0 absent, else in (0, 1], uniform over the positive studies.
        side: int `[S, F]`; -1 the patient's right lung (left on the film), 1 the left, 0 both or none.
        study_of_film: int `[N]`.
        scanner: int `[N]`, index into the hospital's scanners.
        conditions: float `[N, NUM_CONDITIONS]`, standard normal; how the film was taken, see `anatomy` and `scanner`.
    """

    female: np.ndarray
    age: np.ndarray
    shape: np.ndarray
    patient_of_study: np.ndarray
    severity: np.ndarray
    side: np.ndarray
    study_of_film: np.ndarray
    scanner: np.ndarray
    conditions: np.ndarray


def draw_population(settings: PhantomSettings) -> Population:
    """Draw everyone.

    Raises:
        ValueError: a finding of `settings.prevalence` does not exist.
    """
    place = hospital(settings.hospital)
    num_patients = settings.patients

    def draws(stream: Stream, column: int) -> np.random.Generator:
        return keyed_generator(stream, settings.seed, settings.hospital, column)

    frailty = draws(Stream.PHANTOM_PATIENT, 0).standard_normal(num_patients)
    ageing = draws(Stream.PHANTOM_PATIENT, 1).standard_normal(num_patients)
    female = draws(Stream.PHANTOM_PATIENT, 2).random(num_patients) < 0.48
    age = np.clip(np.rint(place.mean_age + 9 * frailty + 14 * ageing), 18, 95).astype(int)
    shape = draws(Stream.PHANTOM_PATIENT, 3).standard_normal((num_patients, NUM_SHAPE))
    own = draws(Stream.PHANTOM_PATIENT, 4).standard_normal((num_patients, len(FINDINGS)))
    sides = draws(Stream.PHANTOM_PATIENT, 5).random((num_patients, len(FINDINGS)))

    num_films = _films_of(frailty, settings.films_per_patient, draws(Stream.PHANTOM_PATIENT, 6))
    patient_of_film = np.repeat(np.arange(num_patients), num_films)
    first = np.diff(patient_of_film, prepend=-1) > 0
    new_study = draws(Stream.PHANTOM_FILM, 0).random(len(patient_of_film)) < _NEW_STUDY
    study_of_film = np.cumsum(first | new_study) - 1
    patient_of_study = patient_of_film[first | new_study]

    changing = draws(Stream.PHANTOM_STUDY, 0).standard_normal((len(patient_of_study), len(FINDINGS)))
    severity = _severity(
        frailty[patient_of_study], own[patient_of_study], changing, _prevalences(settings, place)
    )
    return Population(
        female=female,
        age=age,
        shape=shape,
        patient_of_study=patient_of_study,
        severity=severity,
        side=_side(sides)[patient_of_study],
        study_of_film=study_of_film,
        scanner=_scanner(
            place,
            frailty[patient_of_film],
            draws(Stream.PHANTOM_FILM, 1).standard_normal(len(patient_of_film)),
            draws(Stream.PHANTOM_FILM, 2).random(len(patient_of_film)),
        ),
        conditions=draws(Stream.PHANTOM_FILM, 3).standard_normal((len(patient_of_film), NUM_CONDITIONS)),
    )


def _films_of(frailty: np.ndarray, mean: float, rng: np.random.Generator) -> np.ndarray:
    """Return the number of films of each patient: one and a geometric number more, of which the frail have more."""
    further = (mean - 1) * np.exp(0.5 * frailty - 0.125)
    uniform = rng.random(len(frailty))
    with np.errstate(divide="ignore"):
        extra = np.log1p(-uniform) / np.log(further / (1 + further))
    return 1 + np.minimum(np.floor(extra), _MAX_FILMS - 1).astype(int)


def _prevalences(settings: PhantomSettings, place: Hospital) -> np.ndarray:
    prevalence = np.array([finding.prevalence for finding in FINDINGS])
    odds = prevalence / (1 - prevalence) * np.array(place.prevalence_odds)
    result = odds / (1 + odds)
    for override in settings.prevalence:
        if override.finding not in FINDING_NAMES:
            raise ValueError(
                f"prevalence: there is no finding {override.finding!r}; there are {', '.join(FINDING_NAMES)}"
            )
        result[FINDING_NAMES.index(override.finding)] = override.prevalence
    return np.minimum(result, _MAX_PREVALENCE)


def _severity(
    frailty: np.ndarray, own: np.ndarray, changing: np.ndarray, prevalence: np.ndarray
) -> np.ndarray:
    by_frailty = np.array([finding.frailty_weight for finding in FINDINGS])
    by_patient = np.array([finding.patient_weight for finding in FINDINGS])
    by_study = np.sqrt(1 - by_frailty**2 - by_patient**2)
    strength = by_frailty * frailty[:, None] + by_patient * own + by_study * changing
    rarity = ndtr(-strength) / prevalence  # uniform on (0, 1) where the finding is present
    return np.where(rarity < 1, 1 - rarity, 0.0)


def _side(uniform: np.ndarray) -> np.ndarray:
    side = np.where(uniform < 0.46, -1, np.where(uniform < 0.86, 1, 0))
    return side * np.array([finding.sided for finding in FINDINGS])


def _scanner(place: Hospital, frailty: np.ndarray, noise: np.ndarray, pick: np.ndarray) -> np.ndarray:
    """Return the machine of each film. Who is frail is filmed in bed: view and device tell of disease."""
    bedside = 0.6 * frailty + 0.8 * noise > NormalDist().inv_cdf(1 - place.bedside_share)
    kinds = np.array([scanner.bedside for scanner in place.scanners])
    lying, standing = np.flatnonzero(kinds), np.flatnonzero(~kinds)
    return np.where(
        bedside, lying[(pick * len(lying)).astype(int)], standing[(pick * len(standing)).astype(int)]
    )
