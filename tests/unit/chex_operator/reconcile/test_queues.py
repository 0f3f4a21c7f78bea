"""A queue such as Kueue's holds attempts back, and takes their machines: what is counted then, and what is not."""

from dataclasses import replace

from tests.unit.chex_operator.reconcile.world import World, accepted, manifest

HOUR = 3600.0


def test_gpus_are_not_counted_while_the_queue_has_them() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.now += HOUR
    world.queue(name)
    world.settle()
    world.now += 24 * HOUR
    world.settle()
    stage = world.stage("pretrain/ssl")
    assert float(stage.gpu_seconds) == HOUR * stage.gpus
    assert world.status.gpu_hours == str(stage.gpus)
    world.admit(name)
    world.settle()
    world.now += HOUR
    world.succeed(name)
    world.settle()
    assert float(world.stage("pretrain/ssl").gpu_seconds) == 2 * HOUR * stage.gpus


def test_machines_that_are_on_their_way_out_are_not_counted_again() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    leaving = tuple(replace(pod, deleting_since=world.now) for pod in world.pods[name])
    world.now += HOUR
    world.queue(name)
    world.pods[name] = leaving
    world.settle()
    world.admit(name)
    world.pods[name] = leaving
    world.settle()
    assert world.stage("pretrain/ssl").start_time is None


def test_being_sent_back_to_the_queue_is_a_disruption_and_the_attempt_stays() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.queue(name)
    world.settle()
    stage = world.stage("pretrain/ssl")
    assert (stage.state, stage.reason, stage.disruptions, stage.failures) == (
        "Running",
        "PreemptedByQueue",
        1,
        0,
    )
    assert stage.attempt_name == name


def test_a_preflight_that_the_queue_admits_again_is_running() -> None:
    world = World()
    world.settle()
    name = world.live("preflight")[0]
    world.queue(name)
    world.settle()
    assert world.stage("preflight").reason == "PreemptedByQueue"
    world.admit(name)
    world.settle()
    assert world.stage("preflight").reason == "Running"


def test_a_run_that_is_sent_back_too_often_is_given_up() -> None:
    world = World(judgement=accepted(manifest(maxDisruptions=0)))
    name = world.run_to("pretrain/ssl")
    world.queue(name)
    world.settle()
    assert world.stage("pretrain/ssl").reason == "TooManyDisruptions"
    assert name not in world.attempt_objects
    assert world.status.phase == "Failed"


def test_time_in_the_queue_is_no_time_in_which_a_preflight_should_have_started() -> None:
    world = World(judgement=accepted(manifest(preRunningDeadlineSeconds=60)))
    world.settle()
    (name,) = world.live("preflight")
    world.queue(name)
    world.settle()
    world.now += HOUR
    world.settle()
    world.admit(name)
    world.pods[name] = tuple(replace(pod, ready=False) for pod in world.pods[name])
    world.settle()
    assert world.live("preflight") == [name]
    world.now += 61
    world.settle()
    assert name not in world.attempt_objects


def test_gpus_are_counted_until_the_run_ended_and_not_until_somebody_looked() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.now += HOUR
    ended = world.now
    world.now += 10 * HOUR
    world.fail(name)
    world.attempt_objects[name] = replace(world.attempt_objects[name], ended_at=ended)
    world.settle()
    stage = world.stage("pretrain/ssl")
    assert float(stage.gpu_seconds) == HOUR * stage.gpus


def test_a_queue_that_takes_the_machines_of_what_stops_anyway_disrupts_nothing() -> None:
    world = World(judgement=accepted(manifest(maxDisruptions=0)))
    name = world.run_to("pretrain/ssl")
    world.now += HOUR
    world.edit(lambda: accepted(manifest(maxDisruptions=0, suspend=True)))
    world.settle()
    world.queue(name)
    world.settle()
    stage = world.stage("pretrain/ssl")
    assert (world.status.phase, stage.disruptions) == ("Suspended", 0)
    assert float(stage.gpu_seconds) == HOUR * stage.gpus


def test_what_a_driver_reports_after_the_queue_let_it_go_on_is_its_own_failure() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.queue(name)
    world.settle()
    world.admit(name)
    world.pods[name] = tuple(
        replace(pod, name=f"{pod.name}-{number}")
        for number in range(world.stage("pretrain/ssl").workers)
        for pod in world.pods[name]
    )
    world.settle()
    assert world.stage("pretrain/ssl").reason == "Running"
    world.fail(name)
    world.settle()
    stage = world.stage("pretrain/ssl")
    assert (stage.reason, stage.failures, stage.disruptions) == ("StageFailed", 1, 1)


def test_what_a_driver_reports_while_machines_are_still_missing_is_its_own_failure_too() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.queue(name)
    world.settle()
    world.admit(name)  # one of two workers
    world.settle()
    assert world.stage("pretrain/ssl").reason == "PreemptedByQueue"
    world.fail(name)
    world.settle()
    stage = world.stage("pretrain/ssl")
    assert (stage.reason, stage.failures, stage.disruptions) == ("StageFailed", 1, 1)
