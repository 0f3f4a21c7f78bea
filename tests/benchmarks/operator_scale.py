"""The operator among 10,000 jobs, on a real API server: memory, restart, resync, admissions, and how soon a status is told.

    python -m tests.benchmarks.operator_scale [--jobs 10000] [--live 1000] [--admissions 1000] [--rival PYTHON]

Jobs and their children are stored first, as the operator would have left them (`scale.stored`); the operator runs as its own
process with the chart's identity. The API server shares the machine with everything else here, so rates are told beside those
of a bare HTTP client on the same server in the same run. The rival is an operator on kopf that does the same admission and
nothing more, in a namespace of its own. It is no requirement of this project; give it an interpreter that has it:

    python -m venv ~/.cache/kopf && ~/.cache/kopf/bin/pip install kopf==1.45.2
    python -m tests.benchmarks.operator_scale --rival ~/.cache/kopf/bin/python
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from chex_api.crd import render_crds
from chex_operator.kube.resource import CLUSTER_RUNTIMES, CONFIGMAPS, JOBS, Object
from chex_operator.rendering import JobReference
from tests.apiserver.binaries import control_plane_binaries
from tests.apiserver.control_plane import Answer, ApiClient, control_plane, definitions_established, name_of
from tests.apiserver.kube.access import client_at
from tests.apiserver.ray_engine.definitions import ray_definitions
from tests.benchmarks.scale import bare_client
from tests.benchmarks.scale.admission import children, first_status
from tests.benchmarks.scale.events import seconds_to_status
from tests.benchmarks.scale.measuring import CpuTime, Installed, Operator, Requests, settled, until
from tests.benchmarks.scale.rival import RIVAL_NAMESPACE, admissions_per_second
from tests.benchmarks.scale.stored import NAMESPACE, Manifest, Stored, at_most, sample

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MOST_MEBIBYTES = 256
MOST_RESTART_SECONDS = 15.0
LEAST_ADMISSIONS = 100.0
MOST_WRITES = 6.0
LEAST_OF_BARE = 0.5
MOST_EVENT_SECONDS = 1.0
EVENTS_PER_SECOND = (25, 50)
AT_ONCE = 16
CREATES = 5
"""Of an admission, all of them children."""
WRITING = ("apply", "create", "patch", "delete")


def main() -> None:
    """Read arguments, measure, tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=10_000, help="stored, the live ones among them")
    parser.add_argument("--live", type=int, default=1_000)
    parser.add_argument("--admissions", type=int, default=1_000)
    parser.add_argument(
        "--event-seconds", type=int, default=90, help="longer than live jobs rest between looks: 60"
    )
    parser.add_argument("--rival", type=Path, help="an interpreter that has kopf")
    arguments = parser.parse_args()
    with api_server() as (server, folder):
        manifest = sample()
        stored = store(server, manifest, arguments.live, arguments.jobs - arguments.live)
        installed = Installed(server, folder)
        with installed.running() as operator:
            measure_restart(server, operator, arguments.jobs, "first start")
        with installed.running() as operator:
            measure_restart(server, operator, arguments.jobs, "restart")
            measure_resync(server, operator, arguments.jobs)
            for rate in EVENTS_PER_SECOND:
                measure_events(server, operator, stored, rate, arguments.event_seconds)
            tell_memory(operator, "after the events")
            ours, writes = measure_admissions(server, operator, manifest, arguments.admissions)
            tell_memory(operator, "after the admissions")
        measure_bare(server, manifest, arguments.admissions, ours, writes)
        if arguments.rival:
            measure_rival(server, folder, manifest, arguments.rival, arguments.admissions, ours)


