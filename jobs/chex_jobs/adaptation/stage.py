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
from chex_api.summaries import AdaptationSummary
from chex_jobs.adaptation.learnable import unlearnable_tasks
from chex_jobs.adaptation.results import (
    arm_entry,
    arms_document,
    best_on_validation,
    failed_arm,
)
from chex_jobs.adaptation.visible_data import labelled_patients
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.dataset.label_objects import finished_labels
from chex_jobs.handover.arms_document import ArmEntry, ArmsDocument, FailedArm
from chex_jobs.handover.context import StageContext
from chex_jobs.handover.files import ARMS
from chex_jobs.handover.parents import finished_parent
from chex_jobs.sweep.arms import Arm, Summary, program
from chex_jobs.sweep.coordinator import Coordinator
from chex_jobs.sweep.units import Site, Start, TextTower, WorkUnit
from chex_jobs.sweep.work_estimate import estimate_work

Key = tuple[str, str, float, int | None]
"""Start, strategy, label fraction, fold."""


def adapt(
    stage: StageSpec,
    context: StageContext,
    *,
    environment: Mapping[str, Any] | None = None,
) -> FinishedArtifact | None:
    """Run what is not finished of an adaptation, and commit it. None when it was stopped before its end.

    Args:
        stage: of kind `adapt`; its parents are finished.
        context: the machine or the attempt's cluster; Ray is running in this process when there is work to do. Units that run
            when a stop is asked for are lost, all before them are kept.
        environment: recorded in the manifest.

    Raises:
        UnitFailed: a unit failed twice; the message holds its own error.
        MissingParent: the data set is not ingested.
        ArtifactError: a parent or an object is missing or damaged.
    """
    begun = time.monotonic()
    spec = _work(stage)
    ingested = finished_parent(context.store, spec.dataset.films)
    dataset = ChestXrayDataset.open(ingested, finished_labels(context.store, spec.dataset.labels))
    unlearnable = unlearnable_tasks(dataset, spec.hospital.tasks)
    stage = without_tasks(stage, unlearnable)
    site = site_of(stage, dataset.unit)
    arms = arms_of(spec, dataset.num_folds) if site.tasks else {}
    programs = {key: program(arm, site, spec.hospital.sweep) for key, arm in arms.items()}
    coordinator: Coordinator[Key] = Coordinator(programs, lambda unit: _finished(unit, context.store))
    cleaner = _Cleaner(coordinator, context.store)
    whole = coordinator.num_finished == 0
    if not coordinator.done:
        num_units = sum(estimate_work(arm, site, spec.hospital.sweep).units for arm in arms.values())
        reporter = SweepReporter(coordinator, arms, num_units, context.on_progress)

        def after(unit: WorkUnit) -> None:
            cleaner.clean()
            reporter.report(unit)

        if not _run(coordinator, stage, context, after):
            return None
    cleaner.clean()
    readers = _labelled_patients(dataset, site, spec) if site.tasks else {}
    failed = _failed(arms, coordinator)
    entries = [
        _entry(key, arm, coordinator, readers[arm.fraction])
        for key, arm in arms.items()
        if key[:3] not in failed
    ]
    document = arms_document(entries, site, unlearnable, list(failed.values()))
    wall_seconds = round(time.monotonic() - begun, 3) if whole else None
    summary = _summary(document, coordinator, wall_seconds)
    return _commit(stage, context, document, summary, environment)


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


def finished_units(store: ArtifactStore) -> Callable[[WorkUnit], Summary | None]:
    """What tells the summary of a finished unit. One listing says which were ever begun; the others are not asked for."""
    begun = set(store.storage.folders("objects"))

    def summary(unit: WorkUnit) -> Summary | None:
        return _finished(unit, store) if f"{unit.kind}-{short(unit.identity)}" in begun else None

    return summary


def _finished(unit: WorkUnit, store: ArtifactStore) -> Summary | None:
    done = store.object(unit.kind, unit.identity).finished()
    return None if done is None else dict(done.summary)


def _run(
    coordinator: Coordinator[Key],
    stage: StageSpec,
    context: StageContext,
    after: Callable[[WorkUnit], None],
) -> bool:
    from chex_jobs.sweep.actors import Actors, run_units  # loads Ray

    machine = context.machine
    concurrency = max(1, min(_work(stage).hospital.sweep.concurrency, machine.devices))
    actors = Actors(
        concurrency=concurrency,
        # Without GPUs a core each: an actor computes with one thread. With GPUs the other cores prepare films.
        cpus_each=max(1, machine.cpus // concurrency) if machine.gpus else 1,
        gpus_each=machine.gpus / concurrency if machine.gpus else 0,
    )
    opener = _Opener(stage, context.store, context.attempt_id)
    return run_units(coordinator, opener, actors, after, context.stop.is_set)


@dataclass(frozen=True)
class _Opener:
    """Opens an executor in an actor; torch is loaded there, not in the driver."""

    stage: StageSpec
    store: ArtifactStore
    attempt_id: str

    def __call__(self) -> Callable[[WorkUnit], Summary]:
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

    def report(self, unit: WorkUnit) -> None:
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
) -> dict[tuple[str, str, float], FailedArm]:
    """The arms that failed in any fold: one that lacks a fold has no score to compare."""
    found: dict[tuple[str, str, float], FailedArm] = {}
    for key, arm in arms.items():
        if key in coordinator.failures:
            found.setdefault(key[:3], failed_arm(arm, coordinator.failures[key]))
    return found


def _entry(key: Key, arm: Arm, coordinator: Coordinator[Key], num_labelled_patients: int) -> ArmEntry:
    used = coordinator.used_by(key)
    summaries = {unit.identity: summary for unit, summary in used}
    return arm_entry(arm, coordinator.choices[key], used, summaries, num_labelled_patients)


def _commit(
    stage: StageSpec,
    context: StageContext,
    document: ArmsDocument,
    summary: AdaptationSummary,
    environment: Mapping[str, Any] | None,
) -> FinishedArtifact:
    attempt = context.attempt(stage)
    attempt.write_json(ARMS, document.plain())
    parents = stage.parent_identities
    return attempt.commit(summary.plain(), parents, environment)


def _summary(
    document: ArmsDocument, coordinator: Coordinator[Key], wall_seconds: float | None
) -> AdaptationSummary:
    """What was done; `wall_seconds` is the clock's, None where some of the work was found finished."""
    used = {
        unit.identity: (unit, summary)
        for key in coordinator.choices
        for unit, summary in coordinator.used_by(key)
    }
    kinds = Counter(unit.kind for unit, _ in used.values())
    summaries = [summary for _, summary in used.values()]
    arms = len({entry.label for entry in document.arms})
    return AdaptationSummary(
        headline="; ".join([_headline(document, arms, len(used)), *document.unlearnable.values()]),
        arms=arms,
        units=len(used),
        dapt_runs=kinds["dapt"],
        final_fits=kinds["final"],
        trials=sum(len(entry.trials) for entry in document.arms),
        film_passes=sum(int(summary["filmPasses"]) for summary in summaries),
        device_seconds=round(sum(float(summary["deviceSeconds"]) for summary in summaries), 3),
        wall_seconds=wall_seconds,
        notices=document.notices,
    )


def _headline(document: ArmsDocument, arms: int, units: int) -> str:
    """How much was done and the best arm on validation, with the number that the page prints of it."""
    said = f"{arms} arms, {units} units" if arms else "nothing to train"
    best = best_on_validation(document.arms, document.metric)
    return (
        said if best is None else f"{said}, best validation {document.metric} {best.value:.3f} ({best.label})"
    )
