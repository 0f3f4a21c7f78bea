"""The state machine of a stage, from its last status and what is observed of its attempt. Pure.

Waiting -> Running when an attempt is written down; its RayJob is created in a later pass, which has read the status that names it.
So an operator that dies in between, or sees an old cache, never starts a second one. Running -> Finished, or Waiting for the next
attempt, or Failed. Stopping is a running attempt that was asked to stop.
"""

from dataclasses import dataclass

from chex_api.run_policy import RunPolicy
from chex_api.status import Interruption, StageStatus
from chex_operator.rendering import PREFLIGHT
from chex_operator.rules import reasons
from chex_operator.rules.accounting import gpu_seconds
from chex_operator.rules.observed import AttemptObject, Pod, ProgressRecord, end_of
from chex_operator.rules.outcome import DriverReport, End, Outcome, PodProblem, outcome_of
from chex_operator.rules.reasons import DISRUPTIONS, NO_REASON, Explanation, Reason
from chex_operator.rules.retry import GiveUp, History, after
from chex_operator.rules.timestamps import seconds_of, timestamp

LIVE_STATES = ("Running", "Stopping")
MOST_CHARACTERS = 2048
"""Of a stage's message."""
QUEUED_STATUSES = ("Suspended", "Suspending")


@dataclass(frozen=True)
class AttemptObservation:
    """What is observed of a stage's current attempt."""

    attempt_object: AttemptObject | None
    record: ProgressRecord | None
    pods: tuple[Pod, ...]


def advance(
    stage: StageStatus, observation: AttemptObservation, policy: RunPolicy, now: float
) -> StageStatus:
    """The stage as it is now. A stage that is not live stays as it is."""
    if stage.state not in LIVE_STATES:
        return stage
    if observation.attempt_object is None:
        if stage.launch_time is None and stage.state == "Stopping":
            # the API server itself was asked
            return rest(stage, "Suspended", reasons.STOPPED_BEFORE_START)
        if stage.launch_time is None:
            return stage  # not created yet, or not in the cache yet
        lost = Outcome(End.DISRUPTED, *reasons.ATTEMPT_DELETED)
        return _ended(stage, lost, observation, policy, now)
    stage = _launched(stage, observation, now)
    outcome = _outcome(stage, observation) or _never_started(observation, policy, now)
    if outcome is not None:
        return _ended(stage, outcome, observation, policy, now)
    if stage.start_time is not None and _is_queued(observation):
        return _dequeued(stage, policy, now)
    return _running(stage, observation)


def start_attempt(stage: StageStatus, name: str, *, workers: int, gpus: int) -> StageStatus:
    """The stage with its next attempt recorded."""
    return stage.model_copy(
        update={
            "state": "Running",
            "attempt": stage.attempt + 1,
            "attempt_name": name,
            "reason": reasons.STARTING.reason,
            "message": reasons.STARTING.message,
            "interruption": None,
            "workers": workers,
            "gpus": gpus,
            "launch_time": None,
            "start_time": None,
            "not_before": None,
        }
    )


def rest(stage: StageStatus, state: str, explanation: Explanation = NO_REASON) -> StageStatus:
    """The stage without a running attempt."""
    return stage.model_copy(
        update={
            "state": state,
            "reason": explanation.reason,
            "message": explanation.message[:MOST_CHARACTERS],
            "interruption": None,
            "launch_time": None,
            "start_time": None,
        }
    )


def finish(stage: StageStatus, manifest_uri: str, manifest_sha256: str) -> StageStatus:
    """The stage with its manifest."""
    return rest(stage, "Finished", reasons.FINISHED).model_copy(
        update={
            "progress_percent": 100,
            "failures": 0,
            "not_before": None,
            "manifest_uri": manifest_uri,
            "manifest_sha256": manifest_sha256,
        }
    )


def fail_or_retry(
    stage: StageStatus, outcome: Outcome, policy: RunPolicy, *, progressed: bool, now: float
) -> StageStatus:
    """The stage after an attempt that did not succeed: it waits for the next one, or has failed."""
    history = History(
        attempts=stage.attempt,
        failures=stage.failures,
        disruptions=stage.disruptions,
        not_before=seconds_of(stage.not_before) or 0.0,
    )
    answer = after(history, outcome, policy, progressed=progressed, now=now)
    counted = stage.model_copy(
        update={"failures": answer.history.failures, "disruptions": answer.history.disruptions}
    )
    if isinstance(answer, GiveUp):
        return rest(counted, "Failed", Explanation(answer.reason, answer.message))
    waiting = rest(counted, "Waiting", Explanation(outcome.reason, outcome.message))
    return waiting.model_copy(update={"not_before": timestamp(answer.history.not_before)})


