"""``predictions.parquet``: every prediction that a number in the results comes from, one row each.

Columns: arm, draw, seed, fold (-1 without), unit and patient (ordinals of the data set, not ids), task, label (null
unknown), logit (as the model gave it, before any scaling), set (``validate``, ``test`` or ``alsoOn:<hospital>``).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from chex_jobs.evaluation.statistics.predictions import FitLogits, TestPredictions, ValidationPredictions

SCHEMA = pa.schema(
    [
        ("arm", pa.dictionary(pa.int32(), pa.string())),
        ("draw", pa.int16()),
        ("seed", pa.int16()),
        ("fold", pa.int16()),
        ("unit", pa.int64()),
        ("patient", pa.int64()),
        ("task", pa.dictionary(pa.int32(), pa.string())),
        ("label", pa.float32()),
        ("logit", pa.float64()),
        ("set", pa.dictionary(pa.int32(), pa.string())),
    ]
)


def prediction_table(
    validation: ValidationPredictions, test: TestPredictions, elsewhere: Mapping[str, TestPredictions]
) -> pa.Table:
    """All predictions of an evaluation, ``elsewhere`` by the other hospital."""
    sets = {"validate": validation, "test": test}
    sets |= {f"alsoOn:{hospital}": found for hospital, found in elsewhere.items()}
    tables = [_rows(name, found, each) for name, found in sets.items() for each in found.fits]
    return pa.concat_tables(tables).unify_dictionaries() if tables else SCHEMA.empty_table()


def _rows(name: str, found: ValidationPredictions | TestPredictions, each: FitLogits) -> pa.Table:
    num_units, num_tasks = each.logits.shape
    labels = found.units.labels[each.rows].ravel()
    num_rows = num_units * num_tasks

    def constant(value: int) -> np.ndarray:
        return np.full(num_rows, value, dtype=np.int16)

    def one_word(word: str) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(num_rows, np.int32)), pa.array([word]))

    tasks = np.tile(np.arange(num_tasks, dtype=np.int32), num_units)
    return pa.Table.from_arrays(
        [
            one_word(each.fit.arm.label),
            pa.array(constant(each.fit.draw)),
            pa.array(constant(each.fit.seed)),
            pa.array(constant(each.fit.fold)),
            pa.array(np.repeat(found.units.ordinals[each.rows], num_tasks)),
            pa.array(np.repeat(found.units.patients[each.rows], num_tasks)),
            pa.DictionaryArray.from_arrays(pa.array(tasks), pa.array(list(found.tasks))),
            pa.array(labels.astype(np.float32), mask=np.isnan(labels)),
            pa.array(each.logits.ravel()),
            one_word(name),
        ],
        schema=SCHEMA,
    )
