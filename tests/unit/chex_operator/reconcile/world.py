"""A cluster in memory that does what `decide` asks for, as the API server would, old caches included."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from chex_api.attempt import PreflightResult
from chex_api.job import ChexTrainingJob
from chex_api.loading import validate_job
from chex_api.plan import digest_keys, make_plan
from chex_api.stage import StageProgress, StageResult
from chex_api.status import JobStatus, StageStatus
from chex_operator.kube.resource import Object
from chex_operator.reconcile.actions import (
    NEEDS_THE_JOB_AS_IT_IS,
    Action,
    AddFinalizer,
    DeleteAttemptObject,
    DeletePlan,
    DeleteSupport,
    EventRequest,
    FreezePlan,
    RemoveFinalizer,
    RequestStop,
    StartPreflight,
    StartStage,
)
from chex_operator.reconcile.decide import Decision
from chex_operator.rendering import AttemptReference, attempt_name
from chex_operator.rules.admission import Accepted, Judgement
from chex_operator.rules.frozen_plan import FrozenPlan, plan_identity
from chex_operator.rules.observed import AttemptObject, Observed, Pod, ProgressRecord
from chex_operator.rules.outcome import DriverReport, PodProblem, RayJobState, has_ended
from tests.pipeline.manifest import tiny_job
from tests.unit.chex_operator.reconcile.rewording import decide_whatever_the_words
from tests.unit.chex_operator.rendering.attempts import JOB, runtime

PLAN = "plan"
ARTIFACTS = "s3://radiology-models/radiology/tiny"


def manifest(**policy: object) -> ChexTrainingJob:
    """The tiny job, with this run policy."""
    plain = tiny_job(ARTIFACTS)
    plain["spec"]["runPolicy"] = policy
    return _valid(plain)


def edited_manifest(epochs: int, **policy: object) -> ChexTrainingJob:
    """The tiny job with a pretraining of so many epochs: another one than `manifest` gives, and what follows from it."""
    plain = tiny_job(ARTIFACTS)
    plain["spec"]["runPolicy"] = policy
    plain["spec"]["pretraining"][0]["optimization"]["epochs"] = epochs
    return _valid(plain)


def manifest_with_weights() -> ChexTrainingJob:
    """The tiny job with initial weights, which lie outside the manifest."""
    plain = tiny_job(ARTIFACTS)
    plain["spec"]["encoders"]["image"]["init"] = {"uri": "s3://radiology-data/weights"}
    return _valid(plain)


def _valid(plain: Object) -> ChexTrainingJob:
    loaded = validate_job(plain)
    assert loaded.job is not None, loaded.faults
    return loaded.job


def accepted(job: ChexTrainingJob) -> Accepted:
    return Accepted(job.spec.run_policy, runtime(), plan_identity(job.spec), lambda: job)


class Stale(Exception):
    """What a resourceVersion is for."""


@dataclass
class World:
    """One job and everything of it. Time only moves on command."""

    judgement: Judgement = field(default_factory=lambda: accepted(manifest()))
    now: float = 1_000_000.0
    generation: int = 1
    version: int = 1
    status: JobStatus = field(default_factory=JobStatus)
    has_finalizer: bool = False
    deleting_since: float | None = None
    gone: bool = False
    plans: dict[str, FrozenPlan] = field(default_factory=dict)
    attempt_objects: dict[str, AttemptObject] = field(default_factory=dict)
    progress_records: dict[str, ProgressRecord] = field(default_factory=dict)
    pods: dict[str, tuple[Pod, ...]] = field(default_factory=dict)
    stage_of: dict[str, str] = field(default_factory=dict)
    identity_of: dict[str, str] = field(default_factory=dict)
    judgement_of: dict[str, Judgement] = field(default_factory=dict)
    """The manifest that a preflight was started for."""
    stored: dict[str, StageResult] = field(default_factory=dict)
    """Manifests in S3, by stage and identity."""
    digest: str = "0" * 64
    """Of the data, as a preflight finds them."""
    refuse: set[str] = field(default_factory=set)
    """Stages of which the cluster admits no RayJob; `PLAN`: it has no room for ConfigMaps."""
    started: list[str] = field(default_factory=list)
    statuses: list[JobStatus] = field(default_factory=list)
    events: list[EventRequest] = field(default_factory=list)
    data_notices: tuple[str, ...] = ()
    """What a preflight says of the data."""

    # What a replica observes

    def observe(self) -> Snapshot:
        job = replace(JOB, generation=self.generation)
        observed = Observed(
            job=job,
            judgement=self.judgement,
            status=self.status,
            deleting_since=self.deleting_since,
            has_finalizer=self.has_finalizer,
            plan=self.plans.get(self.status.plan),
            attempt_objects=dict(self.attempt_objects),
            progress_records=dict(self.progress_records),
            pods=dict(self.pods),
        )
        return Snapshot(observed, self.version)

    def step(self, snapshot: Snapshot | None = None, *, die_after: int | None = None) -> Decision | None:
        """One pass, on what is seen now or was seen earlier. It may die after so many writes. None: it met something newer."""
        if self.gone:
            return None
        snapshot = snapshot or self.observe()
        decision = decide_whatever_the_words(snapshot.observed, self.now)
        self.events += decision.events
        try:
            self._act(snapshot, decision, die_after)
        except Stale:
            return None
        return decision

    def settle(self, most: int = 30) -> Decision:
        """Passes until nothing changes any more."""
        for _ in range(most):
            before = (
                self.status,
                len(self.started),
                len(self.attempt_objects),
                len(self.progress_records),
                self.version,
            )
            decision = self.step()
            assert decision is not None
            if before == (
                self.status,
                len(self.started),
                len(self.attempt_objects),
                len(self.progress_records),
                self.version,
            ):
                return decision
        raise AssertionError("it never comes to rest")

    def _act(self, snapshot: Snapshot, decision: Decision, die_after: int | None) -> None:
        version = snapshot.version
        fresh = any(isinstance(action, NEEDS_THE_JOB_AS_IT_IS) for action in decision.actions)
        if fresh and version != self.version:
            raise Stale
        writes = 0
        for action in decision.actions:
            if die_after is not None and writes >= die_after:
                raise Stale
            version = self._carry_out(action, version, decision.status)
            writes += 1
            if self.gone:
                return
        if die_after is not None and writes >= die_after:
            raise Stale
        if decision.status != snapshot.observed.status:
            if version != self.version:
                raise Stale
            self.status = decision.status
            self.version += 1
            self.statuses.append(self.status)

    def _carry_out(self, action: Action, version: int, decided: JobStatus) -> int:
        match action:
            case AddFinalizer():
                return self._metadata(version, has_finalizer=True)
            case RemoveFinalizer():
                version = self._metadata(version, has_finalizer=False)
                self.gone = self.deleting_since is not None
                return version
            case StartPreflight():
                self._start(attempt_name(action.preflight.reference), "preflight", is_preflight=True)
            case StartStage():
                stage = action.stage
                reference = AttemptReference(JOB, stage.kind, stage.name, stage.identity, action.number)
                self.identity_of[attempt_name(reference)] = stage.identity
                if stage.label not in self.refuse:
                    self._start(attempt_name(reference), stage.label, is_preflight=False)
            case FreezePlan():
                if PLAN not in self.refuse:
                    self.plans.setdefault(action.frozen.name, action.frozen)
            case DeletePlan():
                self.plans.pop(action.name, None)
            case RequestStop():
                self._assert_unwanted(action.attempt, decided)
                record = self.progress_records.get(action.attempt)
                if record is None:
                    raise Stale
                self.progress_records[action.attempt] = replace(record, stop_since=self.now)
            case DeleteAttemptObject():
                attempt_object = self.attempt_objects.get(action.attempt)
                if attempt_object is not None and attempt_object.uid == action.uid:
                    self._assert_unwanted(action.attempt, decided)
                    self.remove_run(action.attempt)
            case DeleteSupport():
                self.progress_records.pop(action.attempt, None)
        return version

    def _assert_unwanted(self, name: str, decided: JobStatus) -> None:
        """Nobody stops an attempt on the word of an old cache: whoever does says so."""
        current = [
            each for each in self.status.stages if (each.attempt_name, each.state) == (name, "Running")
        ]
        still = [each for each in decided.stages if (each.attempt_name, each.state) == (name, "Running")]
        if self.deleting_since is None and current and still:
            assert name not in self.live(), f"{name} is stopped, and nobody says so"

    def _metadata(self, version: int, *, has_finalizer: bool) -> int:
        if version != self.version:
            raise Stale
        self.has_finalizer = has_finalizer
        self.version += 1
        return self.version

    def _start(self, name: str, stage: str, *, is_preflight: bool) -> None:
        self.progress_records.setdefault(name, ProgressRecord(uid="1", is_preflight=is_preflight))
        if name in self.attempt_objects:
            return
        assert not self.live(stage), f"two live attempts of {stage}"
        self.stage_of[name] = stage
        self.judgement_of[name] = self.judgement
        uid = f"uid-{len(self.started)}"
        running = RayJobState(deployment_status="Running", job_status="RUNNING")
        self.attempt_objects[name] = AttemptObject(name, uid, is_preflight, running, admitted_at=self.now)
        self.pods[name] = (self._pod(name),)
        self.started.append(name)

    def _pod(self, name: str) -> Pod:
        role = "" if self.attempt_objects[name].is_preflight else "worker"
        return Pod(f"{name}-pod", name, role, alive=True, ready=True, scheduled_at=self.now)

    # What happens in it

    def live(self, stage: str | None = None) -> list[str]:
        """Attempts whose Pods run."""
        return [
            name
            for name, attempt_object in self.attempt_objects.items()
            if not has_ended(attempt_object.state) and stage in (None, self.stage_of[name])
        ]

    def end(self, name: str, state: RayJobState, **record: object) -> None:
        """KubeRay says that an attempt has ended, and takes its cluster away."""
        if name in self.progress_records:
            self.progress_records[name] = replace(self.progress_records[name], **record)  # pyright: ignore[reportArgumentType]
        self.attempt_objects[name] = replace(self.attempt_objects[name], state=state)
        self.pods.pop(name, None)

    def succeed(self, name: str, *, silently: bool = False) -> None:
        """The entry point ends well; silently: the result is not reported."""
        state = RayJobState("SUCCEEDED", "Complete")
        if self.attempt_objects[name].is_preflight:
            self.end(name, state, **({} if silently else {"preflight": self.preflight_result(name)}))
            return
        label = self.stage_of[name]
        result = StageResult(
            manifest_uri=f"{ARTIFACTS}/{label}/manifest.json",
            manifest_sha256="a" * 64,
            summary={"recommended": "ssl/probe@1", "auroc": 0.8, "page": f"{ARTIFACTS}/report.html"},
        )
        self.stored[f"{label}:{self.identity_of[name]}"] = result
        self.end(name, state, **({} if silently else {"result": result}))

    def fail(self, name: str, *, user_error: bool = False, committed: float = 0.0) -> None:
        progress = StageProgress(done=committed, total=100, committed=committed)
        report = DriverReport("it broke", user_error=user_error)
        self.end(name, RayJobState("FAILED", "Failed", "AppFailed"), driver_report=report, progress=progress)

    def queue(self, name: str) -> None:
        """The queue takes the machines of an attempt."""
        suspended = RayJobState(deployment_status="Suspended")
        self.attempt_objects[name] = replace(self.attempt_objects[name], state=suspended, admitted_at=None)
        self.pods.pop(name, None)

    def admit(self, name: str) -> None:
        """The queue admits an attempt again; it gets its machines at once."""
        running = RayJobState(deployment_status="Running", job_status="RUNNING")
        self.attempt_objects[name] = replace(self.attempt_objects[name], state=running, admitted_at=self.now)
        self.pods[name] = (self._pod(name),)

    def lose_head(self, name: str) -> None:
        self.end(name, RayJobState("RUNNING", "Failed", "SubmissionFailed"))

    def evict(self, name: str) -> None:
        """A worker is evicted; KubeRay has not noticed yet."""
        problem = PodProblem("Evicted", "its node ran out of memory", disruption=True)
        self.pods[name] = tuple(replace(pod, alive=False, problem=problem) for pod in self.pods.get(name, ()))

    def have_problem(self, name: str, problem: PodProblem) -> None:
        """A worker does not run; nothing has ended."""
        self.pods[name] = tuple(replace(pod, ready=False, problem=problem) for pod in self.pods.get(name, ()))

    def stop_obediently(self) -> None:
        """Every driver that was asked to stops."""
        for name in self.live():
            if self.progress_records.get(name) and self.progress_records[name].stop_since is not None:
                self.end(
                    name,
                    RayJobState("FAILED", "Failed", "AppFailed"),
                    driver_report=DriverReport(stopped=True),
                )

    def remove_run(self, name: str) -> None:
        self.attempt_objects.pop(name, None)
        self.pods.pop(name, None)

    def edit(self, change: Callable[[], Judgement]) -> None:
        """Somebody applies another manifest."""
        self.judgement = change()
        self.generation += 1
        self.version += 1

    def delete(self) -> None:
        self.deleting_since = self.now
        self.version += 1
        self.gone = not self.has_finalizer

    def preflight_result(self, name: str) -> PreflightResult:
        judgement = self.judgement_of[name]
        digests, identities = self.planned(judgement)
        finished = {
            label: self.stored[f"{label}:{identity}"]
            for label, identity in identities.items()
            if f"{label}:{identity}" in self.stored
        }
        return PreflightResult(
            digests=digests, identities=identities, finished=finished, notices=self.data_notices
        )

    def planned(self, judgement: Judgement) -> tuple[dict[str, str], dict[str, str]]:
        """Of a manifest on the data as they are: digests by location, and identities by stage."""
        assert isinstance(judgement, Accepted)
        job = judgement.manifest()
        digests = dict.fromkeys(digest_keys(job.spec), self.digest)
        plan = make_plan(job, digests)
        return digests, {stage.label: stage.identity for stage in plan.stages}

    def stage(self, name: str) -> StageStatus:
        return next(stage for stage in self.status.stages if stage.name == name)

    def condition(self, kind: str) -> str:
        return next((each.status for each in self.status.conditions if each.type == kind), "absent")

    def run_to(self, stage: str) -> str:
        """Let everything before a stage succeed; the name of its live attempt."""
        for _ in range(60):
            self.settle()
            if self.live(stage):
                return self.live(stage)[0]
            for name in self.live():
                self.succeed(name)
        raise AssertionError(f"{stage} never began")

    def run_to_the_end(self, passes: int = 80) -> None:
        """A world without further trouble."""
        for _ in range(passes):
            self.settle()
            self.stop_obediently()
            for name in self.live():
                self.succeed(name)
            self.now += 700.0
            if self.status.phase in ("Complete", "Failed"):
                self.settle()
                return
        raise AssertionError(f"it never ends: {self.status.phase}")

    def copy(self) -> World:
        return copy.deepcopy(self)


@dataclass(frozen=True)
class Snapshot:
    """What a cache held at some moment."""

    observed: Observed
    version: int
