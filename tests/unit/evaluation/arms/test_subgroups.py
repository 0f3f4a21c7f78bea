"""Subgroups: small cells are hidden, and cannot be computed from what is shown."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chex_jobs.evaluation.arms.subgroups import (
    REVEALING,
    TOO_FEW,
    TOO_FEW_OF_CLASS,
    ScoredTask,
    subgroup_cells,
    subgroup_levels,
    unit_values,
)
from chex_jobs.evaluation.results.schema import SubgroupCell
from chex_jobs.evaluation.statistics.aggregation import map_units


def cells_of(
    sizes: dict[str, tuple[int, int]], *more_labels: np.ndarray, seed: int = 0
) -> dict[tuple[str, str], SubgroupCell]:
    """Cells of one film per patient, with so many patients with and without the finding in each level.

    `more_labels` are further tasks of the same films, called `task 1` and so on.
    """
    rng = np.random.default_rng(seed)
    levels = np.repeat(list(sizes), [sum(size) for size in sizes.values()])
    labels = np.concatenate([np.repeat([1.0, 0.0], size) for size in sizes.values()])
    tasks = [
        ScoredTask(name, each, np.nan_to_num(each) + rng.normal(size=(2, len(each))))
        for name, each in [
            ("icu", labels),
            *((f"task {k + 1}", other) for k, other in enumerate(more_labels)),
        ]
    ]
    cells = subgroup_cells("sex", levels, tasks, np.array([0, 0]), np.arange(len(labels)), 0.95)
    return {(cell.task, cell.level): cell for cell in cells}


def test_a_level_below_ten_patients_is_hidden_and_so_is_the_one_that_would_give_it_away():
    cells = cells_of({"f": (50, 50), "m": (30, 30), "x": (5, 4)})
    assert cells["icu", "x"].suppressed
    assert cells["icu", "x"].patients is None
    assert cells["icu", "x"].auroc.reason == TOO_FEW
    assert cells["icu", "m"].suppressed
    assert cells["icu", "m"].auroc.reason == REVEALING
    assert cells["icu", "f"].patients == 100


def test_two_hidden_levels_that_are_a_small_cell_together_need_a_third():
    cells = cells_of({"f": (50, 50), "m": (30, 30), "x": (3, 2), "y": (1, 2)})
    assert cells["icu", "m"].suppressed


def test_two_hidden_levels_that_are_no_small_cell_together_protect_each_other():
    cells = cells_of({"f": (50, 50), "m": (30, 30), "x": (5, 4), "y": (4, 5)})
    assert cells["icu", "m"].patients is not None


def test_enough_patients_get_an_interval_fewer_a_point():
    cells = cells_of({"f": (50, 50), "m": (15, 15)})
    assert cells["icu", "f"].auroc.interval is not None
    assert cells["icu", "m"].auroc.interval is None
    assert cells["icu", "m"].auroc.value is not None
    assert "Insufficient data" in cells["icu", "m"].auroc.reason


def test_few_positives_are_hidden_and_cannot_be_had_by_subtraction():
    cells = cells_of({"f": (50, 50), "m": (20, 60), "x": (3, 40)})
    assert cells["icu", "x"].positive_patients is None
    assert cells["icu", "x"].patients == 43
    assert cells["icu", "x"].auroc.value is None
    assert cells["icu", "x"].auroc.reason == TOO_FEW_OF_CLASS
    assert cells["icu", "m"].positive_patients is None
    assert cells["icu", "f"].positive_patients == 50


def test_no_film_of_a_unit_decides_its_level_for_the_others():
    units = map_units("Patient", np.arange(8), np.arange(8), np.array([0, 0, 1, 1, 2, 2, 3, 3]))
    views = ["AP", "lateral", "", "PA", "ap", "AP", None, ""]
    assert unit_values(units, views) == ["several", "pa", "ap", ""]
    assert unit_values(units, views[::-1])[::-1] == ["several", "pa", "ap", ""]


def test_the_age_of_a_patient_with_films_of_several_years_is_their_mean():
    patients = np.array([0, 0, 1, *range(2, 14)])
    units = map_units("Patient", np.arange(15), np.arange(15), patients)
    ages = ["38", "43", "", *(str(30 + n) for n in range(12))]
    assert unit_values(units, ages)[:3] == ["40.5", "", "30"]


@pytest.mark.parametrize("paired", [1, 8])
def test_a_level_whose_folds_hardly_share_the_classes_has_a_point_and_no_interval(paired: int):
    labels = np.repeat([1.0, 0.0, 1.0, 0.0], [25, 25, 25, 25])
    folds = np.where(np.arange(100) < 25 - paired, 0, 1)
    levels = np.repeat(["f", "m"], [50, 50])
    logits = np.random.default_rng(0).normal(size=(2, 100))
    task = ScoredTask("icu", labels, logits, folds)
    cells = subgroup_cells("sex", levels, [task], np.array([0, 0]), np.arange(100), 0.95)
    female, male = (cell.auroc for cell in cells)
    assert female.value is not None
    assert female.interval is None
    assert male.interval is not None


def of_films(levels: list[str], labels: list[float], patients: list[int]) -> dict[str, SubgroupCell]:
    """Cells of one task, of patients with several films."""
    rng = np.random.default_rng(0)
    task = ScoredTask("icu", np.array(labels), rng.normal(size=(2, len(labels))))
    cells = subgroup_cells("view", np.array(levels), [task], np.array([0, 0]), np.array(patients), 0.95)
    return {cell.level: cell for cell in cells}


def test_patients_without_any_film_of_a_level_are_a_cell_too():
    """All but four of 60 patients have an ap film, and half of them a pa film beside it."""
    ap, pa = list(range(56)), list(range(28, 60))
    labels = [float(patient % 2) for patient in (*ap, *pa)]
    cells = of_films(["ap"] * len(ap) + ["pa"] * len(pa), labels, [*ap, *pa])
    assert (cells["ap"].patients, cells["pa"].patients) == (None, None)


def test_patients_of_whom_no_film_is_positive_are_a_cell_though_many_have_a_negative_film():
    """Of 40 patients of a level 36 have a positive film, and all a negative one."""
    patients, labels, levels = [], [], []
    for level, first, with_finding, number in (("f", 0, 36, 40), ("m", 40, 20, 40)):
        for patient in range(number):
            films = [1.0, 0.0] if patient < with_finding else [0.0]
            patients += [first + patient] * len(films)
            labels += films
            levels += [level] * len(films)
    cells = of_films(levels, labels, patients)
    assert cells["f"].positive_patients is None
    assert cells["f"].patients == 40


@pytest.mark.parametrize("positive", [0, 30])
def test_a_level_of_one_class_says_something_of_all_in_it_and_is_hidden(positive: int):
    cells = cells_of({"f": (50, 50), "m": (40, 40), "x": (positive, 30 - positive)})
    assert cells["icu", "x"].positive_patients is None
    assert cells["icu", "m"].positive_patients is None


def test_a_level_that_one_task_hides_is_not_given_away_by_another_with_the_same_patients():
    sizes = {"f": (50, 50), "m": (30, 30), "x": (6, 6)}
    other = np.tile([1.0, 0.0], 86)
    other[-4:] = np.nan  # eight of x are left in this task
    cells = cells_of(sizes, other)
    assert cells["task 1", "x"].patients is None
    assert cells["icu", "x"].patients is None
    assert cells["icu", "m"].patients is None


def test_a_task_that_is_known_for_few_does_not_hide_the_levels_of_another():
    other = np.full(160, np.nan)
    other[:5] = 1.0
    cells = cells_of({"f": (50, 50), "m": (30, 30)}, other)
    assert cells["icu", "m"].patients == 60
    assert cells["task 1", "f"].patients is None


def hidden_and_total(
    cells: dict[tuple[str, str], SubgroupCell], truth: dict[str, int], shown: dict[str, int | None]
) -> tuple[list[str], int]:
    """What an attacker has who knows the totals: the hidden levels, and how many patients they hold together."""
    known = sum(value for value in shown.values() if value is not None)
    return [level for level, value in shown.items() if value is None], sum(truth.values()) - known


level_sizes = st.tuples(st.integers(0, 40), st.integers(0, 40)).filter(lambda size: sum(size) > 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(level_sizes, min_size=1, max_size=6))
def test_what_is_hidden_is_never_one_level_nor_a_small_cell(sizes: list[tuple[int, int]]):
    named = {f"level {k}": size for k, size in enumerate(sizes)}
    cells = cells_of(named)
    by_level = {level: cell for (_, level), cell in cells.items()}
    for truth, shown in (
        ({k: sum(v) for k, v in named.items()}, {k: c.patients for k, c in by_level.items()}),
        ({k: v[0] for k, v in named.items()}, {k: c.positive_patients for k, c in by_level.items()}),
    ):
        assert all(value is None or value >= 10 for value in shown.values())
        hidden, together = hidden_and_total(cells, truth, shown)
        everything = len(hidden) == len(named)
        assert not hidden or everything or (len(hidden) > 1 and together >= 10)
    for level, cell in by_level.items():
        without = named[level][1]
        assert cell.positive_patients is None or without >= 10
        assert (cell.auroc.value is None) == (cell.positive_patients is None)


@pytest.mark.parametrize(
    ("column", "values", "levels"),
    [
        pytest.param("sex", ["F", "m", None], ["f", "m", "missing"], id="text"),
        pytest.param(
            "age",
            [*range(17, 30), 64.0, 65, ""],
            ["<18", *["18 to <40"] * 12, "40 to <65", ">=65", "missing"],
            id="ages in bands",
        ),
        pytest.param("device", [1, 2, 1], ["1", "2", "1"], id="codes"),
    ],
)
def test_levels_of_columns(column, values, levels):
    assert subgroup_levels(column, values).tolist() == levels


@pytest.mark.parametrize("column", ["image_height", "dosage", "stage", "Averages", "patient_age"])
def test_a_column_is_no_age_because_its_name_holds_the_letters(column: str):
    levels = subgroup_levels(column, [*range(1000, 1030)])
    assert set(levels) == {"<1009.67", "1009.67 to <1019.33", ">=1019.33"}