def _launched(stage: StageStatus, observation: AttemptObservation, now: float) -> StageStatus:
    update: dict[str, object] = {}
    if stage.launch_time is None:
        update["launch_time"] = timestamp(now)
    if stage.start_time is None and not _is_queued(observation):
        scheduled = _machines_since(stage, observation.pods)
        if scheduled is not None:
            update["start_time"] = timestamp(scheduled)
    return stage.model_copy(update=update) if update else stage


def _is_queued(observation: AttemptObservation) -> bool:
    """Whether a queue holds the attempt back: it has no machines, or is about to lose them."""
    return (
        observation.attempt_object is not None
        and observation.attempt_object.state.deployment_status in QUEUED_STATUSES
    )


def _dequeued(stage: StageStatus, policy: RunPolicy, now: float) -> StageStatus:
    """The queue took the machines of an attempt that continues when it is admitted again: a disruption, and GPU-seconds stop."""
    booked = {"gpu_seconds": number(gpu_seconds(stage, now)), "start_time": None}
    if stage.state == "Stopping":
        return stage.model_copy(update=booked)  # it was about to release them anyway
    preempted = reasons.PREEMPTED_BY_QUEUE
    counted = fail_or_retry(stage, Outcome(End.DISRUPTED, *preempted), policy, progressed=False, now=now)
    if counted.state == "Failed":
        return counted.model_copy(update=booked)
    return stage.model_copy(
        update={
            **booked,
            "disruptions": counted.disruptions,
            "reason": preempted.reason,
            "message": preempted.message,
            "interruption": Interruption(reason=preempted.reason, message=preempted.message),
        }
    )


def _machines_since(stage: StageStatus, pods: tuple[Pod, ...]) -> float | None:
    """When the attempt got its first machine: a worker where it has workers, whatever the head waits for."""
    return min(
        (
            pod.scheduled_at
            for pod in pods
            if pod.scheduled_at is not None and pod.deleting_since is None and pod.role == _role(stage)
        ),
        default=None,
    )


def _role(stage: StageStatus) -> str:
    """The role of the Pods that do its work: workers where it has some, else the head; a preflight's Pod has no role."""
    if stage.name == PREFLIGHT:
        return ""
    return "worker" if stage.workers else "head"


def _outcome(stage: StageStatus, observation: AttemptObservation) -> Outcome | None:
    assert observation.attempt_object is not None
    report = observation.record.driver_report if observation.record is not None else DriverReport()
    outcome = outcome_of(observation.attempt_object.state, report, _problems(observation.pods))
    earlier = stage.interruption
    if outcome is None or outcome.end is not End.FAILED or earlier is None:
        return outcome
    # A preemption by a queue was counted when it happened: a failure that the driver reports later is its own.
    if report.failure and earlier.reason == Reason.PREEMPTED_BY_QUEUE:
        return outcome
    # The evicted Pod may be gone by the time its RayJob has failed, or replaced by another one.
    disruption = earlier.reason in DISRUPTIONS
    return outcome_of(
        observation.attempt_object.state, report, [PodProblem(earlier.reason, earlier.message, disruption)]
    )


def _problems(pods: tuple[Pod, ...]) -> list[PodProblem]:
    """The worst first, in an order that never depends on the cache's."""
    return sorted(
        (pod.problem for pod in pods if pod.problem is not None),
        key=lambda problem: (
            not problem.disruption,
            not _is_interruption(problem),
            problem.reason,
            problem.message,
        ),
    )


def _is_interruption(problem: PodProblem) -> bool:
    """Whether it took a machine from the attempt, rather than kept it from having one."""
    return problem.disruption or problem.reason == Reason.OUT_OF_MEMORY


def _never_started(observation: AttemptObservation, policy: RunPolicy, now: float) -> Outcome | None:
    """The outcome of a preflight that got no machine in time. KubeRay enforces this for a RayJob; a Job would wait for ever.

    Time in a queue does not count: it may be hours.
    """
    assert observation.attempt_object is not None
    admitted = observation.attempt_object.admitted_at
    if (
        not observation.attempt_object.is_preflight
        or admitted is None
        or _is_queued(observation)
        or any(pod.ready for pod in observation.pods)
    ):
        return None
    if observation.record is not None and observation.record.progress is not None:
        return None
    seconds = policy.pre_running_deadline_seconds
    if now < admitted + seconds:
        return None
    problem = next((f": {pod.problem.message}" for pod in observation.pods if pod.problem is not None), "")
    explanation = reasons.PREFLIGHT_NOT_STARTED.with_details(seconds=seconds, problem=problem)
    return Outcome(End.FAILED, *explanation)


