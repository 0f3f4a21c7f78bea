"""Fine-tuning as units of work: trials that climb rungs, and final fits of the winner.

A trial's schedule spans all of the strategy's epochs whatever rung it stops at, so a rung is a part of the whole
training and the next one goes on from its checkpoint. The checkpoint only saves time: where it is gone, the trial
starts at the beginning and arrives at the same weights.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from chex_api.objective import Objective
from chex_api.objective import Supervised as SupervisedSettings
from chex_api.pretraining import AdamW, Optimization
from chex_jobs.adaptation.context import AdaptationContext, NotFinite
from chex_jobs.adaptation.features import forward
from chex_jobs.adaptation.head import Classifier
from chex_jobs.adaptation.lp_ft import transplant_head
from chex_jobs.adaptation.model_files import write_model
from chex_jobs.adaptation.rung_checkpoints import RungCheckpoints
from chex_jobs.adaptation.score import ValidationSet
from chex_jobs.data.loading.batch_source import BatchSource
from chex_jobs.models import ImageEncoderModule
from chex_jobs.models.seeding import derived_seed
from chex_jobs.objectives.build import batch_norm_group_size
from chex_jobs.objectives.supervised import Supervised
from chex_jobs.sweep.arms import BATCH, UNITS, Summary, score_of
from chex_jobs.sweep.halving import ranked
from chex_jobs.sweep.units import FinalFitUnit, Recipe, TrialUnit
from chex_jobs.training.batch_norm import use_group_batch_norm
from chex_jobs.training.checkpoint_policy import CheckpointPolicy
from chex_jobs.training.checkpoints import CheckpointStore
from chex_jobs.training.errors import CheckpointFailed, NonFiniteLoss
from chex_jobs.training.loop import EpochEnd, LoopCallbacks, LoopResult, LoopSettings, run_loop
from chex_jobs.training.process_group import join

PASSES_PER_TRAINED_FILM = SupervisedSettings.PASSES_PER_IMAGE
"""Forward-equivalents of a forward and a backward pass."""
RUNG_WORTH_STORING = 256
"""Films trained on in a rung from which its end is stored; fewer are trained again sooner than stored and read."""
FIT_WORTH_STORING = 50_000
"""The same for a final fit, which stores its state by the clock."""
HEAD = "head"
"""Name of the head in the objective."""
NO_SCORE: Summary = {"value": None, "loss": None}


def run_trial(unit: TrialUnit, context: AdaptationContext) -> Summary:
    """Train up to the unit's rung and score every epoch on the draw's validation labels.

    A loss or a logit that is not finite is no failure: it is a poor configuration, and its score is unknown.
    """
    summary: Summary = {}
    with context.timed(summary):
        fit = _Fit(unit, context, derived_seed(unit.site.seed, "trial"))
        scores = _EpochScores(
            context.validation_set(unit.fold, unit.labels), fit, _scores_so_far(unit, context)
        )
        try:
            fit.train(
                unit.until_epoch, _rung_checkpoints(unit, context, fit), LoopCallbacks(on_epoch_end=scores)
            )
        except NonFiniteLoss:
            scores.diverged = True
        except CheckpointFailed:  # also how weights that are not finite are refused
            if not scores.diverged:
                raise
    begun = unit.previous.until_epoch if unit.previous is not None else 0
    passes = (unit.until_epoch - begun) * (PASSES_PER_TRAINED_FILM * fit.films_per_epoch + scores.num_films)
    summary |= {**scores.summary(), "filmPasses": passes, "checkpointed": _worth_storing(unit, fit)}
    done = context.commit(context.attempt(unit), unit, summary)
    if unit.previous is not None:
        context.object(unit.previous).remove_checkpoints()
    return done


def run_final_fit(unit: FinalFitUnit, context: AdaptationContext) -> Summary:
    """Fit the winner anew up to its best epoch, and keep the model and what it says of the validation films.

    Validation labels decide nothing here: the epoch was chosen by the trial that won.
    Raises `NonFiniteLoss` when the loss becomes infinite, `NotFinite` when the logits are.
    """
    summary: Summary = {}
    attempt = context.attempt(unit)
    with context.timed(summary):
        fit = _Fit(unit, context, derived_seed(unit.site.seed, "final", str(unit.seed)))
        worth_storing = unit.until_epoch * fit.films_per_epoch >= FIT_WORTH_STORING
        fit.train(unit.until_epoch, attempt.checkpoints if worth_storing else None, LoopCallbacks())
        validation = context.validation_set(unit.fold, unit.labels)
        logits = fit.logits(validation.films)
    if not np.isfinite(logits).all():
        raise NotFinite(
            "a refit of its winner gives logits that are NaN or infinite; lower the learning rates in sweep.space"
        )
    passes = unit.until_epoch * PASSES_PER_TRAINED_FILM * fit.films_per_epoch + len(validation.films)
    write_model(attempt, fit.classifier.cpu(), unit.site, validation.films, logits)
    summary |= {"score": validation.score(logits), "labels": context.label_counts(unit.fold, unit.labels)}
    summary |= {BATCH: unit.recipe.settings.batch_size, UNITS: fit.num_units}
    done = context.commit(attempt, unit, {**summary, "filmPasses": passes})
    if worth_storing:
        context.object(unit).remove_checkpoints()
    return done


class _Fit:
    """An encoder and a head on one draw's training labels, and their training."""

    def __init__(self, unit: TrialUnit | FinalFitUnit, context: AdaptationContext, seed: int) -> None:
        """`seed` moves a new head, the order of films and their augmentation."""
        self._unit, self._context, self._seed = unit, context, seed
        self._optimization = optimization_of(unit.recipe)
        self._objective = Supervised(self._encoder(unit), num_tasks=len(unit.site.tasks), seed=seed)
        transplant_head(unit, context, self._objective.head)
        self.classifier = Classifier(self._objective.image_encoder, self._objective.head)
        self._train_films = context.labelled(unit.fold, "train", unit.labels).ordinals
        with self._batches() as batches:
            self.num_units = batches.num_units
            self.films_per_epoch = batches.steps_per_epoch * self._optimization.global_batch_size

    def train(
        self, until_epoch: int, checkpoints: CheckpointStore | None, callbacks: LoopCallbacks
    ) -> LoopResult:
        """Train from the newest checkpoint, or from the start, to the end of an epoch. Raises `TrainingError`s."""
        settings = LoopSettings(
            optimization=self._optimization,
            bfloat16=self._unit.site.precision == "BFloat16",
            zero_stage=0,
            seed=self._seed,
            checkpoint=CheckpointPolicy(),
            until_epoch=until_epoch,
            learning_rate_factors={HEAD: head_learning_rate_factor(self._unit.recipe)},
        )
        with self._batches() as batches:
            return run_loop(self._objective, batches, settings, join(), checkpoints, callbacks)

    def logits(self, films: NDArray[np.int64]) -> NDArray[np.float32]:
        """Logits [N, T] of films in their standard view, as the deployed model gives them."""
        data = self._context.data(self._unit.fold)
        return forward(self.classifier, data, films, self._unit.site.encoder.size, self._context.device)

    def _encoder(self, unit: TrialUnit | FinalFitUnit) -> ImageEncoderModule:
        encoder = self._context.image_encoder(unit.encoder, unit.site.encoder)
        group = batch_norm_group_size(
            Objective(supervised=SupervisedSettings()),
            encoder,
            wanted=unit.site.batch_norm.group_size,
            global_batch_size=self._optimization.global_batch_size,
        )
        if group is not None:
            use_group_batch_norm(encoder, group, frozen=unit.recipe.settings.freeze_batch_norm)
        return encoder

    @contextmanager
    def _batches(self) -> Iterator[BatchSource]:
        site, settings = self._unit.site, self._unit.recipe.settings
        source = BatchSource(
            self._context.data(self._unit.fold),
            self._train_films,
            size=site.encoder.size,
            global_batch_size=self._optimization.global_batch_size,
            seed=self._seed,
            augmentation=site.augmentation,
            unit=self._context.data(self._unit.fold).unit,
            tasks=site.tasks,
            min_steps_per_epoch=-(-settings.min_steps // settings.epochs),
        )
        with source:
            yield source


class _EpochScores:
    """Scores every epoch of a trial; ends it when the model gives numbers that are not finite."""

    def __init__(self, validation: ValidationSet, fit: _Fit, earlier: Sequence[Summary]) -> None:
        """`earlier` are the scores of the epochs that the rungs below have trained."""
        self._validation, self._fit = validation, fit
        self._epochs: dict[int, Summary] = dict(enumerate(earlier, start=1))
        self.num_films = len(validation.films)
        self.diverged = False

    def __call__(self, end: EpochEnd) -> bool:
        """See `LoopCallbacks.on_epoch_end`."""
        logits = self._fit.logits(self._validation.films)
        if not np.isfinite(logits).all():
            self.diverged = True
            return False
        self._epochs[end.epoch] = self._validation.score(logits)
        return True

    def summary(self) -> Summary:
        """The best epoch so far, its score, and the scores of all epochs."""
        epochs = [self._epochs[epoch] for epoch in sorted(self._epochs)]
        if self.diverged or not epochs:
            return {"score": NO_SCORE, "bestEpoch": 0, "epochs": epochs, "diverged": True}
        best = ranked([score_of(score) for score in epochs])[0]
        return {"score": epochs[best], "bestEpoch": best + 1, "epochs": epochs, "diverged": False}


def optimization_of(recipe: Recipe) -> Optimization:
    """The strategy's settings, with the parameters of the search in their place."""
    settings, searched = recipe.settings, dict(recipe.configuration)
    return Optimization(
        global_batch_size=settings.batch_size,
        epochs=settings.epochs,
        learning_rate=searched.get("learningRate", settings.learning_rate),
        warmup_fraction=searched.get("warmupFraction", settings.warmup_fraction),
        adam_w=AdamW(weight_decay=searched.get("weightDecay", settings.weight_decay)),
    )


def head_learning_rate_factor(recipe: Recipe) -> float:
    """How much faster than the encoder the head learns: the strategy's factor, or the one of the search."""
    return dict(recipe.configuration).get("headLearningRateFactor", recipe.settings.head_learning_rate_factor)


def _scores_so_far(unit: TrialUnit, context: AdaptationContext) -> Sequence[Summary]:
    return [] if unit.previous is None else context.finished(unit.previous).summary["epochs"]


def _rung_checkpoints(unit: TrialUnit, context: AdaptationContext, fit: _Fit) -> RungCheckpoints | None:
    """Where the trial goes on from and what it leaves; None where neither is worth a file."""
    previous = unit.previous
    resume_from = (
        context.attempt(previous).checkpoints
        if _worth_storing(previous, fit) and previous is not None
        else None
    )
    save_to = context.attempt(unit).checkpoints if _worth_storing(unit, fit) else None
    return None if resume_from is None and save_to is None else RungCheckpoints(resume_from, save_to)


def _worth_storing(unit: TrialUnit | None, fit: _Fit) -> bool:
    """Whether the end of a rung is stored: it is not the last, and training it again would take longer."""
    if unit is None or unit.until_epoch >= unit.recipe.settings.epochs:
        return False
    return unit.until_epoch * fit.films_per_epoch >= RUNG_WORTH_STORING
