"""What an adaptation left: its arms and final models, read from ``arms.json``.

The document has one entry for each arm and fold; here the folds of an arm come together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chex_jobs.evaluation.arms.selection import Metric
from chex_jobs.evaluation.evaluate import ArmFacts
from chex_jobs.evaluation.results.schema import ArmCost, ArmKey
from chex_jobs.evaluation.statistics.predictions import FitKey, PredictionsError
from chex_jobs.evaluation.test_access.final_models import FilmLogits, FinalModel

SCHEMA = "chexdragon.dev/arms/v1"


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
    metric = document["metric"]
    if metric not in ("AUROC", "AUPRC"):
        raise PredictionsError(f"arms.json compares {metric!r}; AUROC and AUPRC are known")
    by_arm: dict[ArmKey, list[Mapping[str, Any]]] = {}
    for entry in document["arms"]:
        by_arm.setdefault(_key(entry), []).append(entry)
    unlearnable = {str(task): str(reason) for task, reason in document["unlearnable"].items()}
    if not by_arm and not unlearnable and not document.get("notices"):
        raise PredictionsError(
            "arms.json has no arms; the hospital needs a start, a strategy and a label fraction"
        )
    return AdaptationOutput(
        tasks=tuple(document["tasks"]),
        metric=metric,
        arms=tuple(_facts(arm, entries) for arm, entries in by_arm.items()),
        models=_models(document["arms"], validation),
        unlearnable=unlearnable,
        notices=tuple(str(notice) for notice in document.get("notices", ())),
    )


def _key(entry: Mapping[str, Any]) -> ArmKey:
    return ArmKey(str(entry["start"]), str(entry["strategy"]), float(entry["labelFraction"]))


def _fold(entry: Mapping[str, Any]) -> int:
    return -1 if entry["fold"] is None else int(entry["fold"])


def _facts(arm: ArmKey, entries: Sequence[Mapping[str, Any]]) -> ArmFacts:
    first = {final["identity"] for entry in entries for final in entry["finals"] if final["draw"] == 0}
    cost = ArmCost(
        film_passes=float(sum(entry["filmPasses"] for entry in entries)),
        labelled_patients=int(entries[0]["labelledPatients"]),
        trials=sum(len(entry["trials"]) for entry in entries),
        final_fits=len(first),
        device_seconds=float(sum(entry["deviceSeconds"] for entry in entries)),
    )
    return ArmFacts(arm, entries[0]["transfer"], entries[0]["daptObjective"], cost, _hyperparameters(entries))


def _hyperparameters(entries: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The winning trial's parameters; with folds each name says of which."""
    return {
        name if entry["fold"] is None else f"{name} (fold {entry['fold']})": float(value)
        for entry in entries
        for name, value in entry["configuration"].items()
    }


def _models(
    entries: Sequence[Mapping[str, Any]], validation: Callable[[str], FilmLogits]
) -> tuple[FinalModel, ...]:
    fits: dict[str, list[FitKey]] = {}
    for entry in entries:
        for final in entry["finals"]:
            key = FitKey(_key(entry), int(final["draw"]), int(final["seed"]), _fold(entry))
            fits.setdefault(str(final["identity"]), []).append(key)
    return tuple(FinalModel(identity, tuple(keys), validation(identity)) for identity, keys in fits.items())
