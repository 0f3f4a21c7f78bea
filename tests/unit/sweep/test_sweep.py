"""Whole sweeps over units that are answered at once: what is asked for, and what cannot change the outcome."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chex_api.hospital import Dapt, Strategy, Transfer
from chex_api.objective import DaptObjective
from chex_jobs.handover.failures import Cause
from chex_jobs.sweep.arms import C_HIGH, C_LOW, FAILED, TRANSFERS, Summary, c_path, dapt_learning_rates
from chex_jobs.sweep.coordinator import Coordinator, UnitFailed
from chex_jobs.sweep.draws import LabelSet
from chex_jobs.sweep.units import (
    DaptUnit,
    FeaturesUnit,
    FinalFitUnit,
    FinalProbeUnit,
    ProbeUnit,
    TrialUnit,
    WorkUnit,
)
from tests.unit.sweep.hospital_fixture import SITE, STARTS, STRATEGIES, SWEEP, answer, programs, run

REFERENCE, REFERENCE_RAN = run()


@settings(max_examples=20, deadline=None)
@given(concurrency=st.integers(1, 20), order=st.integers(0, 1000))
def test_result_does_not_depend_on_concurrency_nor_on_the_order_of_completion(
    concurrency: int, order: int
) -> None:
    choices, ran = run(concurrency=concurrency, order=order)
    assert choices == REFERENCE
    assert {unit.identity for unit in ran} == {unit.identity for unit in REFERENCE_RAN}


@settings(max_examples=20, deadline=None)
@given(kills=st.lists(st.integers(0, 60), min_size=1, max_size=4), concurrency=st.integers(1, 8))
def test_killed_sweep_ends_as_the_undisturbed_one_and_repeats_nothing(
    kills: list[int], concurrency: int
) -> None:
    store: dict = {}
    ran = []
    for number, die_after in enumerate(kills):
        ran += run(concurrency=concurrency, order=number, store=store, die_after=die_after)[1]
    choices, rest = run(concurrency=concurrency, store=store)
    assert choices == REFERENCE
    assert max(Counter(unit.identity for unit in ran + rest).values()) == 1


def test_finished_sweep_runs_nothing() -> None:
    store: dict = {}
    run(store=store)
    choices, ran = run(store=store)
    assert ran == []
    assert choices == REFERENCE


def test_no_unit_runs_twice() -> None:
    assert max(Counter(unit.identity for unit in REFERENCE_RAN).values()) == 1


def test_every_arm_has_the_same_number_of_trials() -> None:
    assert {len(choice.scores) for choice in REFERENCE.values()} == {SWEEP.trials_per_arm}


def test_winner_is_refitted_on_every_draw_and_seed() -> None:
    for (_, _, fraction), choice in REFERENCE.items():
        draws = 1 if fraction == 1.0 else SWEEP.draws
        assert [(draw, seed) for draw, seed, _ in choice.finals] == [
            (draw, seed) for draw in range(draws) for seed in range(SWEEP.final_seeds)
        ]


def test_seeds_of_a_probe_share_their_fit_and_those_of_a_fine_tuning_do_not() -> None:
    probe, tuned = REFERENCE["ssl", "probe", 0.1], REFERENCE["ssl", "fine-tune", 0.1]
    assert len({unit.identity for _, _, unit in probe.finals}) == SWEEP.draws
    assert len({unit.identity for _, _, unit in tuned.finals}) == SWEEP.draws * SWEEP.final_seeds
    assert all(isinstance(unit, FinalProbeUnit) for _, _, unit in probe.finals)
    assert all(isinstance(unit, FinalFitUnit) for _, _, unit in tuned.finals)


def test_dapt_is_shared_by_all_label_fractions() -> None:
    dapts = [unit for unit in REFERENCE_RAN if isinstance(unit, DaptUnit)]
    assert len(dapts) == 2 * 2  # starts x configurations, not x fractions


def test_dapt_configuration_is_ranked_on_the_labels_of_its_own_arm() -> None:
    """Probes of DAPT encoders are fitted and scored at the arm's own label fraction, on its first draw."""
    for (start, strategy, fraction), choice in REFERENCE.items():
        if strategy != "dapt-lp-ft":
            continue
        probes = [
            unit
            for unit in REFERENCE_RAN
            if isinstance(unit, ProbeUnit)
            and isinstance(unit.features.encoder, DaptUnit)
            and unit.features.encoder.start == STARTS[start]
            and unit.labels == LabelSet(fraction, 0)
        ]
        assert len(probes) == 2
        best = max(probes, key=lambda probe: max(score["value"] for score in answer(probe)["scores"]))
        encoder = best.features.encoder
        assert isinstance(encoder, DaptUnit)
        assert choice.configuration["daptLearningRate"] == encoder.learning_rate


