"""`evaluate/<hospital>`: the only stage that reads test films."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from chex_api.stage import DatasetReference, EvaluateSpec, StageProgress, StageSpec
from chex_api.summaries import AdaptationSummary, EvaluationSummary, IngestSummary
from chex_jobs.adaptation.model_files import validation_logits
from chex_jobs.artifacts import AttemptWriter, FinishedArtifact, ObjectNotFound
from chex_jobs.data.dataset.fingerprints import Fingerprints, TrainedOn
from chex_jobs.evaluation.adaptation_output import AdaptationOutput, read_adaptation
from chex_jobs.evaluation.evaluate import Settings
from chex_jobs.evaluation.hospital_evaluation import Evaluated, Evaluation, IngestedSet, run_evaluation
from chex_jobs.evaluation.reporting.prediction_table import prediction_table
from chex_jobs.evaluation.reporting.shareable import shareable_hospital
from chex_jobs.evaluation.results.results_json import dumps
from chex_jobs.evaluation.results.schema import Estimate, HospitalCompute, HospitalResults
from chex_jobs.evaluation.test_access.evaluation_data import EvaluationData
from chex_jobs.evaluation.test_access.final_models import FilmLogits, FinalModel
from chex_jobs.evaluation.test_access.ledger import ledger_lines
from chex_jobs.evaluation.test_access.predictor import Predictor
from chex_jobs.evaluation.unchosen import unchosen, validation_can_choose
from chex_jobs.handover import files
from chex_jobs.handover.context import StageContext
from chex_jobs.handover.parents import finished_parent
from chex_jobs.report.numbers import estimate
from chex_jobs.report.rows import HEADLINES
from chex_jobs.stages.environment import describe_environment
from chex_jobs.stages.leakage import check_unseen, fingerprints_of, learned_part, notices, trained_on
from chex_jobs.stages.parents import have_labels, opened_dataset


def run(spec: StageSpec, context: StageContext) -> FinishedArtifact:
    """Predict the test films with every final model, and say what follows."""
    work = spec.work.evaluate
    assert work is not None
    begun = time.monotonic()
    for dataset in (work.dataset, *(other.dataset for other in work.also_on)):
        have_labels(dataset, context, spec.label)
    adapted = finished_parent(context.store, work.adapt)
    output = read_adaptation(adapted.read_json(files.ARMS), lambda identity: _validation(identity, context))
    home = _opened(work.dataset, context, output.tasks)
    elsewhere = _elsewhere(work, context, output.tasks)
    starts = [(each.start, trained_on(each, context)) for each in work.exposures]
    _check_leakage(spec, work, home, elsewhere, starts, context)
    asked = Evaluation(
        settings=_settings(spec, work, home.data, output),
        home=home,
        elsewhere=elsewhere,
        arms=output.arms,
        models=output.models,
        compute=_compute(adapted),
        identities={each.label: each.identity for each in (work.dataset.films, work.adapt)}
        | {spec.label: spec.identity},
        stage_identity=spec.identity,
        attempt=context.attempt_id,
        unlearnable=output.unlearnable,
        notices=(*(notices(starts) if output.arms else ()), *output.notices),
    )
    if not validation_can_choose(asked):
        return _commit(spec, context, unchosen(asked, context.store.storage), None)
    evaluated = run_evaluation(
        asked, _predictor(work, output, context), context.store.storage, lambda: datetime.now(UTC)
    )
    compute = with_clock(evaluated.results.compute, time.monotonic() - begun)
    return _commit(spec, context, replace(evaluated.results, compute=compute), evaluated)


def _validation(identity: str, context: StageContext) -> FilmLogits:
    """What a final model said of its validation films."""
    films, logits = validation_logits(_final(identity, context))
    return FilmLogits(films, logits.astype("float64"))


def _final(identity: str, context: StageContext) -> FinishedArtifact:
    done = context.store.object("final", identity).finished()
    if done is None:
        raise ObjectNotFound(
            f"the final model {identity[:12]} is gone from the artifacts; delete the adaptation's manifest to have it fitted again"
        )
    return done


def _opened(reference: DatasetReference, context: StageContext, tasks: tuple[str, ...]) -> IngestedSet:
    ingested = finished_parent(context.store, reference.films)
    films = opened_dataset(reference, context)
    shared = tuple(task for task in tasks if task in films.task_names)
    named = reference.films
    data = EvaluationData(films, shared)
    test_set = fingerprints_of(films, data.test_films(-1), named, context) if shared else Fingerprints()
    return IngestedSet(named.name, IngestSummary.parse(ingested.summary), data, test_set)


def _elsewhere(work: EvaluateSpec, context: StageContext, tasks: tuple[str, ...]) -> dict[str, IngestedSet]:
    """Other hospitals' data sets, as far as they answer a task of ours."""
    opened = {other.hospital: _opened(other.dataset, context, tasks) for other in work.also_on}
    return {hospital: ingested for hospital, ingested in opened.items() if ingested.data.tasks}


