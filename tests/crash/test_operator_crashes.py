"""Operators killed at every call of four stories, and every fault at every write of one (`make crash`; hours, not in CI).

In parts, each of which is a sample of the whole: `PYTEST_ARGS="-k part-3"` runs one of `PARTS`.
"""

from collections.abc import Iterator
from concurrent.futures import as_completed

import pytest

from tests.apiserver.control_plane import ApiClient
from tests.apiserver.controller.ordeals import FAULTS, Ordeal, killed_after, killed_before, met
from tests.apiserver.controller.stories import STORIES, Story, from_manifest_to_report
from tests.apiserver.controller.trials import Trial, Trials, trials
from tests.apiserver.ray_engine.engine import Engine

PARTS = 10
SECONDS = 3 * 3600
"""For one part of one test, on a loaded machine."""
parts = pytest.mark.parametrize("part", range(PARTS), ids=lambda part: f"part-{part}")


@pytest.fixture(scope="module")
def place(
    controllers: ApiClient, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trials]:
    with trials(controllers, engine, tmp_path_factory.mktemp("lives")) as found:
        yield found


@pytest.mark.timeout(SECONDS)
@parts
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_an_operator_killed_at_any_call_changes_nothing(place: Trials, story: Story, part: int) -> None:
    undisturbed = place.undisturbed(story)
    ordeals = [killed_before(n) for n in range(1 + part, undisturbed.calls, PARTS)]
    ordeals += [killed_after(n) for n in range(1 + part, undisturbed.writes, PARTS)]
    all_end_alike(place, story, ordeals)


@pytest.mark.timeout(SECONDS)
@parts
@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_at_any_write_changes_nothing(place: Trials, what: str, part: int) -> None:
    writes = place.undisturbed(from_manifest_to_report).writes
    ordeals = [met(FAULTS[what], what, n) for n in range(1 + part, writes, PARTS)]
    all_end_alike(place, from_manifest_to_report, ordeals)


def all_end_alike(place: Trials, story: Story, ordeals: list[Ordeal]) -> None:
    """Lead a life for each ordeal, and tell of every one that ended in another way than the undisturbed one."""
    undisturbed = place.undisturbed(story).record
    begun = {place.begin(trial): trial for trial in (Trial(story, ordeal) for ordeal in ordeals)}
    told: list[str] = []
    happened = 0
    for ended in as_completed(begun):
        outcome = ended.result()
        happened += outcome.met
        faults = outcome.compared_with(undisturbed)
        if faults:
            told.append("\n".join([f"== {begun[ended]}", *faults, outcome.told]))
    print(f"{happened} of {len(begun)} ordeals happened, {len(told)} lives with faults", flush=True)
    assert not told, "\n\n".join(told)
    assert happened > 0.7 * len(begun)  # no two lives take the same number of calls
