"""Passes that read other words: messages are for people, so no decision may hang on them."""

from collections.abc import Callable
from dataclasses import replace

from chex_api.status import JobStatus, StageStatus
from chex_operator.reconcile.decide import Decision, decide
from chex_operator.rules.admission import Refused
from chex_operator.rules.observed import AttemptObject, Observed, Pod, ProgressRecord


def decide_whatever_the_words(observed: Observed, now: float) -> Decision:
    """The decision, which is the same with every message that the pass reads reworded."""
    decision = decide(observed, now)
    other = decide(reworded(observed), now)
    assert without_messages(decision) == without_messages(other)
    return decision


def reworded(observed: Observed) -> Observed:
    """The same with every message in other words: of the status, of the driver, of KubeRay, of Pods, and of a refusal."""
    judgement = observed.judgement
    if isinstance(judgement, Refused):
        judgement = replace(judgement, message=_other_words(judgement.message))
    return replace(
        observed,
        judgement=judgement,
        status=_status(observed.status, _other_words),
        attempt_objects={name: _attempt_object(each) for name, each in observed.attempt_objects.items()},
        progress_records={name: _progress_record(each) for name, each in observed.progress_records.items()},
        pods={name: tuple(_pod(each) for each in pods) for name, pods in observed.pods.items()},
    )


def without_messages(decision: Decision) -> Decision:
    """What machines read of a decision."""
    return replace(
        decision,
        status=_status(decision.status, lambda _: ""),
        events=tuple(replace(event, note="") for event in decision.events),
    )


def _other_words(message: str) -> str:
    return f"in other words, {message[::-1]}" if message else ""


def _status(status: JobStatus, words: Callable[[str], str]) -> JobStatus:
    conditions = tuple(each.model_copy(update={"message": words(each.message)}) for each in status.conditions)
    stages = tuple(_stage(each, words) for each in status.stages)
    return status.model_copy(update={"conditions": conditions, "stages": stages})


def _stage(stage: StageStatus, words: Callable[[str], str]) -> StageStatus:
    interruption = stage.interruption
    if interruption is not None:
        interruption = interruption.model_copy(update={"message": words(interruption.message)})
    return stage.model_copy(update={"message": words(stage.message), "interruption": interruption})


def _attempt_object(attempt_object: AttemptObject) -> AttemptObject:
    state = attempt_object.state
    return replace(attempt_object, state=replace(state, message=_other_words(state.message)))


def _progress_record(record: ProgressRecord) -> ProgressRecord:
    report = record.driver_report
    return replace(record, driver_report=replace(report, failure=_other_words(report.failure)))


def _pod(pod: Pod) -> Pod:
    if pod.problem is None:
        return pod
    return replace(pod, problem=replace(pod.problem, message=_other_words(pod.problem.message)))
