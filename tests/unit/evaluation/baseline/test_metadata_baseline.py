"""The baseline that sees no pixel."""

import numpy as np
import pytest

from chex_jobs.evaluation.baseline.metadata_baseline import FilmRoles, baseline_predictions
from chex_jobs.evaluation.baseline.metadata_model import (
    LevelColumn,
    MetadataModel,
    NumberColumn,
    fit_metadata_model,
)
from chex_jobs.evaluation.statistics.aggregation import map_units
from chex_jobs.evaluation.statistics.discrimination import auroc
from chex_jobs.evaluation.statistics.metadata_columns import is_number_column
from chex_jobs.evaluation.statistics.predictions import UnitTable


def bedside(num: int = 600, seed: int = 0):
    """The sick are filmed lying down, and are older; some fields were not filled in."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(num) < 0.4).astype(float)
    view = np.where(rng.random(num) < 0.15 + 0.7 * labels, "AP", "PA").tolist()
    ages: list[object] = (50 + 10 * labels + rng.normal(0, 12, num)).round().tolist()
    ages[:50], view[:20] = [None] * 50, [""] * 20
    return {"view": view, "age": ages, "site": ["one"] * num}, labels


def fitted(metadata, labels) -> MetadataModel:
    model = fit_metadata_model(metadata, labels)
    assert isinstance(model, MetadataModel)
    return model


def test_a_telling_view_is_found_in_films_it_was_not_fitted_on():
    model = fitted(*bedside(seed=0))
    metadata, labels = bedside(seed=1)
    assert 0.8 < (auroc(model.logits(metadata), labels).value or 0) < 0.95


def test_constant_columns_are_left_out_and_missing_is_a_level():
    model = fitted(*bedside())
    assert model.features == ("age", "view")
    age, view = model.columns
    assert isinstance(age, NumberColumn)
    assert isinstance(view, LevelColumn)
    assert view.levels == ("ap", "missing", "pa")
    np.testing.assert_array_equal(age.encode([None, age.mean])[:, 1], [1.0, 0.0])


def test_levels_of_fewer_than_five_films_are_one_level():
    views = ["ap"] * 10 + ["pa"] * 10 + ["lateral"] * 4 + ["oblique"] * 2
    (column,) = fitted({"view": views}, np.arange(26) % 2.0).columns
    assert isinstance(column, LevelColumn)
    assert column.levels == ("ap", "other", "pa")
    np.testing.assert_array_equal(column.encode(["lateral", "never seen"])[:, 1], [1.0, 1.0])


def test_levels_that_training_lacks_do_not_break_prediction():
    model = fitted(*bedside())
    assert np.isfinite(model.logits({"view": ["lateral", None], "age": [np.nan, "61"]})).all()


def test_numbers_given_as_text_are_numbers_and_few_numbers_are_codes():
    labels = np.arange(60) % 2 * 1.0
    model = fitted({"age": [str(20 + i) for i in range(60)], "sex": [str(i % 2) for i in range(60)]}, labels)
    assert [type(each) for each in model.columns] == [NumberColumn, LevelColumn]


@pytest.mark.parametrize(
    ("metadata", "labels", "reason"),
    [
        pytest.param({"view": ["ap", "pa"] * 10}, np.ones(20), "one class only", id="one class"),
        pytest.param({"view": ["ap"] * 20}, np.arange(20) % 2.0, "no metadata column", id="constant"),
        pytest.param({}, np.arange(20) % 2.0, "no metadata column", id="no columns"),
    ],
)
def test_no_baseline_comes_with_its_reason(metadata, labels, reason):
    found = fit_metadata_model(metadata, labels)
    assert isinstance(found, str)
    assert reason in found


def test_studies_get_the_mean_over_their_films_and_training_films_are_never_predicted():
    metadata, labels = bedside(num=300)
    films, studies = np.arange(300), np.arange(300) // 2
    units = map_units("Study", films, studies, studies)
    table = [
        UnitTable(np.arange(low, high), np.arange(low, high), np.zeros((high - low, 1)))
        for low, high in ((75, 100), (100, 150))
    ]
    found = baseline_predictions(
        "icu", metadata, labels, units, [FilmRoles(-1, films[:150], films[150:200], films[200:])], *table
    )
    assert not isinstance(found, str)
    model = fitted({name: values[:150] for name, values in metadata.items()}, labels[:150])
    of_films = model.logits({name: values[200:] for name, values in metadata.items()})
    np.testing.assert_allclose(found.test.fits[0].logits[:, 0], of_films.reshape(-1, 2).mean(axis=1))
    assert found.test.fits[0].rows.tolist() == list(range(50))


@pytest.mark.parametrize("cell", ["17o", "inf", "nan", "1_000", "-"])
def test_a_cell_of_a_number_column_that_is_no_number_counts_as_missing(cell):
    """Whatever only test films hold must not stop an evaluation, nor stand in its error."""
    model = fitted({"dose": [str(n) for n in range(40)] + [""] * 5}, (np.arange(45) % 2).astype(np.float64))
    told, missing = model.logits({"dose": [cell]}), model.logits({"dose": [""]})
    assert told == missing


@pytest.mark.parametrize("cell", ["inf", "nan", "1e999"])
def test_a_column_with_what_is_no_finite_number_is_text(cell):
    values = [str(n) for n in range(40)] + [cell]
    assert not is_number_column(values)
    fitted({"dose": values * 5}, (np.arange(205) % 2).astype(np.float64))