def _check_leakage(
    spec: StageSpec,
    work: EvaluateSpec,
    home: IngestedSet,
    elsewhere: Mapping[str, IngestedSet],
    starts: Sequence[tuple[str, TrainedOn]],
    context: StageContext,
) -> None:
    """No model may meet a test film that it has seen; found before the ledger is written and a film is read."""
    label, hospital = spec.label, work.hospital.name
    seen = [(f"what start {start!r} was trained on", known.seen) for start, known in starts]
    check_unseen(label, f"test films of hospital {hospital!r}", home.test_set, seen)
    if elsewhere:
        own = f"the training or validation films of hospital {hospital!r}"
        seen.append((own, learned_part(work.dataset.films, context)))
    for name, other in elsewhere.items():
        check_unseen(label, f"test films of hospital {name!r} (evaluation.alsoOn)", other.test_set, seen)


def _settings(
    spec: StageSpec, work: EvaluateSpec, data: EvaluationData, output: AdaptationOutput
) -> Settings:
    evaluation = work.hospital.evaluation
    return Settings(
        hospital=work.hospital.name,
        dataset=work.dataset.films.name,
        unit=data.films.unit,
        split=work.split,
        num_folds=data.films.num_folds,
        margin=evaluation.margin,
        confidence=evaluation.confidence,
        metric=output.metric,
        seed=spec.seed,
        deploy=evaluation.deploy,
    )


def with_clock(compute: HospitalCompute, evaluated_in: float) -> HospitalCompute:
    """Adaptation and evaluation together on the clock; nothing where the adaptation's part is not known."""
    if compute.wall_seconds is None:
        return compute
    return replace(compute, wall_seconds=compute.wall_seconds + evaluated_in)


def _compute(adapted: FinishedArtifact) -> HospitalCompute:
    summary = AdaptationSummary.parse(adapted.summary)
    return HospitalCompute(
        film_passes=float(summary.film_passes),
        device_seconds=summary.device_seconds,
        trials=summary.trials,
        dapt_runs=summary.dapt_runs,
        final_fits=summary.final_fits,
        wall_seconds=summary.wall_seconds,
    )


def _predictor(work: EvaluateSpec, output: AdaptationOutput, context: StageContext) -> Predictor:
    from chex_jobs.adaptation.head import load_classifier
    from chex_jobs.models import build_image_encoder

    encoder = work.encoders.image

    def load(model: FinalModel):
        return load_classifier(
            _final(model.identity, context), build_image_encoder(encoder, 0), len(output.tasks)
        )

    def tell(done: int, total: int) -> None:
        context.on_progress(
            StageProgress(done=done, total=total, unit="models", message="predicting test films")
        )

    return Predictor(
        load, encoder.size, "cuda" if context.machine.gpus else "cpu", tell, context.raise_if_stopped
    )


def _commit(
    spec: StageSpec, context: StageContext, results: HospitalResults, evaluated: Evaluated | None
) -> FinishedArtifact:
    """Write everything down; without `evaluated` no test film was read, and there are no predictions."""
    attempt = context.attempt(spec)
    attempt.write_bytes(files.METRICS, dumps(results))
    if evaluated is not None:
        table = prediction_table(evaluated.validation, evaluated.test, evaluated.elsewhere)
        _write_predictions(attempt, table)
        attempt.write_bytes(files.LEDGER, ledger_lines(evaluated.openings))
    parents = spec.parent_identities
    return attempt.commit(summary_of(results).plain(), parents, describe_environment(context.machine))


def _write_predictions(attempt: AttemptWriter, table: pa.Table) -> None:
    with attempt.writing(files.PREDICTIONS) as path:
        pq.write_table(table, path)


def summary_of(results: HospitalResults) -> EvaluationSummary:
    """For status and terminal: numbers of the weights that are deployed, as on the page and on the model card.

    Of several tasks the mean, without an interval, as none was computed for these weights.
    """
    results = shareable_hospital(results)
    advice = results.recommendation
    told = advice.tasks or tuple(each.task for each in results.tasks)
    measured = {each.task: each.auroc for each in advice.deployed_performance if each.task in told}
    values = {task: each.value for task, each in measured.items() if each.value is not None}
    interval = next(iter(measured.values())).interval if len(measured) == 1 else None
    return EvaluationSummary(
        headline=_headline(results, measured),
        recommended=advice.deploy.label if advice.deploy is not None else "",
        enough=advice.enough.label if advice.enough is not None else "",
        verdict=str(advice.verdict),
        proven=advice.proven,
        auroc=sum(values.values()) / len(values) if values else None,
        auroc_tasks=tuple(values),
        auroc_low=interval.lower if interval is not None else None,
        auroc_high=interval.upper if interval is not None else None,
        test_openings=results.ledger.count,
    )


def _headline(results: HospitalResults, measured: Mapping[str, Estimate]) -> str:
    """The verdict in few words, and each task's AUROC; the sentence comes with the report."""
    verdict = HEADLINES[results.recommendation.verdict].text
    arm = results.recommendation.deploy
    if arm is None:
        return verdict
    aurocs = ", ".join(f"{task} {estimate(value)}" for task, value in measured.items())
    return f"{arm.label}" + (f", AUROC: {aurocs}" if aurocs else "") + f"; {verdict[:1].lower()}{verdict[1:]}"
