"""One pass: from what is observed to what is to be done and told. Pure, and therefore tested with random histories.

Order within a pass: what became of running attempts; whether there is a plan; whether the job is halted; what is stopped and
cleared away; what begins; what is told. Nothing is inferred from what is missing in a cache: an attempt is written down in the
status first, and its RayJob is created in the pass that reads it there.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from chex_api.run_policy import RunPolicy
from chex_api.stage import StageResult
from chex_api.status import Condition, JobStatus, Phase, StageStatus
from chex_operator.controller import limits, planning, results
from chex_operator.controller.actions import (
    Action,
    AddFinalizer,
    DeletePlan,
    DeleteRun,
    DeleteSupport,
    FreezePlan,
    Notice,
    RemoveFinalizer,
    StartPreflight,
    StartStage,
)
from chex_operator.controller.admission import Accepted, Refused
from chex_operator.controller.conditions import Claim, Truth, updated
from chex_operator.controller.frozen_plan import FrozenPlan, PlannedStage
from chex_operator.controller.lifecycle import (
    LIVE_STATES,
    UNKNOWN_RESULT,
    Seen,
    advance,
    begin,
    fail_or_retry,
    finish,
    gpu_seconds,
    number,
    rest,
)
from chex_operator.controller.limits import Halt
from chex_operator.controller.moments import seconds_of, timestamp
from chex_operator.controller.observed import Observed
from chex_operator.controller.outcome import End, Outcome
from chex_operator.controller.placement import next_choice
from chex_operator.controller.stopping import clear, holds_machines, is_live, stop
from chex_operator.controller.summary import Line, running_line
from chex_operator.rendering import PREFLIGHT, AttemptReference, Preflight, attempt_name

DELETION_SECONDS = 420.0
"""The job's end waits no longer than this for its attempts: a finalizer that nobody removes blocks a namespace."""
SHORT_OF_MACHINES = ("PreRunningDeadlineExceeded", "Unschedulable")
LOOK_AGAIN_SECONDS = 60.0
NO_RESULT = Outcome(End.FAILED, "NoManifest", "it ended well, and left no manifest")


@dataclass(frozen=True)
class Decision:
    """What a pass asks for.

    Attributes:
        actions: in order.
        status: as it is to be told.
        look_again: seconds until something is due without an event; None for never.
        notices: events for people.
    """

    actions: tuple[Action, ...]
    status: JobStatus
    look_again: float | None = None
    notices: tuple[Notice, ...] = ()


def decide(observed: Observed, now: float) -> Decision:
    """What to do about a job, and what to tell of it.

    Args:
        observed: see there.
        now: seconds since the epoch.
    """
    if observed.deleting_since is not None:
        return _end(observed, observed.deleting_since, now)
    return _Pass(observed, now).run()


def _end(observed: Observed, since: float, now: float) -> Decision:
    """A deleted job: its attempts stop with a checkpoint, bounded, and then it may go."""
    status = observed.status
    if not observed.has_finalizer:
        return Decision((), status)
    names = {*observed.runs, *observed.pods}
    if not holds_machines(observed, names, now):
        return Decision((RemoveFinalizer(),), status)
    if now - since >= DELETION_SECONDS:
        gone = [
            DeleteRun(run.name, run.uid, run.is_preflight) for run in observed.runs.values() if is_live(run)
        ]
        notice = Notice(
            "Warning",
            "StillRunning",
            "RemoveFinalizer",
            f"its attempts did not end within {DELETION_SECONDS:g} s; look for Pods of this job that are left",
        )
        return Decision((*gone, RemoveFinalizer()), status, notices=(notice,))
    actions: list[Action] = []
    for run in observed.runs.values():
        if is_live(run):
            actions += stop(run, observed.notes.get(run.name), "Deleted", now)
    told = status.model_copy(update={"phase": "Stopping", "eta": ""})
    return Decision(tuple(actions), told, look_again=5.0)


