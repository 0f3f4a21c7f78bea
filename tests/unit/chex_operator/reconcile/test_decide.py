"""A job's life as the operator decides it, one behaviour a test."""

from dataclasses import replace

import pytest

from chex_api.stage import StageProgress
from chex_operator.reconcile.decide import decide
from chex_operator.reconcile.requeue import RUNNING_SECONDS, STOPPING_SECONDS
from chex_operator.rules.admission import Refused
from chex_operator.rules.observed import Pod
from chex_operator.rules.outcome import PodProblem, RayJobState
from chex_operator.rules.termination import GONE_SECONDS, STOP_SECONDS
from tests.unit.chex_operator.reconcile.world import (
    World,
    accepted,
    edited_manifest,
    manifest,
    manifest_with_weights,
)


def test_a_job_goes_from_preflight_to_the_report() -> None:
    world = World()
    world.run_to_the_end()
    assert world.status.phase == "Complete"
    assert [world.condition(kind) for kind in ("Valid", "Running", "Suspended", "Complete", "Failed")] == [
        "True",
        "False",
        "False",
        "True",
        "False",
    ]
    assert world.status.progress == "100%"
    assert world.status.report_uri.endswith("report.html")
    assert world.status.best == "north: ssl/probe@1 0.800"
    assert len(world.started) == len(world.status.stages)


def test_an_attempt_stands_in_the_status_before_its_run_is_created() -> None:
    world = World()
    world.step()
    assert world.status.stages[0].attempt == 1
    assert not world.started
    world.step()
    assert world.started == [world.status.stages[0].attempt_name]


def test_what_preflight_says_of_the_data_becomes_events_once() -> None:
    note = "north, task icu: will end in: Insufficient data: fewer than 10 patients in the smaller class"
    world = World(data_notices=(note,))
    world.run_to_the_end()
    (event,) = [event for event in world.events if event.reason == "DataOutlook"]
    assert (event.type, event.note) == ("Warning", note)


def test_no_gpu_is_asked_for_before_preflight_has_passed_and_the_end_waits_for_us() -> None:
    world = World()
    world.settle()
    assert world.live() == [world.status.stages[0].attempt_name]
    assert not world.has_finalizer
    world.run_to("ingest/archive")
    assert world.has_finalizer


def test_stages_begin_when_their_parents_are_finished_and_not_before() -> None:
    world = World()
    world.run_to("ingest/archive")
    assert sorted(world.stage_of[name] for name in world.live()) == ["ingest/archive", "ingest/north"]
    assert world.stage("pretrain/ssl").state == "Waiting"


def test_no_more_stages_run_at_once_than_the_manifest_allows() -> None:
    world = World(judgement=accepted(manifest(parallelism=1)))
    world.run_to("ingest/archive")
    assert len(world.live()) == 1


def test_what_is_finished_in_storage_is_never_launched() -> None:
    first = World()
    first.run_to_the_end()
    second = World(stored=dict(first.stored))
    second.run_to_the_end()
    assert len(second.started) == 1
    assert second.status.phase == "Complete"
    assert second.stage("pretrain/ssl").manifest_sha256 == "a" * 64
    assert second.status.best == "north: ssl/probe@1 0.800"


def test_a_failed_attempt_is_followed_by_another_after_a_wait() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.fail(name)
    decision = world.settle()
    assert world.stage("pretrain/ssl").state == "Waiting"
    assert "it broke" in world.stage("pretrain/ssl").message
    assert decision.requeue_after == pytest.approx(10.0)
    world.now += 11
    world.settle()
    assert world.live("pretrain/ssl") == [world.stage("pretrain/ssl").attempt_name]
    assert world.stage("pretrain/ssl").attempt == 2


def test_too_many_failures_without_progress_fail_the_job_and_say_why() -> None:
    world = World(judgement=accepted(manifest(backoffLimit=1)))
    for _ in range(2):
        world.fail(world.run_to("pretrain/ssl"))
        world.settle()
        world.now += 700
    world.settle()
    assert world.status.phase == "Failed"
    assert world.condition("Failed") == "True"
    failed = next(each for each in world.status.conditions if each.type == "Failed")
    assert failed.reason == "BackoffLimitExceeded"
    assert "pretrain/ssl" in failed.message
    assert "it broke" in failed.message