def test_final_fits_stop_at_the_epoch_that_won() -> None:
    for key, choice in REFERENCE.items():
        if key[1] != "probe":
            fits = [unit for _, _, unit in choice.finals if isinstance(unit, FinalFitUnit)]
            assert {unit.until_epoch for unit in fits} == {choice.epochs}
            assert choice.epochs >= 1


def test_a_rung_goes_on_from_the_one_before() -> None:
    pairs = [(unit.previous, unit) for unit in REFERENCE_RAN if isinstance(unit, TrialUnit) and unit.previous]
    assert {(lower.until_epoch, higher.until_epoch) for lower, higher in pairs} == {(1, 3), (3, 9)}
    assert all(lower.recipe == higher.recipe for lower, higher in pairs)


def test_more_trials_keep_every_first_rung_that_was_climbed() -> None:
    longer = SWEEP.model_copy(update={"trials_per_arm": 10})
    store: dict = {}
    run(store=store)
    _, ran = run(store=store, sweep=longer)
    first_rungs = [u for u in ran if isinstance(u, TrialUnit) and u.previous is None]
    assert len(first_rungs) == 4 * 2 * 2 * 2  # four more for each fine-tuned arm


def test_strategy_that_is_added_runs_only_what_is_new() -> None:
    store: dict = {}
    run(store=store)
    added = Strategy(name="lp-ft", transfer="LPFT")
    choices, ran = run(store=store, strategies=(*STRATEGIES, added))
    assert {key: choices[key] for key in REFERENCE} == REFERENCE
    alone = {unit.identity for unit in run(strategies=(added,))[1]}
    assert {unit.identity for unit in ran} < alone


def test_renamed_strategy_runs_nothing() -> None:
    store: dict = {}
    run(store=store)
    renamed = tuple(s.model_copy(update={"name": f"{s.name}-too"}) for s in STRATEGIES)
    assert run(store=store, strategies=renamed)[1] == []


def test_unit_that_fails_once_is_tried_again_and_twice_ends_the_sweep_with_its_own_error() -> None:
    coordinator = Coordinator(programs(), lambda unit: None)
    unit = coordinator.next()
    assert unit is not None
    coordinator.fail(unit.identity, None)
    again = coordinator.next()
    assert again is unit
    with pytest.raises(
        UnitFailed, match=f"{unit.kind} {unit.identity[:12]} failed 2 times: OSError: disk on fire"
    ):
        coordinator.fail(unit.identity, Cause("OSError", "disk on fire"))


def test_arm_knows_the_units_it_used_shared_ones_included() -> None:
    coordinator = Coordinator(programs(), lambda unit: answer(unit))
    assert coordinator.done
    used = {key: {unit.identity for unit, _ in coordinator.used_by(key)} for key in REFERENCE}
    assert used["ssl", "dapt-lp-ft", 0.1] & used["ssl", "dapt-lp-ft", 1.0]
    assert not used["ssl", "probe", 0.1] & used["random", "probe", 0.1]


def test_values_of_c_rise_evenly_from_end_to_end() -> None:
    path = c_path(5)
    assert path[0] == pytest.approx(C_LOW)
    assert path[-1] == pytest.approx(C_HIGH)
    assert path[2] / path[1] == pytest.approx(path[4] / path[3])
    assert c_path(1) == pytest.approx((1e-2,))


