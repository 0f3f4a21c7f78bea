"""Whatever happens, in whatever order, seen late or by an operator that dies: the same end, and never two attempts at once.

`World` itself asserts that no attempt is created while another one of its stage is live.
"""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from chex_operator.rules.limits import SECONDS_PER_HOUR, gpu_hours
from chex_operator.rules.outcome import RayJobState
from tests.unit.chex_operator.reconcile.world import PLAN, Snapshot, World, accepted, edited_manifest

POLICY: dict[str, Any] = {
    "backoffLimit": 100,
    "maxDisruptions": 10_000,
    "ttlSecondsAfterFinished": 600,
}
A_TENTH_OF_EACH = 1.0
"""GPU-seconds are written to a tenth, of each stage."""
WHAT_HAPPENS = ["succeed", "silent", "fail", "fault", "queue", "admit", "lose", "evict", "delete"]


EPOCHS = (2, 9, 11)
"""Of the manifests between which edits go to and fro."""


class Happenings(RuleBasedStateMachine):
    """What may happen to a job whatever its history, and what must hold in any."""

    @initialize(
        stage=st.sampled_from(["preflight", "ingest/north", "pretrain/ssl", "adapt/north", "report/tiny"])
    )
    def begin(self, stage: str) -> None:
        self.epochs, self.suspended = EPOCHS[0], False
        self.world = World(judgement=accepted(edited_manifest(self.epochs, **POLICY)))
        self.world.run_to(stage)
        self.snapshots: list[Snapshot] = []

    @rule()
    def a_pass(self) -> None:
        self.world.step()

    @rule()
    def passes_until_nothing_changes(self) -> None:
        self.world.settle()

    @rule(writes=st.integers(0, 4))
    def a_pass_dies(self, writes: int) -> None:
        self.world.step(die_after=writes)

    @rule()
    def a_cache_holds(self) -> None:
        self.snapshots.append(self.world.observe())

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data(), writes=st.none() | st.integers(0, 3))
    def a_pass_on_an_old_cache(self, data: st.DataObject, writes: int | None) -> None:
        self.world.step(data.draw(st.sampled_from(self.snapshots[-3:])), die_after=writes)

    @precondition(lambda self: self.world.live())
    @rule(data=st.data(), what=st.sampled_from(WHAT_HAPPENS))
    def something_happens_to_an_attempt(self, data: st.DataObject, what: str) -> None:
        name = data.draw(st.sampled_from(self.world.live()))
        match what:
            case "succeed":
                self.world.succeed(name)
            case "silent":
                self.world.succeed(name, silently=True)
            case "fail":
                self.world.fail(name, committed=float(len(self.world.started)))
            case "fault":
                self.world.fail(name, user_error=True)
            case "queue":
                self.world.queue(name)
            case "admit":
                self.world.admit(name)
            case "lose":
                self.world.lose_head(name)
            case "evict":
                self.world.evict(name)
                self.world.end(name, RayJobState("RUNNING", "Failed", "SubmissionFailed"))
            case _:
                self.world.remove_run(name)

    @rule()
    def drivers_obey(self) -> None:
        self.world.stop_obediently()

    @rule(seconds=st.sampled_from([30.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    @rule()
    def somebody_deletes_the_plan(self) -> None:
        self.world.plans.clear()

    @rule()
    def the_quota_of_config_maps_is_used_up_or_raised(self) -> None:
        self.world.refuse ^= {PLAN}

    @rule()
    def suspend_or_resume(self) -> None:
        self.suspended = not self.suspended
        self.apply()

    def apply(self) -> None:
        epochs, suspended = self.epochs, self.suspended
        self.world.edit(lambda: accepted(edited_manifest(epochs, **POLICY, suspend=suspended)))

    @invariant()
    def progress_never_goes_back_within_a_plan(self) -> None:
        if not hasattr(self, "world"):
            return
        status = self.world.status
        plan = (status.observed_generation, status.plan, status.stages[0].identity)
        percent = int(status.progress.rstrip("%") or 0)
        before = getattr(self, "before", (plan, 0))
        assert plan != before[0] or percent >= before[1]
        self.before = (plan, percent)

    @invariant()
    def what_was_used_stays_counted(self) -> None:
        """However often the manifest is edited, and whatever becomes of what it replaced."""
        if not hasattr(self, "world"):
            return
        status = self.world.status
        used = SECONDS_PER_HOUR * gpu_hours(status, status.stages, self.world.now)
        assert used >= getattr(self, "used_before", 0.0) - A_TENTH_OF_EACH
        self.used_before = used

    @invariant()
    def what_is_complete_is_the_manifest_as_it_is(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        if world.condition("Complete") != "True" or world.status.observed_generation != world.generation:
            return
        planned = world.planned(world.judgement)[1]
        assert {stage.name: stage.identity for stage in world.status.stages[1:]} == planned

    @invariant()
    def conditions_never_contradict_each_other(self) -> None:
        if not hasattr(self, "world"):
            return
        true = {each.type for each in self.world.status.conditions if each.status == "True"}
        assert len(true & {"Running", "Suspended", "Complete", "Failed"}) <= 1

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.refuse.clear()
        self.suspended = True
        self.suspend_or_resume()  # an edit: another chance for what has failed
        self.world.run_to_the_end()
        assert self.world.status.phase == "Complete"
        assert not self.world.live()
        names = [stage.attempt_name for stage in self.world.status.stages]
        assert set(self.world.attempt_objects) <= set(names)
        assert set(self.world.progress_records) <= set(names)
        self.what_is_complete_is_the_manifest_as_it_is()


class Histories(Happenings):
    """Of a job whose manifest stays what it is, but for its run policy."""

    @initialize()
    def nothing_is_finished(self) -> None:
        self.finished: dict[str, str] = {}
        self.progress = 0

    @invariant()
    def what_is_finished_stays_finished(self) -> None:
        if not hasattr(self, "world") or not hasattr(self, "finished"):
            return
        now = {
            stage.name: stage.manifest_sha256 for stage in self.world.status.stages if stage.manifest_sha256
        }
        assert self.finished.items() <= now.items()
        self.finished = now

    @invariant()
    def progress_never_goes_back(self) -> None:
        if not hasattr(self, "world") or not hasattr(self, "finished"):
            return
        percent = int(self.world.status.progress.rstrip("%") or 0)
        assert percent >= self.progress
        self.progress = percent


class EditedHistories(Happenings):
    """Of a job whose manifest is edited, to and fro, while it runs, stops, fails and after its end."""

    @rule(epochs=st.sampled_from(EPOCHS))
    def somebody_edits_the_manifest(self, epochs: int) -> None:
        self.epochs = epochs
        self.apply()

    @rule(epochs=st.sampled_from(EPOCHS))
    def somebody_edits_the_manifest_and_a_preflight_looks(self, epochs: int) -> None:
        """Else few histories come to a second plan."""
        self.somebody_edits_the_manifest(epochs)
        self.world.settle()
        for name in self.world.live("preflight"):
            self.world.succeed(name)
        self.world.settle()


OFTEN = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestHistories = Histories.TestCase
TestHistories.settings = OFTEN
TestEditedHistories = EditedHistories.TestCase
TestEditedHistories.settings = OFTEN
