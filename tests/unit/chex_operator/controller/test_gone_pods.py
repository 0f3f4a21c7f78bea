"""Which Pods are remembered when they are gone, and until when."""

import asyncio

from chex_operator.controller.gone_pods import REMEMBERED_SECONDS, GonePods
from chex_operator.controller.pods import PodView
from chex_operator.rules.observed import Pod
from chex_operator.rules.outcome import PodProblem
from tests.unit.chex_operator.kube.virtual_clock import VirtualClock

PLACE, KEY = "radiology", ("radiology", "w")
EVICTED = PodProblem("Evicted", "Pod w was taken away", disruption=True)
OUT_OF_MEMORY = PodProblem("OOMKilled", "Pod w ran out of memory")
NO_IMAGE = PodProblem("ImagePull", "the image cannot be pulled")


def view(problem: PodProblem | None, *, alive: bool) -> PodView:
    return PodView("u", Pod("w", "attempt", "worker", alive=alive, ready=alive, problem=problem))


def gone(*views: PodView) -> GonePods:
    """What is remembered of a Pod that was like this, and then like that, and then gone."""
    pods = GonePods(VirtualClock())
    for old, new in zip((None, *views), (*views, None), strict=True):
        pods.heard(KEY, old, new)
    return pods


def test_a_pod_that_was_taken_away_while_it_ran_or_failed_is_remembered_as_one_that_does_not_run() -> None:
    for problem, alive in ((EVICTED, False), (EVICTED, True), (OUT_OF_MEMORY, False)):
        (pod,) = gone(view(None, alive=True), view(problem, alive=alive)).of(PLACE, "u")
        assert (pod.problem, pod.alive, pod.ready) == (problem, False, False)


def test_a_pod_that_nothing_befell_or_that_never_ran_is_not_remembered() -> None:
    assert not gone(view(None, alive=False)).of(PLACE, "u")
    assert not gone(view(NO_IMAGE, alive=True)).of(PLACE, "u")


def test_a_pod_is_remembered_when_it_is_gone_and_only_of_its_own_job() -> None:
    pods = GonePods(VirtualClock())
    pods.heard(KEY, view(None, alive=True), view(EVICTED, alive=False))
    assert not pods.of(PLACE, "u")
    pods.heard(KEY, view(EVICTED, alive=False), None)
    assert pods.of(PLACE, "u")
    assert not pods.of(PLACE, "another")
    assert not pods.of("elsewhere", "u")


def test_what_was_told_is_forgotten_and_what_came_later_is_not() -> None:
    pods = gone(view(EVICTED, alive=False))
    told = pods.of(PLACE, "u")
    pods.heard(KEY, view(OUT_OF_MEMORY, alive=False), None)  # another Pod of the name
    pods.forget(PLACE, told)
    (left,) = pods.of(PLACE, "u")
    assert left.problem == OUT_OF_MEMORY
    pods.forget(PLACE, [left])
    assert not pods.of(PLACE, "u")


def test_a_replica_that_waits_forgets_in_time() -> None:
    clock = VirtualClock()
    pods = GonePods(clock)
    pods.heard(KEY, view(EVICTED, alive=False), None)
    asyncio.run(clock.advance(REMEMBERED_SECONDS + 1))
    pods.heard(("radiology", "other"), None, view(None, alive=True))
    assert not pods.of(PLACE, "u")