def test_attempts_that_get_further_may_fail_without_end() -> None:
    world = World(judgement=accepted(manifest(backoffLimit=1)))
    for committed in range(1, 12):
        world.fail(world.run_to("pretrain/ssl"), committed=committed)
        world.settle()
        world.now += 700
    assert world.status.phase == "Pretraining"


def test_a_fault_of_the_manifest_is_not_tried_again() -> None:
    world = World()
    world.fail(world.run_to("ingest/archive"), user_error=True)
    world.settle()
    world.stop_obediently()
    world.settle()
    assert world.stage("ingest/archive").state == "Failed"
    assert world.status.phase == "Failed"


def test_an_edited_manifest_is_another_chance() -> None:
    world = World()
    world.fail(world.run_to("ingest/archive"), user_error=True)
    world.settle()
    world.stop_obediently()
    world.settle()
    world.edit(lambda: accepted(manifest(backoffLimit=9)))
    world.run_to_the_end()
    assert world.status.phase == "Complete"


def test_after_a_fault_of_the_data_a_preflight_looks_at_them_again_before_anything_runs() -> None:
    world = World()
    world.fail(world.run_to("ingest/archive"), user_error=True)
    world.settle()
    world.stop_obediently()
    world.settle()
    (plan,) = world.plans
    world.edit(lambda: accepted(manifest(backoffLimit=9)))
    world.settle()
    assert [world.stage_of[name] for name in world.live()] == ["preflight"]
    assert world.stage("preflight").attempt == 2
    assert plan not in world.plans
    world.succeed(world.live()[0])
    world.settle()
    assert len(world.plans) == 1
    assert world.stage("ingest/archive").attempt == 2


def test_a_preflight_whose_result_nobody_understands_is_tried_as_often_as_one_that_fails() -> None:
    world = World(judgement=accepted(manifest(backoffLimit=1)))
    for _ in range(2):
        world.settle()
        world.succeed(world.live("preflight")[0], silently=True)
        world.settle()
        world.now += 700
    world.settle()
    assert len(world.started) == 2
    assert world.status.phase == "Failed"
    assert "use the jobs image of the operator's release" in world.stage("preflight").message


def test_what_was_refused_is_asked_for_differently_once_the_manifest_is_mended() -> None:
    world = World()
    world.run_to("ingest/archive")
    for name in world.live():
        world.succeed(name)
    world.step()  # pretrain/ssl is written down, and not created
    refused = tuple(
        stage.model_copy(update={"reason": "CreationRefused"}) if stage.name == "pretrain/ssl" else stage
        for stage in world.status.stages
    )
    world.status = world.status.model_copy(update={"stages": refused})
    assert world.stage("pretrain/ssl").launch_time is None

    def with_fewer_workers() -> object:
        job = manifest()
        attempt_object = job.spec.pretraining[0]
        changed = attempt_object.model_copy(
            update={"workers": attempt_object.workers.model_copy(update={"count": 1})}
        )
        return accepted(
            job.model_copy(update={"spec": job.spec.model_copy(update={"pretraining": (changed,)})})
        )

    held = world.observe()
    world.edit(with_fewer_workers)  # pyright: ignore[reportArgumentType]
    assert held.observed.attempt_objects.keys() == world.attempt_objects.keys()
    world.step()
    world.refuse.add("pretrain/ssl")
    world.settle()
    world.succeed(world.live("preflight")[0])
    world.refuse.clear()
    world.settle()
    assert (world.stage("pretrain/ssl").attempt, world.stage("pretrain/ssl").workers) == (2, 1)


def test_an_attempt_that_went_on_after_an_eviction_may_fail_by_itself_later() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.evict(name)
    world.settle()
    assert world.stage("pretrain/ssl").reason == "Evicted"
    world.pods[name] = ()
    world.progress_records[name] = replace(
        world.progress_records[name], progress=StageProgress(done=40, total=100, committed=0)
    )
    world.settle()
    assert world.stage("pretrain/ssl").reason == "Evicted"
    world.pods[name] = tuple(
        Pod(f"new-{number}", name, "worker", alive=True, ready=True, scheduled_at=world.now)
        for number in range(world.stage("pretrain/ssl").workers)
    )
    world.progress_records[name] = replace(
        world.progress_records[name], progress=StageProgress(done=50, total=100, committed=0)
    )
    world.settle()
    assert world.stage("pretrain/ssl").reason == "Running"
    world.fail(name)
    world.settle()
    stage = world.stage("pretrain/ssl")
    assert (stage.reason, stage.message, stage.failures, stage.disruptions) == (
        "StageFailed",
        "it broke",
        1,
        0,
    )


