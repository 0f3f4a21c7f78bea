"""What an adaptation left: its arms and final models, read from ``arms.json``.

The document has one entry for each arm and fold; here the folds of an arm come together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from chex_jobs.evaluation.arms.selection import Metric
from chex_jobs.evaluation.evaluate import ArmFacts
from chex_jobs.evaluation.results.schema import ArmCost, ArmKey
from chex_jobs.evaluation.statistics.predictions import FitKey, PredictionsError
from chex_jobs.evaluation.test_access.final_models import FilmLogits, FinalModel
from chex_jobs.handover.arms_document import SCHEMA, ArmEntry, ArmsDocument


@dataclass(frozen=True)
class AdaptationOutput:
    """The arms of one hospital."""

    tasks: tuple[str, ...]
    """In the order of every model's logits."""
    metric: Metric
    arms: tuple[ArmFacts, ...]
    models: tuple[FinalModel, ...]
    """Each stored model once, whatever number of fits it stands for."""
    unlearnable: Mapping[str, str]
    """Tasks that no arm was trained for -> why."""
    notices: tuple[str, ...]
    """Sentences on arms that failed, and on how the others were found."""


def read_adaptation(document: Mapping[str, Any], validation: Callable[[str], FilmLogits]) -> AdaptationOutput:
    """Reads ``arms.json``.

    Args:
        document: the parsed file.
        validation: identity of a final model -> what it said of its validation films.

    Raises PredictionsError for a document of another schema or metric, or without arms.
    """
    if document.get("schema") != SCHEMA:
        raise PredictionsError(
            f"arms.json has schema {document.get('schema')!r}, expected {SCHEMA!r}; run adapt again"
        )
    try:
        found = ArmsDocument.parse(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise PredictionsError(f"arms.json, {where}: {first['msg']}; run adapt again") from error
    by_arm: dict[ArmKey, list[ArmEntry]] = {}
    for entry in found.arms:
        by_arm.setdefault(_key(entry), []).append(entry)
    if not by_arm and not found.unlearnable and not found.notices:
        raise PredictionsError(
            "arms.json has no arms; the hospital needs a start, a strategy and a label fraction"
        )
    return AdaptationOutput(
        tasks=found.tasks,
        metric=found.metric,
        arms=tuple(_facts(arm, entries) for arm, entries in by_arm.items()),
        models=_models(found.arms, validation),
        unlearnable=found.unlearnable,
        notices=found.notices,
    )


def _key(entry: ArmEntry) -> ArmKey:
    return ArmKey(entry.start, entry.strategy, entry.label_fraction)


def _facts(arm: ArmKey, entries: Sequence[ArmEntry]) -> ArmFacts:
    first = {final.identity for entry in entries for final in entry.finals if final.draw == 0}
    cost = ArmCost(
        film_passes=float(sum(entry.film_passes for entry in entries)),
        labelled_patients=entries[0].labelled_patients,
        trials=sum(len(entry.trials) for entry in entries),
        final_fits=len(first),
        device_seconds=float(sum(entry.device_seconds for entry in entries)),
    )
    return ArmFacts(arm, entries[0].transfer, entries[0].dapt_objective, cost, _hyperparameters(entries))


def _hyperparameters(entries: Sequence[ArmEntry]) -> dict[str, float]:
    """The winning trial's parameters; with folds each name says of which."""
    return {
        name if entry.fold is None else f"{name} (fold {entry.fold})": value
        for entry in entries
        for name, value in entry.configuration.items()
    }


def _models(entries: Sequence[ArmEntry], validation: Callable[[str], FilmLogits]) -> tuple[FinalModel, ...]:
    fits: dict[str, list[FitKey]] = {}
    for entry in entries:
        for final in entry.finals:
            key = FitKey(_key(entry), final.draw, final.seed, -1 if entry.fold is None else entry.fold)
            fits.setdefault(final.identity, []).append(key)
    return tuple(FinalModel(identity, tuple(keys), validation(identity)) for identity, keys in fits.items())
