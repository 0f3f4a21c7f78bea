"""GPU-seconds: whose they are when an edit replaced their attempt, or their job was deleted; and what Prometheus hears of them."""

from collections import Counter
from dataclasses import replace

from chex_operator.reconcile.actions import RemoveFinalizer
from chex_operator.reconcile.decide import decide
from chex_operator.rules.accounting import settled_by_pool
from tests.unit.chex_operator.reconcile.world import World, accepted, edited_manifest

HOUR, GPUS = 3600.0, 2


def pass_(world: World) -> Counter[str]:
    """A pass; what it settles."""
    observed, now = world.observe().observed, world.now
    decision = decide(observed, now)
    let_go = world.deleting_since is not None and any(
        isinstance(action, RemoveFinalizer) for action in decision.actions
    )
    world.step()
    return Counter(settled_by_pool(observed, decision.status, now, released=let_go))  # pyright: ignore[reportArgumentType]


def passes(world: World) -> Counter[str]:
    """Passes until nothing changes; what they settle."""
    return sum((pass_(world) for _ in range(12)), Counter())


def replaced_after_an_hour() -> tuple[World, str]:
    """Pretraining has run for an hour when an edit replaces it; and the name of the attempt, which still runs."""
    world = World()
    name = world.run_to("pretrain/ssl")
    world.now += HOUR
    world.edit(lambda: accepted(edited_manifest(9)))
    world.settle()
    world.succeed(world.live("preflight")[0])
    assert not passes(world)
    return world, name


def test_what_an_edit_replaced_counts_until_it_has_stopped() -> None:
    world, name = replaced_after_an_hour()
    assert [each.attempt_name for each in world.status.superseded] == [name]
    assert float(world.status.gpu_hours) == GPUS
    world.now += HOUR
    world.settle()
    assert float(world.status.gpu_hours) == 2 * GPUS
    world.stop_obediently()
    world.settle()
    assert world.status.superseded == ()
    assert float(world.status.earlier_gpu_seconds) == 2 * HOUR * GPUS
    world.now += HOUR
    world.settle()
    assert float(world.status.earlier_gpu_seconds) == 2 * HOUR * GPUS


def test_what_an_edit_replaced_counts_until_it_ended_and_not_until_somebody_looked() -> None:
    world, name = replaced_after_an_hour()
    ended = world.now + 60
    world.now += 10 * HOUR
    world.stop_obediently()
    world.attempt_objects[name] = replace(world.attempt_objects[name], ended_at=ended)
    world.settle()
    assert float(world.status.earlier_gpu_seconds) == (HOUR + 60) * GPUS


def test_prometheus_hears_of_what_an_edit_replaced_once_it_has_stopped() -> None:
    world, _ = replaced_after_an_hour()
    world.now += 60
    world.stop_obediently()
    assert passes(world) == {"gpu": (HOUR + 60) * GPUS}
    assert not passes(world)


def test_prometheus_hears_of_each_attempt_that_ended() -> None:
    world = World()
    name = world.run_to("pretrain/ssl")
    world.now += HOUR
    world.fail(name)
    assert passes(world) == {"gpu": HOUR * GPUS}
    world.now += HOUR
    passes(world)  # the next attempt begins
    world.now += HOUR
    world.succeed(world.live("pretrain/ssl")[0])
    assert passes(world) == {"gpu": HOUR * GPUS}


def test_prometheus_hears_of_what_a_deleted_job_used() -> None:
    world = World()
    world.run_to("pretrain/ssl")
    world.now += HOUR
    world.delete()
    assert not passes(world)  # it is asked to stop
    world.now += 60
    world.stop_obediently()
    used = pass_(world)
    assert world.gone
    assert used == {"gpu": (HOUR + 60) * GPUS}


def test_prometheus_hears_of_what_a_deleted_job_used_and_an_edit_had_replaced() -> None:
    world, _ = replaced_after_an_hour()
    world.delete()
    world.now += 60
    passes(world)
    world.stop_obediently()
    assert pass_(world) == {"gpu": (HOUR + 60) * GPUS}
    assert world.gone