def test_an_eviction_is_counted_apart_from_failures_though_its_pod_is_gone_when_kuberay_notices() -> None:
    world = World(judgement=accepted(manifest(backoffLimit=0)))
    name = world.run_to("pretrain/ssl")
    world.evict(name)
    world.settle()
    assert world.stage("pretrain/ssl").reason == "Evicted"
    world.pods.pop(name)
    world.lose_head(name)
    world.settle()
    assert (world.stage("pretrain/ssl").failures, world.stage("pretrain/ssl").disruptions) == (0, 1)
    world.run_to_the_end()
    assert world.status.phase == "Complete"


def test_a_driver_that_misses_its_evicted_workers_was_disrupted_also_when_the_pods_are_gone() -> None:
    world = World(judgement=accepted(manifest(backoffLimit=0)))
    name = world.run_to("pretrain/ssl")
    world.evict(name)
    world.settle()
    world.pods.pop(name)
    world.fail(name)
    world.settle()
    assert (world.stage("pretrain/ssl").failures, world.stage("pretrain/ssl").disruptions) == (0, 1)


def test_an_eviction_is_not_forgotten_while_the_pod_that_replaces_it_finds_no_node() -> None:
    world = World(judgement=accepted(manifest(backoffLimit=0)))
    name = world.run_to("pretrain/ssl")
    world.evict(name)
    world.settle()
    nowhere = PodProblem("Unschedulable", "Pod new: finds no node")
    world.pods[name] = (Pod("new", name, "worker", alive=True, problem=nowhere),)
    world.settle()
    assert world.stage("pretrain/ssl").reason == "Unschedulable"
    world.fail(name)
    world.settle()
    stage = world.stage("pretrain/ssl")
    assert (stage.reason, stage.failures, stage.disruptions) == ("Evicted", 0, 1)
    assert stage.interruption is None


def test_memory_that_ran_out_is_reported_as_the_cause_though_the_pod_is_gone_by_then() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    ran_out = PodProblem("OOMKilled", "Pod w ran out of memory; give its pool more")
    world.pods[name] = tuple(replace(pod, alive=False, problem=ran_out) for pod in world.pods[name])
    world.settle()
    world.pods.pop(name)
    world.settle()
    assert world.stage("pretrain/ssl").reason == "OOMKilled"
    world.fail(name)
    world.settle()
    stage = world.stage("pretrain/ssl")
    assert (stage.reason, stage.failures, stage.disruptions) == ("OOMKilled", 1, 0)
    assert stage.message == f"{ran_out.message}; the driver says: it broke"


def test_a_run_that_somebody_deleted_is_a_disruption() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.remove_run(name)
    world.settle()
    assert world.stage("pretrain/ssl").disruptions == 1
    world.now += 60
    world.settle()
    assert world.stage("pretrain/ssl").attempt == 2


def world_with_pods_that_outlive_their_attempt() -> tuple[World, str]:
    """Pretraining has failed, and its Pods still run; and the attempt's name."""
    world = World()
    name = world.run_to("pretrain/ssl")
    pods = world.pods[name]
    world.fail(name)
    world.pods[name] = pods
    world.settle()
    return world, name


def test_no_attempt_starts_while_a_pod_of_the_one_before_still_runs() -> None:
    world, name = world_with_pods_that_outlive_their_attempt()
    world.now += 60
    world.settle()
    assert not world.live("pretrain/ssl")
    world.pods.pop(name)
    world.settle()
    assert world.live("pretrain/ssl")


def test_success_without_a_result_is_looked_up_and_never_guessed() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.succeed(name, silently=True)
    world.settle()
    assert world.stage("pretrain/ssl").state == "Waiting"
    assert world.live("preflight")
    world.succeed(world.live("preflight")[0])
    world.settle()
    assert world.stage("pretrain/ssl").state == "Finished"
    assert world.started.count(name) == 1


