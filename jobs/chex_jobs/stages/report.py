"""`report/<job>`: join what the other stages found, tell people, and hand over the deployable models."""

from datetime import UTC, datetime
from typing import Any

import pyarrow.parquet as pq

from chex_api.dataset import Dataset
from chex_api.job import JobSpec
from chex_api.stage import StageProgress, StageSpec
from chex_jobs.artifacts import AttemptWriter, FinishedArtifact
from chex_jobs.artifacts.disk import temporary_folder
from chex_jobs.evaluation.results.results_json import dumps
from chex_jobs.evaluation.results.schema import HospitalResults, Results
from chex_jobs.report.assemble import FinishedStages, assemble_results
from chex_jobs.report.model_card import render_model_card
from chex_jobs.report.page import render_page
from chex_jobs.report.table import results_table
from chex_jobs.stages.context import StageContext
from chex_jobs.stages.deploy import bundle_of
from chex_jobs.stages.environment import describe_environment
from chex_jobs.stages.parents import finished_parent

PAGE_FILE = "report.html"
RESULTS_FILE = "results.json"
TABLE_FILE = "results.parquet"


def run(spec: StageSpec, context: StageContext) -> FinishedArtifact:
    """Write the page, the tables and, for each hospital, the model to deploy with its card."""
    work = spec.work.report
    assert work is not None
    stages = {f"{each.kind}/{each.name}": finished_parent(context.store, each) for each in work.stages}
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
    attempt.write_bytes(PAGE_FILE, render_page(results, models).encode())
    attempt.write_bytes(RESULTS_FILE, dumps(results))
    _write_table(attempt, results)
    parents = {f"{parent.kind}/{parent.name}": parent.identity for parent in spec.parents}
    return attempt.commit(_summary(attempt, results, models), parents, environment)


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
    attempt.write_bytes(f"{folder}/model-card.md", render_model_card(results, hospital).encode())
    return folder


def _write_table(attempt: AttemptWriter, results: Results) -> None:
    with attempt.writing(TABLE_FILE) as path:
        pq.write_table(results_table(results), path)


def _summary(attempt: AttemptWriter, results: Results, models: dict[str, str]) -> dict[str, Any]:
    """For people; files are named by their paths in the artifact, so that a copy of it speaks of itself."""
    return {
        "headline": f"{len(results.hospitals)} hospitals" if len(results.hospitals) != 1 else "1 hospital",
        "page": f"{attempt.uri}/{PAGE_FILE}",
        "conclusions": {each.hospital: each.recommendation.sentence for each in results.hospitals},
        "models": models,
        "generatedFilms": results.generated_data,
    }
