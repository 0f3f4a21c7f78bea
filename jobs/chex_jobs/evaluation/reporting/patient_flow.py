"""The patient flow of a data set: what was listed, what was set aside and why, who has which role."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chex_api.summaries import IngestSummary
from chex_jobs.evaluation.results.schema import FlowStep, PatientFlow
from chex_jobs.evaluation.test_access.evaluation_data import EvaluationData, IntArray

LABELLED = "TestLabelled:"
"""How the step of a task's labelled test films begins; the task's name follows."""


def ingest_steps(summary: IngestSummary) -> tuple[FlowStep, ...]:
    """The steps before any split, from the summary of an ``ingest`` stage.

    ``left_out`` are rows that are no film of the data set; ``declared`` films remain, less those ``quarantined``.
    """
    left_out, quarantined = summary.left_out, sum(summary.quarantined.values())
    declared = summary.declared
    why = ", ".join(f"{reason}: {count}" for reason, count in sorted(left_out.items()))
    return (
        FlowStep("Listed", declared + sum(left_out.values()), None, 0, ""),
        FlowStep("Eligible", declared, None, sum(left_out.values()), why),
        FlowStep(
            "Decoded",
            summary.films,
            summary.patients,
            quarantined,
            "films quarantined at ingest" if quarantined else "",
        ),
    )


def patient_flow(dataset: str, summary: IngestSummary, data: EvaluationData) -> PatientFlow:
    """From listed films to labelled test films, of a hospital's data set."""
    return PatientFlow(
        dataset,
        (*ingest_steps(summary), *_role_steps(data), *_label_steps(data)),
        summary.quarantined,
    )


def _role_steps(data: EvaluationData) -> list[FlowStep]:
    if data.films.num_folds:
        return [_step(data, f"Fold {each.fold}", each.test, "tests in its own fold") for each in data.roles]
    (only,) = data.roles
    return [
        _step(data, "Train", only.train, ""),
        _step(data, "Validate", only.validate, ""),
        _step(data, "Test", only.test, ""),
    ]


def _label_steps(data: EvaluationData) -> Sequence[FlowStep]:
    tested = np.unique(np.concatenate([each.test for each in data.roles]))
    return [
        _step(data, f"{LABELLED}{task}", tested[~np.isnan(data.labels[tested, column])], "label known")
        for column, task in enumerate(data.tasks)
    ]


def _step(data: EvaluationData, name: str, films: IntArray, note: str) -> FlowStep:
    return FlowStep(name, len(films), len(np.unique(data.films.patients[films])), 0, note)
