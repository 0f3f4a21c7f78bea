"""When an attempt is over: what still holds machines, whom a driver can be asked to stop, and how long that may take. Pure."""

from collections.abc import Iterable

from chex_api.status import StageStatus
from chex_operator.rules.observed import AttemptObject, Observed, ProgressRecord
from chex_operator.rules.outcome import has_ended
from chex_operator.rules.timestamps import seconds_of

STOP_SECONDS = 180.0
"""For a checkpoint. An attempt that takes longer goes on from the one before."""
GONE_SECONDS = 300.0
"""A Pod that is still there so long after it was deleted sits on a lost node; its writes are fenced by its attempt's folder."""
WITHOUT_DRIVER = ("", "Initializing", "Suspended", "Suspending", "Waiting")


def is_live(attempt_object: AttemptObject) -> bool:
    """Whether the attempt may still use machines."""
    return not has_ended(attempt_object.state)


def has_driver(attempt_object: AttemptObject, record: ProgressRecord | None) -> bool:
    """Whether there is a driver that can be asked to stop with a checkpoint."""
    return (
        record is not None
        and not attempt_object.is_preflight
        and attempt_object.state.deployment_status not in WITHOUT_DRIVER
    )


def is_overdue(record: ProgressRecord, now: float) -> bool:
    """Whether the driver was asked to stop and has had its time."""
    return record.stop_since is not None and now - record.stop_since >= STOP_SECONDS


def holds_machines(observed: Observed, names: Iterable[str], now: float) -> bool:
    """Whether the object or a Pod of these attempts may still use machines."""
    for name in names:
        attempt_object = observed.attempt_objects.get(name)
        if attempt_object is not None and is_live(attempt_object):
            return True
        for pod in observed.pods.get(name, ()):
            given_up = pod.deleting_since is not None and now - pod.deleting_since > GONE_SECONDS
            if pod.alive and not given_up:
                return True
    return False


def outlives_its_end(
    observed: Observed, attempt_object: AttemptObject, stage: StageStatus, now: float
) -> bool:
    """Whether Pods of an attempt are still there long after it has ended, or after the next one was due.

    KubeRay removes a cluster when its job has ended; it has left some behind (kuberay#3860, kuberay#4914).
    """
    since = attempt_object.ended_at or seconds_of(stage.not_before)
    late = since is not None and now > since + GONE_SECONDS
    return late and holds_machines(observed, [attempt_object.name], now)
