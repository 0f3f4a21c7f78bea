"""Admission webhooks that take their time hold up the calls of passes, and nothing else."""

from pathlib import Path

from chex_operator.kube.resource import JOBS
from tests.apiserver.control_plane import ApiClient
from tests.apiserver.controller.hospital_network import hospital_network
from tests.apiserver.fault_proxy import Call, delay, fault_proxy
from tests.apiserver.ray_engine.engine import Engine
from tests.apiserver.ray_engine.launching import eventually

CONNECTIONS = 32
"""As many calls of passes are under way at most (`chex_operator.kube.client.Client`)."""
LONGER_THAN_A_LEASE = 25.0


def held_up(call: Call) -> bool:
    return call.is_write and call.resource == "chextrainingjobs"


def renewal(call: Call) -> bool:
    return call.resource == "leases" and call.verb == "update"


def test_a_leader_whose_passes_are_all_held_up_keeps_its_lease(
    controllers: ApiClient, engine: Engine, tmp_path: Path
) -> None:
    with (
        fault_proxy(controllers) as proxy,
        hospital_network(controllers, engine, tmp_path, address=proxy.url, started=False) as network,
    ):
        for number in range(CONNECTIONS + 8):
            network.apply(f"tiny-{number}")
        proxy.plan(delay(LONGER_THAN_A_LEASE), when=held_up, times=2 * CONNECTIONS)
        network.operator.start([f"--concurrency={2 * CONNECTIONS}"])
        eventually(lambda: proxy.count(held_up) >= CONNECTIONS, "not every connection is in use")
        renewed = proxy.count(renewal)
        eventually(lambda: proxy.count(renewal) >= renewed + 6, "the Lease is not renewed", seconds=22.0)
        assert proxy.count(held_up) == CONNECTIONS, "a pass has gone on meanwhile: this shows nothing"
        assert network.operator.alive
        # No operator of the whole cluster shall find them in a later test.
        for number in range(1, CONNECTIONS + 8):
            network.delete(JOBS, f"tiny-{number}")
        assert len(network.list(JOBS)) == 1
        proxy.forget()
        eventually(lambda: network.stage("preflight", "tiny-0").get("attempt"), "no pass goes on", seconds=60)
        assert "leadership" not in network.operator.text()
        network.delete(JOBS, "tiny-0")
        eventually(lambda: not network.list(JOBS), "the last job is still there", seconds=60)
