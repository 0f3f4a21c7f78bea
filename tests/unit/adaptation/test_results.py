"""What an arm costs: what it takes to get it once, however often its labels were drawn to measure its spread."""

import itertools
from typing import Any

import pytest

from chex_api.sweep import Sweep
from chex_jobs.adaptation.results import (
    arm_entry,
    best_on_validation,
    failed_arm,
    notices_of,
)
from chex_jobs.handover.arms_document import ArmEntry
from chex_jobs.sweep.arms import BATCH, UNITS, Arm, ArmFailed
from chex_jobs.sweep.coordinator import Coordinator
from chex_jobs.sweep.units import WorkUnit
from tests.unit.sweep.hospital_fixture import STARTS, STRATEGIES, SWEEP, answer, programs

BY_NAME = {strategy.name: strategy for strategy in STRATEGIES}


def answered(unit: WorkUnit) -> dict[str, Any]:
    counts = {"train": 10, "validate": 5}
    return {"score": {"value": 0.5, "loss": 0.6}, **answer(unit), "deviceSeconds": 2.0, "labels": counts}


def documents(sweep: Sweep) -> dict[str, ArmEntry]:
    """The arms with a tenth of the labels, by strategy."""
    coordinator = Coordinator(programs(sweep), answered)
    found = {}
    for start, strategy, fraction in coordinator.choices:
        if start != "ssl" or fraction == 1.0:
            continue
        key = (start, strategy, fraction)
        used = coordinator.used_by(key)
        arm = Arm(start, STARTS[start], None, BY_NAME[strategy], fraction, None)
        finals = {unit.identity: summary for unit, summary in used}
        found[strategy] = arm_entry(arm, coordinator.choices[key], used, finals, 17)
    return found


@pytest.mark.parametrize("strategy", BY_NAME)
def test_draws_that_measure_the_spread_cost_nothing(strategy: str) -> None:
    one, three = (documents(SWEEP.model_copy(update={"draws": draws}))[strategy] for draws in (1, 3))
    assert len(three.finals) == 3 * len(one.finals)
    assert three.film_passes == one.film_passes > 0
    assert three.device_seconds == one.device_seconds > 0
    assert three.labelled_patients == 17


def test_the_final_seeds_of_one_draw_are_all_counted_as_all_of_them_are_deployed() -> None:
    two, four = (documents(SWEEP.model_copy(update={"final_seeds": seeds}))["fine-tune"] for seeds in (2, 4))
    assert four.film_passes - two.film_passes == 2 * 10


def test_a_best_value_at_the_edge_of_its_range_is_told_with_its_arm() -> None:
    (entry,) = [d for d in documents(SWEEP).values() if d.strategy == "fine-tune"]
    entry = entry.model_copy(
        update={"notices": ("the best learningRate, 0.003, is the largest that was tried (0.003)",)}
    )
    assert notices_of([entry], []) == [
        "ssl/fine-tune@0.1: the best learningRate, 0.003, is the largest that was tried (0.003)"
    ]


def test_arms_that_failed_are_told_first_and_equal_notices_once() -> None:
    one, other = (d.model_copy(update={"notices": ("N",)}) for d in list(documents(SWEEP).values())[:2])
    lost = failed_arm(Arm("ssl", STARTS["ssl"], None, BY_NAME["fine-tune"], 1.0, 3), ArmFailed("it diverged"))
    told = notices_of([one, other], [lost])
    assert told[0] == "ssl/fine-tune@1 failed and is not compared: fold 3: it diverged"
    assert told[1] == f"ssl/{one.strategy}@0.1, ssl/{other.strategy}@0.1: N"


def test_a_step_larger_than_the_films_there_are_is_told_once_for_all_draws() -> None:
    numbers = itertools.cycle([20, 18, 40])

    def few(unit: WorkUnit) -> dict[str, Any]:
        return answered(unit) | ({BATCH: 32, UNITS: next(numbers)} if unit.kind == "final" else {})

    coordinator = Coordinator(programs(), few)
    key = ("ssl", "fine-tune", 0.1)
    arm = Arm("ssl", STARTS["ssl"], None, BY_NAME["fine-tune"], 0.1, None)
    used = coordinator.used_by(key)
    entry = arm_entry(arm, coordinator.choices[key], used, {u.identity: s for u, s in used}, 17)
    (told,) = [n for n in entry.notices if "to fill it" in n]
    assert told == "a step of fine-tuning has 32 films and there were fewer to fill it, so it saw some twice"


def fold(
    name: str,
    number: int,
    aurocs: list[float | None],
    positives: int,
    fraction: float = 1.0,
    film_passes: int = 10,
) -> ArmEntry:
    """One arm in one fold: a score for each final seed, 10 negatives."""
    scores = [
        {
            "value": value,
            "loss": 0.5,
            "AUROC": [value],
            "AUPRC": [value],
            "positives": [positives],
            "negatives": [10],
        }
        for value in aurocs
    ]
    return ArmEntry.parse(
        {
            "start": "ssl", "strategy": name, "transfer": "FineTune", "daptObjective": "", "labelFraction": fraction,
            "fold": number, "configuration": {}, "epochs": 1, "trials": [], "labelledPatients": 100,
            "filmPasses": film_passes, "deviceSeconds": 1.0, "labels": [],
            "finals": [
                {"draw": 0, "seed": seed, "identity": f"{name}-{seed}", "score": score}
                for seed, score in enumerate(scores)
            ],
        }
    )  # fmt: skip


def test_of_arms_that_are_equal_on_validation_the_headline_names_the_cheapest_as_the_page_does() -> None:
    dear, cheap = (
        fold(name, 0, [1.0], 5, film_passes=passes) for name, passes in (("dear", 9), ("cheap", 3))
    )
    for documents_in_order in ([dear, cheap], [cheap, dear]):
        found = best_on_validation(documents_in_order, "AUROC")
        assert found is not None
        assert found.label == "ssl/cheap@1"


def test_the_headline_names_an_arm_over_all_its_folds_and_not_its_best_fold() -> None:
    found = best_on_validation(
        [
            fold("lucky", 0, [0.99], 2),
            fold("lucky", 1, [0.60], 8),
            fold("steady", 0, [0.80], 2),
            fold("steady", 1, [0.80], 8),
        ],
        "AUROC",
    )
    assert found is not None
    assert (found.label, found.value) == ("ssl/steady@1", pytest.approx(0.80))


def test_folds_weigh_by_their_pairs_seeds_alike_and_a_fold_without_a_class_not_at_all() -> None:
    documents = [
        fold("probe", 0, [0.9, 0.7], 2),
        fold("probe", 1, [0.6, 0.8], 4),
        fold("probe", 2, [None, None], 0),
    ]
    found = best_on_validation(documents, "AUROC")
    assert found is not None
    assert found.value == pytest.approx(((2 * 0.9 + 4 * 0.6) / 6 + (2 * 0.7 + 4 * 0.8) / 6) / 2)


def test_no_arm_is_best_where_no_task_has_both_classes() -> None:
    assert best_on_validation([fold("probe", 0, [None], 3)], "AUROC") is None


def test_the_headline_names_an_arm_with_the_most_labels_as_the_choice_to_deploy_does() -> None:
    few, all_labels = fold("few", 0, [0.95], 2, fraction=0.3), fold("all", 0, [0.80], 8)
    found = best_on_validation([few, all_labels], "AUROC")
    assert found is not None
    assert found.label == "ssl/all@1"
