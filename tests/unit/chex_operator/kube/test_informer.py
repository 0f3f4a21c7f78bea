import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chex_operator.kube.errors import ApiError, Expired, Forbidden, ServerError, Unreachable
from chex_operator.kube.informer import Informer, Key
from chex_operator.kube.queue import Backoff
from chex_operator.kube.resource import CONFIGMAPS, Object
from chex_operator.kube.wire import WatchEvent
from tests.unit.chex_operator.kube.scripted_server import ScriptedServer
from tests.unit.chex_operator.kube.virtual_clock import VirtualClock, settle

Story = Callable[[ScriptedServer, Informer[Any], "Changes", VirtualClock], Awaitable[None]]
LONG_ENOUGH = 60.0
"""For every backoff to end, and shorter than the silence that is borne."""
CUT = Unreachable(0, "", "connection reset")


class Changes:
    """What a handler was told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any, Any]] = []

    def __call__(self, key: Key, old: Any, new: Any) -> None:
        self.told.append((key[1], old, new))


def value_of(item: Object) -> Any:
    return item["value"]


@asynccontextmanager
async def following(
    server: ScriptedServer, clock: VirtualClock, **options: Any
) -> AsyncIterator[tuple[Informer[Any], Changes]]:
    """An informer that runs, and ends with the block."""
    options = {"project": value_of, "clock": clock, "random_source": random.Random(0), **options}
    informer: Informer[Any] = Informer(server, CONFIGMAPS, **options)
    changes = Changes()
    informer.add_handler(changes)
    running = asyncio.create_task(informer.run())
    try:
        await settle()
        yield informer, changes
        if running.done():
            running.result()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def play(story: Story, *names: str, **options: Any) -> None:
    """Run a story with an informer that follows a server which has these objects."""

    async def run() -> None:
        server, clock = ScriptedServer(), VirtualClock()
        for name in names:
            server.write(name)
        async with following(server, clock, **options) as (informer, changes):
            await story(server, informer, changes, clock)

    asyncio.run(run())


def test_what_is_there_is_listed_a_page_at_a_time() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        assert changes.told == [(name, None, 0) for name in "abcde"]
        assert server.lists == ["", "from-2-of-105", "from-4-of-105"]
        assert informer.has_synced

    play(story, *"abcde", page_size=2)


def test_what_happens_later_is_reported_in_order() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        server.write("b")
        server.write("a", 1)
        server.remove("b")
        await settle()
        assert changes.told[1:] == [("b", None, 0), ("a", 0, 1), ("b", 0, None)]
        assert informer.get("clinic", "a") == 1
        assert informer.get("clinic", "b") is None
        assert informer.list() == [1]

    play(story, "a")


def test_it_is_not_synced_before_the_last_page_has_come() -> None:
    async def run() -> None:
        server, clock = ScriptedServer(), VirtualClock()
        server.list_faults = [Forbidden(403, "Forbidden", "no list for you")]
        async with following(server, clock) as (informer, _):
            waiting = asyncio.create_task(informer.wait_synced())
            await settle()
            assert not informer.has_synced
            await clock.advance(LONG_ENOUGH)
            assert informer.has_synced
            await waiting

    asyncio.run(run())


def test_a_watch_that_ends_in_its_time_is_taken_up_where_it_ended() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        server.write("a", 1)
        await settle()
        server.end_watch()
        server.write("a", 2)
        await settle()
        assert server.watches == ["101", "102"]
        assert len(server.lists) == 1
        assert informer.get("clinic", "a") == 2

    play(story, "a")


def test_a_bookmark_moves_the_place_where_the_next_watch_starts() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        server.version = 500
        server.bookmark()
        await settle()
        server.end_watch()
        await settle()
        assert server.watches == ["101", "500"]

    play(story, "a")


def test_a_watch_that_breaks_after_it_said_something_is_taken_up_after_a_wait() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        server.write("a", 1)
        await settle()
        server.end_watch(CUT)
        await settle()
        assert server.watches == ["101"]
        await clock.advance(LONG_ENOUGH)
        assert server.watches == ["101", "102"]
        assert len(server.lists) == 1

    play(story, "a")


@pytest.mark.parametrize("end", [None, CUT], ids=["closed", "broken"])
def test_a_watch_that_ends_without_a_word_is_followed_by_a_list(end: Exception | None) -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        server.end_watch(end)
        server.remove("a")
        await clock.advance(LONG_ENOUGH)
        assert server.lists == ["", ""]
        assert changes.told[1:] == [("a", 0, None)]

    play(story, "a")


def test_what_was_deleted_across_an_expired_watch_is_reported_as_deleted() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        server.write("b", 1)
        await settle()
        server.end_watch(CUT)
        server.remove("a")
        server.write("c")
        server.compacted = server.version
        await clock.advance(LONG_ENOUGH)
        assert changes.told[-2:] == [("c", None, 0), ("a", 0, None)]
        assert sorted(informer.list()) == [0, 1]

    play(story, "a", "b")


def test_410_as_an_event_of_a_running_watch_is_followed_by_a_list() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        server.write("a", 1)
        await settle()
        server.end_watch(Expired(410, "Expired", "too old"))
        server.remove("a")
        await clock.advance(LONG_ENOUGH)
        assert len(server.lists) == 2
        assert informer.list() == []

    play(story, "a")


def test_a_silent_watch_is_given_up_for_a_list() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        server.go_silent()
        server.remove("a")
        await clock.advance(99.0)
        assert informer.list() == [0]
        await clock.advance(2.0 + LONG_ENOUGH)
        assert informer.list() == []
        assert len(server.lists) == 2

    play(story, "a", silence_seconds=100.0)


def test_a_watch_with_a_word_now_and_then_is_not_silent() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        for _ in range(10):
            await clock.advance(60.0)
            server.bookmark()
        await settle()
        assert len(server.watches) == 1
        assert len(server.lists) == 1

    play(story, "a", silence_seconds=100.0)


def test_a_repeated_event_is_reported_once() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        server.write("a", 1)
        await settle()
        server.inject(server.events[-1][1])
        server.inject(server.events[-2][1])
        await settle()
        assert changes.told == [("a", None, 0), ("a", 0, 1)]
        assert len(server.lists) == 1

    play(story, "a")


def test_an_event_out_of_order_is_not_believed_but_looked_up() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        server.remove("a")
        await settle()
        server.inject(server.events[0][1])  # its creation, once more
        await clock.advance(LONG_ENOUGH)
        assert changes.told == [("a", None, 0), ("a", 0, None)]
        assert server.lists == ["", ""]

    play(story, "a")


def test_a_deletion_with_the_version_that_is_held_is_not_taken_for_a_repetition() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        last = server.objects.pop("a")
        server.inject(WatchEvent("DELETED", last))
        await clock.advance(LONG_ENOUGH)
        assert informer.list() == []

    play(story, "a")


def test_an_object_made_anew_while_nobody_looked_is_reported_as_another_one() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        server.end_watch(CUT)
        server.remove("a")
        server.write("a", 7)
        await clock.advance(LONG_ENOUGH)
        assert changes.told[1:] == [("a", 0, None), ("a", None, 7)]

    play(story, "a")


def test_a_list_that_finds_nothing_new_reports_nothing() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        told = list(changes.told)
        server.end_watch(CUT)
        await clock.advance(LONG_ENOUGH)
        assert len(server.lists) == 2
        assert changes.told == told

    play(story, "a", "b")


def test_a_change_of_what_is_not_held_is_not_reported() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        server.write("a", 0, {"seen": "often"})
        await settle()
        assert changes.told == [("a", None, 0)]

    play(story, "a")


def test_managed_fields_never_reach_the_projection() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        server.write("b")
        await settle()
        assert all("managedFields" not in item["metadata"] for item in informer.list())
        assert len(informer) == 2

    play(story, "a", project=lambda item: item)


def test_an_object_whose_projection_becomes_nothing_is_reported_as_deleted() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        server.write("a", None)
        await settle()
        assert changes.told == [("a", None, 0), ("a", 0, None)]
        assert len(informer) == 0

    play(story, "a")


def test_an_object_that_cannot_be_understood_hides_no_other_and_counts_as_it_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        server.write("a", "poison")
        server.write("b", 5)
        await settle()
        assert informer.get("clinic", "a") == 1
        assert informer.get("clinic", "b") == 6
        assert "ConfigMap clinic/a: not understood" in caplog.text

    play(story, "a", project=lambda item: item["value"] + 1)


def test_objects_are_found_by_the_value_of_a_label_as_it_is_now() -> None:
    async def story(
        server: ScriptedServer, informer: Informer[Any], changes: Changes, clock: VirtualClock
    ) -> None:
        server.write("b", 2, {"job": "x"})
        server.write("a", 1, {"job": "x"})
        await settle()
        assert informer.labelled("clinic", "x") == [1, 2]
        assert informer.labelled("elsewhere", "x") == []
        server.write("a", 1, {"job": "y"})
        server.remove("b")
        await settle()
        assert informer.labelled("clinic", "x") == []
        assert informer.labelled("clinic", "y") == [1]

    play(story, index_label="job")


def test_waits_grow_with_failures_in_a_row() -> None:
    async def run() -> None:
        server, clock = ScriptedServer(), VirtualClock()
        server.list_faults = [ServerError(500, "InternalError", "etcd is away") for _ in range(5)]
        backoff = Backoff(first_seconds=1.0, cap_seconds=4.0, jitter=0.0)
        async with following(server, clock, backoff=backoff):
            asked: list[int] = []
            for _ in range(16):
                asked.append(len(server.lists))
                await clock.advance(1.0)
        assert asked == [1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6]

    asyncio.run(run())


def test_a_handler_that_raises_ends_the_informer() -> None:
    async def run() -> None:
        server = ScriptedServer()
        informer: Informer[Any] = Informer(server, CONFIGMAPS, project=value_of, clock=VirtualClock())

        def broken(key: Key, old: Any, new: Any) -> None:
            raise RuntimeError(f"no place for {key}")

        informer.add_handler(broken)
        running = asyncio.create_task(informer.run())
        await settle()
        server.write("a")
        with pytest.raises(RuntimeError, match="no place for"):
            await running

    asyncio.run(run())


def test_pages_that_expire_are_listed_from_the_beginning() -> None:
    async def run() -> None:
        server, clock = ScriptedServer(), VirtualClock()
        for name in "abc":
            server.write(name)
        server.list_faults = [Expired(410, "Expired", "the continue token is too old")]
        async with following(server, clock, page_size=2) as (informer, _):
            await clock.advance(LONG_ENOUGH)
            assert len(informer) == 3

    asyncio.run(run())


NAMES = st.sampled_from("abcd")
FAULTS: list[ApiError] = [CUT, Expired(410, "Expired", "too old"), ServerError(503, "", "restarting")]
STEPS = st.one_of(
    st.tuples(st.just("write"), NAMES, st.integers(0, 3)),
    st.tuples(st.just("remove"), NAMES),
    st.tuples(st.just("settle")),
    st.tuples(st.just("advance"), st.sampled_from([0.3, 5.0, 70.0])),
    st.tuples(st.just("end"), st.sampled_from([None, *FAULTS])),
    st.tuples(st.just("silence")),
    st.tuples(st.just("compact")),
    st.tuples(st.just("bookmark")),
    st.tuples(st.just("repeat"), st.integers(0, 30)),
    st.tuples(st.just("list fault"), st.sampled_from(FAULTS)),
    st.tuples(st.just("watch fault"), st.sampled_from(FAULTS)),
)


async def perform(step: tuple[Any, ...], server: ScriptedServer, clock: VirtualClock) -> None:
    match step:
        case ("write", name, value):
            server.write(name, value, {"value": str(value)})
        case ("remove", name) if name in server.objects:
            server.remove(name)
        case ("settle",):
            await settle()
        case ("advance", seconds):
            await clock.advance(seconds)
        case ("end", how):
            server.end_watch(how)
        case ("silence",):
            server.go_silent()
        case ("compact",):
            server.compacted = server.version
        case ("bookmark",):
            await settle()  # a bookmark says that everything before it has been told
            server.bookmark()
        case ("repeat", which) if server.events:
            server.inject(server.events[which % len(server.events)][1])
        case ("list fault", fault):
            server.list_faults.append(fault)
        case ("watch fault", fault):
            server.watch_faults.append(fault)
        case _:
            pass


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_after_any_history_and_any_faults_it_holds_what_the_server_has(steps: list[tuple[Any, ...]]) -> None:
    async def run() -> None:
        server, clock = ScriptedServer(), VirtualClock()
        server.write("a", 0, {"value": "0"})
        options: dict[str, Any] = {"page_size": 2, "silence_seconds": 100.0, "index_label": "value"}
        async with following(server, clock, **options) as (informer, changes):
            for step in steps:
                await perform(step, server, clock)
            server.list_faults.clear()
            server.watch_faults.clear()
            for _ in range(4):
                await clock.advance(100.0)
            truth = {name: item["value"] for name, item in server.objects.items()}
            assert {name: informer.get("clinic", name) for name in truth} == truth
            assert len(informer) == len(truth)
            assert replayed(changes) == truth
            for value in range(4):
                expected = [truth[name] for name in sorted(truth) if truth[name] == value]
                assert informer.labelled("clinic", str(value)) == expected

    asyncio.run(run())


def replayed(changes: Changes) -> dict[str, Any]:
    """What somebody holds who only hears the changes; each must fit on those before it."""
    held: dict[str, Any] = {}
    for name, old, new in changes.told:
        assert held.get(name) == old
        if new is None:
            del held[name]
        else:
            held[name] = new
    return held
