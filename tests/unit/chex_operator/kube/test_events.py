import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from chex_operator.kube.errors import ServerError
from chex_operator.kube.events import (
    MAX_NOTE_BYTES,
    REMEMBERED,
    WAITING,
    EventLimits,
    EventOutcome,
    EventRecorder,
    cut_note,
)
from chex_operator.kube.resource import EVENTS, Object, Resource
from tests.unit.chex_operator.kube.virtual_clock import VirtualClock, settle


def job(name: str = "film", uid: str = "uid-1") -> Object:
    return {
        "apiVersion": "chexdragon.dev/v1alpha1",
        "kind": "ChexTrainingJob",
        "metadata": {"name": name, "namespace": "default", "uid": uid, "resourceVersion": "7"},
        "spec": {"secret": "of no concern"},
    }


class Stage:
    """A recorder before a server that keeps what is applied, and an observer that keeps outcomes."""

    def __init__(self, limits: EventLimits | None = None) -> None:
        self.clock = VirtualClock()
        self.written: list[Object] = []
        self.outcomes: list[EventOutcome] = []
        self.fault: Exception | None = None
        self.slowness = 0.0
        self.recorder = EventRecorder(self, self.clock, self, instance="operator-0", limits=limits)
        self.task = asyncio.create_task(self.recorder.run())

    async def apply(self, resource: Resource, body: Object, *, force: bool = True) -> Object:
        assert resource == EVENTS
        await self.clock.sleep(self.slowness)
        if self.fault is not None:
            raise self.fault
        self.written.append(body)
        return body

    def event_ended(self, outcome: EventOutcome) -> None:
        self.outcomes.append(outcome)

    def say(self, note: str = "attempt 1 of pretrain/ssl is starting", uid: str = "uid-1") -> None:
        self.recorder.record(job(uid=uid), "Normal", "AttemptStarted", "StartAttempt", note)


def play(story: Callable[[Stage], Coroutine[Any, Any, None]], limits: EventLimits | None = None) -> None:
    async def whole() -> None:
        stage = Stage(limits)
        await story(stage)
        stage.task.cancel()
        await asyncio.wait({stage.task})

    asyncio.run(whole())


def test_an_event_says_who_what_why_and_nothing_else_of_the_object() -> None:
    async def story(stage: Stage) -> None:
        stage.say()
        await settle()
        event = stage.written[0]
        assert event["metadata"]["name"].startswith("film.")
        assert event["metadata"]["namespace"] == "default"
        assert event["regarding"] == {
            "apiVersion": "chexdragon.dev/v1alpha1",
            "kind": "ChexTrainingJob",
            "name": "film",
            "namespace": "default",
            "uid": "uid-1",
        }
        assert (event["type"], event["reason"], event["action"]) == (
            "Normal",
            "AttemptStarted",
            "StartAttempt",
        )
        assert event["reportingInstance"] == "operator-0"
        assert event["eventTime"] == "1970-01-12T13:46:40.000000Z"
        assert "series" not in event
        assert stage.outcomes == ["written"]

    play(story)


def test_repeats_become_one_series() -> None:
    async def story(stage: Stage) -> None:
        for _ in range(3):
            stage.say()
            await stage.clock.advance(10)
        assert len({event["metadata"]["name"] for event in stage.written}) == 1
        assert len({event["eventTime"] for event in stage.written}) == 1
        assert stage.written[-1]["series"] == {
            "count": 3,
            "lastObservedTime": "1970-01-12T13:47:00.000000Z",
        }

    play(story)


def test_repeats_that_come_faster_than_they_are_written_are_one_write() -> None:
    async def story(stage: Stage) -> None:
        for _ in range(100):
            stage.say()
        await settle()
        assert len(stage.written) == 1
        assert stage.written[0]["series"]["count"] == 100

    play(story)


@pytest.mark.parametrize("other", [{"note": "another note"}, {"uid": "uid-2"}])
def test_another_note_or_object_is_another_event(other: dict[str, str]) -> None:
    async def story(stage: Stage) -> None:
        stage.say()
        stage.say(**other)
        await settle()
        assert len({event["metadata"]["name"] for event in stage.written}) == 2
        assert all("series" not in event for event in stage.written)

    play(story)


