"""The operator as a process of its own with the chart's identity, and what it and the API server count."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.apiserver.chart_objects import apply_objects, operator_options, operator_token
from tests.apiserver.control_plane import ApiClient, write_kubeconfig
from tests.apiserver.controller.operator_process import OperatorProcess
from tests.chart.render import render

SYSTEM = "chex-system"
MEBIBYTE = 1024.0**2
POLL_SECONDS = 0.05
PATIENCE_SECONDS = 300.0
REQUESTS = re.compile(r"apiserver_request_total\{([^}]*)\} (\S+)")
SERIES = re.compile(r"(?m)^(\w+)(?:\{([^}]*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Memory:
    """Of a process, in MiB: its resident set, the most it ever was, and with shared pages divided by their users."""

    resident: float
    peak: float
    proportional: float

    def __str__(self) -> str:
        return f"{self.resident:.0f} MiB resident, {self.peak:.0f} at its peak, {self.proportional:.0f} proportional"


class Operator:
    """One running operator."""

    def __init__(self, process: OperatorProcess) -> None:
        self.process = process
        self.started = time.monotonic()

    def memory(self) -> Memory:
        full = psutil.Process(self.process.pid).memory_full_info()
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        peak = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert peak is not None
        return Memory(full.rss / MEBIBYTE, int(peak[1]) / 1024.0, full.pss / MEBIBYTE)

    def cpu_seconds(self) -> float:
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def is_ready(self) -> bool:
        try:
            return self.process.ask("/readyz")[0] == 200
        except OSError:
            return False

    def passes(self) -> int:
        """How many passes have ended."""
        return sum(self._counted("chex_operator_reconcile_seconds_count", "result").values())

    def waiting(self) -> int:
        """How many jobs wait for a pass."""
        return sum(self._counted("chex_operator_queue_depth", "").values())

    def calls(self) -> Counter[str]:
        """Calls of the API server, by verb."""
        return self._counted("chex_operator_api_call_seconds_count", "verb")

    def _counted(self, name: str, label: str) -> Counter[str]:
        found: Counter[str] = Counter()
        for series, labels, value in SERIES.findall(self.process.ask("/metrics")[1]):
            if series == name:
                found[dict(LABEL.findall(labels)).get(label, "")] += int(float(value))
        return found


class CpuTime:
    """CPU seconds of the API server and its etcd since this was made."""

    def __init__(self) -> None:
        self._before = self._used()

    def seconds(self) -> float:
        return self._used() - self._before

    @staticmethod
    def _used() -> float:
        servers = [each for each in psutil.Process().children() if each.name() in ("kube-apiserver", "etcd")]
        return sum(times.user + times.system for times in (each.cpu_times() for each in servers))


class Installed:
    """The chart's identity and command line at an API server."""

    def __init__(self, server: ApiClient, folder: Path) -> None:
        answer = server.create("/api/v1/namespaces", {"metadata": {"name": SYSTEM}})
        assert answer.accepted, answer.message
        objects = render({"crds": {"enabled": False}}, namespace=SYSTEM)
        apply_objects(server, objects)
        self._options = operator_options(objects)
        self._kubeconfig = write_kubeconfig(
            folder / "operator.kubeconfig", server, operator_token(server, objects)
        )
        self._folder, self._runs = folder, 0

    @contextmanager
    def running(self) -> Iterator[Operator]:
        """An operator, which gives its Lease back in the end, as in a rolling update."""
        self._runs += 1
        log = self._folder / f"operator-{self._runs}.log"
        process = OperatorProcess(self._kubeconfig, log, *self._options, f"--lease-namespace={SYSTEM}")
        with process:
            yield Operator(process)
            assert process.stop() == 0, process.text()[-3000:]
        assert "Traceback" not in process.text(), process.text()[-6000:]


class Requests:
    """What the API server has carried out since `begin`, whoever asked; its own Leases are left out."""

    def __init__(self, server: ApiClient) -> None:
        self._server = server
        self._before = self._page()

    def writes(self) -> Counter[str]:
        """Writes that succeeded, by verb and resource, but of Leases."""
        return self._page() - self._before

    def _page(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for labels, value in REQUESTS.findall(self._server.request("GET", "/metrics").message):
            about = dict(LABEL.findall(labels))
            written = about["verb"] in ("POST", "PUT", "PATCH", "APPLY", "DELETE")
            if written and about["code"].startswith("2") and about["resource"] != "leases":
                resource = "/".join(filter(None, (about["resource"], about["subresource"])))
                found[f"{about['verb']} {resource}"] += int(float(value))
        return found


def until(
    holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS, *, every_seconds: float = POLL_SECONDS
) -> float:
    """Wait until it holds, and look now and then; the moment, monotonic. Raises `TimeoutError`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return time.monotonic()
        time.sleep(every_seconds)
    raise TimeoutError(f"not within {seconds:.0f} s")


def settled(operator: Operator, quiet_seconds: float = 3.0) -> None:
    """Wait until no job waits and no call was made for a while, but for the Lease's."""

    def calls() -> int:
        return sum(count for verb, count in operator.calls().items() if verb != "update")

    seen, since = calls(), time.monotonic()
    while time.monotonic() - since < quiet_seconds:
        time.sleep(0.5)
        now = calls()
        if now != seen or operator.waiting():
            seen, since = now, time.monotonic()
