"""Failures and disruptions of Pods that are gone. KubeRay replaces an ended Pod within milliseconds, perhaps before a pass."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from chex_operator.controller.pods import PodProjection
from chex_operator.kube.clock import Clock
from chex_operator.kube.informer import Key
from chex_operator.rules.observed import Pod

REMEMBERED_SECONDS = 600.0
"""A pass comes long before. A standby replica makes none, and need not know old failures."""


class PodFailures:
    """Pods that were disrupted or failed, from their deletion until a pass has reported them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gone: OrderedDict[Key, tuple[float, PodProjection]] = OrderedDict()

    def record_change(self, key: Key, old: PodProjection | None, new: PodProjection | None) -> None:
        """Record a change of a Pod: a handler for the Pods' informer."""
        self._forget_old()
        if old is None or new is not None or old.pod.problem is None:
            return
        if old.pod.problem.disruption or not old.pod.alive:  # a Pod that never ran is left out
            pod = replace(old.pod, alive=False, ready=False)
            self._gone[key] = (self._clock.monotonic(), replace(old, pod=pod))

    def of_job(self, namespace: str, job_uid: str) -> list[Pod]:
        """The failed Pods of a job."""
        return [
            held.pod
            for (place, _), (_, held) in self._gone.items()
            if place == namespace and held.job_uid == job_uid
        ]

    def forget(self, namespace: str, pods: Iterable[Pod]) -> None:
        """Forget Pods that a pass has reported."""
        for pod in pods:
            held = self._gone.get((namespace, pod.name))
            if held is not None and held[1].pod == pod:
                del self._gone[namespace, pod.name]

    def _forget_old(self) -> None:
        oldest = self._clock.monotonic() - REMEMBERED_SECONDS
        while self._gone and next(iter(self._gone.values()))[0] < oldest:
            self._gone.popitem(last=False)
