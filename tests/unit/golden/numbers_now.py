"""What the code of today computes of small fixed inputs, stage by stage.

Two sorts of numbers, because processors add floating-point numbers in other orders:

- `exact`: what no rounding enters: defaults, orders, draws, splits, learning rates. Compared for equality (rates after 12 digits).
- `close`: numbers near their inputs: formulas in float64, first steps, convex problems. `TOLERANCES` says how close, and why.

Nothing far from its inputs stands here. Tens of float32 steps carry the order of additions beyond any tolerance, so the ends of
trainings are compared between runs of one machine only (`tests/pipeline`, `tests/crash`).
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel

from chex_api.base import OutsideIdentity
from chex_api.job import ChexTrainingJob
from chex_api.plan import IMPLEMENTATION_VERSIONS
from chex_api.pretraining import AdamW, Augmentation
from chex_jobs.adaptation.execute import execute
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.loading.batch_source import BatchSource
from chex_jobs.evaluation.evaluate import evaluate
from chex_jobs.evaluation.results.results_json import dumps
from chex_jobs.sweep.draws import LabelSet, sample
from chex_jobs.sweep.units import IMPLEMENTATION, DaptUnit, TrialUnit
from chex_jobs.training.optimizer import build_optimizer
from chex_jobs.training.schedule import LearningRateSchedule
from tests.unit.adaptation.small_hospital import Hospital, ingested_stage
from tests.unit.chex_api.readers import models_below
from tests.unit.evaluation.simulated_hospital import SimulatedArm, hospital, settings
from tests.unit.objectives import ranks
from tests.unit.sweep import hospital_fixture

TOLERANCES = {
    "pixels": 1e-4,  # means of grey values that may round to the next one
    "objectives": 1e-5,  # float64 over first weights that were drawn in float32
    "probe": 1e-4,  # a convex problem on float32 features of first weights
    "training": 0.05,  # tens of AdamW steps, of which each may move a weight with no gradient by its whole rate
    "evaluation": 1e-5,  # float64; scaling, thresholds and bounds are found by iteration
}
"""Largest relative difference. Seen with oneDNN, ATen, NumPy and OpenBLAS held to other instruction sets: pixels and evaluation
none, objectives 1e-7, probe 1e-5, training 0.02."""

Numbers = dict[str, Any]


def versions() -> Numbers:
    """The implementation versions, which go up with whatever else changes here."""
    return {**IMPLEMENTATION_VERSIONS, "unit": IMPLEMENTATION}


def defaults() -> Numbers:
    """Every default of a job that can change a result, by model and field."""
    found: Numbers = {}
    for model in models_below(ChexTrainingJob):
        for name, field in model.model_fields.items():
            if field.is_required() or any(isinstance(mark, OutsideIdentity) for mark in field.metadata):
                continue
            default = field.get_default(call_default_factory=True, validated_data={})
            found[f"{model.__name__}.{name}"] = _plain(default)
    return dict(sorted(found.items()))


def orders(small: Hospital) -> Numbers:
    """Which film, label and configuration comes when."""
    films = small.films()
    train = np.flatnonzero(films.split == "train")
    labels = np.stack([films.labels("effusion")], axis=1)
    return {
        "split": _hash(films.split.tolist()),
        "patients": _hash(films.patients.tolist()),
        "labels": _hash(np.nan_to_num(labels, nan=-1).tolist()),
        "batches": _hash([batch["ordinals"].tolist() for batch in _batches(films, train, rank=0)]),
        "batches of the second of two ranks": _hash(
            [batch["ordinals"].tolist() for batch in _batches(films, train, rank=1)]
        ),
        "label draws": _hash(
            [
                sample(films.patients, labels, LabelSet(fraction, draw), seed=0, role=role).tolist()
                for fraction in (0.2, 0.5)
                for draw in (0, 1)
                for role in ("train", "validate")
            ]
        ),
    }


def searches() -> Numbers:
    """What sweeps try, in the order in which they ask for it, and how they train what they chose."""
    choices, ran = hospital_fixture.run()
    trials = [unit for unit in ran if isinstance(unit, TrialUnit)]
    return {
        "trials": len(trials),
        "tried": _hash([(_rounded(dict(unit.recipe.configuration)), unit.until_epoch) for unit in trials]),
        "chosen": {
            "/".join(map(str, key)): [_rounded(dict(choice.configuration)), choice.epochs]
            for key, choice in choices.items()
        },
        "dapt rates": sorted({_round(unit.learning_rate) for unit in ran if isinstance(unit, DaptUnit)}),
    }


def optimization() -> Numbers:
    """Learning rates of a run of ten steps, and AdamW's settings for matrices and the rest."""
    module = torch.nn.Sequential(torch.nn.Linear(2, 2))
    groups = build_optimizer(module, AdamW(), {"0": 3.0}).param_groups
    return {
        course: [_round(LearningRateSchedule(1e-3, course, 0.2, 10).at(step)) for step in range(10)]
        for course in ("Cosine", "Linear", "Constant")
    } | {
        "AdamW": [
            _rounded({key: group[key] for key in sorted(group.keys() - {"params"})}) for group in groups
        ]
    }