@dataclass
class _Pass:
    observed: Observed
    now: float
    actions: list[Action] = field(default_factory=list[Action])
    notices: list[Notice] = field(default_factory=list[Notice])

    def __post_init__(self) -> None:
        observed = self.observed
        self.status = observed.status
        judgement = observed.judgement
        self.accepted = judgement if isinstance(judgement, Accepted) else None
        self.policy = _policy_of(observed)
        self.stages = list(self.status.stages)
        self.results: dict[str, StageResult] = {}
        self.earlier_gpu_seconds = float(self.status.earlier_gpu_seconds)
        self.plan_name = self.status.plan
        self.is_new_generation = self.status.observed_generation != observed.job.generation

    def run(self) -> Decision:
        if self.is_new_generation:
            self.stages = [_revived(stage) for stage in self.stages]
        before = {stage.name: stage for stage in self.stages}
        self.stages = [self._advanced(stage) for stage in self.stages]
        self._resolve_unknown_results()
        self._plan()
        halt = limits.halt(self.status, self.stages, self.policy, self.now)
        complete = self._is_complete()
        if complete:
            halt = None  # there is nothing left to halt
        self.actions += clear(self.observed, self.stages, self.now)
        if complete:
            self._expire()
        elif halt is not None:
            self._stop_all(halt)
            self._expire(only_if=halt.final and not self._busy())
        elif self.accepted is not None:
            self._begin(self.accepted)
        self._notice_changes(before)
        return self._decision(halt, complete)

    # What became of running attempts

    def _advanced(self, stage: StageStatus) -> StageStatus:
        observed, name = self.observed, stage.attempt_name
        notes = observed.notes.get(name)
        seen = Seen(observed.runs.get(name), notes, observed.pods.get(name, ()))
        advanced = advance(stage, seen, self.policy, self.now)
        if advanced.state == "Finished" and stage.state != "Finished" and notes is not None and notes.result:
            self.results[stage.name] = notes.result
        return advanced

    def _preflight(self) -> StageStatus | None:
        return self.stages[0] if self.stages and self.stages[0].name == PREFLIGHT else None

    def _resolve_unknown_results(self) -> None:
        """A stage that ended well and told nothing: a preflight looks what is there, it is never guessed."""
        unknown = [stage for stage in self.stages[1:] if _is_unknown(stage)]
        preflight = self._preflight()
        if not unknown or preflight is None:
            return
        ended_now = preflight.state == "Finished" and self.status.stages[0].state in LIVE_STATES
        notes = self.observed.notes.get(preflight.attempt_name)
        if not (ended_now and notes is not None and notes.preflight is not None):
            if preflight.state == "Finished":
                self.stages[0] = rest(preflight, "Waiting", UNKNOWN_RESULT, "looks what finished stages left")
            return
        for index, stage in enumerate(self.stages):
            if not _is_unknown(stage):
                continue
            done = notes.preflight.finished.get(stage.name)
            if done is not None:
                self.results[stage.name] = done
                self.stages[index] = finish(stage, done.manifest_uri, done.manifest_sha256)
            else:
                self.stages[index] = fail_or_retry(
                    stage, NO_RESULT, self.policy, progressed=False, now=self.now
                )

    # Whether there is a plan

    def _plan(self) -> None:
        """Have a preflight for this manifest, and freeze the plan once it has found what there is."""
        if self.accepted is None or self._has_plan(self.accepted.identity):
            return
        preflight = self._preflight()
        if preflight is None or preflight.identity != self.accepted.identity:
            rest_of_stages = self.stages[1:] if preflight is not None else self.stages
            self.stages = [planning.new_preflight(self.accepted.identity), *rest_of_stages]
            return
        if preflight.state != "Finished":
            return
        notes = self.observed.notes.get(preflight.attempt_name)
        if notes is None or notes.preflight is None:
            self.stages[0] = rest(preflight, "Waiting", UNKNOWN_RESULT, "its result is gone; it is repeated")
            return
        planned = planning.plan_from(self.observed.job, self.accepted, notes.preflight)
        if isinstance(planned, planning.CannotPlan):
            self.stages[0] = rest(preflight, "Failed", planned.reason, planned.message)
            return
        self._adopt(planned, notes.preflight.finished)

    def _adopt(self, planned: FreezePlan, finished: dict[str, StageResult]) -> None:
        preflight, old = self.stages[0], self.stages[1:]
        found = self.observed.notes[preflight.attempt_name].preflight
        assert found is not None
        self.stages = planning.stages_of(planned.frozen, preflight, old, found)
        kept = {(stage.name, stage.identity) for stage in self.stages}
        self.earlier_gpu_seconds += sum(
            gpu_seconds(stage, self.now) for stage in old if (stage.name, stage.identity) not in kept
        )
        self.results |= {
            stage.name: finished[stage.name]
            for stage in self.stages
            if stage.state == "Finished" and stage.name in finished
        }
        self.actions.append(planned)
        if self.plan_name and self.plan_name != planned.frozen.name:
            self.actions.append(DeletePlan(self.plan_name))
        self.plan_name = planned.frozen.name

    def _has_plan(self, identity: str) -> bool:
        """Whether the stages of the status are those of this manifest, and can be gone on with."""
        preflight = self._preflight()
        if preflight is None or preflight.identity != identity or len(self.stages) < 2:
            return False
        plan = self.observed.plan
        return (plan is not None and plan.identity == identity) or self._all_finished()

    def _all_finished(self) -> bool:
        return len(self.stages) > 1 and all(stage.state == "Finished" for stage in self.stages[1:])

    def _is_complete(self) -> bool:
        return self.accepted is not None and self._has_plan(self.accepted.identity) and self._all_finished()

    # What is stopped

    def _busy(self) -> bool:
        """Whether anything of the job may still use machines."""
        names = {*self.observed.runs, *self.observed.pods}
        return holds_machines(self.observed, names, self.now)

    def _stop_all(self, halt: Halt) -> None:
        for index, stage in enumerate(self.stages):
            if stage.state not in LIVE_STATES:
                if stage.state == "Waiting" and not halt.final and not _is_unknown(stage):
                    self.stages[index] = rest(stage, "Suspended", halt.reason)
                continue
            run = self.observed.runs.get(stage.attempt_name)
            if run is None and stage.launch_time is None:
                self.stages[index] = rest(stage, "Suspended", halt.reason)
                continue
            self.stages[index] = stage.model_copy(
                update={"state": "Stopping", "reason": halt.reason, "message": "stops with a checkpoint"}
            )
            if run is not None and is_live(run):
                notes = self.observed.notes.get(stage.attempt_name)
                self.actions += stop(run, notes, halt.reason, self.now)

    def _expire(self, *, only_if: bool = True) -> None:
        """Some time after the end the job's objects go; its artifacts and the job itself stay."""
        ttl, ended = self.policy.ttl_seconds_after_finished, seconds_of(self.status.completion_time)
        if not only_if or self.is_new_generation or ttl is None or ended is None or self.now < ended + ttl:
            return
        known = {action.attempt for action in self.actions if isinstance(action, DeleteRun | DeleteSupport)}
        for run in self.observed.runs.values():
            if run.name not in known and not run.deleting:
                self.actions.append(DeleteRun(run.name, run.uid, run.is_preflight))
        for name, notes in self.observed.notes.items():
            if name not in known and name not in self.observed.runs:
                self.actions.append(DeleteSupport(name, notes.is_preflight))
        if self.observed.plan is not None:
            self.actions.append(DeletePlan(self.observed.plan.name))

    # What begins

    def _begin(self, accepted: Accepted) -> None:
        self.stages = [_resumed(stage) for stage in self.stages]
        self._begin_preflight(accepted)
        plan = self.observed.plan
        if plan is None or plan.identity != accepted.identity or plan.name != self.plan_name:
            return
        if not self.observed.has_finalizer:
            self.actions.append(AddFinalizer())
        planned = {stage.label: stage for stage in plan.stages}
        for index, stage in enumerate(self.stages):
            if stage.name in planned:
                self.stages[index] = self._begun(stage, planned[stage.name], plan)

    def _begin_preflight(self, accepted: Accepted) -> None:
        preflight = self._preflight()
        if preflight is None:
            return
        if self._is_due(preflight):
            self.stages[0] = begin(preflight, self._name(preflight, preflight.attempt + 1), workers=0, gpus=0)
        elif self._is_to_be_created(preflight):
            self.actions.append(
                StartPreflight(
                    Preflight(
                        job=self.observed.job,
                        manifest=accepted.manifest.plain(),
                        identity=preflight.identity,
                        number=preflight.attempt,
                        runtime=accepted.runtime,
                        policy=self.policy,
                    )
                )
            )

    def _begun(self, stage: StageStatus, planned: PlannedStage, plan: FrozenPlan) -> StageStatus:
        if self._is_to_be_created(stage):
            if self.observed.has_finalizer:
                self.actions.append(StartStage(plan, planned, stage.attempt, stage.workers, self.policy))
            return stage
        if not self._is_due(stage) or not self._may_begin(planned):
            return stage
        workers = _workers(stage, planned)
        name = self._name(stage, stage.attempt + 1)
        return begin(stage, name, workers=workers, gpus=workers * planned.gpus)

    def _is_due(self, stage: StageStatus) -> bool:
        not_before = seconds_of(stage.not_before)
        return (
            stage.state == "Waiting"
            and not (_is_unknown(stage) and stage.name != PREFLIGHT)
            and (not_before is None or not_before <= self.now)
            and not holds_machines(self.observed, [stage.attempt_name], self.now)
        )

    def _is_to_be_created(self, stage: StageStatus) -> bool:
        """Whether the status that was read back names an attempt of which nothing has been seen yet."""
        told = next((each for each in self.status.stages if each.name == stage.name), None)
        return (
            stage.state == "Running"
            and stage.launch_time is None
            and told is not None
            and (told.state, told.attempt_name) == ("Running", stage.attempt_name)
            and stage.attempt_name not in self.observed.runs
        )

    def _may_begin(self, planned: PlannedStage) -> bool:
        states = {each.name: each.state for each in self.stages}
        running = sum(each.state in LIVE_STATES for each in self.stages if each.name != PREFLIGHT)
        return (
            running < self.policy.parallelism
            and all(states.get(parent) == "Finished" for parent in planned.parents)
            and not self._replaces_something_live()
        )

    def _replaces_something_live(self) -> bool:
        """Whether an attempt that is no stage's newest still runs: of a stage's former self, perhaps."""
        newest = {each.attempt_name for each in self.stages}
        others = {*self.observed.runs, *self.observed.pods} - newest
        return holds_machines(self.observed, others, self.now)

    def _name(self, stage: StageStatus, attempt: int) -> str:
        kind, _, name = stage.name.partition("/")
        return attempt_name(AttemptReference(self.observed.job, kind, name, stage.identity, attempt))

    # What is told

    def _notice_changes(self, before: dict[str, StageStatus]) -> None:
        for stage in self.stages:
            old = before.get(stage.name)
            if old is not None and (old.state, old.attempt) == (stage.state, stage.attempt):
                continue
            notice = _notice(stage)
            if notice is not None and (old is None or old.state != stage.state):
                self.notices.append(notice)

    def _decision(self, halt: Halt | None, complete: bool) -> Decision:
        ended = complete or (halt is not None and halt.final and not self._busy() and not self._any_live())
        stopped = halt is not None and not halt.final and not self._busy() and not self._any_live()
        status = self._timed(ended=ended, stopped=stopped)
        line = self._line(halt, complete, ended, stopped, status)
        hospitals = results.hospitals_with(status.hospitals, self.results, self.stages)
        told = status.model_copy(
            update={
                "observed_generation": self.observed.job.generation,
                "phase": line.phase,
                "progress": line.progress,
                "stage": line.stage,
                "eta": line.eta,
                "best": results.best_line(hospitals),
                "hospitals": hospitals,
                "report_uri": results.report_uri(self.results) or status.report_uri,
                "plan": self.plan_name,
                "stages": tuple(self.stages),
                "earlier_gpu_seconds": number(self.earlier_gpu_seconds),
            }
        )
        told = told.model_copy(update={"gpu_hours": number(limits.gpu_hours(told, told.stages, self.now))})
        claims = self._claims(halt, complete, ended, stopped)
        conditions = updated(self.status.conditions, claims, self.observed.job.generation, self.now)
        self._notice_end(conditions)
        return Decision(
            actions=tuple(self.actions),
            status=told.model_copy(update={"conditions": conditions}),
            look_again=self._look_again(ended),
            notices=tuple(self.notices),
        )

    def _any_live(self) -> bool:
        return any(stage.state in LIVE_STATES for stage in self.stages)

    def _timed(self, *, ended: bool, stopped: bool) -> JobStatus:
        """The clock of the job: it stands still while the job is suspended, refused or at its end."""
        status = self.status
        update: dict[str, object] = {}
        runs = not ended and not stopped and (self.accepted is not None or self._any_live())
        if runs and status.active_since is None:
            update["active_since"] = timestamp(self.now)
        if not runs and status.active_since is not None:
            update["active_seconds"] = int(limits.active_seconds(status, self.now))
            update["active_since"] = None
        if status.start_time is None and runs:
            update["start_time"] = timestamp(self.now)
        if ended and (status.completion_time is None or self.is_new_generation):
            update["completion_time"] = timestamp(self.now)
        if not ended:
            update["completion_time"] = None
        return status.model_copy(update=update)

    def _line(self, halt: Halt | None, complete: bool, ended: bool, stopped: bool, status: JobStatus) -> Line:
        progress = {
            stage.name: notes.progress
            for stage in self.stages
            if (notes := self.observed.notes.get(stage.attempt_name)) is not None and notes.progress
        }
        line = running_line(self.stages, progress, limits.active_seconds(status, self.now))
        if complete:
            return Line("Complete", "", "100%", "")
        phase: Phase = line.phase
        if ended:
            phase = "Failed"
        elif stopped:
            phase = "Suspended"
        elif halt is not None:
            phase = "Stopping"
        elif self.accepted is None and not self._any_live():
            phase = "Pending"
        eta = "" if halt is not None or ended else line.eta
        return Line(phase, line.stage, line.progress, eta)

    def _claims(self, halt: Halt | None, complete: bool, ended: bool, stopped: bool) -> list[Claim]:
        judgement = self.observed.judgement
        if isinstance(judgement, Refused):
            valid = Claim("Valid", "False", judgement.reason, judgement.message)
        else:
            valid = Claim("Valid", "True", "Accepted", "the manifest can be run on its runtime")
        failed = ended and not complete and halt is not None
        return [
            valid,
            self._running_claim(halt, complete, ended, stopped),
            Claim("Suspended", _truth(stopped), "Suspended" if stopped else "NotSuspended"),
            Claim("Complete", _truth(complete), "Complete" if complete else "NotComplete"),
            Claim("Failed", "True", halt.reason, halt.message)
            if failed and halt is not None
            else Claim("Failed", "False", "NotFailed"),
        ]

    def _running_claim(self, halt: Halt | None, complete: bool, ended: bool, stopped: bool) -> Claim:
        if complete or ended or stopped:
            reason = "Complete" if complete else halt.reason if halt is not None else "Ended"
            return Claim("Running", "False", reason)
        if halt is not None:
            return Claim("Running", "True", "Stopping", halt.message)
        if self.accepted is None and not self._any_live():
            return Claim("Running", "False", "NotValid", "see condition Valid")
        troubled = next((stage for stage in self.stages if stage.state == "Running" and stage.message), None)
        if troubled is None:
            troubled = next(
                (stage for stage in self.stages if stage.state == "Waiting" and stage.message), None
            )
        if troubled is not None:
            return Claim("Running", "True", troubled.reason, f"{troubled.name}: {troubled.message}")
        warning = limits.budget_warning(self.status, self.stages, self.policy, self.now)
        return Claim("Running", "True", "BudgetNearlyUsed" if warning else "Running", warning)

    def _notice_end(self, conditions: Iterable[Condition]) -> None:
        held = {condition.type: condition.status for condition in self.status.conditions}
        for condition in conditions:
            if held.get(condition.type) == condition.status:
                continue
            told = (condition.type, condition.status)
            if told == ("Complete", "True"):
                self.notices.append(Notice("Normal", "Complete", "Finish", "every stage is finished"))
            elif told == ("Failed", "True"):
                self.notices.append(Notice("Warning", condition.reason, "Stop", condition.message))
            elif told == ("Valid", "False"):
                self.notices.append(Notice("Warning", condition.reason, "Validate", condition.message))

    def _look_again(self, ended: bool) -> float | None:
        moments: list[float] = []
        if ended:
            ttl = self.policy.ttl_seconds_after_finished
            completed = seconds_of(self.status.completion_time)
            if ttl is not None and (self.observed.runs or self.observed.notes or self.observed.plan):
                moments.append((completed if completed is not None else self.now) + ttl - self.now)
        else:
            moments += [
                due - self.now
                for stage in self.stages
                if stage.state == "Waiting" and (due := seconds_of(stage.not_before)) is not None
            ]
            deadline = self.policy.active_deadline_seconds
            if deadline is not None:
                moments.append(deadline - limits.active_seconds(self.status, self.now))
            if self._any_live():
                stopping = any(stage.state == "Stopping" for stage in self.stages)
                moments.append(5.0 if stopping else LOOK_AGAIN_SECONDS)
            elif self._busy():
                moments.append(5.0)
        return max(0.5, min(moments)) if moments else None


