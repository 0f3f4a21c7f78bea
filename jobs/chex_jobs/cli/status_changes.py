"""What changed between two states of a job, as lines. Pure."""

from chex_api.status import Condition, HospitalStatus, JobStatus, StageStatus
from chex_jobs.cli.cluster_job import ClusterJob
from chex_jobs.cli.status_page import auroc, because, headline, printable, reason_of

NOTHING_HELD = ("False",)


def changes(before: ClusterJob | None, after: ClusterJob) -> list[str]:
    """What is told anew, one line for each thing; of a job that was not seen before, everything."""
    old = before.status if before is not None else JobStatus()
    new = after.status
    lines = []
    if before is None or (old.phase, old.progress) != (new.phase, new.progress):
        lines.append(headline(after))
    lines += _conditions(old.conditions, new.conditions)
    lines += _stages(old.stages, new.stages)
    lines += _hospitals(old.hospitals, new.hospitals)
    if new.report_uri and new.report_uri != old.report_uri:
        lines.append(f"report: {new.report_uri}")
    return printable(lines)


def _conditions(old: tuple[Condition, ...], new: tuple[Condition, ...]) -> list[str]:
    held = {condition.type: _held(condition) for condition in old}
    return [
        f"{condition.type}={condition.status}{because(condition)}"
        for condition in new
        if _held(condition) != held.get(condition.type, NOTHING_HELD)
    ]


def _held(condition: Condition) -> tuple[str, ...]:
    """What a condition says; that something does not hold needs no reason, unless it is that the job is not valid."""
    if condition.status == "False" and condition.type != "Valid":
        return NOTHING_HELD
    return condition.status, condition.reason, condition.message


def _stages(old: tuple[StageStatus, ...], new: tuple[StageStatus, ...]) -> list[str]:
    """Those that do something else; that one waits is told only when it has not always done so."""
    told = {stage.name: _told_of(stage) for stage in old}
    never_begun = ("Waiting", 0, "", "")
    return [_stage_line(stage) for stage in new if _told_of(stage) != told.get(stage.name, never_begun)]


def _told_of(stage: StageStatus) -> tuple[object, ...]:
    return stage.state, stage.attempt, stage.reason, stage.message


def _stage_line(stage: StageStatus) -> str:
    attempt = f", attempt {stage.attempt}" if stage.attempt else ""
    why = ": ".join(filter(None, (reason_of(stage), stage.message)))
    return f"{stage.name}: {stage.state}{attempt}" + (f" ({why})" if why else "")


def _hospitals(old: tuple[HospitalStatus, ...], new: tuple[HospitalStatus, ...]) -> list[str]:
    known = {hospital.name: hospital for hospital in old}
    return [
        f"{hospital.name}: {_result(hospital)}"
        for hospital in new
        if hospital.recommended and known.get(hospital.name) != hospital
    ]


def _result(hospital: HospitalStatus) -> str:
    measured = auroc(hospital)
    return hospital.recommended + (f", AUROC {measured}" if measured else "")
