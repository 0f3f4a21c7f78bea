"""Subgroups, with small cells hidden."""

import numpy as np
import pytest

from chex_jobs.evaluation.subgroups import (
    REVEALING,
    TOO_FEW,
    TOO_FEW_OF_CLASS,
    subgroup_cells,
    subgroup_levels,
)


def cells_of(sizes: dict[str, int], seed: int = 0):
    """Cells of one film per patient and level sizes as given, half of each level positive."""
    rng = np.random.default_rng(seed)
    levels = np.repeat(list(sizes), list(sizes.values()))
    labels = np.concatenate([np.arange(size) % 2 for size in sizes.values()]).astype(float)
    logits = labels + rng.normal(size=(2, len(labels)))
    cells = subgroup_cells(
        "sex", levels, "icu", logits, np.array([0, 0]), labels, np.arange(len(labels)), 0.95
    )
    return {cell.level: cell for cell in cells}


def test_a_cell_below_ten_patients_is_hidden_and_so_is_the_one_that_would_give_it_away():
    cells = cells_of({"f": 100, "m": 60, "x": 9})
    assert cells["x"].suppressed
    assert cells["x"].patients is None
    assert cells["x"].auroc.reason == TOO_FEW
    assert cells["m"].suppressed
    assert cells["m"].auroc.reason == REVEALING
    assert cells["f"].patients == 100


def test_two_hidden_cells_protect_each_other():
    cells = cells_of({"f": 100, "m": 60, "x": 9, "y": 3})
    assert not cells["m"].suppressed


def test_enough_patients_get_an_interval_fewer_a_point_and_too_few_of_a_class_nothing():
    cells = cells_of({"f": 100, "m": 30, "x": 12})
    assert cells["f"].auroc.interval is not None
    assert cells["m"].auroc.interval is None
    assert cells["m"].auroc.value is not None
    assert "Insufficient data" in cells["m"].auroc.reason
    assert cells["x"].auroc.value is None
    assert cells["x"].auroc.reason == TOO_FEW_OF_CLASS
    assert cells["x"].positive_patients is None


@pytest.mark.parametrize(
    ("column", "values", "levels"),
    [
        pytest.param("sex", ["F", "m", None], ["f", "m", "missing"], id="text"),
        pytest.param(
            "patient_age",
            [*range(17, 30), 64.0, 65, ""],
            ["<18", *["18 to <40"] * 12, "40 to <65", ">=65", "missing"],
            id="ages in bands",
        ),
        pytest.param("device", [1, 2, 1], ["1", "2", "1"], id="codes"),
    ],
)
def test_levels_of_columns(column, values, levels):
    assert subgroup_levels(column, values).tolist() == levels
