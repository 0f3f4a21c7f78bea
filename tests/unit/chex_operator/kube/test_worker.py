import asyncio
import logging
import os
import random
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from chex_operator.kube.errors import Conflict, ServerError
from chex_operator.kube.queue import Backoff, WorkQueue
from chex_operator.kube.stop import stop_gracefully, stop_on_signals
from chex_operator.kube.worker import PassResult, Requeue, run_workers
from tests.unit.chex_operator.kube.virtual_clock import VirtualClock, settle

Pass = Callable[[str], Awaitable[Requeue | None]]
CONFLICT = Conflict(409, "Conflict", "the object has been modified")


class Passes:
    """Observes passes, and keeps their results."""

    def __init__(self) -> None:
        self.results: list[PassResult] = []
        self.seconds: list[float] = []

    def pass_ended(self, result: PassResult, seconds: float) -> None:
        self.results.append(result)
        self.seconds.append(seconds)


class Stage:
    """Workers on a queue, under a virtual clock."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.queue: WorkQueue[str] = WorkQueue(
            self.clock, Backoff(first_seconds=1.0, jitter=0.0), random.Random(0)
        )
        self.passes = Passes()

    def start(self, reconcile: Pass, concurrency: int = 2) -> asyncio.Task[None]:
        return asyncio.create_task(run_workers(self.queue, reconcile, concurrency, self.passes, self.clock))


def play(story: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        await story(Stage())

    asyncio.run(whole())


def test_each_key_gets_its_pass_and_workers_end_with_the_queue() -> None:
    seen: list[str] = []

    async def reconcile(key: str) -> None:
        seen.append(key)

    async def story(stage: Stage) -> None:
        workers = stage.start(reconcile)
        for key in ("a", "b", "c"):
            stage.queue.add(key)
        await settle()
        assert sorted(seen) == ["a", "b", "c"]
        assert stage.passes.results == ["ok"] * 3
        await stage.queue.shutdown()
        await workers

    play(story)


def test_what_the_api_server_has_caused_is_logged_in_a_line_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outcomes: list[Exception | None] = [ServerError(503, "", "etcd is away"), None]

    async def reconcile(key: str) -> None:
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    async def story(stage: Stage) -> None:
        workers = stage.start(reconcile)
        stage.queue.add("default/job")
        await settle()
        (record,) = caplog.records
        assert record.getMessage() == "pass over default/job failed; it is tried again: 503 : etcd is away"
        assert record.exc_info is None
        await stage.clock.advance(1)
        assert stage.passes.results == ["error", "ok"]
        await stage.queue.shutdown()
        await workers

    play(story)


def test_no_more_passes_run_at_once_than_allowed() -> None:
    running: list[str] = []

    async def story(stage: Stage) -> None:
        async def reconcile(key: str) -> None:
            running.append(key)
            await stage.clock.sleep(1)

        workers = stage.start(reconcile, concurrency=2)
        for key in ("a", "b", "c"):
            stage.queue.add(key)
        await settle()
        assert running == ["a", "b"]
        await stage.clock.advance(1)
        assert running == ["a", "b", "c"]
        workers.cancel()
        await asyncio.wait({workers})

    play(story)


def test_a_pass_says_when_the_next_is_due() -> None:
    seen: list[str] = []

    async def reconcile(key: str) -> Requeue:
        seen.append(key)
        return Requeue(30)

    async def story(stage: Stage) -> None:
        workers = stage.start(reconcile)
        stage.queue.add("a")
        await stage.clock.advance(29)
        assert seen == ["a"]
        await stage.clock.advance(1)
        assert seen == ["a", "a"]
        assert stage.passes.results == ["requeued"] * 2
        await stage.queue.shutdown()
        await workers

    play(story)


def test_a_pass_that_raises_is_logged_once_with_its_key_and_tried_again_after_its_backoff(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outcomes: list[Exception | None] = [RuntimeError("first"), RuntimeError("second"), None]

    async def reconcile(key: str) -> None:
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    async def story(stage: Stage) -> None:
        workers = stage.start(reconcile)
        stage.queue.add("default/job")
        await settle()
        assert [record.getMessage() for record in caplog.records] == [
            "pass over default/job failed; it is tried again"
        ]
        assert caplog.records[0].exc_info is not None
        await stage.clock.advance(0.9)
        assert len(outcomes) == 2
        await stage.clock.advance(0.1)
        assert len(outcomes) == 1
        await stage.clock.advance(2)
        assert outcomes == []
        assert stage.passes.results == ["error", "error", "ok"]
        await stage.queue.shutdown()
        await workers

    play(story)


def test_a_conflict_is_repeated_at_once_and_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    outcomes: list[Exception | None] = [CONFLICT, None]

    async def reconcile(key: str) -> None:
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    async def story(stage: Stage) -> None:
        workers = stage.start(reconcile)
        stage.queue.add("a")
        await settle()
        assert stage.passes.results == ["conflict", "ok"]
        assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
        await stage.queue.shutdown()
        await workers

    with caplog.at_level(logging.DEBUG, "chex_operator"):
        play(story)


def test_conflicts_in_a_row_do_not_spin() -> None:
    async def reconcile(key: str) -> None:
        raise CONFLICT

    async def story(stage: Stage) -> None:
        workers = stage.start(reconcile)
        stage.queue.add("a")
        await settle()
        assert stage.passes.results == ["conflict"] * 2
        await stage.clock.advance(1)
        assert stage.passes.results == ["conflict"] * 3
        await stage.queue.shutdown()
        await workers

    play(story)


def test_a_success_makes_the_next_failure_and_the_next_conflict_the_first() -> None:
    fault = RuntimeError("now and then")
    outcomes: list[Exception | None] = [fault, fault, None, fault, CONFLICT, None, CONFLICT, None]

    async def reconcile(key: str) -> None:
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    async def story(stage: Stage) -> None:
        workers = stage.start(reconcile)
        stage.queue.add("a")
        await stage.clock.advance(1 + 2)
        assert stage.passes.results == ["error", "error", "ok"]
        stage.queue.add("a")
        await stage.clock.advance(1)
        assert stage.passes.results[3:] == ["error", "conflict", "ok"]
        stage.queue.add("a")
        await settle()
        assert stage.passes.results[6:] == ["conflict", "ok"]
        await stage.queue.shutdown()
        await workers

    play(story)


def test_cancelling_stops_passes_where_they_stand_and_loses_no_key() -> None:
    stopped: list[str] = []

    async def story(stage: Stage) -> None:
        async def reconcile(key: str) -> None:
            try:
                await stage.clock.sleep(1000)
            except asyncio.CancelledError:
                stopped.append(key)
                raise

        workers = stage.start(reconcile)
        stage.queue.add("a")
        await settle()
        workers.cancel()
        await asyncio.wait({workers})
        assert workers.cancelled()
        assert stopped == ["a"]
        assert stage.passes.results == ["cancelled"]
        assert await stage.queue.get() == "a"

    play(story)


def test_the_observer_gets_the_duration_of_a_pass() -> None:
    async def story(stage: Stage) -> None:
        async def reconcile(key: str) -> None:
            await stage.clock.sleep(4)

        workers = stage.start(reconcile)
        stage.queue.add("a")
        await stage.clock.advance(5)
        assert stage.passes.seconds == [4.0]
        await stage.queue.shutdown()
        await workers

    play(story)


class Release:
    """Gives a Lease back, and remembers that it did."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self) -> None:
        self.calls += 1