def test_a_repeat_after_a_long_silence_is_a_new_event() -> None:
    async def story(stage: Stage) -> None:
        stage.say()
        await stage.clock.advance(361)
        stage.say()
        await settle()
        assert stage.written[0]["metadata"]["name"] != stage.written[1]["metadata"]["name"]
        assert "series" not in stage.written[1]

    play(story)


def test_chatter_about_one_object_is_cut_off_and_does_not_silence_another() -> None:
    async def story(stage: Stage) -> None:
        for number in range(10):
            stage.say(f"note {number}")
            await settle()
        stage.say(uid="uid-2")
        await settle()
        assert [event["note"] for event in stage.written[:3]] == ["note 0", "note 1", "note 2"]
        assert stage.written[3]["regarding"]["uid"] == "uid-2"
        assert stage.outcomes.count("dropped") == 7

    play(story, EventLimits(burst=3))


def test_an_object_may_be_spoken_of_again_after_a_while() -> None:
    async def story(stage: Stage) -> None:
        for number in range(3):
            stage.say(f"note {number}")
        await stage.clock.advance(60)
        stage.say("later")
        await settle()
        assert [event["note"] for event in stage.written] == ["note 0", "later"]

    play(story, EventLimits(burst=1, seconds_per_write=60.0))


def test_repeats_that_share_a_write_share_its_cost() -> None:
    async def story(stage: Stage) -> None:
        for _ in range(100):
            stage.say("the same")
        stage.say("another")
        await settle()
        assert [event["note"] for event in stage.written] == ["the same", "another"]
        assert "dropped" not in stage.outcomes

    play(story, EventLimits(burst=2))


def test_silence_saves_up_no_more_than_the_burst() -> None:
    async def story(stage: Stage) -> None:
        stage.say("first")
        await stage.clock.advance(86_400)
        for number in range(10):
            stage.say(f"note {number}")
        await settle()
        assert len(stage.written) == 1 + 3

    play(story, EventLimits(burst=3))


def test_what_was_cut_off_still_counts_in_its_series() -> None:
    async def story(stage: Stage) -> None:
        for _ in range(5):
            stage.say()
            await settle()
        await stage.clock.advance(60)
        stage.say()
        await settle()
        assert stage.written[-1]["series"]["count"] == 6

    play(story, EventLimits(burst=1, seconds_per_write=60.0))


@pytest.mark.parametrize(
    "fault", [ServerError(500, "InternalError", "etcd"), RuntimeError("a fault of ours")]
)
def test_a_failure_is_counted_and_the_next_event_is_written(fault: Exception) -> None:
    async def story(stage: Stage) -> None:
        stage.fault = fault
        stage.say("first")
        await settle()
        stage.fault = None
        stage.say("second")
        await settle()
        assert stage.outcomes == ["failed", "written"]
        assert [event["note"] for event in stage.written] == ["second"]

    play(story)


def test_what_waits_for_a_slow_api_server_is_bounded() -> None:
    async def story(stage: Stage) -> None:
        stage.slowness = 10.0
        for number in range(WAITING + 50):
            stage.say(uid=f"uid-{number}")
        assert stage.outcomes == ["dropped"] * 50

    play(story)


def test_what_is_remembered_is_bounded() -> None:
    async def story(stage: Stage) -> None:
        for number in range(REMEMBERED + 100):
            stage.say(uid=f"uid-{number}")
        assert len(stage.recorder._series) == REMEMBERED
        assert len(stage.recorder._budgets) <= REMEMBERED

    play(story)


def test_what_was_recorded_before_a_stop_is_written_still() -> None:
    async def story(stage: Stage) -> None:
        stage.say("first")
        stage.say("second")
        stage.recorder.stop()
        await stage.task
        assert [event["note"] for event in stage.written] == ["first", "second"]

    play(story)


@pytest.mark.parametrize("character", ["a", "é", "肺", "🫁", "\ud800"])
def test_a_long_note_is_cut_between_characters(character: str) -> None:
    cut = cut_note(character * 2000)
    assert len(cut.encode()) <= MAX_NOTE_BYTES
    assert len(cut.encode()) > MAX_NOTE_BYTES - 8
    assert cut.endswith("…")


def test_a_note_that_fits_stays_as_it_is() -> None:
    note = "x" * MAX_NOTE_BYTES
    assert cut_note(note) == note
