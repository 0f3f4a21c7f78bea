import asyncio

import pytest

from chex_operator.kube.metrics import Metrics
from chex_operator.kube.queue import WorkQueue
from tests.unit.chex_operator.kube.virtual_clock import VirtualClock

FEW_VALUES = {
    "result",
    "verb",
    "code",
    "outcome",
    "kind",
    "state",
    "pool",
    "resource",
    "le",
    "major",
    "minor",
}
"""Labels whose values do not grow with jobs, hospitals, trials or patients."""


def line(metrics: Metrics, start: str) -> str:
    """The one line of the page that begins so, without its beginning."""
    found = [each for each in metrics.page().decode().splitlines() if each.startswith(start)]
    assert len(found) == 1, found
    return found[0].removeprefix(start).strip()


def filled() -> Metrics:
    metrics = Metrics(VirtualClock())
    metrics.pass_ended("ok", 0.02)
    metrics.call_ended("list", "pods", 200, 0.2)
    metrics.call_ended("watch", "pods", 200, 0.1)
    metrics.event_ended("written")
    metrics.set_stages({("pretrain", "Running"): 2})
    metrics.add_gpu_seconds("a100", 12.5)
    metrics.measure_leadership(lambda: True)
    return metrics


def test_no_label_grows_with_jobs_trials_or_patients() -> None:
    metrics = filled()
    metrics.page()
    names = {
        name
        for family in metrics.registry.collect()
        for sample in family.samples
        for name in sample.labels
        if family.name.startswith("chex_")
    }
    assert names <= FEW_VALUES
    assert {"result", "verb", "outcome", "kind", "pool", "resource"} <= names


def test_depth_and_age_of_the_queue_are_those_of_the_moment() -> None:
    async def story() -> None:
        clock = VirtualClock()
        metrics = Metrics(clock)
        queue: WorkQueue[str] = WorkQueue(clock)
        metrics.measure_queue(queue)
        assert line(metrics, "chex_operator_queue_depth ") == "0.0"
        queue.add("a")
        queue.add("b")
        await clock.advance(7)
        assert line(metrics, "chex_operator_queue_depth ") == "2.0"
        assert line(metrics, "chex_operator_queue_oldest_seconds ") == "7.0"

    asyncio.run(story())


def test_passes_are_counted_by_their_result() -> None:
    metrics = filled()
    metrics.pass_ended("error", 4.0)
    assert line(metrics, 'chex_operator_reconcile_seconds_count{result="ok"}') == "1.0"
    assert line(metrics, 'chex_operator_reconcile_seconds_sum{result="error"}') == "4.0"


def test_calls_are_counted_by_verb_and_status() -> None:
    metrics = filled()
    metrics.call_ended("update", "leases", 0, 30.0)
    assert line(metrics, 'chex_operator_api_call_seconds_count{code="200",verb="list"}') == "1.0"
    assert line(metrics, 'chex_operator_api_call_seconds_sum{code="0",verb="update"}') == "30.0"


def test_the_last_list_and_watch_that_succeeded_are_reported_for_each_resource() -> None:
    clock = VirtualClock(start=500.0)
    metrics = Metrics(clock)
    metrics.call_ended("list", "pods", 200, 0.2)
    clock.skew = 100.0
    metrics.call_ended("list", "pods", 500, 0.2)
    metrics.call_ended("watch", "pods", 200, 0.2)
    metrics.call_ended("get", "pods", 200, 0.2)
    assert line(metrics, 'chex_operator_last_list_timestamp_seconds{resource="pods"}') == "500.0"
    assert line(metrics, 'chex_operator_last_watch_timestamp_seconds{resource="pods"}') == "600.0"


def test_states_that_no_stage_has_any_more_disappear() -> None:
    metrics = filled()
    metrics.set_stages({("pretrain", "Finished"): 2})
    assert line(metrics, "chex_operator_stages{") == 'kind="pretrain",state="Finished"} 2.0'


def test_gpu_seconds_add_up_and_never_shrink() -> None:
    metrics = filled()
    metrics.add_gpu_seconds("a100", 7.5)
    assert line(metrics, 'chex_operator_gpu_seconds_total{pool="a100"}') == "20.0"
    with pytest.raises(ValueError):
        metrics.add_gpu_seconds("a100", -1.0)


def test_leadership_is_that_of_the_moment() -> None:
    leads = [True]
    metrics = Metrics(VirtualClock())
    metrics.measure_leadership(lambda: leads[0])
    assert line(metrics, "chex_operator_is_leader ") == "1.0"
    leads[0] = False
    assert line(metrics, "chex_operator_is_leader ") == "0.0"


def test_two_of_them_do_not_meet() -> None:
    filled()
    assert "a100" not in Metrics(VirtualClock()).page().decode()
