"""The Lease as the real API server keeps it: its validation, its resourceVersions, and a leader that dies without a word."""

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from typing import Any

import pytest

from chex_operator.kube.clock import SystemClock
from chex_operator.kube.election import Election
from chex_operator.kube.resource import LEASES
from tests.apiserver.control_plane import ApiClient
from tests.apiserver.kube.candidate import NAMESPACE, QUICK, candidate, client_of
from tests.patience import PATIENCE_SECONDS

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def address(api_server: ApiClient) -> tuple[int, list[bytes]]:
    """Port and certificates of the API server."""
    return api_server._port, api_server._context.get_ca_certs(binary_form=True)


@contextmanager
def candidates(
    address: tuple[int, list[bytes]], name: str, *identities: str
) -> Iterator[tuple[dict[str, SpawnProcess], list[Pipe]]]:
    processes: dict[str, SpawnProcess] = {}
    pipes: list[Pipe] = []
    try:
        for identity in identities:
            hear, tell = SPAWN.Pipe(duplex=False)
            processes[identity] = SPAWN.Process(
                target=candidate, args=(*address, name, identity, tell), daemon=True
            )
            processes[identity].start()
            tell.close()
            pipes.append(hear)
        yield processes, pipes
    finally:
        for process in processes.values():
            process.kill()
            process.join()


def next_leader(pipes: list[Pipe]) -> tuple[str, float]:
    """Who tells next that it leads, and since when."""
    ready = wait(pipes, PATIENCE_SECONDS)
    assert ready, "nobody was elected"
    heard = ready[0]
    assert isinstance(heard, Pipe)
    pipes.remove(heard)
    return heard.recv()


def lease(api_server: ApiClient, name: str) -> dict[str, Any]:
    answer = api_server.request("GET", LEASES.path(NAMESPACE, name))
    assert answer.accepted, answer.message
    return answer.body["spec"]


def test_when_the_leading_process_is_killed_the_other_one_follows(
    api_server: ApiClient, address: tuple[int, list[bytes]]
) -> None:
    with candidates(address, "killed", "first", "second") as (processes, pipes):
        leader, _ = next_leader(pipes)
        assert lease(api_server, "killed")["holderIdentity"] == leader
        assert not wait(pipes, 2.0 * QUICK.lease_seconds), "a second leader beside one that lives"
        killed_at = time.monotonic()
        processes[leader].kill()
        follower, elected_at = next_leader(pipes)
        assert follower != leader
        assert elected_at > killed_at
        found = lease(api_server, "killed")
        assert (found["holderIdentity"], found["leaseTransitions"]) == (follower, 1)


def test_a_lease_given_back_is_free_for_the_next(
    api_server: ApiClient, address: tuple[int, list[bytes]]
) -> None:
    async def story() -> None:
        async with client_of(*address) as client:
            for number, identity in enumerate(("first", "second")):
                election = Election(
                    client, SystemClock(), namespace=NAMESPACE, name="given-back", identity=identity
                )
                running = asyncio.create_task(election.run())
                await asyncio.wait_for(election.elected.wait(), PATIENCE_SECONDS)
                assert lease(api_server, "given-back")["holderIdentity"] == identity
                assert lease(api_server, "given-back")["leaseTransitions"] == 2 * number
                running.cancel()
                await asyncio.wait({running})
                await election.release()
                assert not lease(api_server, "given-back").get("holderIdentity")

    asyncio.run(story())