def test_more_dapt_configurations_begin_with_the_fewer() -> None:
    assert dapt_learning_rates(1e-4, 3) == pytest.approx((1e-4, 1e-4 / 10**0.5, 1e-4 * 10**0.5))
    assert dapt_learning_rates(1e-4, 5)[:3] == dapt_learning_rates(1e-4, 3)


def test_a_task_more_leaves_dapt_and_features_alone_and_moves_what_reads_labels() -> None:
    wider = replace(SITE, tasks=("effusion", "pneumothorax"), labels=("e" * 64, "f" * 64), metric="AUPRC")
    dapt = Dapt(objective=DaptObjective.parse({"moCo": {}}))
    before, after = (DaptUnit(site, STARTS["ssl"], dapt, 1e-4, None, None) for site in (SITE, wider))
    assert before.identity == after.identity
    features = [FeaturesUnit(site, unit, None) for site, unit in ((SITE, before), (wider, after))]
    assert features[0].identity == features[1].identity
    probes = [
        ProbeUnit(site, each, LabelSet(1.0, 0), (1.0,))
        for site, each in zip((SITE, wider), features, strict=True)
    ]
    assert probes[0].identity != probes[1].identity


def run_with_failures(fails: Callable[[WorkUnit], bool]) -> Coordinator:
    """The sweep whose units fail as said, each with a reason of its own."""
    found = Coordinator(
        programs(), lambda unit: {FAILED: f"{unit.kind} diverged"} if fails(unit) else answer(unit)
    )
    assert found.done
    return found


def test_a_diverged_dapt_rate_is_left_out_and_the_arm_takes_another() -> None:
    best = REFERENCE["ssl", "dapt-lp-ft", 1.0].configuration["daptLearningRate"]
    found = run_with_failures(lambda unit: isinstance(unit, DaptUnit) and unit.learning_rate == best)
    assert not found.failures
    choice = found.choices["ssl", "dapt-lp-ft", 1.0]
    assert choice.configuration["daptLearningRate"] != best
    assert choice.left_out == 1


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (DaptUnit, "none of its 2 DAPT configurations is usable: dapt diverged"),
        (FinalFitUnit, "final diverged"),
        (TrialUnit, "trial diverged"),
        (ProbeUnit, "probe diverged"),
    ],
)
def test_units_without_result_fail_the_arms_that_need_them_and_no_other(
    kind: type[WorkUnit], reason: str
) -> None:
    needed = {
        key
        for key in REFERENCE
        for unit, _ in Coordinator(programs(), answer).used_by(key)
        if isinstance(unit, kind)
    }
    found = run_with_failures(lambda unit: isinstance(unit, kind))
    assert found.failures.keys() == needed
    assert {failure.reason for failure in found.failures.values()} == {reason}
    assert found.choices == {key: choice for key, choice in REFERENCE.items() if key not in needed}


def test_one_diverged_start_fails_its_own_arms() -> None:
    found = run_with_failures(lambda unit: isinstance(unit, FinalFitUnit) and unit.encoder == STARTS["ssl"])
    assert found.failures.keys() == {key for key in REFERENCE if key[:2] == ("ssl", "fine-tune")}


def test_an_arm_whose_trials_all_diverged_says_what_to_do() -> None:
    def diverged(unit: WorkUnit) -> Summary:
        score = {"value": None, "loss": None}
        return answer(unit) | ({"score": score, "bestEpoch": 0} if isinstance(unit, TrialUnit) else {})

    found = Coordinator(programs(), diverged)
    assert found.done
    assert {strategy for _, strategy, _ in found.choices} == {"probe"}
    assert all("lower the learning rates in sweep.space" in f.reason for f in found.failures.values())


def test_every_way_of_transfer_has_a_program_and_every_program_a_name() -> None:
    assert set(TRANSFERS) == set(get_args(Transfer))
