"""The state machine of a stage, from its last status and what is observed of its attempt. Pure.

Waiting -> Running when an attempt is written down; its RayJob is created in a later pass, which has read the status that names it.
So an operator that dies in between, or sees an old cache, never starts a second one. Running -> Finished, or Waiting for the next
attempt, or Failed. Stopping is a running attempt that was asked to stop.
"""

from dataclasses import dataclass

from chex_api.run_policy import RunPolicy
from chex_api.status import Interruption, StageStatus
from chex_operator.rendering import PREFLIGHT
from chex_operator.rules.accounting import gpu_seconds
from chex_operator.rules.observed import AttemptObject, Pod, ProgressRecord, end_of
from chex_operator.rules.outcome import OUT_OF_MEMORY, DriverReport, End, Outcome, PodProblem, outcome_of
from chex_operator.rules.retry import GiveUp, History, after
from chex_operator.rules.timestamps import seconds_of, timestamp

LIVE_STATES = ("Running", "Stopping")
STARTING, REFUSED, UNKNOWN_RESULT = "Starting", "CreationRefused", "ResultUnknown"
DISRUPTION_REASONS = ("Evicted", "Preempted", "NodeLost", "Disrupted")
QUEUED_STATUSES = ("Suspended", "Suspending")
LOST = Outcome(End.DISRUPTED, "RunDeleted", "its RayJob was deleted by somebody else")
NO_RESULT = Outcome(
    End.FAILED,
    UNKNOWN_RESULT,
    "it ended well and left no result that this operator can read; use the jobs image of the operator's release",
)
DEQUEUED = Outcome(End.DISRUPTED, "Preempted", "the queue took its machines back")


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
            return rest(stage, "Suspended", "Stopped", "it had not begun")  # the API server itself was asked
        if stage.launch_time is None:
            return stage  # not created yet, or not in the cache yet
        return _ended(stage, LOST, observation, policy, now)
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
            "reason": STARTING,
            "message": "",
            "interruption": None,
            "workers": workers,
            "gpus": gpus,
            "launch_time": None,
            "start_time": None,
            "not_before": None,
        }
    )


def rest(stage: StageStatus, state: str, reason: str, message: str = "") -> StageStatus:
    """The stage without a running attempt."""
    return stage.model_copy(
        update={
            "state": state,
            "reason": reason,
            "message": message,
            "interruption": None,
            "launch_time": None,
            "start_time": None,
        }
    )


def finish(stage: StageStatus, manifest_uri: str, manifest_sha256: str) -> StageStatus:
    """The stage with its manifest."""
    return rest(stage, "Finished", "Finished").model_copy(
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
        return rest(counted, "Failed", answer.reason, answer.message[:2048])
    waiting = rest(counted, "Waiting", outcome.reason, outcome.message[:2048])
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
    counted = fail_or_retry(stage, DEQUEUED, policy, progressed=False, now=now)
    if counted.state == "Failed":
        return counted.model_copy(update=booked)
    return stage.model_copy(
        update={
            **booked,
            "disruptions": counted.disruptions,
            "reason": DEQUEUED.reason,
            "message": DEQUEUED.message,
            "interruption": Interruption(reason=DEQUEUED.reason, message=DEQUEUED.message),
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
    if report.failure and earlier.message == DEQUEUED.message:
        return outcome
    # The evicted Pod may be gone by the time its RayJob has failed, or replaced by another one.
    disruption = earlier.reason in DISRUPTION_REASONS
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
    return problem.disruption or problem.reason == OUT_OF_MEMORY


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
    message = f"it had not begun after runPolicy.preRunningDeadlineSeconds ({seconds} s){problem}"
    return Outcome(End.FAILED, "PreRunningDeadlineExceeded", message)


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
        return rest(settled, "Suspended", "Stopped", "stopped; it goes on from its last checkpoint")
    return fail_or_retry(settled, outcome, policy, progressed=progressed, now=now)


def _succeeded(
    stage: StageStatus, observation: AttemptObservation, policy: RunPolicy, now: float
) -> StageStatus:
    record = observation.record
    if stage.name == PREFLIGHT:
        if record is not None and record.preflight is not None:
            return finish(stage, "", "")
        return fail_or_retry(stage, NO_RESULT, policy, progressed=False, now=now)
    if record is not None and record.result is not None:
        return finish(stage, record.result.manifest_uri, record.result.manifest_sha256)
    return rest(
        stage, "Waiting", UNKNOWN_RESULT, "it ended well and told no result; a preflight looks what is there"
    )


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
        update["reason"], update["message"] = _reason_and_message(observation, problems, interruption)
    return stage.model_copy(update=update)


def _interruption(
    stage: StageStatus, observation: AttemptObservation, problems: list[PodProblem], *, advanced: bool
) -> Interruption | None:
    """What took machines from the attempt: remembered until it has all of them again and has made progress."""
    if problems and _is_interruption(problems[0]):
        return Interruption(reason=problems[0].reason, message=problems[0].message[:2048])
    earlier = stage.interruption
    if earlier is None:
        return None
    readmitted = earlier.message == DEQUEUED.message and not _is_queued(observation)
    recovered = (advanced or readmitted) and _is_whole(stage, observation.pods)
    return None if recovered else earlier


def _is_whole(stage: StageStatus, pods: tuple[Pod, ...]) -> bool:
    """Whether all Pods of the attempt are ready."""
    ready = sum(pod.ready and pod.deleting_since is None and pod.role == _role(stage) for pod in pods)
    return ready >= max(1, stage.workers)


def _reason_and_message(
    observation: AttemptObservation, problems: list[PodProblem], interruption: Interruption | None
) -> tuple[str, str]:
    """What the status says of an attempt that goes on: a Pod's problem before all else."""
    assert observation.attempt_object is not None
    if problems:
        return problems[0].reason, problems[0].message[:2048]
    if interruption is not None:
        return interruption.reason, interruption.message
    if _is_queued(observation):
        return "Queued", "waits for its turn in the queue"
    has_reported = observation.record is not None and observation.record.progress is not None
    return (
        ("Running", "")
        if has_reported or observation.attempt_object.state.job_status == "RUNNING"
        else (STARTING, "")
    )


def number(value: float) -> str:
    """A number as a status holds it: a string with one decimal."""
    return f"{value:.1f}".removesuffix(".0")
