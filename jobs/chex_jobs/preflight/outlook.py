"""What a data set will come to, before anything is computed: films and patients by task, part and class, and the verdict.

The rules are those of the stages themselves (`adaptation.learnable`, `evaluation.estimates`), asked of films that are
declared and not yet decoded. Films that cannot be decoded will still be missing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from chex_api.dataset import Dataset
from chex_api.job import JobSpec
from chex_api.plan import fold_tasks, learned_tasks, used_tasks
from chex_jobs.adaptation.learnable import unlearnable_tasks
from chex_jobs.data.records.findings import Finding, Kind
from chex_jobs.data.splits.assignment import TEST, TRAIN, VALIDATE
from chex_jobs.evaluation.statistics.estimates import count_classes, why_insufficient
from chex_jobs.evaluation.test_access.evaluation_data import EvaluationData
from chex_jobs.preflight.declared_films import DeclaredFilms
from chex_jobs.preflight.looking import Look

CLASSES = {"positive": 1.0, "negative": 0.0, "unknown": float("nan")}


@dataclass(frozen=True)
class Count:
    """Films, and the patients that they are of."""

    films: int
    patients: int


@dataclass(frozen=True)
class TaskOutlook:
    """What one task will come to.

    Attributes:
        task: its name.
        parts: part, or fold, -> `positive`, `negative`, `unknown` -> how many.
        not_trained: why no model can learn it, or be chosen by it; empty: nothing speaks against it.
        insufficient: why its test part supports no claim; empty: it is large enough.
    """

    task: str
    parts: dict[str, dict[str, Count]]
    not_trained: str
    insufficient: str


@dataclass(frozen=True)
class DatasetOutlook:
    """What a data set holds and will come to. Counts and row numbers; `Finding.private` alone names files.

    Attributes:
        films: that can be used as far as tables and listings tell.
        patients: of these films.
        training_films: those that train.
        training_units: films, studies or patients of them, of which an epoch has one film each.
        parts: part, or fold, -> how many.
        tasks: those that some stage reads.
        findings: rows left out or unusable, spellings, slips.
    """

    films: int
    patients: int
    training_films: int
    training_units: int
    parts: dict[str, Count]
    tasks: tuple[TaskOutlook, ...]
    findings: tuple[Finding, ...]


def outlook_of(spec: JobSpec, dataset: Dataset, look: Look) -> DatasetOutlook:
    """Count a data set and say what its tasks will come to. Raises `SplitError`."""
    films = DeclaredFilms(dataset, look, spec.seed, fold_tasks(spec, dataset))
    tasks = used_tasks(spec, dataset)
    masks = _parts(films)
    return DatasetOutlook(
        films=len(films),
        patients=len(np.unique(films.patients)),
        training_films=int((films.split == TRAIN).sum()),
        training_units=len(np.unique(films.units[films.split == TRAIN])),
        parts={part: _count(films, mask) for part, mask in masks.items()},
        tasks=tuple(_task(spec, dataset, films, task, masks) for task in tasks),
        findings=look.declaration.findings,
    )


def _task(
    spec: JobSpec, dataset: Dataset, films: DeclaredFilms, task: str, masks: dict[str, npt.NDArray[np.bool_]]
) -> TaskOutlook:
    labels = films.labels(task)
    parts = {
        part: {name: _count(films, mask & _is(labels, value)) for name, value in CLASSES.items()}
        for part, mask in masks.items()
    }
    adapted = any(task in h.tasks for h in spec.hospitals if h.dataset == dataset.name)
    if adapted:
        not_trained = unlearnable_tasks(films, [task]).get(task, "")
    else:
        not_trained = _unlearned(spec, dataset, task, parts)
    return TaskOutlook(
        task, parts, not_trained, _insufficient(films, task) if _is_tested(spec, dataset) else ""
    )


def _unlearned(spec: JobSpec, dataset: Dataset, task: str, parts: dict[str, dict[str, Count]]) -> str:
    """Of a task that only pretraining learns: it needs both classes among the films that train."""
    runs = (run for run in spec.pretraining if run.dataset == dataset.name)
    if not any(task in learned_tasks(spec, run) for run in runs) or TRAIN not in parts:
        return ""
    lacking = [name for name in ("positive", "negative") if not parts[TRAIN][name].films]
    return f"{task}: no training film is {' or '.join(lacking)}." if lacking else ""


def _insufficient(films: DeclaredFilms, task: str) -> str:
    tested = EvaluationData(films, (task,)).test_units
    return why_insufficient(count_classes(tested.labels[:, 0], tested.patients))


def _is_tested(spec: JobSpec, dataset: Dataset) -> bool:
    return any(hospital.dataset == dataset.name for hospital in spec.hospitals)


def _parts(films: DeclaredFilms) -> dict[str, npt.NDArray[np.bool_]]:
    if films.num_folds:
        return {f"fold-{fold}": films.fold == fold for fold in range(films.num_folds)}
    return {part: films.split == part for part in (TRAIN, VALIDATE, TEST)}


def _is(labels: npt.NDArray[np.float32], value: float) -> npt.NDArray[np.bool_]:
    return np.isnan(labels) if np.isnan(value) else labels == value


def _count(films: DeclaredFilms, mask: npt.NDArray[np.bool_]) -> Count:
    return Count(int(mask.sum()), len(np.unique(films.patients[mask])))


def not_trained(spec: JobSpec, outlooks: dict[str, DatasetOutlook]) -> dict[str, tuple[str, ...]]:
    """The tasks that no model of a hospital can learn, by hospital."""
    return {
        hospital.name: tuple(
            each.task
            for each in _tasks_of(outlooks, hospital.dataset)
            if each.task in hospital.tasks and each.not_trained
        )
        for hospital in spec.hospitals
    }


def notices(outlooks: dict[str, DatasetOutlook]) -> Iterator[str]:
    """What somebody should know before anything is computed, in sentences without names of files or small counts."""
    for name, outlook in outlooks.items():
        for task in outlook.tasks:
            if task.not_trained:
                yield f"{name}: will not be trained: {task.not_trained}"
            elif task.insufficient:
                yield f"{name}, task {task.task}: will end in: {task.insufficient}"
        for finding in outlook.findings:
            if finding.kind is Kind.NOTICE:
                yield f"{name}: {finding.reason}"


def _tasks_of(outlooks: dict[str, DatasetOutlook], dataset: str) -> Iterable[TaskOutlook]:
    return outlooks[dataset].tasks if dataset in outlooks else ()
