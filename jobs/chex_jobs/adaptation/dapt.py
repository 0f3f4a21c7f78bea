"""Domain-adaptive pretraining as a unit of work: pretraining goes on with the hospital's training films, without labels.

All training films take part at every label fraction: films and reports cost a hospital nothing, labels do.
"""

from chex_api.encoder import Encoders
from chex_api.pretraining import Optimization
from chex_jobs.adaptation.context import AdaptationContext
from chex_jobs.evaluation.statistics.aggregation import map_units
from chex_jobs.handover.files import IMAGE_ENCODER, TEXT_ENCODER
from chex_jobs.sweep.arms import BATCH, UNITS, Summary
from chex_jobs.sweep.units import DaptUnit
from chex_jobs.training.train import train
from chex_jobs.training.training_run import TrainingData, TrainingRun

WORTH_STORING = 50_000
"""Films trained on from which the state of a run is stored on the way; fewer are trained again as soon."""


def run_dapt(unit: DaptUnit, context: AdaptationContext) -> Summary:
    """Pretrain on from the unit's start, and keep the encoder, and the text encoder where there is one.

    Raises `TrainingError` when the loss becomes infinite or no training film has a usable report.
    """
    summary: Summary = {}
    attempt = context.attempt(unit)
    run = _training_run(unit, context)
    stores = len(run.data.ordinals) * unit.spec.epochs >= WORTH_STORING
    with context.timed(summary):
        outcome = train(run, checkpoints=attempt.checkpoints if stores else None)
    for file in (IMAGE_ENCODER, TEXT_ENCODER):
        if file in outcome.weights:
            attempt.write_safetensors(file, outcome.weights[file])
    films = outcome.step * unit.spec.global_batch_size
    passes = films * run.objective.settings.PASSES_PER_IMAGE
    summary |= {"films": films, "filmPasses": passes, "epochLosses": list(outcome.epoch_losses)}
    summary |= {BATCH: unit.spec.global_batch_size, UNITS: _num_units(unit, context)}
    summary["objective"] = run.objective.settings.plain()
    done = context.commit(attempt, unit, summary)
    if stores:
        context.object(unit).remove_checkpoints()
    return done


def _training_run(unit: DaptUnit, context: AdaptationContext) -> TrainingRun:
    site, spec = unit.site, unit.spec
    films = context.data(unit.fold).train
    settings = spec.objective.settings.fitted_to_hospital(len(films), spec.global_batch_size)
    return TrainingRun(
        objective=spec.objective.with_settings(settings),
        encoders=Encoders(image=site.encoder, text=None if unit.text is None else unit.text.spec),
        optimization=Optimization(
            global_batch_size=spec.global_batch_size, epochs=spec.epochs, learning_rate=unit.learning_rate
        ),
        data=TrainingData(context.ingested(), films),
        seed=site.seed,
        augmentation=site.augmentation,
        batch_norm_group_size=site.batch_norm.group_size,
        precision="BFloat16" if site.precision == "BFloat16" else "Float32",
        repeats_films=True,
        start=context.start_weights(unit.start),
    )


def _num_units(unit: DaptUnit, context: AdaptationContext) -> int:
    """Films, studies or patients that an epoch has one film of."""
    data = context.data(unit.fold)
    films = data.train
    return len(map_units(data.unit, films, data.studies[films], data.patients[films]).ordinals)
