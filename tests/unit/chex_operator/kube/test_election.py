import asyncio
import copy
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from chex_operator.kube.election import Election, ElectionTiming
from chex_operator.kube.errors import AlreadyExists, Conflict, NotFound, ServerError, Unreachable
from chex_operator.kube.resource import Object, Resource
from tests.unit.chex_operator.kube.virtual_clock import VirtualClock, settle


class LeaseServer:
    """Holds one Lease, as the API server would."""

    def __init__(self) -> None:
        self.lease: Object | None = None
        self.version = 0

    def store(self, body: Object) -> Object:
        self.version += 1
        self.lease = copy.deepcopy(body)
        self.lease["metadata"] = {**body["metadata"], "resourceVersion": str(self.version)}
        return copy.deepcopy(self.lease)

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease is not None
        return self.lease["spec"]


class Connection:
    """A candidate's way to the server, with the faults that a test asks for."""

    def __init__(self, server: LeaseServer, clock: VirtualClock) -> None:
        self.server, self.clock = server, clock
        self.cut = False
        self.answers_lost = False
        self.delay = 0.0
        self.calls: list[str] = []

    async def reach(self, verb: str) -> None:
        self.calls.append(verb)
        if self.cut:
            raise Unreachable(0, "", "connection refused")
        if self.delay:
            await self.clock.sleep(self.delay)

    async def answer(self, body: Object) -> Object:
        if self.answers_lost:
            raise Unreachable(0, "", "connection reset")
        return body

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        await self.reach("get")
        if self.server.lease is None:
            raise NotFound(404, "NotFound", name)
        return await self.answer(copy.deepcopy(self.server.lease))

    async def create(self, resource: Resource, body: Object) -> Object:
        await self.reach("create")
        if self.server.lease is not None:
            raise AlreadyExists(409, "AlreadyExists", "")
        return await self.answer(self.server.store(body))

    async def replace(self, resource: Resource, body: Object) -> Object:
        await self.reach("replace")
        if self.server.lease is None:
            raise NotFound(404, "NotFound", "")
        if body["metadata"]["resourceVersion"] != str(self.server.version):
            raise Conflict(409, "Conflict", "the object has been modified")
        return await self.answer(self.server.store(body))


