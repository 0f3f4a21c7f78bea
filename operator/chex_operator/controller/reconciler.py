"""One pass over one job: observe, decide, act; and what people and Prometheus hear of it."""

import logging
import random
from collections import Counter
from collections.abc import Callable
from itertools import chain

from chex_api.status import JobStatus
from chex_operator.controller.act import Actor
from chex_operator.controller.caches import Caches
from chex_operator.controller.observe import Observer
from chex_operator.controller.views import FINALIZER, JobView
from chex_operator.kube.client import Client
from chex_operator.kube.clock import Clock
from chex_operator.kube.events import EventRecorder
from chex_operator.kube.informer import Key
from chex_operator.kube.logs import job_context
from chex_operator.kube.metrics import Metrics
from chex_operator.kube.resource import JOBS
from chex_operator.kube.worker import Requeue
from chex_operator.reconcile.decide import Decision, decide
from chex_operator.rules.accounting import settled_by_pool
from chex_operator.rules.summary import kind_of

EARLIEST = 0.75
"""Share of the time after which a job is looked at again at the earliest. A look too early asks for one more."""

logger = logging.getLogger(__name__)


class Reconciler:
    """Called by workers, for one key at a time each."""

    def __init__(
        self,
        caches: Caches,
        client: Client,
        clock: Clock,
        recorder: EventRecorder,
        metrics: Metrics,
        leads: Callable[[], bool],
    ) -> None:
        self._caches, self._clock, self._recorder = caches, clock, recorder
        self._observer, self._actor = Observer(caches, client), Actor(client, clock, leads)
        self._metrics, self._stages = metrics, StageCensus(metrics)
        self._uids: dict[Key, str] = {}

    async def reconcile(self, key: Key) -> Requeue | None:
        """A pass. What it raises is told by the worker, and the pass is repeated."""
        namespace, name = key
        view = self._caches.jobs.get(namespace, name)
        self._forget_another(key, view)
        if view is None:
            return None
        if self._is_at_rest(view):
            self._stages.take(view.uid, self._observer.status(view))
            return None
        with job_context(namespace, name, view.generation):
            observed = await self._observer.observe(view)
            now = self._clock.now()
            decision = decide(observed, now)
            done = await self._actor.act(view, observed, decision)
            self._record(view, decision)
            if done.told or done.let_go:
                used = settled_by_pool(observed, decision.status, now, let_go=done.let_go)
                for pool, seconds in used.items():
                    self._metrics.add_gpu_seconds(pool, seconds)
        self._stages.take(view.uid, decision.status)
        self._caches.gone_pods.forget(view.namespace, chain.from_iterable(observed.pods.values()))
        if done.trouble is not None:
            raise done.trouble
        if decision.look_again is None:
            return None
        # Spread: else all that was looked at when the process began would be looked at again in the same second.
        return Requeue(decision.look_again * random.uniform(EARLIEST, 1.0))

    def _forget_another(self, key: Key, view: JobView | None) -> None:
        """The job that bore this name before is gone, when there is none any more or another one."""
        uid = self._uids.pop(key, "")
        if view is not None:
            self._uids[key] = view.uid
        if uid and (view is None or uid != view.uid):
            self._actor.forget(uid)
            self._stages.forget(uid)

    def _is_at_rest(self, view: JobView) -> bool:
        """Its end is told, its objects are gone and it holds up nobody: nothing is due before it is edited or deleted.

        Most jobs of a cluster are like that. They are not judged again, and nobody asks the API server for their plans.
        """
        return (
            view.is_at_its_end
            and view.deleting_since is None
            and FINALIZER not in view.finalizers
            and not self._caches.has_children(view.namespace, view.uid)
        )

    def _record(self, view: JobView, decision: Decision) -> None:
        regarding = {
            "apiVersion": JOBS.api_version,
            "kind": JOBS.kind,
            "metadata": {"name": view.name, "namespace": view.namespace, "uid": view.uid},
        }
        for notice in decision.notices:
            logger.info("%s: %s", notice.reason, notice.note)
            self._recorder.record(regarding, notice.kind, notice.reason, notice.action, notice.note)


class StageCensus:
    """How many stages there are in each state, over all jobs."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._of_job: dict[str, Counter[tuple[str, str]]] = {}
        self._total: Counter[tuple[str, str]] = Counter()

    def take(self, uid: str, status: JobStatus) -> None:
        """A job has these stages now."""
        counted = Counter((kind_of(stage), stage.state) for stage in status.stages)
        before = self._of_job.get(uid)
        if counted == before:
            return
        self._total.subtract(before or {})
        self._total.update(counted)
        self._of_job[uid] = counted
        self._publish()

    def forget(self, uid: str) -> None:
        """A job is gone."""
        before = self._of_job.pop(uid, None)
        if before:
            self._total.subtract(before)
            self._publish()

    def _publish(self) -> None:
        self._total = +self._total
        self._metrics.set_stages(self._total)
