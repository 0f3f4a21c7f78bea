"""`adapt/<hospital>`: DAPT, sweep and final fits of every arm. Reads training and validation films only.

What is finished is known from the artifact store: a killed adaptation goes on at the level of trials, and where all
units are finished no Ray is needed. This module and what it imports load neither torch nor Ray before there is work.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chex_api.encoder import TextEncoder
from chex_api.identity import short
from chex_api.stage import AdaptSpec, StageProgress, StageSpec
from chex_jobs.adaptation.learnable import unlearnable_tasks
from chex_jobs.adaptation.results import (
    ARMS_FILE,
    arm_document,
    arms_document,
    best_on_validation,
    failed_arm,
)
from chex_jobs.adaptation.view import labelled_patients
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.dataset.label_objects import finished_labels
from chex_jobs.sweep.arms import Arm, Summary, program
from chex_jobs.sweep.coordinator import Coordinator
from chex_jobs.sweep.effort import effort_of
from chex_jobs.sweep.units import Site, Start, TextTower, Unit

Key = tuple[str, str, float, int | None]
"""Start, strategy, label fraction, fold."""


@dataclass(frozen=True)
class Place:
    """Where an adaptation runs. Nothing of it changes a result."""

    store: ArtifactStore
    attempt_id: str
    cpus: int
    gpus: int


def adapt(
    stage: StageSpec,
    place: Place,
    *,
    on_progress: Callable[[StageProgress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    environment: Mapping[str, Any] | None = None,
) -> FinishedArtifact | None:
    """Run what is not finished of an adaptation, and commit it. None when it was stopped before its end.

    Args:
        stage: of kind `adapt`; its parents are finished.
        place: the machine or the attempt's cluster; Ray is running in this process when there is work to do.
        on_progress: called after each unit.
        should_stop: asked all the time; units that run at that moment are lost, all before them are kept.
        environment: recorded in the manifest.

    Raises:
        UnitFailed: a unit failed twice; the message holds its own error.
        ArtifactError: a parent or an object is missing or damaged.
    """
    begun = time.monotonic()
    spec = _work(stage)
    ingested = _ingested(spec, place.store)
    dataset = ChestXrayDataset.open(ingested, finished_labels(place.store, spec.dataset.labels))
    unlearnable = unlearnable_tasks(dataset, spec.hospital.tasks)
    stage = without_tasks(stage, unlearnable)
    site = site_of(stage, dataset.unit)
    arms = arms_of(spec, dataset.num_folds) if site.tasks else {}
    programs = {key: program(arm, site, spec.hospital.sweep) for key, arm in arms.items()}
    coordinator: Coordinator[Key] = Coordinator(programs, lambda unit: _finished(unit, place.store))
    cleaner = _Cleaner(coordinator, place.store)
    whole = coordinator.num_finished == 0
    if not coordinator.done:
        num_units = sum(effort_of(arm, site, spec.hospital.sweep).units for arm in arms.values())
        reporter = SweepReporter(coordinator, arms, num_units, on_progress)

        def after(unit: Unit) -> None:
            cleaner.clean()
            reporter.tell(unit)

        if not _run(coordinator, stage, place, after, should_stop):
            return None
    cleaner.clean()
    readers = _labelled_patients(dataset, site, spec) if site.tasks else {}
    failed = _failed(arms, coordinator)
    documents = [
        _document(key, arm, coordinator, readers[arm.fraction])
        for key, arm in arms.items()
        if key[:3] not in failed
    ]
    summary = _summary(documents, site, coordinator, unlearnable)
    summary["wallSeconds"] = round(time.monotonic() - begun, 3) if whole else None
    document = arms_document(
        documents, site.tasks, site.unit, site.metric, unlearnable, list(failed.values())
    )
    summary["notices"] = document["notices"]
    return _commit(stage, place, document, summary, environment)


def without_tasks(stage: StageSpec, left_out: Collection[str]) -> StageSpec:
    """The stage as its units are to see it: with the tasks that can be learned. Its identity stays."""
    spec = _work(stage)
    tasks = tuple(task for task in spec.hospital.tasks if task not in left_out)
    hospital = spec.hospital.model_copy(update={"tasks": tasks})
    work = stage.work.model_copy(update={"adapt": spec.model_copy(update={"hospital": hospital})})
    return stage.model_copy(update={"work": work})


def _work(stage: StageSpec) -> AdaptSpec:
    assert stage.work.adapt is not None, "the stage is of kind adapt"
    return stage.work.adapt


def _ingested(spec: AdaptSpec, store: ArtifactStore) -> FinishedArtifact:
    reference = spec.dataset.films
    done = store.stage(reference.kind, reference.name, reference.identity).finished()
    if done is None:
        raise FileNotFoundError(
            f"{reference.kind}/{reference.name} is not finished, and this stage reads it; run the job again"
        )
    return done


def site_of(stage: StageSpec, unit: str) -> Site:
    """What the units of an adaptation have in common. `unit` is the data set's: `Image`, `Study` or `Patient`."""
    spec = _work(stage)
    hospital = spec.hospital
    labels = {label.task: label.identity for label in spec.dataset.labels}
    return Site(
        dataset=spec.dataset.films.identity,
        tasks=hospital.tasks,
        labels=tuple(labels[task] for task in hospital.tasks),
        seed=stage.seed,
        unit=unit,
        encoder=spec.encoders.image,
        augmentation=hospital.augmentation,
        batch_norm=hospital.batch_norm,
        precision=hospital.precision,
        metric=hospital.sweep.metric,
    )


