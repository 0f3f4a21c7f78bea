"""The status: where the job stands, its conditions, its clock, and the line that people read first. Pure."""

from dataclasses import dataclass

from chex_api.status import JobStatus, Phase, StageStatus
from chex_operator.reconcile.state import Course
from chex_operator.rules import limits, results
from chex_operator.rules.admission import Refused
from chex_operator.rules.conditions import Claim, Truth, updated
from chex_operator.rules.limits import Halt
from chex_operator.rules.stage_state import number
from chex_operator.rules.summary import Line, running_line
from chex_operator.rules.timestamps import timestamp


@dataclass(frozen=True)
class Standing:
    """Where a job stands.

    Attributes:
        halt: why it is halted; None: it is not.
        complete: every stage is finished.
        ended: complete or failed, and nothing runs any more.
        stopped: halted for now, and nothing runs any more.
    """

    halt: Halt | None
    complete: bool
    ended: bool
    stopped: bool


def standing_of(course: Course, halt: Halt | None, *, complete: bool) -> Standing:
    """Where the job stands after the pass."""
    quiet = not course.busy() and not course.any_live()
    ended = complete or (halt is not None and halt.final and quiet)
    return Standing(halt, complete, ended, stopped=halt is not None and not halt.final and quiet)


def tell(course: Course, standing: Standing) -> JobStatus:
    """The status after the pass."""
    clocked = _timed(course, standing)
    line = _line(course, standing, clocked)
    hospitals = results.hospitals_with(clocked.hospitals, course.results, course.stages)
    generation = course.observed.job.generation
    conditions = updated(clocked.conditions, _claims(course, standing), generation, course.now)
    told = clocked.model_copy(
        update={
            "observed_generation": generation,
            "phase": line.phase,
            "conditions": conditions,
            "progress": line.progress,
            "stage": line.stage,
            "eta": line.eta,
            "best": results.best_line(hospitals),
            "hospitals": hospitals,
            "report_uri": results.report_uri(course.results) or clocked.report_uri,
            "plan": course.plan_name,
            "stages": tuple(course.stages),
            "earlier_gpu_seconds": number(course.earlier_gpu_seconds),
            "superseded": tuple(course.superseded),
        }
    )
    return told.model_copy(update={"gpu_hours": number(limits.gpu_hours(told, told.stages, course.now))})


def _timed(course: Course, standing: Standing) -> JobStatus:
    """The clock of the job: it stands still while the job is suspended, refused or at its end."""
    status = course.status
    update: dict[str, object] = {}
    runs = not standing.ended and not standing.stopped and (course.accepted is not None or course.any_live())
    if runs and status.active_since is None:
        update["active_since"] = timestamp(course.now)
    if not runs and status.active_since is not None:
        update["active_seconds"] = int(limits.active_seconds(status, course.now))
        update["active_since"] = None
    if status.start_time is None and runs:
        update["start_time"] = timestamp(course.now)
    if standing.ended and (status.completion_time is None or course.is_new_generation):
        update["completion_time"] = timestamp(course.now)
    if not standing.ended:
        update["completion_time"] = None
    return status.model_copy(update=update)


def _line(course: Course, standing: Standing, status: JobStatus) -> Line:
    progress = {
        stage.name: notes.progress
        for stage in course.stages
        if (notes := course.observed.notes.get(stage.attempt_name)) is not None and notes.progress
    }
    counted = _counted(course)
    line = running_line(course.stages, counted, progress, limits.active_seconds(status, course.now))
    if standing.complete:
        return Line("Complete", "", "100%", "")
    phase: Phase = line.phase
    if standing.ended:
        phase = "Failed"
    elif standing.stopped:
        phase = "Suspended"
    elif standing.halt is not None:
        phase = "Stopping"
    elif course.accepted is None and not course.any_live():
        phase = "Pending"
    eta = "" if standing.halt is not None or standing.ended else line.eta
    return Line(phase, line.stage, _not_less(course, line.progress), eta)


def _counted(course: Course) -> list[StageStatus]:
    """The stages that say how much is done. What an edit may have replaced does not, while a preflight looks what is to be done."""
    preflight = course.preflight()
    looks = preflight is not None and preflight.state != "Finished"
    return course.own_stages() if looks else course.stages


def _not_less(course: Course, progress: str) -> str:
    """Progress as it is told: of one manifest on the same data it never goes back, also not while a preflight looks again."""
    before, after = course.status.stages[:1], course.stages[:1]
    same_manifest = bool(before and after) and before[0].identity == after[0].identity
    same_plan = course.plan_name == course.status.plan or (bool(after) and after[0].state != "Finished")
    if not (same_manifest and same_plan):
        return progress
    return max(progress, course.status.progress, key=lambda told: int(told.rstrip("%") or 0))


def _claims(course: Course, standing: Standing) -> list[Claim]:
    halt = standing.halt
    failed = Claim("Failed", "False", "NotFailed")
    if standing.ended and halt is not None:
        failed = Claim("Failed", "True", halt.reason, halt.message)
    return [
        _valid_claim(course),
        _running_claim(course, standing),
        Claim("Suspended", _truth(standing.stopped), "Suspended" if standing.stopped else "NotSuspended"),
        Claim("Complete", _truth(standing.complete), "Complete" if standing.complete else "NotComplete"),
        failed,
    ]


def _valid_claim(course: Course) -> Claim:
    judgement = course.observed.judgement
    if isinstance(judgement, Refused):
        return Claim("Valid", "False", judgement.reason, judgement.message)
    return Claim("Valid", "True", "Accepted", "the manifest can be run on its runtime")


def _running_claim(course: Course, standing: Standing) -> Claim:
    halt = standing.halt
    if standing.complete:
        return Claim("Running", "False", "Complete")
    if halt is not None:
        if standing.ended or standing.stopped:
            return Claim("Running", "False", halt.reason)
        return Claim("Running", "True", "Stopping", halt.message)
    if course.accepted is None and not course.any_live():
        return Claim("Running", "False", "NotValid", "see condition Valid")
    troubled = _troubled(course)
    if troubled is not None:
        return Claim("Running", "True", troubled.reason, f"{troubled.name}: {troubled.message}")
    warning = limits.budget_warning(course.status, course.stages, course.policy, course.now)
    return Claim("Running", "True", "BudgetNearlyUsed" if warning else "Running", warning)


def _troubled(course: Course) -> StageStatus | None:
    """The stage whose trouble people should know of: one that runs, one that waits to be tried again, a preflight without a plan."""
    for state in ("Running", "Waiting", "Finished"):
        for stage in course.stages:
            if stage.state == state and stage.message:
                return stage
    return None


def _truth(value: bool) -> Truth:
    return "True" if value else "False"
