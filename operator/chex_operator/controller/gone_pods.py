"""What befell Pods that are gone. KubeRay replaces one that has ended within milliseconds: sooner, perhaps, than a pass looks."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from chex_operator.controller.pods import PodView
from chex_operator.kube.clock import Clock
from chex_operator.kube.informer import Key
from chex_operator.rules.observed import Pod

REMEMBERED_SECONDS = 600.0
"""A pass comes long before. A replica that only waits makes none, and need not know what was long ago."""


class GonePods:
    """Pods that were taken away or failed, from when they are gone until a pass has told of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gone: OrderedDict[Key, tuple[float, PodView]] = OrderedDict()

    def heard(self, key: Key, old: PodView | None, new: PodView | None) -> None:
        """Take note of a Pod that came, changed or went: a handler for the Pods' informer."""
        self._forget_old()
        if old is None or new is not None or old.pod.problem is None:
            return
        if old.pod.problem.disruption or not old.pod.alive:  # not of one that never ran
            pod = replace(old.pod, alive=False, ready=False)
            self._gone[key] = (self._clock.monotonic(), replace(old, pod=pod))

    def of(self, namespace: str, job_uid: str) -> list[Pod]:
        """Those of a job."""
        return [
            view.pod
            for (place, _), (_, view) in self._gone.items()
            if place == namespace and view.job_uid == job_uid
        ]

    def forget(self, namespace: str, pods: Iterable[Pod]) -> None:
        """They were told of."""
        for pod in pods:
            held = self._gone.get((namespace, pod.name))
            if held is not None and held[1].pod == pod:
                del self._gone[namespace, pod.name]

    def _forget_old(self) -> None:
        oldest = self._clock.monotonic() - REMEMBERED_SECONDS
        while self._gone and next(iter(self._gone.values()))[0] < oldest:
            self._gone.popitem(last=False)
