"""Operators killed at every call of four user scenarios, and every fault at every write of one (`make crash`; hours, not in CI).

In parts, each of which is a sample of the whole: `PYTEST_ARGS="-k part-3"` runs one of `PARTS`.
"""

from collections.abc import Iterator
from concurrent.futures import as_completed

import pytest

from tests.apiserver.control_plane import ApiClient
from tests.apiserver.controller.cases import Case, Cases, cases
from tests.apiserver.controller.fault_scenarios import FAULTS, FaultScenario, killed_after, killed_before, met
from tests.apiserver.controller.user_scenarios import USER_SCENARIOS, UserScenario, from_manifest_to_report
from tests.apiserver.ray_engine.engine import Engine

PARTS = 10
SECONDS = 3 * 3600
"""For one part of one test, on a loaded machine."""
parts = pytest.mark.parametrize("part", range(PARTS), ids=lambda part: f"part-{part}")


@pytest.fixture(scope="module")
def place(
    controllers: ApiClient, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cases]:
    with cases(controllers, engine, tmp_path_factory.mktemp("cases")) as found:
        yield found


@pytest.mark.timeout(SECONDS)
@parts
@pytest.mark.parametrize("user_scenario", USER_SCENARIOS, ids=lambda user_scenario: user_scenario.__name__)
def test_an_operator_killed_at_any_call_changes_nothing(
    place: Cases, user_scenario: UserScenario, part: int
) -> None:
    undisturbed = place.undisturbed(user_scenario)
    fault_scenarios = [killed_before(n) for n in range(1 + part, undisturbed.calls, PARTS)]
    fault_scenarios += [killed_after(n) for n in range(1 + part, undisturbed.writes, PARTS)]
    all_end_alike(place, user_scenario, fault_scenarios)


@pytest.mark.timeout(SECONDS)
@parts
@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_at_any_write_changes_nothing(place: Cases, what: str, part: int) -> None:
    writes = place.undisturbed(from_manifest_to_report).writes
    fault_scenarios = [met(FAULTS[what], what, n) for n in range(1 + part, writes, PARTS)]
    all_end_alike(place, from_manifest_to_report, fault_scenarios)


def all_end_alike(place: Cases, user_scenario: UserScenario, fault_scenarios: list[FaultScenario]) -> None:
    """Run a case for each fault scenario, and report every one that ended in another way than the undisturbed one."""
    undisturbed = place.undisturbed(user_scenario).record
    started = {
        place.start(case): case
        for case in (Case(user_scenario, fault_scenario) for fault_scenario in fault_scenarios)
    }
    reports: list[str] = []
    happened = 0
    for ended in as_completed(started):
        outcome = ended.result()
        happened += outcome.met
        faults = outcome.compared_with(undisturbed)
        if faults:
            reports.append("\n".join([f"== {started[ended]}", *faults, outcome.explanation]))
    print(
        f"{happened} of {len(started)} fault scenarios happened, {len(reports)} cases with faults", flush=True
    )
    assert not reports, "\n\n".join(reports)
    assert happened > 0.7 * len(started)  # no two cases take the same number of calls