def arms_of(spec: AdaptSpec, num_folds: int) -> dict[Key, Arm]:
    """Every arm in every fold. The costliest come first: short ones fill the gaps that they leave."""
    hospital = spec.hospital
    folds: Sequence[int | None] = range(num_folds) if num_folds else [None]
    text = _text_tower(spec)
    return {
        (start.label, strategy.name, fraction, fold): Arm(
            start_name=start.label,
            start=Start(start.identity),
            text=text if strategy.reads_reports else None,
            strategy=strategy,
            fraction=fraction,
            fold=fold,
        )
        for fold in folds
        for fraction in sorted(hospital.label_fractions, reverse=True)
        for start in spec.starts
        for strategy in hospital.strategies
    }


def _text_tower(spec: AdaptSpec) -> TextTower | None:
    """The text tower, where a strategy learns from reports."""
    if not any(strategy.reads_reports for strategy in spec.hospital.strategies):
        return None
    tower = spec.encoders.text or TextEncoder()
    return TextTower(tower, spec.text_digest)


def finished_units(store: ArtifactStore) -> Callable[[Unit], Summary | None]:
    """What tells the summary of a finished unit. One listing says which were ever begun; the others are not asked for."""
    begun = set(store.storage.folders("objects"))

    def summary(unit: Unit) -> Summary | None:
        return _finished(unit, store) if f"{unit.kind}-{short(unit.identity)}" in begun else None

    return summary


def _finished(unit: Unit, store: ArtifactStore) -> Summary | None:
    done = store.object(unit.kind, unit.identity).finished()
    return None if done is None else dict(done.summary)