def _ended(
    stage: StageStatus, outcome: Outcome, observation: AttemptObservation, policy: RunPolicy, now: float
) -> StageStatus:
    committed = (
        observation.record.progress.committed
        if observation.record is not None and observation.record.progress
        else 0.0
    )
    progressed = committed > float(stage.committed)
    settled = stage.model_copy(
        update={
            "gpu_seconds": number(gpu_seconds(stage, end_of(observation.attempt_object, now))),
            "committed": number(max(committed, float(stage.committed))),
        }
    )
    if outcome.end is End.SUCCEEDED:
        return _succeeded(settled, observation, policy, now)
    if stage.state == "Stopping" and outcome.end is not End.FAULTY:
        return rest(settled, "Suspended", reasons.STOPPED)
    return fail_or_retry(settled, outcome, policy, progressed=progressed, now=now)


def _succeeded(
    stage: StageStatus, observation: AttemptObservation, policy: RunPolicy, now: float
) -> StageStatus:
    record = observation.record
    if stage.name == PREFLIGHT:
        if record is not None and record.preflight is not None:
            return finish(stage, "", "")
        no_result = Outcome(End.FAILED, *reasons.NO_PREFLIGHT_RESULT)
        return fail_or_retry(stage, no_result, policy, progressed=False, now=now)
    if record is not None and record.result is not None:
        return finish(stage, record.result.manifest_uri, record.result.manifest_sha256)
    return rest(stage, "Waiting", reasons.RESULT_NOT_REPORTED)


def _running(stage: StageStatus, observation: AttemptObservation) -> StageStatus:
    assert observation.attempt_object is not None
    update: dict[str, object] = {}
    progress = observation.record.progress if observation.record is not None else None
    if progress is not None and progress.total > 0:
        percent = int(min(99.0, 100.0 * progress.done / progress.total))
        update["progress_percent"] = max(percent, stage.progress_percent)
    if stage.state == "Running":
        advanced = update.get("progress_percent", stage.progress_percent) != stage.progress_percent
        problems = _problems(observation.pods)
        interruption = _interruption(stage, observation, problems, advanced=advanced)
        update["interruption"] = interruption
        update["reason"], update["message"] = _explanation(observation, problems, interruption)
    return stage.model_copy(update=update)


def _interruption(
    stage: StageStatus, observation: AttemptObservation, problems: list[PodProblem], *, advanced: bool
) -> Interruption | None:
    """What took machines from the attempt: remembered until it has all of them again and has made progress."""
    if problems and _is_interruption(problems[0]):
        return Interruption(reason=problems[0].reason, message=problems[0].message[:MOST_CHARACTERS])
    earlier = stage.interruption
    if earlier is None:
        return None
    readmitted = earlier.reason == Reason.PREEMPTED_BY_QUEUE and not _is_queued(observation)
    recovered = (advanced or readmitted) and _is_whole(stage, observation.pods)
    return None if recovered else earlier


def _is_whole(stage: StageStatus, pods: tuple[Pod, ...]) -> bool:
    """Whether all Pods of the attempt are ready."""
    ready = sum(pod.ready and pod.deleting_since is None and pod.role == _role(stage) for pod in pods)
    return ready >= max(1, stage.workers)


def _explanation(
    observation: AttemptObservation, problems: list[PodProblem], interruption: Interruption | None
) -> Explanation:
    """What the status says of an attempt that goes on: a Pod's problem before all else."""
    assert observation.attempt_object is not None
    if problems:
        return Explanation(problems[0].reason, problems[0].message[:MOST_CHARACTERS])
    if interruption is not None:
        return Explanation(interruption.reason, interruption.message)
    if _is_queued(observation):
        return reasons.QUEUED
    has_reported = observation.record is not None and observation.record.progress is not None
    is_running = has_reported or observation.attempt_object.state.job_status == "RUNNING"
    return reasons.RUNNING if is_running else reasons.STARTING


def number(value: float) -> str:
    """A number as a status holds it: a string with one decimal."""
    return f"{value:.1f}".removesuffix(".0")
