"""Operators that are killed, cut off, refused, misled and deposed in a job's life: the end is the same, always.

These are a sample; `make crash` kills the operator at every single call (`tests/crash/test_operator_crashes.py`).
"""

import random
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.apiserver.control_plane import ApiClient
from tests.apiserver.controller.cases import Case, Cases, Outcome, cases
from tests.apiserver.controller.fault_scenarios import (
    FAULTS,
    FaultScenario,
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
from tests.apiserver.controller.user_scenarios import (
    UserScenario,
    deleted_in_pretraining,
    disrupted,
    from_manifest_to_report,
    suspended_edited_and_cleared,
    tried_again,
)
from tests.apiserver.ray_engine.engine import Engine


def spread(calls: int, times: int, seed: int) -> list[int]:
    """So many calls of a life, one from each part of it."""
    rng = random.Random(seed)
    return [int((part + rng.random()) * calls / times) + 1 for part in range(times)]


def sample() -> Iterator[Case]:
    lengths: dict[UserScenario, tuple[int, int]] = {
        from_manifest_to_report: (110, 4),
        suspended_edited_and_cleared: (260, 7),
        tried_again: (180, 2),
        deleted_in_pretraining: (70, 3),
    }
    for user_scenario, (calls, times) in lengths.items():
        for n in spread(calls, times, seed=1):
            yield Case(user_scenario, killed_before(n))
        for n in spread(calls, times, seed=2):
            yield Case(user_scenario, killed_after(n))
    yield Case(disrupted, statuses_late())
    fault_scenarios: list[FaultScenario] = [killed_again_and_again(seed) for seed in (1, 2)]
    fault_scenarios += [met_often(seed) for seed in (1, 2, 3)]
    fault_scenarios += [watches_held(1), watches_held(2), watches_dropped(1), watches_slow()]
    fault_scenarios += [lease_taken(30), lease_taken(70)]
    fault_scenarios += [frozen(n, until=12, frees_lease=n % 2 == 0) for n in (25, 33, 50, 60)]
    fault_scenarios += [leader_killed(45, frees_lease=False), leader_killed(80, frees_lease=True)]
    for number, fault_scenario in enumerate(fault_scenarios):
        yield Case((from_manifest_to_report, suspended_edited_and_cleared)[number % 2], fault_scenario)
    for (what, fault), n in zip(FAULTS.items(), spread(100, len(FAULTS), seed=3), strict=True):
        yield Case(from_manifest_to_report, met(fault, what, n))


SAMPLE = list(sample())


@pytest.fixture(scope="module")
def place(
    controllers: ApiClient, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cases]:
    with cases(controllers, engine, tmp_path_factory.mktemp("cases")) as found:
        yield found


@pytest.fixture(scope="module")
def outcomes(place: Cases, request: pytest.FixtureRequest) -> dict[Case, Future[Outcome]]:
    """Of the cases that were selected, all of which start at once."""
    selected = [item for item in request.session.items if isinstance(item, pytest.Function)]
    given = [item.callspec.params.get("case") for item in selected if hasattr(item, "callspec")]
    chosen = [case for case in given if isinstance(case, Case) and case in SAMPLE]
    return {case: place.start(case) for case in chosen}


@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_a_job_ends_as_if_nothing_had_happened(
    case: Case, place: Cases, outcomes: dict[Case, Future[Outcome]]
) -> None:
    outcome = outcomes[case].result()
    faults = outcome.compared_with(place.undisturbed(case.user_scenario).record)
    assert not faults, "\n".join([*faults, outcome.explanation])


def test_what_was_planned_has_happened(outcomes: dict[Case, Future[Outcome]]) -> None:
    missed = [case for case, outcome in outcomes.items() if not outcome.result().met]
    assert len(missed) < 0.2 * len(outcomes), [str(case) for case in missed]
