"""A reworded message changes what people read and nothing else: no retry, no count, no requeue.

`World` decides every pass of every other test twice, the second time with all messages that it reads reworded. Here the messages
that the operator itself gives are reworded, as a release may do it while jobs run.
"""

import random
from collections.abc import Iterator

import pytest

from chex_operator.controller import pods
from chex_operator.reconcile.decide import Decision
from chex_operator.rules import reasons
from chex_operator.rules.outcome import PodProblem
from chex_operator.rules.reasons import Explanation
from tests.unit.chex_operator.reconcile.rewording import without_messages
from tests.unit.chex_operator.reconcile.world import World, accepted, edited_manifest

STEPS = 60
SEEDS = range(12)


def reword(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every message of the operator other words; those without words keep none."""
    for place in (vars(reasons), reasons.KUBERAY_REASONS, pods.WAITING):
        for name, held in list(place.items()):
            if isinstance(held, Explanation) and held.message:
                monkeypatch.setitem(place, name, Explanation(held.reason, f"reworded {name}"))
            elif name.isupper() and isinstance(held, str):
                monkeypatch.setitem(place, name, f"reworded {name}")


def history(seed: int) -> Iterator[Decision]:
    """What is decided while one thing after another happens to a job."""
    rng = random.Random(seed)
    policy = {"backoffLimit": 3, "maxDisruptions": 8, "activeDeadlineSeconds": 40_000}
    world = World(judgement=accepted(edited_manifest(2, **policy)))
    epochs, suspended = 2, False
    for _ in range(STEPS):
        for name in world.live():
            happens_to(world, name, rng)
        match rng.randrange(12):
            case 0:
                suspended = not suspended
            case 1:
                epochs = rng.choice((2, 9))
            case _:
                world.now += rng.choice((5.0, 100.0, 700.0))
        edited = accepted(edited_manifest(epochs, suspend=suspended, **policy))
        if edited.policy != world.judgement.policy or edited.identity != getattr(
            world.judgement, "identity", ""
        ):
            world.edit(lambda edited=edited: edited)
        decision = world.step()
        if decision is not None:
            yield without_messages(decision)


def happens_to(world: World, name: str, rng: random.Random) -> None:
    """One of the things that an attempt may meet."""
    match rng.randrange(14):
        case 0 | 1 | 2:
            world.succeed(name)
        case 3:
            world.succeed(name, silently=True)
        case 4:
            world.fail(name, committed=float(rng.randrange(100)))
        case 5:
            world.queue(name)
        case 6 | 7:
            world.admit(name)
        case 8:
            world.lose_head(name)
        case 9:
            world.evict(name)
        case 10:
            problem = PodProblem(*reasons.OUT_OF_MEMORY.with_details(pod=name))
            world.have_problem(name, problem)
        case 11:
            world.stop_obediently()
        case _:
            pass


@pytest.mark.parametrize("seed", SEEDS)
def test_reworded_messages_lead_to_the_same_decisions(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(history(seed))
    reword(monkeypatch)
    assert list(history(seed)) == before


def test_histories_meet_most_of_what_happens_to_attempts() -> None:
    met = {stage.reason for seed in SEEDS for decision in history(seed) for stage in decision.status.stages}
    assert met >= {
        "StageFailed", "Evicted", "PreemptedByQueue", "Queued", "OOMKilled", "SubmissionFailed", "ResultUnknown", "Suspended",
        "Stopped", "Finished", "Running",
    }  # fmt: skip


def test_every_explanation_gives_a_reason_that_is_known() -> None:
    given = [each for each in vars(reasons).values() if isinstance(each, Explanation)]
    assert all(isinstance(each.reason, reasons.Reason) for each in given)
    explained = {each.reason for each in (*given, *reasons.KUBERAY_REASONS.values())}
    assert set(reasons.Reason) - explained == {
        reasons.Reason.EVICTED, reasons.Reason.PREEMPTED, reasons.Reason.NODE_LOST, reasons.Reason.DISRUPTED,  # TAKEN_AWAY
        reasons.Reason.PREFLIGHT_FAILED,  # JOB_FAILED
        reasons.Reason.SUPERSEDED, reasons.Reason.DELETED,  # requests to stop have no message
    }  # fmt: skip
