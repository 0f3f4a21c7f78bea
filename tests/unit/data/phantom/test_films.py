"""Generated films: deterministic, of the shape asked for, and showing what the table says."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from chex_jobs.data.loading.augmentation import standard_view
from chex_jobs.data.phantom.findings import FINDING_NAMES
from chex_jobs.data.phantom.generator import PhantomArchive
from chex_jobs.data.phantom.settings import FindingPrevalence, PhantomSettings

SMALL = PhantomSettings(patients=60)


def with_prevalence(**prevalence: float) -> PhantomArchive:
    rare = dict.fromkeys(FINDING_NAMES, 1e-9) | prevalence
    overrides = tuple(FindingPrevalence(finding=name, prevalence=share) for name, share in rare.items())
    return PhantomArchive(replace(SMALL, prevalence=overrides))


def test_a_film_does_not_depend_on_which_others_were_made_before_or_beside_it() -> None:
    archive = PhantomArchive(SMALL)
    in_order = [archive.film(i) for i in range(20)]
    assert np.array_equal(PhantomArchive(SMALL).film(13), in_order[13])
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(PhantomArchive(SMALL).film, range(20)))
    assert all(map(np.array_equal, in_order, together))


def test_a_larger_archive_begins_with_the_same_films_rows_and_reports() -> None:
    small, large = PhantomArchive(SMALL), PhantomArchive(replace(SMALL, patients=200))
    for i in (0, 7, len(small) - 1):
        assert np.array_equal(small.film(i), large.film(i))
        assert (small.row(i), small.report(i)) == (large.row(i), large.report(i))


@pytest.mark.parametrize("change", [{"seed": 1}, {"hospital": 2}], ids=["seed", "hospital"])
def test_archives_share_neither_films_nor_patients_with_another(change: dict[str, int]) -> None:
    one, other = PhantomArchive(SMALL), PhantomArchive(replace(SMALL, **change))
    assert not {one.row(i).patient for i in range(len(one))} & {
        other.row(i).patient for i in range(len(other))
    }
    films = {one.film(i).tobytes() for i in range(30)}
    assert not films & {other.film(i).tobytes() for i in range(30)}


def test_no_two_films_of_an_archive_are_alike() -> None:
    archive = PhantomArchive(SMALL)
    assert len({archive.film(i).tobytes() for i in range(len(archive))}) == len(archive)


@pytest.mark.parametrize("size", [32, 64, 160, 300])
def test_the_short_side_is_as_asked_for(size: int) -> None:
    archive = PhantomArchive(replace(SMALL, size=size))
    shapes = [archive.film(i).shape for i in range(12)]
    assert all(min(shape) == size and max(shape) <= 1.2 * size + 1 for shape in shapes)
    assert len(set(shapes)) > 1, "films are not all of one shape"
    assert archive.film(0).dtype == np.uint8


@pytest.mark.parametrize("hospital", [0, 1, 2, 3, 17])
def test_films_use_the_grey_scale(hospital: int) -> None:
    archive = PhantomArchive(replace(SMALL, hospital=hospital))
    films = [standard_view(archive.film(i), 64) for i in range(40)]
    assert all(film.std() > 15 for film in films)
    assert 50 < np.mean(films) < 180


def test_rows_agree_with_their_study_and_patient() -> None:
    archive = PhantomArchive(replace(SMALL, films_per_patient=4.0))
    rows = [archive.row(i) for i in range(len(archive))]
    by_patient: dict[str, set[tuple[str, int]]] = {}
    by_study: dict[str, set[tuple[str, tuple[bool, ...], str | None]]] = {}
    for i, row in enumerate(rows):
        by_patient.setdefault(row.patient, set()).add((row.sex, row.age))
        by_study.setdefault(row.study, set()).add(
            (row.patient, tuple(row.findings.values()), archive.report(i))
        )
    assert all(len(found) == 1 for found in (*by_patient.values(), *by_study.values()))
    assert [row.key for row in rows] == sorted(row.key for row in rows)
    assert all(archive.index_of(row.key) == i for i, row in enumerate(rows))
    assert {row.view for row in rows} == {"AP", "PA"}


def test_an_archive_without_reports_has_none() -> None:
    assert all(PhantomArchive(replace(SMALL, reports=False)).report(i) is None for i in range(30))


@pytest.mark.parametrize("finding", FINDING_NAMES)
def test_every_finding_can_be_seen_on_the_film_and_changes_little_else(finding: str) -> None:
    without, present = with_prevalence(), with_prevalence(**{finding: 0.94})
    differences = []
    for i in range(25):
        if present.row(i).findings[finding]:
            # The mean over patches of 4 x 4 pixels: noise and clutter are drawn from the same numbers, but not all of
            # them at the same place once something is drawn in between.
            pair = [
                standard_view(archive.film(i), 64).reshape(16, 4, 16, 4).mean((1, 3))
                for archive in (without, present)
            ]
            differences.append(np.abs(pair[0] - pair[1]))
    assert len(differences) > 15
    assert np.mean([difference.max() for difference in differences]) > 8, "no trace of it"
    assert np.median([np.median(difference) for difference in differences]) < 15, "it is everywhere"


def test_nuisance_outweighs_findings() -> None:
    healthy = with_prevalence()
    films = np.stack([standard_view(healthy.film(i), 64) for i in range(50)]).astype(float)
    assert films.std(axis=0).mean() > 30, "films of healthy people differ more than a finding changes a film"