def test_success_that_left_nothing_is_a_failure() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.succeed(name, silently=True)
    world.stored = {key: done for key, done in world.stored.items() if not key.startswith("pretrain/")}
    world.settle()
    world.succeed(world.live("preflight")[0])
    world.settle()
    assert world.stage("pretrain/ssl").failures == 1
    world.now += 60
    world.settle()
    assert world.stage("pretrain/ssl").attempt == 2


def test_suspending_stops_with_a_checkpoint_and_resuming_goes_on() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.edit(lambda: accepted(manifest(suspend=True)))
    world.settle()
    assert world.progress_records[name].stop_since is not None
    assert world.status.phase == "Stopping"
    assert world.condition("Suspended") == "False"
    world.stop_obediently()
    world.settle()
    assert world.status.phase == "Suspended"
    assert world.condition("Suspended") == "True"
    assert not world.live()
    world.edit(lambda: accepted(manifest(suspend=False)))
    world.settle()
    assert world.stage("pretrain/ssl").attempt == 2
    assert world.stage("pretrain/ssl").failures == 0
    assert sum(each == "preflight" for each in world.stage_of.values()) == 1
    world.run_to_the_end()
    assert world.status.phase == "Complete"


def test_an_attempt_that_was_created_and_not_observed_yet_keeps_the_job_from_being_suspended() -> None:
    world = World()
    world.run_to("pretrain/ssl")
    stages = tuple(
        stage.model_copy(update={"launch_time": None, "start_time": None})
        if stage.state == "Running"
        else stage
        for stage in world.status.stages
    )
    world.status = world.status.model_copy(update={"stages": stages})
    world.edit(lambda: accepted(manifest(suspend=True)))
    lagging = world.observe()
    world.step(replace(lagging, observed=replace(lagging.observed, attempt_objects={}, pods={})))
    assert world.stage("pretrain/ssl").state == "Stopping"
    assert world.condition("Suspended") == "False"
    world.settle()
    assert world.live("pretrain/ssl")
    world.stop_obediently()
    world.settle()
    assert world.condition("Suspended") == "True"


def test_a_driver_that_does_not_stop_is_deleted_after_a_while() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.edit(lambda: accepted(manifest(suspend=True)))
    world.settle()
    world.now += STOP_SECONDS - 1
    world.settle()
    assert name in world.attempt_objects
    world.now += 2
    world.settle()
    assert name not in world.attempt_objects
    assert world.status.phase == "Suspended"


def test_a_driver_that_does_not_stop_is_deleted_though_the_job_was_resumed_meanwhile() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.edit(lambda: accepted(manifest(suspend=True)))
    world.settle()
    world.edit(lambda: accepted(manifest(suspend=False)))
    world.now += STOP_SECONDS + 1
    world.settle()
    assert name not in world.attempt_objects
    assert world.stage("pretrain/ssl").attempt == 2


def test_a_complete_job_looks_after_what_still_runs_of_it() -> None:
    world = World()
    world.run_to_the_end()
    name = world.stage("pretrain/ssl").attempt_name
    other = "chex-of-an-older-manifest-1"
    world.attempt_objects[other] = replace(
        world.attempt_objects[name],
        name=other,
        state=RayJobState(deployment_status="Running", job_status="RUNNING"),
    )
    world.progress_records[other] = replace(world.progress_records[name], stop_since=world.now)
    world.stage_of[other] = "pretrain/old"
    decision = world.step()
    assert decision is not None
    assert decision.requeue_after is not None
    assert decision.requeue_after <= STOPPING_SECONDS
    world.now += STOP_SECONDS + 1
    world.settle()
    assert other not in world.attempt_objects


def test_a_run_whose_pods_outlive_it_is_deleted_so_that_the_next_attempt_can_begin() -> None:
    world, name = world_with_pods_that_outlive_their_attempt()
    world.now += GONE_SECONDS
    world.settle()
    assert name in world.attempt_objects
    world.now += 60
    world.settle()
    assert name not in world.attempt_objects
    assert world.stage("pretrain/ssl").attempt == 2


