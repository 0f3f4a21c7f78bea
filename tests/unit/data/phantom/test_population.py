"""Who comes to a generated hospital, and what they have."""

import numpy as np
import pytest

from chex_jobs.data.phantom.findings import FINDING_NAMES, FINDINGS
from chex_jobs.data.phantom.hospitals import NUM_STYLES, hospital
from chex_jobs.data.phantom.population import draw_population
from chex_jobs.data.phantom.settings import FindingPrevalence, PhantomSettings


def people(patients: int = 4000, **settings: object):
    return draw_population(PhantomSettings(patients=patients, **settings))  # type: ignore[arg-type]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def test_weights_of_a_finding_leave_no_negative_variance() -> None:
    assert all(finding.frailty_weight**2 + finding.patient_weight**2 <= 1 for finding in FINDINGS)


def test_some_findings_are_in_no_report() -> None:
    reported = [finding.name for finding in FINDINGS if finding.reported]
    assert {"Effusion", "Cardiomegaly", "Pneumothorax", "Consolidation", "Nodule", "Edema", "Device"} == set(
        reported
    )
    assert len(FINDINGS) - len(reported) >= 2


def test_the_first_patients_of_a_larger_archive_are_those_of_the_smaller_one() -> None:
    small, large = people(30), people(300)
    studies, films = len(small.patient_of_study), len(small.study_of_film)
    assert np.array_equal(small.shape, large.shape[:30])
    assert np.array_equal(small.severity, large.severity[:studies])
    assert np.array_equal(small.study_of_film, large.study_of_film[:films])
    assert np.array_equal(small.scanner, large.scanner[:films])
    assert np.array_equal(small.conditions, large.conditions[:films])


@pytest.mark.parametrize("mean", [1.0, 1.5, 3.0])
def test_the_mean_number_of_films_is_as_asked_for(mean: float) -> None:
    films = len(people(8000, films_per_patient=mean).study_of_film) / 8000
    assert films == pytest.approx(mean, rel=0.06)


def test_films_and_studies_are_in_the_order_of_their_patients() -> None:
    drawn = people(500, films_per_patient=3.0)
    assert (np.diff(drawn.patient_of_study) >= 0).all()
    assert set(np.diff(drawn.study_of_film)) <= {0, 1}
    assert set(drawn.patient_of_study.tolist()) == set(range(500))
    assert np.bincount(drawn.study_of_film).max() > 1, "some studies have several films"
    assert np.bincount(drawn.patient_of_study).max() > 1, "some patients have several studies"


def test_prevalence_is_as_asked_for_and_severity_uniform() -> None:
    drawn = people(
        12000, films_per_patient=1.0, prevalence=(FindingPrevalence(finding="Nodule", prevalence=0.4),)
    )
    severity = drawn.severity[:, FINDING_NAMES.index("Nodule")]
    assert (severity > 0).mean() == pytest.approx(0.4, abs=0.02)
    assert severity[severity > 0].mean() == pytest.approx(0.5, abs=0.02)
    assert severity.max() <= 1


def test_an_unknown_finding_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no finding 'Efusion'; there are Effusion, "):
        people(10, prevalence=(FindingPrevalence(finding="Efusion", prevalence=0.4),))


def test_the_sick_are_older_lie_in_bed_and_have_more_films() -> None:
    drawn = people(6000, films_per_patient=2.0)
    patient_of_film = drawn.patient_of_study[drawn.study_of_film]
    ill = (drawn.severity[:, FINDING_NAMES.index("Effusion")] > 0)[drawn.study_of_film]
    bedside = np.array([scanner.bedside for scanner in hospital(0).scanners])[drawn.scanner]
    films = np.bincount(patient_of_film)[patient_of_film]
    assert correlation(ill, bedside) > 0.1
    assert correlation(ill, drawn.age[patient_of_film]) > 0.1
    assert correlation(ill, films) > 0.1


def test_metadata_does_not_tell_everything() -> None:
    drawn = people(6000)
    bedside = np.array([scanner.bedside for scanner in hospital(0).scanners])[drawn.scanner]
    for number in range(len(FINDINGS)):
        assert correlation((drawn.severity[:, number] > 0)[drawn.study_of_film], bedside) < 0.45


def test_persistent_findings_stay_and_passing_ones_pass() -> None:
    drawn = people(6000, films_per_patient=3.0)
    same = np.flatnonzero(np.diff(drawn.patient_of_study) == 0)
    present = drawn.severity > 0
    kept = {name: present[same + 1, n][present[same, n]].mean() for n, name in enumerate(FINDING_NAMES)}
    assert kept["Scoliosis"] > 0.85
    assert kept["Consolidation"] < 0.6


def test_sides_are_given_to_sided_findings_only() -> None:
    drawn = people(500)
    for number, finding in enumerate(FINDINGS):
        assert set(np.unique(drawn.side[:, number])) == ({-1, 0, 1} if finding.sided else {0})


@pytest.mark.parametrize("change", [{"seed": 1}, {"hospital": 1}], ids=["seed", "hospital"])
def test_other_people_come_with_another(change: dict[str, int]) -> None:
    assert not np.array_equal(people(50).shape, people(50, **change).shape)


@pytest.mark.parametrize("number", range(64))
def test_every_hospital_is_complete(number: int) -> None:
    place = hospital(number)
    assert {scanner.bedside for scanner in place.scanners} == {True, False}
    assert len(place.prevalence_odds) == len(FINDINGS)
    assert 0 <= place.style < NUM_STYLES
    assert place == hospital(number)


def test_hospitals_differ() -> None:
    places = [hospital(number) for number in range(64)]
    assert len({place.prevalence_odds for place in places}) == len({place.name for place in places}) == 64
    assert {place.style for place in places[:4]} == set(range(NUM_STYLES))