def test_a_stop_lets_running_passes_end_and_then_gives_the_lease_back() -> None:
    release = Release()
    ended: list[str] = []

    async def story(stage: Stage) -> None:
        async def reconcile(key: str) -> None:
            await stage.clock.sleep(5)
            ended.append(key)

        workers = stage.start(reconcile, concurrency=1)
        stage.queue.add("running")
        stage.queue.add("waiting")
        await settle()
        stopping = asyncio.create_task(stop_gracefully(stage.queue, workers, release, stage.clock))
        await stage.clock.advance(4)
        assert release.calls == 0
        await stage.clock.advance(1)
        assert await stopping
        assert ended == ["running"]
        assert release.calls == 1

    play(story)


def test_a_stop_cancels_passes_that_take_too_long() -> None:
    release = Release()

    async def story(stage: Stage) -> None:
        async def reconcile(key: str) -> None:
            await stage.clock.sleep(3600)

        workers = stage.start(reconcile)
        stage.queue.add("a")
        await settle()
        stopping = asyncio.create_task(stop_gracefully(stage.queue, workers, release, stage.clock))
        await stage.clock.advance(15)
        assert not await stopping
        assert workers.cancelled()
        assert release.calls == 1

    play(story)


def test_the_lease_is_kept_where_a_pass_survives_its_cancelling() -> None:
    release = Release()

    async def story(stage: Stage) -> None:
        async def reconcile(key: str) -> None:
            while True:
                try:
                    await stage.clock.sleep(20)
                except asyncio.CancelledError:
                    continue
                return

        workers = stage.start(reconcile)
        stage.queue.add("a")
        await settle()
        stopping = asyncio.create_task(stop_gracefully(stage.queue, workers, release, stage.clock))
        await stage.clock.advance(17)
        assert not await stopping
        assert release.calls == 0
        await stage.clock.advance(20)

    play(story)


def test_giving_the_lease_back_is_bounded_too() -> None:
    async def story(stage: Stage) -> None:
        async def release() -> None:
            await stage.clock.sleep(3600)

        async def reconcile(key: str) -> None: ...

        workers = stage.start(reconcile)
        stopping = asyncio.create_task(stop_gracefully(stage.queue, workers, release, stage.clock))
        await stage.clock.advance(5)
        assert not await stopping

    play(story)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_for_a_stop_and_the_next_one_is_not_listened_to(number: signal.Signals) -> None:
    async def story(stage: Stage) -> None:
        usual = signal.getsignal(number)
        with stop_on_signals() as asked:
            assert signal.getsignal(number) is not usual
            os.kill(os.getpid(), number)
            await asked.wait()
            assert signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}

    play(story)