@pytest.mark.parametrize("suspended", [True, False], ids=["suspended", "failed"])
def test_pods_that_outlive_the_last_attempt_keep_no_job_from_its_end(suspended: bool) -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    pods = world.pods[name]
    if suspended:
        world.edit(lambda: accepted(manifest(suspend=True)))
        world.settle()
        world.stop_obediently()
    else:
        world.fail(name, user_error=True)
    world.attempt_objects[name] = replace(world.attempt_objects[name], ended_at=world.now)
    world.pods[name] = pods  # KubeRay has forgotten the cluster
    world.settle()
    assert world.status.phase == "Stopping"
    world.now += GONE_SECONDS + 1
    world.settle()
    assert name not in world.attempt_objects
    assert world.status.phase == ("Suspended" if suspended else "Failed")


def test_a_stage_that_waits_for_another_ones_end_is_not_looked_at_all_the_time() -> None:
    world = World(judgement=accepted(manifest(parallelism=1)))
    first = world.run_to("ingest/archive")
    world.fail(first)
    world.settle()
    world.step()
    for stage in world.status.stages:
        if stage.name == "ingest/north":
            assert stage.state == "Running"
    world.now += 700
    decision = world.settle()
    assert world.stage("ingest/archive").state == "Waiting"
    assert decision.requeue_after == RUNNING_SECONDS


def test_suspended_time_does_not_count_against_the_deadline() -> None:
    world = World(judgement=accepted(manifest(activeDeadlineSeconds=1000)))
    world.run_to("pretrain/ssl")
    world.now += 400
    world.edit(lambda: accepted(manifest(activeDeadlineSeconds=1000, suspend=True)))
    world.settle()
    world.stop_obediently()
    world.settle()
    assert world.status.active_seconds == 400
    world.now += 1_000_000
    world.edit(lambda: accepted(manifest(activeDeadlineSeconds=1000)))
    decision = world.settle()
    assert world.status.phase == "Pretraining"
    assert decision.requeue_after is not None
    world.now += 601
    world.settle()
    world.stop_obediently()
    world.settle()
    failed = next(each for each in world.status.conditions if each.type == "Failed")
    assert (failed.status, failed.reason) == ("True", "DeadlineExceeded")


def test_a_used_up_budget_stops_cleanly_and_names_what_is_missing() -> None:
    world = World(judgement=accepted(manifest(budget={"gpuHours": 2.0})))
    world.run_to("pretrain/ssl")
    world.now += 0.9 * 3600
    world.settle()
    running = next(each for each in world.status.conditions if each.type == "Running")
    assert running.reason == "BudgetNearlyUsed"
    world.now += 0.2 * 3600
    world.settle()
    assert world.status.phase == "Stopping"
    world.stop_obediently()
    world.settle()
    failed = next(each for each in world.status.conditions if each.type == "Failed")
    assert failed.reason == "BudgetExceeded"
    assert "pretrain/ssl" in failed.message
    world.edit(lambda: accepted(manifest(budget={"gpuHours": 50.0})))
    world.run_to_the_end()
    assert world.status.phase == "Complete"


def test_an_edited_manifest_stops_only_what_changed() -> None:
    world = World()
    old = world.run_to("pretrain/ssl")
    finished = world.stage("ingest/archive")

    world.edit(lambda: accepted(edited_manifest(9)))
    world.settle()
    assert world.live("pretrain/ssl") == [old]
    world.succeed(world.live("preflight")[0])
    world.settle()
    assert world.stage("ingest/archive") == finished
    assert world.progress_records[old].stop_since is not None
    assert world.live("pretrain/ssl") == [old]
    world.stop_obediently()
    world.settle()
    assert old not in world.attempt_objects
    assert world.live("pretrain/ssl") != [old]
    assert len(world.plans) == 1
    world.run_to_the_end()
    assert world.status.phase == "Complete"


def test_a_manifest_that_cannot_be_run_says_why_and_starts_nothing() -> None:
    world = World(judgement=Refused("RuntimeNotFound", "there is no ClusterChexRuntime 'h100'"))
    world.settle()
    assert not world.started
    assert world.condition("Valid") == "False"
    assert world.condition("Running") == "False"
    assert world.status.active_since is None


def test_a_wrong_edit_lets_run_what_runs() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.edit(lambda: Refused("InvalidSpec", "spec.seed: must be a number"))
    world.settle()
    assert world.live() == [name]
    assert world.condition("Valid") == "False"
    world.succeed(name)
    world.settle()
    assert world.stage("pretrain/ssl").state == "Finished"
    assert not world.live()


