"""How attempts are stopped: with a checkpoint where there is a driver, by deletion where there is none or it takes too long. Pure."""

from collections.abc import Iterable

from chex_api.status import StageStatus
from chex_operator.policy.actions import Action, DeleteRun, DeleteSupport, RequestStop
from chex_operator.policy.moments import seconds_of
from chex_operator.policy.observed import Notes, Observed, Run
from chex_operator.policy.outcome import has_ended

STOP_SECONDS = 180.0
"""For a checkpoint. Whoever takes longer goes on from the one before."""
GONE_SECONDS = 300.0
"""A Pod that is still there so long after it was deleted sits on a lost node; its writes are fenced by its attempt's folder."""
WITHOUT_DRIVER = ("", "Initializing", "Suspended", "Suspending", "Waiting")


def stop(run: Run, notes: Notes | None, why: str, now: float) -> list[Action]:
    """What is to be done now so that a live run comes to its end."""
    if run.deleting:
        return []
    without_driver = run.is_preflight or run.state.deployment_status in WITHOUT_DRIVER
    if notes is None or without_driver:
        return [DeleteRun(run.name, run.uid, run.is_preflight)]
    if notes.stop_since is None:
        return [RequestStop(run.name, why)]
    if now - notes.stop_since >= STOP_SECONDS:
        return [DeleteRun(run.name, run.uid, run.is_preflight)]
    return []


def is_live(run: Run) -> bool:
    """Whether it may still use machines."""
    return not has_ended(run.state)


def leftovers(observed: Observed, stages: Iterable[StageStatus]) -> list[str]:
    """Attempts of which there is something, and that are no stage's newest."""
    newest = {stage.attempt_name for stage in stages}
    return sorted({*observed.runs, *observed.notes} - newest)


def clear(observed: Observed, stages: Iterable[StageStatus], now: float) -> list[Action]:
    """What is to be done about leftovers, about runs that are to stop, and about ended ones whose Pods are still there."""
    stages = list(stages)
    actions: list[Action] = []
    for name in leftovers(observed, stages):
        run, notes = observed.runs.get(name), observed.notes.get(name)
        if run is None:
            actions.append(DeleteSupport(name, is_preflight=notes is not None and notes.is_preflight))
        elif is_live(run):
            actions += stop(run, notes, "Superseded", now)
        elif not run.deleting:
            actions.append(DeleteRun(name, run.uid, run.is_preflight))
    for stage in stages:
        run = observed.runs.get(stage.attempt_name)
        if run is None or stage.state == "Running":
            continue
        if is_live(run):
            why = stage.reason if stage.state == "Stopping" else "Superseded"
            actions += stop(run, observed.notes.get(stage.attempt_name), why, now)
        elif _outlives_its_end(observed, run, stage, now) and not run.deleting:
            actions.append(DeleteRun(run.name, run.uid, run.is_preflight))
    return actions


def _outlives_its_end(observed: Observed, run: Run, stage: StageStatus, now: float) -> bool:
    """Whether Pods of an attempt are still there long after its run has ended, or after the next one was due.

    KubeRay removes a cluster when its job has ended; that it forgets one has happened (kuberay#3860, kuberay#4914).
    """
    since = run.ended_at or seconds_of(stage.not_before)
    late = since is not None and now > since + GONE_SECONDS
    return late and holds_machines(observed, [run.name], now)


def holds_machines(observed: Observed, names: Iterable[str], now: float) -> bool:
    """Whether a run or a Pod of these attempts may still use machines."""
    for name in names:
        run = observed.runs.get(name)
        if run is not None and is_live(run):
            return True
        for pod in observed.pods.get(name, ()):
            given_up = pod.deleting_since is not None and now - pod.deleting_since > GONE_SECONDS
            if pod.alive and not given_up:
                return True
    return False
