"""A job's status as a page for people. Pure."""

import textwrap
from datetime import datetime

from chex_api.status import Condition, HospitalStatus, StageStatus
from chex_jobs.cli.cluster_job import ClusterJob, moment
from chex_jobs.cli.table import table

BAR_CELLS = 10
EIGHTHS = " ▏▎▍▌▋▊▉"
HOLDING_GPUS = ("Running", "Stopping")


def job_table(jobs: list[ClusterJob], now: datetime, *, with_namespace: bool) -> list[str]:
    """All jobs, one a line."""
    head = ("NAME", "PHASE", "PROGRESS", "STAGE", "BEST", "GPU-HOURS", "ETA", "AGE")
    rows = [
        (
            f"{job.namespace}/{job.name}" if with_namespace else job.name,
            job.status.phase,
            job.status.progress,
            job.status.stage,
            job.status.best,
            job.status.gpu_hours,
            job.status.eta,
            age(job.created, now),
        )
        for job in jobs
    ]
    return printable(table([head, *rows], right=frozenset({"PROGRESS", "GPU-HOURS"})))


def page(job: ClusterJob, now: datetime, width: int) -> list[str]:
    """Everything about one job."""
    sections = [
        [headline(job), _times(job, now)],
        _conditions(job, now, width),
        _stages(job.status.stages, now, width),
        _hospitals(job.status.hospitals),
        [f"report: {job.status.report_uri}"] if job.status.report_uri else [],
    ]
    lines: list[str] = []
    for section in filter(None, sections):
        lines += ["", *section] if lines else section
    return printable(lines)


def age(begun: datetime, now: datetime) -> str:
    """How long ago, as kubectl tells it: `45s`, `12m`, `19h`, `3d`."""
    seconds = max(0, int((now - begun).total_seconds()))
    for most, unit, one in ((120, "s", 1), (7200, "m", 60), (172_800, "h", 3600)):
        if seconds < most:
            return f"{seconds // one}{unit}"
    return f"{seconds // 86_400}d"


def bar(percent: int) -> str:
    """A bar of ten cells, to an eighth of a cell."""
    eighths = round(percent * BAR_CELLS * 8 / 100)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(BAR_CELLS, "░")


def headline(job: ClusterJob) -> str:
    """Job, phase, progress and time left."""
    left = f"{job.status.eta} left" if job.status.eta else ""
    return "   ".join(
        filter(None, (f"{job.namespace}/{job.name}", job.status.phase, job.status.progress, left))
    )


def _times(job: ClusterJob, now: datetime) -> str:
    status = job.status
    of_budget = f" of {job.gpu_hours_budget}" if job.gpu_hours_budget else ""
    used = f"{status.gpu_hours}{of_budget} GPU-hours"
    if status.start_time is None:
        return f"submitted {age(job.created, now)} ago, not begun yet"
    if status.completion_time is not None:
        took = age(moment(status.start_time), moment(status.completion_time))
        return f"ended {age(moment(status.completion_time), now)} ago after {took}, {used}"
    return f"begun {age(moment(status.start_time), now)} ago, {used}"


def _conditions(job: ClusterJob, now: datetime, width: int) -> list[str]:
    """Those that hold, and `Valid` where it does not: that one people must mend."""
    told = [each for each in job.status.conditions if each.status == "True" or each.type == "Valid"]
    lines = []
    for each in told:
        since = age(moment(each.last_transition_time), now)
        lines += _wrapped(f"{each.type}={each.status} for {since}{because(each)}", width, "  ")
    if (job.status.observed_generation or 0) < job.generation:
        lines.append("the operator has not looked at the newest spec yet")
    return lines


def because(condition: Condition) -> str:
    """Reason and message, to follow the condition; a reason that only repeats it is left out."""
    reason = condition.reason if condition.reason != condition.type else ""
    return "".join(f": {part}" for part in (reason, condition.message) if part)


def reason_of(stage: StageStatus) -> str:
    """Its reason, unless that only repeats its state."""
    return stage.reason if stage.reason != stage.state else ""


def _stages(stages: tuple[StageStatus, ...], now: datetime, width: int) -> list[str]:
    if not stages:
        return []
    head = ("STAGE", "STATE", "ATTEMPT", "PROGRESS", "GPU-HOURS", "WORKERS", "REASON")
    rows = [
        (
            stage.name,
            stage.state,
            str(stage.attempt) if stage.attempt else "",
            f"{bar(stage.progress_percent)} {stage.progress_percent:>3}%",
            f"{gpu_hours(stage, now):.1f}",
            str(stage.workers) if stage.workers else "",
            reason_of(stage),
        )
        for stage in stages
    ]
    lines = table([head, *rows], right=frozenset({"ATTEMPT", "GPU-HOURS", "WORKERS"}))
    shown = [lines[0]]
    for stage, line in zip(stages, lines[1:], strict=True):
        shown.append(line)
        if stage.message and stage.state != "Finished":
            shown += _wrapped(f"  {_tries(stage)}{stage.message}", width, "    ")
    return shown


def gpu_hours(stage: StageStatus, now: datetime) -> float:
    """Of ended attempts as the operator counted them, and of the one that holds GPUs now."""
    seconds = float(stage.gpu_seconds)
    if stage.state in HOLDING_GPUS and stage.start_time is not None:
        seconds += stage.gpus * max(0.0, (now - moment(stage.start_time)).total_seconds())
    return seconds / 3600


def _tries(stage: StageStatus) -> str:
    counted = [
        f"{number} {word}{'s' if number > 1 else ''}"
        for number, word in ((stage.failures, "failure"), (stage.disruptions, "disruption"))
        if number
    ]
    return f"{', '.join(counted)}; " if counted else ""


def _hospitals(hospitals: tuple[HospitalStatus, ...]) -> list[str]:
    told = [each for each in hospitals if each.recommended]
    if not told:
        return []
    return table(
        [("HOSPITAL", "DEPLOY", "AUROC"), *((each.name, each.recommended, auroc(each)) for each in told)]
    )


def auroc(hospital: HospitalStatus) -> str:
    """AUROC on test patients, with its interval where there is one."""
    if hospital.auroc is None:
        return ""
    if hospital.auroc_low is None or hospital.auroc_high is None:
        return hospital.auroc
    return f"{hospital.auroc} ({hospital.auroc_low} to {hospital.auroc_high})"


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    own = text[: len(text) - len(text.lstrip())]
    # What is to be copied, such as a URI, stays in one piece.
    wrapper = textwrap.TextWrapper(
        max(40, width),
        initial_indent=own,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapper.wrap(" ".join(text.split())) or [text]


def printable(lines: list[str]) -> list[str]:
    """Messages come from Pods, too: none of them may steer a terminal."""
    return ["".join(each if each.isprintable() else " " for each in line) for line in lines]
