"""Operators that are killed, cut off, refused, misled and deposed in a job's life: the end is the same, always.

These are a sample; `make crash` kills the operator at every single call (`tests/crash/test_operator_crashes.py`).
"""

import random
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.apiserver.control_plane import ApiClient
from tests.apiserver.controller.ordeals import (
    FAULTS,
    Ordeal,
    frozen,
    killed_after,
    killed_again_and_again,
    killed_before,
    leader_killed,
    lease_taken,
    met,
    met_often,
    statuses_late,
    watches_dropped,
    watches_held,
    watches_slow,
)
from tests.apiserver.controller.stories import (
    Story,
    deleted_in_pretraining,
    disrupted,
    from_manifest_to_report,
    suspended_edited_and_cleared,
    tried_again,
)
from tests.apiserver.controller.trials import Outcome, Trial, Trials, trials
from tests.apiserver.ray_engine.engine import Engine


def spread(calls: int, times: int, seed: int) -> list[int]:
    """So many calls of a life, one from each part of it."""
    rng = random.Random(seed)
    return [int((part + rng.random()) * calls / times) + 1 for part in range(times)]


def sample() -> Iterator[Trial]:
    lengths: dict[Story, tuple[int, int]] = {
        from_manifest_to_report: (110, 4),
        suspended_edited_and_cleared: (260, 7),
        tried_again: (180, 2),
        deleted_in_pretraining: (70, 3),
    }
    for story, (calls, times) in lengths.items():
        for n in spread(calls, times, seed=1):
            yield Trial(story, killed_before(n))
        for n in spread(calls, times, seed=2):
            yield Trial(story, killed_after(n))
    yield Trial(disrupted, statuses_late())
    ordeals: list[Ordeal] = [killed_again_and_again(seed) for seed in (1, 2)]
    ordeals += [met_often(seed) for seed in (1, 2, 3)]
    ordeals += [watches_held(1), watches_held(2), watches_dropped(1), watches_slow()]
    ordeals += [lease_taken(30), lease_taken(70)]
    ordeals += [frozen(n, until=12, frees_lease=n % 2 == 0) for n in (25, 33, 50, 60)]
    ordeals += [leader_killed(45, frees_lease=False), leader_killed(80, frees_lease=True)]
    for number, ordeal in enumerate(ordeals):
        yield Trial((from_manifest_to_report, suspended_edited_and_cleared)[number % 2], ordeal)
    for (what, fault), n in zip(FAULTS.items(), spread(100, len(FAULTS), seed=3), strict=True):
        yield Trial(from_manifest_to_report, met(fault, what, n))


SAMPLE = list(sample())


@pytest.fixture(scope="module")
def place(
    controllers: ApiClient, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trials]:
    with trials(controllers, engine, tmp_path_factory.mktemp("lives")) as found:
        yield found


@pytest.fixture(scope="module")
def outcomes(place: Trials, request: pytest.FixtureRequest) -> dict[Trial, Future[Outcome]]:
    """Of the trials that were selected, all of which begin at once."""
    selected = [item for item in request.session.items if isinstance(item, pytest.Function)]
    given = [item.callspec.params.get("trial") for item in selected if hasattr(item, "callspec")]
    chosen = [trial for trial in given if isinstance(trial, Trial) and trial in SAMPLE]
    return {trial: place.begin(trial) for trial in chosen}


@pytest.mark.parametrize("trial", SAMPLE, ids=str)
def test_a_job_ends_as_if_nothing_had_happened(
    trial: Trial, place: Trials, outcomes: dict[Trial, Future[Outcome]]
) -> None:
    outcome = outcomes[trial].result()
    faults = outcome.compared_with(place.undisturbed(trial.story).record)
    assert not faults, "\n".join([*faults, outcome.told])


def test_what_was_planned_has_happened(outcomes: dict[Trial, Future[Outcome]]) -> None:
    missed = [trial for trial, outcome in outcomes.items() if not outcome.result().met]
    assert len(missed) < 0.2 * len(outcomes), [str(trial) for trial in missed]
