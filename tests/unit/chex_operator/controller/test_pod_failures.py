"""Which Pods are remembered when they are gone, and until when."""

import asyncio

from chex_operator.controller.pod_failures import REMEMBERED_SECONDS, PodFailures
from chex_operator.controller.pods import PodProjection
from chex_operator.rules.observed import Pod
from chex_operator.rules.outcome import PodProblem
from tests.unit.chex_operator.kube.virtual_clock import VirtualClock

PLACE, KEY = "radiology", ("radiology", "w")
EVICTED = PodProblem("Evicted", "Pod w was taken away", disruption=True)
OUT_OF_MEMORY = PodProblem("OOMKilled", "Pod w ran out of memory")
NO_IMAGE = PodProblem("ImagePull", "the image cannot be pulled")


def projection(problem: PodProblem | None, *, alive: bool) -> PodProjection:
    return PodProjection("u", Pod("w", "attempt", "worker", alive=alive, ready=alive, problem=problem))


def gone(*projections: PodProjection) -> PodFailures:
    """What is remembered of a Pod that was like this, and then like that, and then gone."""
    pods = PodFailures(VirtualClock())
    for old, new in zip((None, *projections), (*projections, None), strict=True):
        pods.record_change(KEY, old, new)
    return pods


def test_a_pod_that_was_taken_away_while_it_ran_or_failed_is_remembered_as_one_that_does_not_run() -> None:
    for problem, alive in ((EVICTED, False), (EVICTED, True), (OUT_OF_MEMORY, False)):
        (pod,) = gone(projection(None, alive=True), projection(problem, alive=alive)).of_job(PLACE, "u")
        assert (pod.problem, pod.alive, pod.ready) == (problem, False, False)


def test_a_pod_that_nothing_befell_or_that_never_ran_is_not_remembered() -> None:
    assert not gone(projection(None, alive=False)).of_job(PLACE, "u")
    assert not gone(projection(NO_IMAGE, alive=True)).of_job(PLACE, "u")


def test_a_pod_is_remembered_when_it_is_gone_and_only_of_its_own_job() -> None:
    pods = PodFailures(VirtualClock())
    pods.record_change(KEY, projection(None, alive=True), projection(EVICTED, alive=False))
    assert not pods.of_job(PLACE, "u")
    pods.record_change(KEY, projection(EVICTED, alive=False), None)
    assert pods.of_job(PLACE, "u")
    assert not pods.of_job(PLACE, "another")
    assert not pods.of_job("elsewhere", "u")


def test_what_was_reported_is_forgotten_and_what_came_later_is_not() -> None:
    pods = gone(projection(EVICTED, alive=False))
    reported = pods.of_job(PLACE, "u")
    pods.record_change(KEY, projection(OUT_OF_MEMORY, alive=False), None)  # another Pod of the name
    pods.forget(PLACE, reported)
    (left,) = pods.of_job(PLACE, "u")
    assert left.problem == OUT_OF_MEMORY
    pods.forget(PLACE, [left])
    assert not pods.of_job(PLACE, "u")


def test_a_replica_that_waits_forgets_in_time() -> None:
    clock = VirtualClock()
    pods = PodFailures(clock)
    pods.record_change(KEY, projection(EVICTED, alive=False), None)
    asyncio.run(clock.advance(REMEMBERED_SECONDS + 1))
    pods.record_change(("radiology", "other"), None, projection(None, alive=True))
    assert not pods.of_job(PLACE, "u")