def _policy_of(observed: Observed) -> RunPolicy:
    judgement = observed.judgement
    if isinstance(judgement, Accepted):
        return judgement.manifest.spec.run_policy
    return judgement.policy or RunPolicy()


def _revived(stage: StageStatus) -> StageStatus:
    """A changed manifest is another chance: for what failed, and for what waits to be tried again."""
    if stage.state == "Failed":
        stage = rest(stage, "Waiting", "")
    if stage.state in ("Waiting", "Suspended"):
        stage = stage.model_copy(update={"failures": 0, "disruptions": 0, "not_before": None})
    return stage


def _resumed(stage: StageStatus) -> StageStatus:
    return rest(stage, "Waiting", "") if stage.state == "Suspended" else stage


def _is_unknown(stage: StageStatus) -> bool:
    return stage.state == "Waiting" and stage.reason == UNKNOWN_RESULT


def _workers(stage: StageStatus, planned: PlannedStage) -> int:
    """As many as wanted; fewer after an attempt that never got its machines."""
    if stage.attempt and stage.workers and stage.reason in SHORT_OF_MACHINES:
        return next_choice(planned.choices, stage.workers)
    return planned.choices[0]


def _truth(value: bool) -> Truth:
    return "True" if value else "False"


def _notice(stage: StageStatus) -> Notice | None:
    about = f"{stage.name}: {stage.message or stage.reason}"
    if stage.state == "Running":
        return Notice("Normal", "StageStarted", "StartAttempt", f"{stage.name}: attempt {stage.attempt}")
    if stage.state == "Finished":
        return Notice("Normal", "StageFinished", "FinishStage", f"{stage.name} is finished")
    if stage.state == "Failed":
        return Notice("Warning", "StageFailed", "GiveUp", about)
    if stage.state == "Waiting" and stage.attempt and stage.reason:
        return Notice("Warning", "AttemptFailed", "Retry", about)
    return None
