"""`pretrain/<name>`: one distributed run on the training films of a data set."""

import math
from collections.abc import Mapping
from dataclasses import replace

from chex_api.pretraining import PretrainingRun
from chex_api.stage import PretrainSpec, StageProgress, StageSpec
from chex_api.summaries import TrainingSummary
from chex_jobs.artifacts import AttemptWriter, FinishedArtifact
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.dataset.fingerprints import TrainedOn
from chex_jobs.data.dataset.label_objects import finished_labels
from chex_jobs.data.splits.assignment import roles
from chex_jobs.handover import files
from chex_jobs.handover.context import StageContext, StageStopped
from chex_jobs.handover.parents import finished_parent
from chex_jobs.objectives.chance import chance_of
from chex_jobs.stages.environment import describe_environment
from chex_jobs.stages.leakage import trained_on, training_part
from chex_jobs.stages.parents import have_labels
from chex_jobs.training.checkpoint_policy import CheckpointPolicy
from chex_jobs.training.progress import Progress
from chex_jobs.training.ray_launch import launch
from chex_jobs.training.start_weights import weights_of_start
from chex_jobs.training.train import TrainingOutcome
from chex_jobs.training.training_run import TrainingData, TrainingRun
from chex_jobs.training.workers import choose_num_workers


def run(spec: StageSpec, context: StageContext) -> FinishedArtifact:
    """Train the run of `spec` from its newest checkpoint, and commit the encoders."""
    work = spec.work.pretrain
    assert work is not None
    attempt = context.attempt(spec)
    have_labels(work.dataset, context, spec.label)
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
        start=weights_of_start(work.start, context.store),
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
    for name, tensors in outcome.weights.items():
        attempt.write_safetensors(name, tensors)
    lines = "".join(progress.as_json() + "\n" for progress in journal)
    attempt.write_bytes(files.PROGRESS, lines.encode())
    summary = _summary(work.run, training, outcome, journal)
    attempt.write_json(files.TRAINING, summary.plain())
    attempt.write_bytes(files.TRAINED_ON, _trained_on(work, context).encode())
    parents = spec.parent_identities
    return attempt.commit(summary.plain(), parents, describe_environment(context.machine))


def _trained_on(work: PretrainSpec, context: StageContext) -> TrainedOn:
    """What the weights of this run have seen, for jobs that start from them."""
    before = trained_on(work.exposure, context)
    return replace(before, seen=before.seen | training_part(work.dataset.films, context))


def _summary(
    run: PretrainingRun, training: TrainingRun, outcome: TrainingOutcome, journal: list[Progress]
) -> TrainingSummary:
    films_seen = outcome.step * run.optimization.global_batch_size
    losses = list(outcome.epoch_losses)
    last = journal[-1] if journal else None
    metrics = dict(last.metrics) if last else {}
    return TrainingSummary(
        headline=_headline(run, losses, metrics, films_seen),
        objective=run.objective.name,
        dataset=run.dataset,
        training_films=len(training.data.ordinals),
        steps=outcome.step,
        epochs=run.optimization.epochs,
        epoch_losses=tuple(losses),
        film_passes=films_seen * run.objective.settings.PASSES_PER_IMAGE,
        metrics=metrics,
        workers=outcome.num_workers,
        resumed_from_step=outcome.resumed_from,
        seconds_of_last_attempt=round(outcome.seconds, 3),
    )


def _headline(run: PretrainingRun, losses: list[float], metrics: Mapping[str, float], films_seen: int) -> str:
    """How the loss went, and what makes it readable: chance, and how often the right one was found."""
    objective = run.objective.name
    if not losses:
        return objective
    chance, told = chance_of(run), f"{objective}, loss {losses[0]:.3f} → {losses[-1]:.3f}"
    told += f" (chance {chance.loss:.3f})" if chance is not None else ""
    told += f", top-1 {metrics['top1']:.3f}" if "top1" in metrics else ""
    return f"{told}, {films_seen} films seen"
