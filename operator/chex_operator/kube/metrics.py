"""What Prometheus sees. Labels are of few values each: none of them grows with jobs, hospitals, trials or patients."""

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from chex_operator.kube.clock import Clock
from chex_operator.kube.events import EventOutcome
from chex_operator.kube.worker import PassResult

PASS_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
CALL_SECONDS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


class MeasuredQueue(Protocol):
    """A queue, as far as it is measured."""

    def __len__(self) -> int: ...
    def oldest_seconds(self) -> float:
        """For how long the key has waited that waited longest."""
        ...


class _Stages(Collector):
    """The stages of all jobs, made into series only when somebody looks: they change more often."""

    def __init__(self) -> None:
        self.counts: Mapping[tuple[str, str], int] = {}

    def collect(self) -> Iterator[Metric]:
        """One series for each kind and state that a stage is of."""
        family = GaugeMetricFamily(
            "chex_operator_stages", "Stages of all jobs, by kind and state.", labels=["kind", "state"]
        )
        for labels, count in self.counts.items():
            family.add_metric(labels, count)
        yield family


class Metrics:
    """One registry of its own, so that nothing else in the process comes with it and tests do not meet."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._depth = Gauge("chex_operator_queue_depth", "Keys that wait for a pass.", registry=self.registry)
        self._oldest = Gauge(
            "chex_operator_queue_oldest_seconds",
            "For how long the key has waited that waited longest.",
            registry=self.registry,
        )
        self._passes = Histogram(
            "chex_operator_reconcile_seconds",
            "Passes over a job, by how they ended.",
            ["result"],
            buckets=PASS_SECONDS,
            registry=self.registry,
        )
        self._calls = Histogram(
            "chex_operator_api_call_seconds",
            "Calls of the API server, by verb and HTTP status; 0 is no answer.",
            ["verb", "code"],
            buckets=CALL_SECONDS,
            registry=self.registry,
        )
        self._events = Counter(
            "chex_operator_events",
            "Kubernetes events, by what became of them.",
            ["outcome"],
            registry=self.registry,
        )
        self._stages = _Stages()
        self.registry.register(self._stages)
        self._gpu_seconds = Counter(
            "chex_operator_gpu_seconds",
            "GPU-seconds that attempts held, start-up and idle time included, by the runtime's pool.",
            ["pool"],
            registry=self.registry,
        )
        self._leader = Gauge(
            "chex_operator_is_leader", "1 in the replica that leads.", registry=self.registry
        )
        self._last_success = {
            "list": self._moments("list", "When a page of a list of the resource was last read."),
            "watch": self._moments("watch", "When a watch of the resource was last opened."),
        }

    def measure_queue(self, queue: MeasuredQueue) -> None:
        """Ask this queue for its depth and age whenever somebody looks."""
        self._depth.set_function(lambda: len(queue))
        self._oldest.set_function(queue.oldest_seconds)

    def measure_leadership(self, leads: Callable[[], bool]) -> None:
        """Ask whether this replica leads whenever somebody looks."""
        self._leader.set_function(lambda: float(leads()))

    def pass_ended(self, result: PassResult, seconds: float) -> None:
        """A pass over a key took that long."""
        self._passes.labels(result).observe(seconds)

    def call_ended(self, verb: str, resource: str, code: int, seconds: float) -> None:
        """A call of the API server took that long. To be given to the client as its observer.

        Args:
            verb: As roles name it; `apply` for server-side apply.
            resource: The plural.
            code: The HTTP status, 0 for no answer.
            seconds: Of a watch, until it was opened.
        """
        self._calls.labels(verb, str(code)).observe(seconds)
        if code == HTTPStatus.OK and verb in self._last_success:
            self._last_success[verb].labels(resource).set(self._clock.now())

    def event_ended(self, outcome: EventOutcome) -> None:
        """A Kubernetes event was written, failed, or was dropped."""
        self._events.labels(outcome).inc()

    def set_stages(self, counts: Mapping[tuple[str, str], int]) -> None:
        """How many stages there are, by kind and state. What is not named is 0 from now on."""
        self._stages.counts = counts

    def add_gpu_seconds(self, pool: str, seconds: float) -> None:
        """GPU-seconds were used in a pool, which a runtime names, never a job. Raises `ValueError` for less than 0."""
        self._gpu_seconds.labels(pool).inc(seconds)

    def page(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)

    def _moments(self, verb: str, meaning: str) -> Gauge:
        return Gauge(
            f"chex_operator_last_{verb}_timestamp_seconds",
            f"{meaning} Seconds since the epoch.",
            ["resource"],
            registry=self.registry,
        )
