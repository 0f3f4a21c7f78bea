"""`report/<job>`: join what the other stages found, tell people, and hand over the deployable models."""

from datetime import UTC, datetime

import pyarrow.parquet as pq

from chex_api.dataset import Dataset
from chex_api.job import JobSpec
from chex_api.stage import StageProgress, StageSpec
from chex_api.summaries import ReportSummary
from chex_jobs.artifacts import AttemptWriter, FinishedArtifact
from chex_jobs.artifacts.disk import temporary_folder
from chex_jobs.evaluation.results.results_json import dumps
from chex_jobs.evaluation.results.schema import HospitalResults, Results
from chex_jobs.handover import files
from chex_jobs.handover.context import StageContext
from chex_jobs.handover.parents import finished_parent
from chex_jobs.report.assemble import FinishedStages, assemble_results
from chex_jobs.report.model_card import render_model_card
from chex_jobs.report.page import render_page
from chex_jobs.report.table import results_table
from chex_jobs.stages.deploy import bundle_of
from chex_jobs.stages.environment import describe_environment


def run(spec: StageSpec, context: StageContext) -> FinishedArtifact:
    """Write the page, the tables and, for each hospital, the model to deploy with its card."""
    work = spec.work.report
    assert work is not None
    stages = {each.label: finished_parent(context.store, each) for each in work.stages}
    job = JobSpec.parse(work.manifest["spec"])
    environment = describe_environment(context.machine)
    results = assemble_results(
        work, job, FinishedStages(stages), environment, context.store.uri, datetime.now(UTC)
    )
    attempt = context.attempt(spec)
    models: dict[str, str] = {}
    with_model = [each for each in results.hospitals if each.recommendation.deploy is not None]
    for done, hospital in enumerate(with_model):
        context.raise_if_stopped()
        progress = StageProgress(
            done=done,
            total=len(with_model),
            unit="hospitals",
            message=f"exporting the model of {hospital.hospital}",
        )
        context.on_progress(progress)
        models[hospital.hospital] = _write_model(attempt, results, hospital, job, context)
    attempt.write_bytes(files.PAGE, render_page(results, models).encode())
    attempt.write_bytes(files.RESULTS, dumps(results))
    _write_table(attempt, results)
    parents = spec.parent_identities
    return attempt.commit(_summary(attempt, results, models).plain(), parents, environment)


def _write_model(
    attempt: AttemptWriter, results: Results, hospital: HospitalResults, job: JobSpec, context: StageContext
) -> str:
    """Write the hospital's model folder and its card; returns the folder's path in the artifact."""
    folder = f"models/{hospital.hospital}"
    dataset: Dataset = job.dataset(hospital.dataset)
    with temporary_folder("chex-model-") as local:
        bundle_of(hospital, dataset, job.encoders.image, context.store, local)
        for path in sorted(local.iterdir()):
            attempt.upload(f"{folder}/{path.name}", path)
    attempt.write_bytes(f"{folder}/{files.MODEL_CARD}", render_model_card(results, hospital).encode())
    return folder


def _write_table(attempt: AttemptWriter, results: Results) -> None:
    with attempt.writing(files.TABLE) as path:
        pq.write_table(results_table(results), path)


def _summary(attempt: AttemptWriter, results: Results, models: dict[str, str]) -> ReportSummary:
    return ReportSummary(
        headline=f"{len(results.hospitals)} hospitals" if len(results.hospitals) != 1 else "1 hospital",
        page=f"{attempt.uri}/{files.PAGE}",
        conclusions={each.hospital: each.recommendation.sentence for each in results.hospitals},
        models=models,
        generated_films=results.generated_data,
    )