def test_a_deleted_job_waits_for_its_last_checkpoint_and_frees_its_machines() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.delete()
    world.step()
    assert world.progress_records[name].stop_since is not None
    world.step()
    assert not world.gone
    world.stop_obediently()
    world.step()
    assert world.gone


def test_a_job_at_its_end_and_a_suspended_one_hold_up_no_deletion() -> None:
    world = World()
    world.run_to("pretrain/ssl")
    assert world.has_finalizer
    world.edit(lambda: accepted(manifest(suspend=True)))
    world.settle()
    assert world.has_finalizer
    world.stop_obediently()
    world.settle()
    assert not world.has_finalizer
    world.edit(lambda: accepted(manifest(suspend=False)))
    world.settle()
    assert world.has_finalizer
    world.run_to_the_end()
    assert not world.has_finalizer


def test_the_end_of_a_job_waits_for_a_bounded_time() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.delete()
    for _ in range(12):
        world.step()
        world.now += 60
    assert world.gone
    assert name not in world.attempt_objects


def test_some_time_after_its_end_a_jobs_objects_go_and_nothing_starts_again() -> None:
    world = World(judgement=accepted(manifest(ttlSecondsAfterFinished=3600)))
    world.run_to_the_end()
    assert world.attempt_objects
    world.now += 3601
    world.settle()
    assert (world.attempt_objects, world.progress_records, world.plans) == ({}, {}, {})
    assert world.status.phase == "Complete"
    before = len(world.started)
    world.settle()
    assert len(world.started) == before


def test_older_attempts_leave_nothing_behind() -> None:
    world = World()
    first = world.run_to("pretrain/ssl")
    world.fail(first)
    world.settle()
    assert first in world.attempt_objects
    world.now += 60
    world.settle()
    assert first not in world.attempt_objects
    assert first not in world.progress_records


def test_fewer_workers_are_asked_for_when_machines_are_short() -> None:
    job = manifest()
    attempt_object = job.spec.pretraining[0]
    workers = attempt_object.workers.model_copy(update={"count": 2, "min_available": 1})
    spec = job.spec.model_copy(
        update={"pretraining": (attempt_object.model_copy(update={"workers": workers}),)}
    )
    world = World(judgement=accepted(job.model_copy(update={"spec": spec})))
    name = world.run_to("pretrain/ssl")
    assert world.stage("pretrain/ssl").workers == 2
    world.end(name, RayJobState("", "Failed", "PreRunningDeadlineExceeded"))
    world.settle()
    world.now += 60
    world.settle()
    assert world.stage("pretrain/ssl").workers == 1


def test_a_preflight_that_gets_no_machine_is_given_up_and_tried_again() -> None:
    world = World(judgement=accepted(manifest(preRunningDeadlineSeconds=60)))
    world.settle()
    (first,) = world.live("preflight")
    problem = PodProblem("Unschedulable", "Pod p: finds no node: 1 Insufficient memory")
    world.pods[first] = (Pod("p", first, "", alive=True, problem=problem),)
    decision = world.settle()
    assert world.stage("preflight").message == problem.message
    assert decision.requeue_after is not None
    world.now += 61
    world.settle()
    assert first not in world.attempt_objects
    assert world.stage("preflight").reason == "PreRunningDeadlineExceeded"
    assert "Insufficient memory" in world.stage("preflight").message
    world.now += 60
    world.settle()
    assert world.stage("preflight").attempt == 2


def test_a_pass_that_changes_nothing_asks_for_nothing() -> None:
    world = World()
    world.run_to("pretrain/ssl")
    world.settle()
    decision = world.step()
    assert decision is not None
    assert decision.actions == ()
    assert decision.status == world.status


def test_a_plan_that_an_upgraded_operator_freezes_belongs_to_the_manifest_as_it_was_accepted() -> None:
    world = World(judgement=replace(accepted(manifest()), identity="computed-by-an-older-operator"))
    world.run_to_the_end()
    assert world.status.phase == "Complete"


