"""`pretrain/<name>`: one distributed run on the training films of a data set."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chex_api.pretraining import PretrainingRun
from chex_api.stage import PretrainSpec, StageProgress, StageSpec, Start
from chex_jobs.artifacts import AttemptWriter, FinishedArtifact
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.dataset.fingerprints import TrainedOn
from chex_jobs.data.dataset.label_objects import finished_labels
from chex_jobs.data.splits.assignment import roles
from chex_jobs.objectives.chance import chance_of
from chex_jobs.stages.context import StageContext, StageStopped
from chex_jobs.stages.environment import describe_environment
from chex_jobs.stages.leakage import TRAINED_ON, trained_on, training_part
from chex_jobs.stages.parents import finished_parent, have_labels
from chex_jobs.training.launch import launch
from chex_jobs.training.policy import CheckpointPolicy
from chex_jobs.training.progress import Progress
from chex_jobs.training.run import StartWeights, TrainingData, TrainingRun
from chex_jobs.training.train import TrainingOutcome
from chex_jobs.training.workers import choose_num_workers

PROGRESS_FILE = "progress.jsonl"
TRAINING_FILE = "training.json"


def run(spec: StageSpec, context: StageContext) -> FinishedArtifact:
    """Train the run of `spec` from its newest checkpoint, and commit the encoders."""
    work = spec.work.pretrain
    assert work is not None
    attempt = context.attempt(spec)
    have_labels(work.dataset, context, f"{spec.kind}/{spec.name}")
    training = _training_run(spec.seed, work, context)
    num_workers = choose_num_workers(
        count=work.run.workers.count,
        min_available=1,
        machine=context.machine.devices,
        global_batch_size=work.run.optimization.global_batch_size,
        group_size=work.run.batch_norm.group_size,
    )
    journal: list[Progress] = []

    def tell(progress: Progress) -> None:
        journal.append(progress)
        context.on_progress(_stage_progress(progress))

    outcome = launch(
        training,
        num_workers=num_workers,
        checkpoints=attempt.checkpoints,
        use_gpu=context.machine.gpus > 0,
        cpus_per_worker=max(1, context.machine.cpus // num_workers) if context.machine.gpus else 1,
        on_progress=tell,
        should_stop=context.stop.is_set,
    )
    if outcome.status == "stopped":
        raise StageStopped
    return _commit(spec, work, context, attempt, training, outcome, journal)


def start_weights(start: Start, context: StageContext) -> StartWeights:
    """Where the weights of a start lie."""
    if start.stage is not None:
        return StartWeights(artifact=finished_parent(context.store, start.stage))
    if start.weights_uri:
        return StartWeights(
            folder_uri=start.weights_uri,
            folder_format="Timm" if start.weights_format == "Timm" else "ChexDragon",
        )
    return StartWeights()


def _training_run(seed: int, work: PretrainSpec, context: StageContext) -> TrainingRun:
    ingested = finished_parent(context.store, work.dataset.films)
    train, _, _ = roles(ChestXrayDataset.open(ingested))
    described = work.run
    return TrainingRun(
        objective=described.objective,
        encoders=work.encoders,
        optimization=described.optimization,
        data=TrainingData(ingested, train, work.tasks, finished_labels(context.store, work.dataset.labels)),
        seed=seed,
        augmentation=described.augmentation,
        batch_norm_group_size=described.batch_norm.group_size,
        precision=described.precision,
        zero_stage=described.deep_speed.zero_stage,
        start=start_weights(work.start, context),
        checkpoint=CheckpointPolicy.of_minutes(described.checkpoint.every_minutes),
    )


def _stage_progress(progress: Progress) -> StageProgress:
    metrics = {
        "loss": progress.loss,
        "films/s": progress.films_per_second,
        "wait for data": progress.wait_share,
        "learning rate": progress.learning_rate,
        **progress.metrics,
    }
    return StageProgress(
        done=progress.step,
        total=progress.total_steps,
        committed=progress.committed,
        unit="step",
        metrics={name: value for name, value in metrics.items() if math.isfinite(value)},
        eta_seconds=progress.eta_seconds,
    )


def _commit(
    spec: StageSpec,
    work: PretrainSpec,
    context: StageContext,
    attempt: AttemptWriter,
    training: TrainingRun,
    outcome: TrainingOutcome,
    journal: list[Progress],
) -> FinishedArtifact:
    for file, tensors in outcome.weights.items():
        attempt.write_safetensors(file, tensors)
    lines = "".join(progress.as_json() + "\n" for progress in journal)
    attempt.write_bytes(PROGRESS_FILE, lines.encode())
    summary = _summary(work.run, training, outcome, journal)
    attempt.write_json(TRAINING_FILE, summary)
    attempt.write_bytes(TRAINED_ON, _trained_on(work, context).encode())
    parents = {f"{parent.kind}/{parent.name}": parent.identity for parent in spec.parents}
    return attempt.commit(summary, parents, describe_environment(context.machine))


def _trained_on(work: PretrainSpec, context: StageContext) -> TrainedOn:
    """What the weights of this run have seen, for jobs that start from them."""
    before = trained_on(work.exposure, context)
    return replace(before, seen=before.seen | training_part(work.dataset.films, context))


def _summary(
    run: PretrainingRun, training: TrainingRun, outcome: TrainingOutcome, journal: list[Progress]
) -> dict[str, Any]:
    films_seen = outcome.step * run.optimization.global_batch_size
    losses = list(outcome.epoch_losses)
    last = journal[-1] if journal else None
    metrics = dict(last.metrics) if last else {}
    return {
        "headline": _headline(run, losses, metrics, films_seen),
        "objective": run.objective.name,
        "dataset": run.dataset,
        "trainingFilms": len(training.data.ordinals),
        "steps": outcome.step,
        "epochs": run.optimization.epochs,
        "epochLosses": losses,
        "filmPasses": films_seen * run.objective.settings.PASSES_PER_IMAGE,
        "metrics": metrics,
        "workers": outcome.num_workers,
        "resumedFromStep": outcome.resumed_from,
        "secondsOfLastAttempt": round(outcome.seconds, 3),
    }


def _headline(run: PretrainingRun, losses: list[float], metrics: Mapping[str, float], films_seen: int) -> str:
    """How the loss went, and what makes it readable: chance, and how often the right one was found."""
    objective = run.objective.name
    if not losses:
        return objective
    chance, told = chance_of(run), f"{objective}, loss {losses[0]:.3f} → {losses[-1]:.3f}"
    told += f" (chance {chance.loss:.3f})" if chance is not None else ""
    told += f", top-1 {metrics['top1']:.3f}" if "top1" in metrics else ""
    return f"{told}, {films_seen} films seen"
