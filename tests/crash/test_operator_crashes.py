"""The operator killed before and after every call of four stories, and every write met by every fault (`make crash`)."""

from collections.abc import Iterator
from concurrent.futures import Future, as_completed

import pytest

from tests.apiserver.control_plane import ApiClient
from tests.apiserver.controller.ordeals import FAULTS, Ordeal, killed_after, killed_before, met
from tests.apiserver.controller.stories import STORIES, Story, from_manifest_to_report
from tests.apiserver.controller.trials import Outcome, Trial, Trials, trials
from tests.apiserver.ray_engine.engine import Engine

MARGIN = 1.2
"""A disturbed life may take more calls than an undisturbed one, and no two take the same number."""


@pytest.fixture(scope="module")
def place(
    controllers: ApiClient, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trials]:
    with trials(controllers, engine, tmp_path_factory.mktemp("lives")) as found:
        yield found


@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_an_operator_killed_at_any_call_changes_nothing(place: Trials, story: Story) -> None:
    calls = range(1, int(MARGIN * place.undisturbed(story).calls))
    all_end_alike(place, story, [kill(n) for n in calls for kill in (killed_before, killed_after)])


@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_at_any_write_changes_nothing(place: Trials, what: str) -> None:
    story = from_manifest_to_report
    writes = range(1, place.undisturbed(story).writes)
    all_end_alike(place, story, [met(FAULTS[what], what, n) for n in writes])


def all_end_alike(place: Trials, story: Story, ordeals: list[Ordeal]) -> None:
    """Lead a life for each ordeal, and tell of every one that ended in another way than the undisturbed one."""
    undisturbed = place.undisturbed(story).record
    begun: dict[Future[Outcome], Trial] = {
        place.begin(trial): trial for trial in (Trial(story, ordeal) for ordeal in ordeals)
    }
    told: list[str] = []
    happened = 0
    for number, ended in enumerate(as_completed(begun), start=1):
        outcome = ended.result()
        happened += outcome.met
        faults = outcome.compared_with(undisturbed)
        if faults:
            told.append("\n".join([f"== {begun[ended]}", *faults, outcome.told]))
        if number % 20 == 0:
            print(f"{story.__name__}: {number} of {len(begun)} lives, {len(told)} with faults", flush=True)
    print(f"{story.__name__}: {happened} of {len(begun)} ordeals happened", flush=True)
    assert happened > 0.7 * len(begun)
    assert not told, "\n\n".join(told)