def test_a_job_that_goes_on_after_its_objects_have_gone_looks_again_and_counts_no_failure() -> None:
    policy = {"backoffLimit": 0, "ttlSecondsAfterFinished": 60}
    world = World(judgement=accepted(manifest(**policy, activeDeadlineSeconds=3600)))
    world.run_to("pretrain/ssl")
    world.now += 3700
    world.settle()
    world.stop_obediently()
    world.settle()
    world.now += 61
    world.settle()
    assert (world.status.phase, world.progress_records) == ("Failed", {})
    world.edit(lambda: accepted(manifest(**policy, activeDeadlineSeconds=99999)))
    world.settle()
    assert world.live("preflight")
    assert world.stage("preflight").failures == 0
    world.run_to_the_end()
    assert world.status.phase == "Complete"


def test_why_a_job_failed_stays_in_the_status_after_its_objects_have_gone() -> None:
    world = World(judgement=accepted(manifest(ttlSecondsAfterFinished=60, backoffLimit=0)))
    world.fail(world.run_to("pretrain/ssl"), user_error=True)
    world.settle()
    status = world.status
    assert status.phase == "Failed"
    world.now += 61
    world.settle()
    assert (world.attempt_objects, world.progress_records, world.plans) == ({}, {}, {})
    assert world.status == status


def test_an_edit_after_a_failure_repeats_the_preflight_though_another_stage_still_stops() -> None:
    world = World()
    world.run_to("ingest/archive")
    failed, other = (world.live(f"ingest/{name}")[0] for name in ("archive", "north"))
    world.fail(failed, user_error=True)
    world.settle()
    assert world.stage("ingest/north").state == "Stopping"
    world.edit(lambda: accepted(manifest(parallelism=2)))
    world.settle()
    assert world.live("preflight")
    assert not world.live("ingest/archive")
    world.end(other, RayJobState("FAILED", "Failed", "AppFailed"))
    world.run_to_the_end()
    assert world.status.phase == "Complete"


def test_an_unknown_result_is_not_that_of_other_data() -> None:
    world = World(judgement=accepted(manifest_with_weights()))
    name = world.run_to("pretrain/ssl")
    before = world.stage("pretrain/ssl").identity
    world.digest = "1" * 64  # somebody stored other weights
    world.succeed(name, silently=True)
    world.settle()
    world.succeed(world.live("preflight")[0])
    world.settle()
    stage = world.stage("pretrain/ssl")
    assert (stage.state, stage.attempt, stage.failures) == ("Running", 1, 0)
    assert stage.identity != before
    assert len(world.plans) == 1
    world.run_to_the_end()
    assert world.status.phase == "Complete"


def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    world = World(judgement=accepted(manifest(activeDeadlineSeconds=7200, ttlSecondsAfterFinished=60)))
    name = world.run_to("pretrain/ssl")
    world.now += 7201
    assert world.settle().requeue_after == STOPPING_SECONDS
    world.end(name, RayJobState("FAILED", "Failed", "AppFailed"))
    world.settle()
    assert world.status.phase == "Failed"
    world.attempt_objects = {
        key: replace(attempt_object, deleting=True) for key, attempt_object in world.attempt_objects.items()
    }
    world.now += 61
    assert world.settle().requeue_after == RUNNING_SECONDS


def test_the_deadline_of_a_suspended_job_does_not_come_nearer() -> None:
    world = World(judgement=accepted(manifest(activeDeadlineSeconds=7200)))
    world.run_to("pretrain/ssl")
    world.now += 7198
    world.edit(lambda: accepted(manifest(activeDeadlineSeconds=7200, suspend=True)))
    world.settle()
    world.stop_obediently()
    decision = world.settle()
    assert (world.status.phase, decision.requeue_after) == ("Suspended", None)


def test_a_plan_that_could_not_be_written_is_reported_until_it_is_there() -> None:
    world = World()
    world.settle()
    world.succeed(world.live("preflight")[0])
    world.step()
    plans, world.plans = world.plans, {}
    refused = world.status.stages[0].model_copy(update={"reason": "CreationRefused", "message": "quota"})
    world.status = world.status.model_copy(update={"stages": (refused, *world.status.stages[1:])})
    decision = decide(world.observe().observed, world.now)
    running = next(each for each in decision.status.conditions if each.type == "Running")
    assert (running.reason, running.message) == ("CreationRefused", "preflight: quota")
    assert (decision.status.plan, decision.requeue_after) == (next(iter(plans)), RUNNING_SECONDS)
    world.run_to_the_end()
    assert (world.status.phase, world.stage("preflight").message) == ("Complete", "")
