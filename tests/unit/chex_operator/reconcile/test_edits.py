"""What an edit of the manifest makes of a job: of its end, of what still runs, of names that come back."""

from dataclasses import replace

from tests.unit.chex_operator.reconcile.world import World, accepted, edited_manifest, manifest


def identities(world: World) -> dict[str, str]:
    return {stage.name: stage.identity for stage in world.status.stages[1:]}


def test_a_complete_job_that_is_edited_runs_what_changed() -> None:
    world = World()
    world.run_to_the_end()
    started = len(world.started)
    world.edit(lambda: accepted(edited_manifest(9)))
    world.settle()
    assert world.condition("Complete") == "False"
    assert world.live("preflight")
    assert (world.status.phase, world.status.progress) == ("Preflight", "0%")
    world.run_to_the_end()
    assert world.status.phase == "Complete"
    assert identities(world) == world.planned(world.judgement)[1]
    # The preflight, and what follows from the pretraining; ingest is taken over.
    assert len(world.started) - started == len(world.status.stages) - 2


def test_what_an_edit_has_replaced_may_fail() -> None:
    world = World(judgement=accepted(manifest(backoffLimit=0)))
    old = world.run_to("pretrain/ssl")
    world.edit(lambda: accepted(edited_manifest(9, backoffLimit=0)))
    world.settle()
    world.fail(old, user_error=True)
    world.settle()
    assert world.condition("Failed") == "False"
    world.run_to_the_end()
    assert world.status.phase == "Complete"


def test_what_fails_while_an_edit_is_looked_at_and_belongs_to_it_fails_the_job() -> None:
    world = World()
    world.run_to("ingest/archive")
    world.edit(lambda: accepted(edited_manifest(9)))
    world.settle()
    world.fail(world.live("ingest/archive")[0], user_error=True)
    world.settle()
    assert world.condition("Failed") == "False"
    world.succeed(world.live("preflight")[0])
    world.settle()
    world.stop_obediently()
    world.settle()
    assert world.status.phase == "Failed"


def test_a_manifest_that_comes_back_gets_no_attempt_of_a_name_that_is_left() -> None:
    """What its progress record says, a stop above all, was meant for the attempt before."""
    world = World()
    old, first = world.run_to("pretrain/ssl"), world.judgement
    for judgement in (accepted(edited_manifest(9)), first):
        world.edit(lambda judgement=judgement: judgement)
        world.settle()
        world.succeed(world.live("preflight")[0])
        world.settle()
    assert world.progress_records[old].stop_since is not None
    world.fail(old)
    world.attempt_objects[old] = replace(world.attempt_objects[old], deleting=True)  # KubeRay takes its time
    world.settle()
    assert world.stage("pretrain/ssl").state == "Waiting"
    world.remove_run(old)
    world.settle()
    assert world.live("pretrain/ssl") == [old]
    assert world.progress_records[old].stop_since is None
    world.run_to_the_end()
    assert world.status.phase == "Complete"
