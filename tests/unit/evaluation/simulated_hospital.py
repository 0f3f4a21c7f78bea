"""A simulated hospital: patients, films, and arms of known skill, as inputs of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chex_jobs.evaluation.evaluate import ArmFacts, Inputs, Record, Settings
from chex_jobs.evaluation.results.schema import ArmCost, ArmKey, HospitalCompute, LedgerSummary, PatientFlow
from chex_jobs.evaluation.statistics.predictions import (
    FitKey,
    FitLogits,
    TestPredictions,
    UnitTable,
    ValidationPredictions,
)

TASKS = ("opacity", "effusion")


@dataclass(frozen=True)
class SimulatedArm:
    """An arm whose logits separate the classes by ``skill`` standard deviations."""

    name: str
    skill: float
    film_passes: float
    fraction: float = 1.0
    seeds: int = 3
    draws: int = 1

    @property
    def key(self) -> ArmKey:
        return ArmKey("ssl", self.name, self.fraction)

    @property
    def facts(self) -> ArmFacts:
        cost = ArmCost(self.film_passes, round(400 * self.fraction), 16, self.seeds * self.draws, 1.0)
        return ArmFacts(self.key, "LPFT", "", cost, {"learningRate": 1e-4})


def settings(num_folds: int = 0, margin: float = 0.05) -> Settings:
    split = "groupedFolds" if num_folds else "patients"
    return Settings("north", "north", "Image", split, num_folds, margin, 0.95, "AUROC", 0)


def units(num_patients: int, rng: np.random.Generator, first_patient: int = 0) -> UnitTable:
    """One to three films for each patient; a third of the patients is positive; some labels are unknown."""
    patients = np.repeat(np.arange(num_patients) + first_patient, rng.integers(1, 4, size=num_patients))
    sick = rng.random((num_patients, len(TASKS))) < 0.33
    labels = sick[patients - first_patient].astype(float)
    labels[rng.random(labels.shape) < 0.05] = np.nan
    return UnitTable(np.arange(len(patients)), patients, labels)


def hospital(
    arms: Sequence[SimulatedArm], *, num_patients: int = 300, num_folds: int = 0, seed: int = 0
) -> tuple[Inputs, Record]:
    """Inputs of an evaluation. The patients' difficulty is shared by all arms, so comparisons are paired."""
    rng = np.random.default_rng(seed)
    test_units = units(num_patients, rng)
    validation_units = test_units if num_folds else units(max(num_patients // 2, 40), rng, 100_000)
    difficulty = {id(table): rng.normal(size=table.labels.shape) for table in (test_units, validation_units)}

    def fits(table: UnitTable, shift: int) -> tuple[FitLogits, ...]:
        found = []
        for arm in arms:
            for draw in range(arm.draws):
                for final_seed in range(arm.seeds):
                    for fold in range(num_folds) if num_folds else (-1,):
                        fold_of = (
                            table.patients % num_folds if num_folds else np.full(len(table.patients), -1)
                        )
                        wanted = (fold + shift) % num_folds if num_folds else -1
                        rows = np.flatnonzero(fold_of == wanted)
                        own = np.random.default_rng(
                            [seed, draw, final_seed, fold + 1, len(table.ordinals), int(arm.skill * 1000)]
                        )
                        logits = arm.skill * np.nan_to_num(table.labels[rows], nan=0.5)
                        logits += 0.9 * difficulty[id(table)][rows] + 0.4 * own.normal(size=logits.shape)
                        found.append(
                            FitLogits(FitKey(arm.key, draw, final_seed, fold), rows, logits - arm.skill / 2)
                        )
        return tuple(found)

    test = TestPredictions(TASKS, test_units, fits(test_units, 0))
    validation = ValidationPredictions(TASKS, validation_units, fits(validation_units, 1))
    inputs = Inputs(
        arms=[arm.facts for arm in arms],
        objects={each.fit: f"{number:064x}" for number, each in enumerate(test.fits)},
        training_units=validation_units,
        validation=validation,
        test=test,
        baselines={},
        subgroups={"sex": ["F" if patient % 2 else "M" for patient in test_units.patients]},
    )
    record = Record(
        PatientFlow("north", (), {}),
        LedgerSummary(1, 1, ()),
        HospitalCompute(1.0, 2.0, 3, 0, 4, 5.0),
        {"evaluate/north": "a" * 64},
    )
    return inputs, record