def _run(
    coordinator: Coordinator[Key],
    stage: StageSpec,
    place: Place,
    after: Callable[[Unit], None],
    should_stop: Callable[[], bool],
) -> bool:
    from chex_jobs.sweep.actors import Actors, run_units  # loads Ray

    devices = place.gpus or place.cpus
    concurrency = max(1, min(_work(stage).hospital.sweep.concurrency, devices))
    actors = Actors(
        concurrency=concurrency,
        # Without GPUs a core each: an actor computes with one thread. With GPUs the other cores prepare films.
        cpus_each=max(1, place.cpus // concurrency) if place.gpus else 1,
        gpus_each=place.gpus / concurrency if place.gpus else 0,
    )
    opener = _Opener(stage, place.store, place.attempt_id)
    return run_units(coordinator, opener, actors, after, should_stop)


@dataclass(frozen=True)
class _Opener:
    """Opens an executor in an actor; torch is loaded there, not in the driver."""

    stage: StageSpec
    store: ArtifactStore
    attempt_id: str

    def __call__(self) -> Callable[[Unit], Summary]:
        from chex_jobs.adaptation.execute import open_executor

        return open_executor(self.stage, self.store, self.attempt_id)


class SweepReporter:
    """Tells how far the sweep is, after each unit."""

    def __init__(
        self,
        coordinator: Coordinator[Key],
        arms: Mapping[Key, Arm],
        num_units: int,
        on_progress: Callable[[StageProgress], None],
    ) -> None:
        """`num_units` are those of all arms; one that several arms share counts for each."""
        self._coordinator, self._on_progress = coordinator, on_progress
        self._folds_of = Counter(key[:3] for key in arms)
        self._total = num_units
        self._begun, self._found = time.monotonic(), coordinator.num_finished

    def tell(self, unit: Unit) -> None:
        """Report after `unit`."""
        done = self._coordinator.num_finished
        ended = [*self._coordinator.choices, *self._coordinator.failures]
        finished = Counter(key[:3] for key in ended) & self._folds_of
        whole = sum(finished[arm] == folds for arm, folds in self._folds_of.items())
        rate = (done - self._found) / max(time.monotonic() - self._begun, 1e-6)
        self._on_progress(
            StageProgress(
                done=done,
                total=self._total,
                committed=done,
                unit="units",
                message=f"{whole} of {len(self._folds_of)} arms finished; {unit.kind} {unit.identity[:12]}",
                eta_seconds=max(0.0, self._total - done) / rate if rate > 0 else None,
            )
        )


class _Cleaner:
    """Removes the checkpoints of trials once their arm has made its choice: nothing goes on from them any more."""

    def __init__(self, coordinator: Coordinator[Key], store: ArtifactStore) -> None:
        self._coordinator, self._store = coordinator, store
        self._cleaned: set[Key] = set()

    def clean(self) -> None:
        """Clean up after every arm that has chosen since the last time."""
        ended = self._coordinator.choices.keys() | self._coordinator.failures.keys()
        for key in ended - self._cleaned:
            for unit, summary in self._coordinator.used_by(key):
                if summary.get("checkpointed"):
                    self._store.object(unit.kind, unit.identity).remove_checkpoints()
            self._cleaned.add(key)


def _labelled_patients(dataset: ChestXrayDataset, site: Site, spec: AdaptSpec) -> dict[float, int]:
    """By label fraction, how many patients an arm needs labels of."""
    return {
        fraction: labelled_patients(dataset, site.tasks, fraction, site.seed)
        for fraction in spec.hospital.label_fractions
    }


def _failed(
    arms: Mapping[Key, Arm], coordinator: Coordinator[Key]
) -> dict[tuple[str, str, float], dict[str, Any]]:
    """The arms that failed in any fold: one that lacks a fold has no score to compare."""
    found: dict[tuple[str, str, float], dict[str, Any]] = {}
    for key, arm in arms.items():
        if key in coordinator.failures:
            found.setdefault(key[:3], failed_arm(arm, coordinator.failures[key]))
    return found


def _document(
    key: Key, arm: Arm, coordinator: Coordinator[Key], num_labelled_patients: int
) -> dict[str, Any]:
    used = coordinator.used_by(key)
    summaries = {unit.identity: summary for unit, summary in used}
    return arm_document(arm, coordinator.choices[key], used, summaries, num_labelled_patients)


def _commit(
    stage: StageSpec,
    place: Place,
    document: dict[str, Any],
    summary: dict[str, Any],
    environment: Mapping[str, Any] | None,
) -> FinishedArtifact:
    attempt = place.store.stage(stage.kind, stage.name, stage.identity, stage.identified).attempt(
        place.attempt_id
    )
    attempt.write_json(ARMS_FILE, document)
    parents = {f"{parent.kind}/{parent.name}": parent.identity for parent in stage.parents}
    return attempt.commit(summary, parents, environment)


def _summary(
    documents: list[dict[str, Any]],
    site: Site,
    coordinator: Coordinator[Key],
    unlearnable: Mapping[str, str],
) -> dict[str, Any]:
    """What was done; `wallSeconds` is the clock's, None where some of the work was found finished."""
    used = {
        unit.identity: (unit, summary)
        for key in coordinator.choices
        for unit, summary in coordinator.used_by(key)
    }
    kinds = Counter(unit.kind for unit, _ in used.values())
    summaries = {identity: summary for identity, (_, summary) in used.items()}
    arms = len({(d["start"], d["strategy"], d["labelFraction"]) for d in documents})
    return {
        "headline": "; ".join([_headline(documents, site, arms, len(used)), *unlearnable.values()]),
        "arms": arms,
        "units": len(used),
        "daptRuns": kinds["dapt"],
        "finalFits": kinds["final"],
        "trials": sum(len(document["trials"]) for document in documents),
        "filmPasses": sum(int(summary["filmPasses"]) for summary in summaries.values()),
        "deviceSeconds": round(sum(float(summary["deviceSeconds"]) for summary in summaries.values()), 3),
    }


def _headline(documents: list[dict[str, Any]], site: Site, arms: int, units: int) -> str:
    """How much was done and the best arm on validation, with the number that the page prints of it."""
    said = f"{arms} arms, {units} units" if arms else "nothing to train"
    best = best_on_validation(documents, site.metric)
    return said if best is None else f"{said}, best validation {site.metric} {best.value:.3f} ({best.label})"