class Stage:
    """Candidates before one server, under one clock."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.server = LeaseServer()
        self.candidates: list[Election] = []
        self.tasks: list[asyncio.Task[None]] = []

    def candidate(self, identity: str) -> tuple[Election, Connection]:
        connection = Connection(self.server, self.clock)
        election = Election(connection, self.clock, namespace="chex", name="operator", identity=identity)
        self.candidates.append(election)
        self.tasks.append(asyncio.create_task(election.run()))
        return election, connection

    async def pass_time(self, seconds: float) -> None:
        """Second by second, as no moment may have two leaders."""
        for _ in range(round(seconds * 4)):
            await self.clock.advance(0.25)
            assert sum(each.leads for each in self.candidates) <= 1


def play(story: Callable[[Stage], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        stage = Stage()
        await story(stage)
        for task in stage.tasks:
            task.cancel()
        await asyncio.gather(*stage.tasks, return_exceptions=True)

    asyncio.run(whole())


def test_the_first_candidate_leads_and_goes_on_renewing() -> None:
    async def story(stage: Stage) -> None:
        first, _ = stage.candidate("first")
        second, _ = stage.candidate("second")
        await stage.pass_time(120)
        assert first.leads
        assert first.elected.is_set()
        assert not first.lost.is_set()
        assert not second.elected.is_set()
        assert stage.server.spec["holderIdentity"] == "first"
        assert stage.server.spec["leaseTransitions"] == 0

    play(story)


def test_a_leader_that_died_is_followed_when_its_lease_has_run_out() -> None:
    async def story(stage: Stage) -> None:
        stage.candidate("first")
        await stage.pass_time(1)
        second, _ = stage.candidate("second")
        await stage.pass_time(5)
        stage.tasks[0].cancel()
        await stage.pass_time(10)
        assert not second.leads
        await stage.pass_time(10)
        assert second.leads
        assert stage.server.spec["leaseTransitions"] == 1

    play(story)


def test_a_leader_that_is_cut_off_gives_up_before_another_takes_over() -> None:
    async def story(stage: Stage) -> None:
        first, connection = stage.candidate("first")
        await settle()
        second, _ = stage.candidate("second")
        await stage.pass_time(5)
        connection.cut = True
        await stage.pass_time(10)
        assert not first.leads
        assert first.lost.is_set()
        assert stage.tasks[0].done()
        assert not second.leads
        await stage.pass_time(10)
        assert second.leads

    play(story)


def test_a_short_outage_costs_no_leadership() -> None:
    async def story(stage: Stage) -> None:
        first, connection = stage.candidate("first")
        await stage.pass_time(5)
        connection.cut = True
        await stage.pass_time(7)
        connection.cut = False
        await stage.pass_time(30)
        assert first.leads
        assert not first.lost.is_set()

    play(story)


def test_a_request_that_hangs_does_not_outlive_the_deadline() -> None:
    async def story(stage: Stage) -> None:
        first, connection = stage.candidate("first")
        await stage.pass_time(5)
        connection.delay = 3600.0
        await stage.pass_time(10)
        assert not first.leads
        assert first.lost.is_set()

    play(story)


def test_a_slow_api_server_keeps_its_leader() -> None:
    async def story(stage: Stage) -> None:
        first, connection = stage.candidate("first")
        await settle()
        second, slow_too = stage.candidate("second")
        connection.delay = slow_too.delay = 2.0
        await stage.pass_time(120)
        assert first.leads
        assert not second.elected.is_set()

    play(story)


def test_leadership_counts_from_the_sending_of_a_renewal_and_not_from_its_answer() -> None:
    async def story(stage: Stage) -> None:
        first, connection = stage.candidate("first")
        await settle()
        connection.delay = 4.0
        await stage.pass_time(2.0 + 4.0)  # one renewal, sent after 2 s at the latest
        connection.cut = True
        await stage.pass_time(6.0)
        assert not first.leads

    play(story)


def test_a_stolen_lease_ends_leadership_with_the_next_renewal() -> None:
    async def story(stage: Stage) -> None:
        first, _ = stage.candidate("first")
        await stage.pass_time(5)
        assert stage.server.lease is not None
        stage.server.lease["spec"]["holderIdentity"] = "thief"
        stage.server.store(stage.server.lease)
        await stage.pass_time(2.5)
        assert not first.leads
        assert first.lost.is_set()
        assert stage.server.spec["holderIdentity"] == "thief"

    play(story)


def test_a_deleted_lease_ends_leadership() -> None:
    async def story(stage: Stage) -> None:
        first, _ = stage.candidate("first")
        await stage.pass_time(5)
        stage.server.lease = None
        await stage.pass_time(2.5)
        assert first.lost.is_set()

    play(story)


def test_a_lease_that_somebody_annotated_is_renewed_all_the_same() -> None:
    async def story(stage: Stage) -> None:
        first, connection = stage.candidate("first")
        await stage.pass_time(5)
        assert stage.server.lease is not None
        stage.server.lease["metadata"]["annotations"] = {"note": "seen"}
        stage.server.store(stage.server.lease)
        connection.calls.clear()
        await stage.pass_time(2.25)
        assert connection.calls[:3] == ["replace", "get", "replace"]
        assert first.leads
        assert stage.server.lease["metadata"]["annotations"] == {"note": "seen"}

    play(story)


def test_renewals_whose_answers_are_lost_do_not_prolong_leadership() -> None:
    async def story(stage: Stage) -> None:
        first, connection = stage.candidate("first")
        await stage.pass_time(5)
        connection.answers_lost = True
        await stage.pass_time(10)
        assert first.lost.is_set()

    play(story)


def test_a_renewal_whose_answer_was_lost_is_repeated_on_what_it_left() -> None:
    async def story(stage: Stage) -> None:
        first, connection = stage.candidate("first")
        await stage.pass_time(5)
        connection.answers_lost = True
        await stage.pass_time(4)
        connection.answers_lost = False
        await stage.pass_time(20)
        assert first.leads

    play(story)


def test_of_two_candidates_that_find_no_lease_one_wins() -> None:
    async def story(stage: Stage) -> None:
        _, slow = stage.candidate("first")
        slow.delay = 0.5
        _, also_slow = stage.candidate("second")
        also_slow.delay = 0.5
        await stage.pass_time(30)
        assert sum(each.leads for each in stage.candidates) == 1

    play(story)


def test_a_lease_given_back_is_taken_at_once_by_another() -> None:
    async def story(stage: Stage) -> None:
        first, _ = stage.candidate("first")
        await settle()
        second, _ = stage.candidate("second")
        await stage.pass_time(5)
        stage.tasks[0].cancel()
        await first.release()
        assert not first.leads
        assert stage.server.spec["holderIdentity"] == ""
        await stage.pass_time(2.25)
        assert second.leads

    play(story)


def test_giving_back_what_a_rival_has_taken_changes_nothing() -> None:
    async def story(stage: Stage) -> None:
        first, _ = stage.candidate("first")
        await stage.pass_time(1)
        stage.tasks[0].cancel()
        assert stage.server.lease is not None
        stage.server.lease["spec"]["holderIdentity"] = "rival"
        stage.server.store(stage.server.lease)
        await first.release()
        assert stage.server.spec["holderIdentity"] == "rival"

    play(story)


def test_who_leads_no_more_has_nothing_to_give_back() -> None:
    async def story(stage: Stage) -> None:
        first, connection = stage.candidate("first")
        await stage.pass_time(1)
        connection.cut = True
        await stage.pass_time(12)
        connection.cut = False
        connection.calls.clear()
        await first.release()
        assert connection.calls == []

    play(story)


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_what_the_wall_clocks_show_does_not_matter(jump: float) -> None:
    async def story(stage: Stage) -> None:
        first, connection = stage.candidate("first")
        await settle()
        second, _ = stage.candidate("second")
        await stage.pass_time(5)
        stage.clock.skew = jump
        await stage.pass_time(60)
        assert first.leads
        connection.cut = True
        await stage.pass_time(10)
        assert first.lost.is_set()
        assert not second.leads

    play(story)


def test_the_longer_patience_of_a_holder_is_respected() -> None:
    async def story(stage: Stage) -> None:
        stage.server.store(
            {
                "metadata": {"name": "operator", "namespace": "chex"},
                "spec": {"holderIdentity": "older version", "leaseDurationSeconds": 60},
            }
        )
        first, _ = stage.candidate("first")
        await stage.pass_time(58)
        assert not first.leads
        await stage.pass_time(6)
        assert first.leads

    play(story)


def test_an_attempt_that_raises_something_unforeseen_is_a_failed_attempt() -> None:
    async def story(stage: Stage) -> None:
        first, connection = stage.candidate("first")
        await stage.pass_time(5)

        async def broken(resource: Resource, body: Object) -> Object:
            raise RuntimeError("a fault of ours")

        connection.replace = broken  # type: ignore[method-assign]
        await stage.pass_time(10)
        assert first.lost.is_set()

    play(story)


def test_a_failing_server_elects_nobody_and_is_asked_again() -> None:
    async def story(stage: Stage) -> None:
        first, connection = stage.candidate("first")
        healthy = connection.get

        async def failing(resource: Resource, namespace: str | None, name: str) -> Object:
            raise ServerError(500, "InternalError", "etcd has no leader")

        connection.get = failing  # type: ignore[method-assign]
        await stage.pass_time(30)
        assert not first.elected.is_set()
        connection.get = healthy  # type: ignore[method-assign]
        await stage.pass_time(2.25)
        assert first.leads

    play(story)


@pytest.mark.parametrize(("lease", "deadline", "retry"), [(15, 15.0, 2.0), (15, 10.0, 6.0), (15, 10.0, 0.0)])
def test_timings_that_allow_two_leaders_or_no_second_attempt_are_refused(
    lease: int, deadline: float, retry: float
) -> None:
    with pytest.raises(ValueError, match="no safe election"):
        ElectionTiming(lease, deadline, retry)
