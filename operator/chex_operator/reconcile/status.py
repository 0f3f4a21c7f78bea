"""The status: the job's state, its conditions, its clock, and the line that people read first. Pure."""

from dataclasses import dataclass

from chex_api.status import JobStatus, Phase, StageStatus
from chex_operator.reconcile.state import ReconcileState
from chex_operator.rules import limits, reasons, results
from chex_operator.rules.admission import Refused
from chex_operator.rules.conditions import Claim, updated
from chex_operator.rules.limits import StopReason
from chex_operator.rules.reasons import Explanation
from chex_operator.rules.stage_state import number
from chex_operator.rules.summary import Line, running_line
from chex_operator.rules.timestamps import timestamp


@dataclass(frozen=True)
class JobState:
    """The state of a job after a pass.

    Attributes:
        stop_reason: why it stops or has stopped; None if it may run.
        complete: every stage is finished.
        ended: complete or failed, and nothing runs any more.
        stopped: stopped for now, and nothing runs any more.
    """

    stop_reason: StopReason | None
    complete: bool
    ended: bool
    stopped: bool


def job_state_of(state: ReconcileState, stop_reason: StopReason | None, *, complete: bool) -> JobState:
    """The job's state after the pass."""
    quiet = not state.busy() and not state.any_live()
    ended = complete or (stop_reason is not None and stop_reason.final and quiet)
    stopped = stop_reason is not None and not stop_reason.final and quiet
    return JobState(stop_reason, complete, ended, stopped)


def status_of(state: ReconcileState, job_state: JobState) -> JobStatus:
    """The status after the pass."""
    clocked = _timed(state, job_state)
    line = _line(state, job_state, clocked)
    hospitals = results.hospitals_with(clocked.hospitals, state.results, state.stages)
    generation = state.observed.job.generation
    conditions = updated(clocked.conditions, _claims(state, job_state), generation, state.now)
    status = clocked.model_copy(
        update={
            "observed_generation": generation,
            "phase": line.phase,
            "conditions": conditions,
            "progress": line.progress,
            "stage": line.stage,
            "eta": line.eta,
            "best": results.best_line(hospitals),
            "hospitals": hospitals,
            "report_uri": results.report_uri(state.results) or clocked.report_uri,
            "plan": state.plan_name,
            "stages": tuple(state.stages),
            "earlier_gpu_seconds": number(state.earlier_gpu_seconds),
            "superseded": tuple(state.superseded),
        }
    )
    return status.model_copy(update={"gpu_hours": number(limits.gpu_hours(status, status.stages, state.now))})


def _timed(state: ReconcileState, job_state: JobState) -> JobStatus:
    """The job's clock, which stops while the job is suspended, refused or at its end."""
    status = state.status
    update: dict[str, object] = {}
    is_active = (
        not job_state.ended and not job_state.stopped and (state.accepted is not None or state.any_live())
    )
    if is_active and status.active_since is None:
        update["active_since"] = timestamp(state.now)
    if not is_active and status.active_since is not None:
        update["active_seconds"] = int(limits.active_seconds(status, state.now))
        update["active_since"] = None
    if status.start_time is None and is_active:
        update["start_time"] = timestamp(state.now)
    if job_state.ended and (status.completion_time is None or state.is_new_generation):
        update["completion_time"] = timestamp(state.now)
    if not job_state.ended:
        update["completion_time"] = None
    return status.model_copy(update=update)


def _line(state: ReconcileState, job_state: JobState, status: JobStatus) -> Line:
    progress = {
        stage.name: record.progress
        for stage in state.stages
        if (record := state.observed.progress_records.get(stage.attempt_name)) is not None and record.progress
    }
    counted = _counted(state)
    line = running_line(state.stages, counted, progress, limits.active_seconds(status, state.now))
    if job_state.complete:
        return Line("Complete", "", "100%", "")
    phase: Phase = line.phase
    if job_state.ended:
        phase = "Failed"
    elif job_state.stopped:
        phase = "Suspended"
    elif job_state.stop_reason is not None:
        phase = "Stopping"
    elif state.accepted is None and not state.any_live():
        phase = "Pending"
    eta = "" if job_state.stop_reason is not None or job_state.ended else line.eta
    return Line(phase, line.stage, _not_less(state, line.progress), eta)


def _counted(state: ReconcileState) -> list[StageStatus]:
    """The stages that progress is counted from: while a preflight runs, not those that an edit may have replaced."""
    preflight = state.preflight()
    is_looking = preflight is not None and preflight.state != "Finished"
    return state.own_stages() if is_looking else state.stages


def _not_less(state: ReconcileState, progress: str) -> str:
    """Progress that never goes back for one manifest on the same data, also not while a preflight is repeated."""
    before, after = state.status.stages[:1], state.stages[:1]
    same_manifest = bool(before and after) and before[0].identity == after[0].identity
    same_plan = state.plan_name == state.status.plan or (bool(after) and after[0].state != "Finished")
    if not (same_manifest and same_plan):
        return progress
    return max(progress, state.status.progress, key=lambda percent: int(percent.rstrip("%") or 0))


def _claims(state: ReconcileState, job_state: JobState) -> list[Claim]:
    stop_reason = job_state.stop_reason
    failed = Claim("Failed", "False", *reasons.NOT_FAILED)
    if job_state.ended and stop_reason is not None:
        failed = Claim("Failed", "True", stop_reason.reason, stop_reason.message)
    return [
        _valid_claim(state),
        _running_claim(state, job_state),
        _flag("Suspended", job_state.stopped, reasons.IS_SUSPENDED, reasons.NOT_SUSPENDED),
        _flag("Complete", job_state.complete, reasons.COMPLETE, reasons.NOT_COMPLETE),
        failed,
    ]


def _valid_claim(state: ReconcileState) -> Claim:
    judgement = state.observed.judgement
    if isinstance(judgement, Refused):
        return Claim("Valid", "False", judgement.reason, judgement.message)
    return Claim("Valid", "True", *reasons.ACCEPTED)


def _running_claim(state: ReconcileState, job_state: JobState) -> Claim:
    stop_reason = job_state.stop_reason
    if job_state.complete:
        return Claim("Running", "False", *reasons.COMPLETE)
    if stop_reason is not None:
        if job_state.ended or job_state.stopped:
            return Claim("Running", "False", stop_reason.reason)
        return Claim("Running", "True", *reasons.STOPPING.with_details(why=stop_reason.message))
    if state.accepted is None and not state.any_live():
        return Claim("Running", "False", *reasons.NOT_VALID)
    troubled = _troubled(state)
    if troubled is not None:
        message = reasons.STAGE_IN_TROUBLE.format(stage=troubled.name, message=troubled.message)
        return Claim("Running", "True", troubled.reason, message)
    warning = limits.budget_warning(state.status, state.stages, state.policy, state.now)
    return Claim("Running", "True", *(warning or reasons.RUNNING))


def _troubled(state: ReconcileState) -> StageStatus | None:
    """The stage whose trouble the condition reports: one that runs, one that waits for a retry, a preflight without a plan."""
    for stage_state in ("Running", "Waiting", "Finished"):
        for stage in state.stages:
            if stage.state == stage_state and stage.message:
                return stage
    return None


def _flag(type_: str, value: bool, if_true: Explanation, if_false: Explanation) -> Claim:
    return Claim(type_, "True", *if_true) if value else Claim(type_, "False", *if_false)