@contextmanager
def api_server() -> Iterator[tuple[ApiClient, Path]]:
    """An API server with our kinds and KubeRay's, and the sample runtime. No controllers: nothing happens to what is stored."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(control_plane(control_plane_binaries(), folder))
        definitions = [*render_crds().values(), *map(json.dumps, ray_definitions())]
        for text in definitions:
            expect(server.create(CRDS, text))
        definitions_established(server, [name_of(text) for text in definitions])
        for namespace in (NAMESPACE, RIVAL_NAMESPACE):
            expect(server.create("/api/v1/namespaces", {"metadata": {"name": namespace}}))
            account = {"metadata": {"name": "chex-jobs"}}
            expect(server.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", account))
        expect(server.create(CLUSTER_RUNTIMES.path(None), sample().runtime_object))
        yield server, folder


def expect(answer: Answer) -> None:
    """Or end."""
    assert answer.accepted, answer.message


def store(server: ApiClient, manifest: Manifest, live: int, ended: int) -> Stored:
    """Fill the API server."""
    stored = Stored(manifest, time.time())

    async def fill() -> None:
        async with client_at(server) as client:
            await stored.store(client, live, ended)

    began, requests = time.monotonic(), Requests(server)
    asyncio.run(fill())
    seconds = time.monotonic() - began
    print(
        f"{live + ended} jobs of {stored.bytes_of_a_job() / 1000:.1f} KB, {live} of them live: "
        f"{requests.writes().total()} writes in {seconds:.0f} s; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return stored


def measure_restart(server: ApiClient, operator: Operator, jobs: int, what: str) -> None:
    """From the start of the process to the end of the first pass over every job."""
    requests = Requests(server)
    ready = until(operator.is_ready) - operator.started
    drained = until(lambda: operator.passes() >= jobs and not operator.waiting()) - operator.started
    cpu = operator.cpu_seconds()
    tell_memory(operator, what)
    settled(operator)
    writes = requests.writes()
    verdict(f"{what}: seconds to ready", f"{ready:.1f}", f"caches filled; CPU {cpu:.1f} s at the end of all passes", ready < MOST_RESTART_SECONDS)  # fmt: skip
    verdict(f"{what}: seconds to the last first pass", f"{drained:.1f}", "every job looked at once", drained < MOST_RESTART_SECONDS)  # fmt: skip
    verdict(f"{what}: writes", str(writes.total()), told(writes) or "none but the Lease", not writes)


def tell_memory(operator: Operator, what: str) -> None:
    memory = operator.memory()
    verdict(f"{what}: MiB", f"{memory.peak:.0f}", str(memory), memory.peak < MOST_MEBIBYTES)


def measure_resync(server: ApiClient, operator: Operator, jobs: int) -> None:
    """Every job is looked at again, since its runtime was annotated: a resync that also judges every manifest anew."""
    before, passes, began, cpu = (
        operator.calls(),
        operator.passes(),
        time.monotonic(),
        operator.cpu_seconds(),
    )
    path = CLUSTER_RUNTIMES.path(None, "h200")
    change = json.dumps({"metadata": {"annotations": {"looked-at": "again"}}})
    expect(server.request("PATCH", path, change, "application/merge-patch+json"))
    until(lambda: operator.passes() >= passes + jobs and not operator.waiting())
    seconds, used = time.monotonic() - began, operator.cpu_seconds() - cpu
    calls = operator.calls() - before
    calls.pop("update", None)  # of the Lease, which nothing else is written by
    verdict("resync: calls", str(calls.total()), f"{seconds:.1f} s for all jobs, {used:.1f} s CPU; {told(calls)}", not calls)  # fmt: skip


def measure_events(
    server: ApiClient, operator: Operator, stored: Stored, rate: float, seconds: float
) -> None:
    """Drivers tell progress; how soon is it in the status?"""
    used, servers = operator.cpu_seconds(), CpuTime()
    taken = asyncio.run(seconds_to_status(server, stored, rate, seconds))
    each = 1000.0 / len(taken)
    cpu = f"CPU ms each {each * (operator.cpu_seconds() - used):.1f}, of the API server {each * servers.seconds():.1f}"
    cuts = statistics.quantiles(taken, n=100)
    about = f"median {cuts[49]:.3f}, longest {max(taken):.3f}, {len(taken)} told; {cpu}"
    verdict(
        f"event to status at {rate}/s: p99 seconds", f"{cuts[98]:.3f}", about, cuts[98] < MOST_EVENT_SECONDS
    )


def measure_admissions(
    server: ApiClient, operator: Operator, manifest: Manifest, count: int
) -> tuple[float, float]:
    """New jobs, as fast as the API server takes them, until each has its preflight: admissions/s, and writes/s."""
    settled(operator)
    before, requests, cpu = operator.calls(), Requests(server), operator.cpu_seconds()
    servers, began = CpuTime(), time.monotonic()
    asyncio.run(create_jobs(server, manifest, NAMESPACE, count))
    created = time.monotonic() - began
    wanted = before["create"] + CREATES * count
    until(lambda: operator.calls()["create"] >= wanted, every_seconds=0.2)
    seconds, used = time.monotonic() - began, operator.cpu_seconds() - cpu
    served = servers.seconds()
    calls = operator.calls() - before
    writes = sum(calls[verb] for verb in WRITING)
    settled(operator)
    each = requests.writes()
    each.subtract({"POST chextrainingjobs": count})
    children = sum(number for kind, number in each.items() if "chextrainingjobs" not in kind and "events" not in kind)  # fmt: skip
    rate = count / seconds
    verdict("admissions/s", f"{rate:.0f}", f"{count} in {seconds:.1f} s, created in {created:.1f} s; CPU ms each {1000.0 * used / count:.1f}, of the API server {1000.0 * served / count:.1f}", rate >= LEAST_ADMISSIONS)  # fmt: skip
    verdict("writes of an admission", f"{children / count + 1:.2f}", "children, and the status before them", children / count + 1 <= MOST_WRITES)  # fmt: skip
    print(f"    all writes, for each: {told(each, count)}")
    return rate, writes / seconds


async def create_jobs(server: ApiClient, manifest: Manifest, namespace: str, count: int) -> None:
    async with client_at(server) as client:
        jobs = [manifest.named(f"new-{number:05}", live=False) for number in range(count)]
        for job in jobs:
            job["metadata"]["namespace"] = namespace
        await at_most(AT_ONCE, (client.create(JOBS, job) for job in jobs))


def measure_bare(server: ApiClient, manifest: Manifest, count: int, admissions: float, writes: float) -> None:
    """Without any operator: plain creates, then the very writes of admissions."""
    plain = bare_client.creates_per_second(server, bare_creates(manifest, count))
    verdict("writes/s of a bare client", f"{plain:.0f}", f"plain creates; the operator's {writes:.0f} are {writes / plain:.2f} of it", writes >= LEAST_OF_BARE * plain)  # fmt: skip
    servers = CpuTime()
    whole = bare_client.admissions_per_second(server, manifest, count)
    cpu = f"CPU ms each of the API server {1000.0 * servers.seconds() / count:.1f}"
    verdict("admissions/s of a bare client", f"{whole:.0f}", f"the operator's are {admissions / whole:.2f} of it; {cpu}", admissions >= LEAST_OF_BARE * whole)  # fmt: skip


def bare_creates(manifest: Manifest, count: int) -> list[tuple[str, bytes]]:
    """What an admission writes, as plain creates; a ConfigMap stands in for the status."""
    status = json.dumps(first_status(manifest))

    def of_each() -> Iterator[tuple[str, Object]]:
        for number in range(count):
            name = f"bare-{number:05}"
            yield CONFIGMAPS.path(NAMESPACE), {"metadata": {"name": name}, "data": {"status": status}}
            yield from children(manifest, JobReference(NAMESPACE, name, name, 1))

    return bare_client.creates_of(of_each())


def measure_rival(
    server: ApiClient, folder: Path, manifest: Manifest, interpreter: Path, count: int, ours: float
) -> None:
    """The same admissions by kopf; our operator has ended."""

    def create() -> None:
        asyncio.run(create_jobs(server, manifest, RIVAL_NAMESPACE, count))

    requests = Requests(server)
    rate, cpu = admissions_per_second(server, folder, manifest, interpreter, create, count)
    time.sleep(3.0)
    each = requests.writes()
    each.subtract({"POST chextrainingjobs": count})
    verdict("admissions/s of kopf", f"{rate:.0f}", f"CPU {cpu:.1f} s; ours are {ours / rate:.2f} of it", ours > rate)  # fmt: skip
    print(f"    all its writes, for each: {told(each, count)}")


def told(counted: Counter[str], among: int = 1) -> str:
    """The largest first."""
    return ", ".join(f"{number / among:.4g} {kind}" for kind, number in counted.most_common() if number)


def verdict(what: str, figure: str, about: str, holds: bool) -> None:
    print(f"{'ok    ' if holds else 'MISSED'} {what:38} {figure:>8}   {about}", flush=True)


if __name__ == "__main__":
    main()
