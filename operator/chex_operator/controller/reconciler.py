"""One pass over one job: observe, decide, apply; with its events and metrics."""

import logging
import random
from collections import Counter
from collections.abc import Callable
from itertools import chain

from chex_api.status import JobStatus
from chex_operator.controller.apply import Applier
from chex_operator.controller.caches import Caches
from chex_operator.controller.observe import Observer
from chex_operator.controller.projections import FINALIZER, JobProjection
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
"""Share of the requeue time after which the next pass may start. A pass that is too early requeues once more."""

logger = logging.getLogger(__name__)


class Reconciler:
    """Called by workers, each for one key at a time."""

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
        self._observer, self._applier = Observer(caches, client), Applier(client, clock, leads)
        self._metrics, self._stages = metrics, StageCensus(metrics)
        self._uids: dict[Key, str] = {}

    async def reconcile(self, key: Key) -> Requeue | None:
        """One pass. The worker logs what it raises, and repeats it."""
        namespace, name = key
        job = self._caches.jobs.get(namespace, name)
        self._forget_another(key, job)
        if job is None:
            return None
        if self._is_at_rest(job):
            self._stages.take(job.uid, self._observer.status(job))
            return None
        with job_context(namespace, name, job.generation):
            observed = await self._observer.observe(job)
            now = self._clock.now()
            decision = decide(observed, now)
            result = await self._applier.apply(job, observed, decision)
            self._record(job, decision)
            if result.status_written or result.released:
                used = settled_by_pool(observed, decision.status, now, released=result.released)
                for pool, seconds in used.items():
                    self._metrics.add_gpu_seconds(pool, seconds)
        self._stages.take(job.uid, decision.status)
        self._caches.pod_failures.forget(job.namespace, chain.from_iterable(observed.pods.values()))
        if result.retryable is not None:
            raise result.retryable
        if decision.requeue_after is None:
            return None
        # Spread: else all jobs that were looked at when the process started would come again in the same second.
        return Requeue(decision.requeue_after * random.uniform(EARLIEST, 1.0))

    def _forget_another(self, key: Key, job: JobProjection | None) -> None:
        """Forget the job that had this name before, if it is gone or another one has its name."""
        uid = self._uids.pop(key, "")
        if job is not None:
            self._uids[key] = job.uid
        if uid and (job is None or uid != job.uid):
            self._applier.forget(uid)
            self._stages.forget(uid)

    def _is_at_rest(self, job: JobProjection) -> bool:
        """Whether nothing is due before it is edited or deleted: it has ended, its objects and its finalizer are gone.

        Most jobs of a cluster are at rest. They are not judged again, and their plans are not read.
        """
        return (
            job.is_at_its_end
            and job.deleting_since is None
            and FINALIZER not in job.finalizers
            and not self._caches.has_children(job.namespace, job.uid)
        )

    def _record(self, job: JobProjection, decision: Decision) -> None:
        regarding = {
            "apiVersion": JOBS.api_version,
            "kind": JOBS.kind,
            "metadata": {"name": job.name, "namespace": job.namespace, "uid": job.uid},
        }
        for event in decision.events:
            logger.info("%s: %s", event.reason, event.note)
            self._recorder.record(regarding, event.type, event.reason, event.action, event.note)


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