def pixels(small: Hospital) -> Numbers:
    """Mean grey values of stored films, and of their augmented views."""
    films = small.films()
    train = np.flatnonzero(films.split == "train")
    views = [batch["images"].double().mean().item() for batch in _batches(films, train, rank=0)]
    return {
        "films": [float(films.film(number).mean()) for number in range(10)],
        "views": views,
    }


def objectives() -> Numbers:
    """Losses of three plain gradient steps, in float64."""
    return {
        name: ranks.train(name, torch.float64).losses for name, dtype in ranks.CASES if dtype == torch.float64
    }


def probe(small: Hospital) -> Numbers:
    """Validation losses of the logistic regressions on features of first weights."""
    return {"losses": [each["loss"] for each in small.probed["scores"]]}


def training(small: Hospital) -> Numbers:
    """The first epochs of fine-tuning and of pretraining continued."""
    adapt = small.stage.work.adapt
    assert adapt is not None
    spec = adapt.hospital.strategies[2].dapt
    assert spec is not None
    continued = DaptUnit(small.site, small.start, spec, 1e-3, None, None)
    return {
        "LP-FT": [epoch["loss"] for epoch in small.run(small.trial(1))["epochs"]],
        "fine-tuning": [epoch["loss"] for epoch in small.run(small.trial(1, head=False))["epochs"]],
        "DAPT": execute(continued, small.context)["epochLosses"],
    }


def evaluation() -> Numbers:
    """Every number of a whole evaluation, with and without folds: the mean of its kind, and of its size."""
    arms = (
        SimulatedArm("probe", 0.6, 100.0),
        SimulatedArm("lp-ft", 1.6, 500.0),
        SimulatedArm("lp-ft", 1.2, 300.0, fraction=0.1, draws=2),
    )
    found: Numbers = {}
    for name, num_folds in (("split", 0), ("folds", 4)):
        results = evaluate(settings(num_folds=num_folds), *hospital(arms, num_folds=num_folds))
        for path, numbers in sorted(_by_path(json.loads(dumps(results))).items()):
            found[f"{name}: {path}"] = [float(np.mean(numbers)), float(np.mean(np.abs(numbers)))]
    return found


def all_numbers(folder: Path) -> dict[str, Numbers]:
    """All of the above, by section."""
    torch.set_num_threads(1)
    small = Hospital(*ingested_stage(folder))
    return {
        "versions": versions(),
        "defaults": defaults(),
        "orders": orders(small),
        "searches": searches(),
        "optimization": optimization(),
        "pixels": pixels(small),
        "objectives": objectives(),
        "probe": probe(small),
        "training": training(small),
        "evaluation": evaluation(),
    }


def _batches(films: ChestXrayDataset, ordinals: np.ndarray, rank: int) -> list[Mapping[str, torch.Tensor]]:
    with BatchSource(
        films, ordinals, size=32, global_batch_size=8, seed=5, augmentation=Augmentation(), views=2,
        rank=rank, world_size=2, tasks=["effusion"], threads=1,
    ) as source:  # fmt: skip
        return [batch for epoch in (0, 1) for batch in source.epoch(epoch)]


def _by_path(plain: Any, path: str = "") -> dict[str, list[float]]:
    """All numbers of plain data by where they stand, places in lists left out."""
    found: dict[str, list[float]] = {}
    children = plain.items() if isinstance(plain, dict) else ()
    pairs = [(f"{path}.{key}" if path else key, value) for key, value in children]
    if isinstance(plain, list):
        pairs = [(f"{path}[]", value) for value in plain]
    for where, value in pairs:
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.setdefault(where, []).append(float(value))
        for below, numbers in _by_path(value, where).items():
            found.setdefault(below, []).extend(numbers)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _hash(plain: Any) -> str:
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]


def _rounded(numbers: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _round(value) if isinstance(value, float) else value for key, value in numbers.items()}


def _round(number: float) -> float:
    """Twelve digits: the last few are the mathematics library's."""
    return float(f"{number:.12g}")
