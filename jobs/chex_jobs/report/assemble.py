"""From finished stages to `Results`: everything that the report prints, in one value."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

import yaml

from chex_api.job import JobSpec
from chex_api.stage import ReportSpec
from chex_api.summaries import IngestSummary, TrainingSummary
from chex_jobs.artifacts import FinishedArtifact
from chex_jobs.evaluation.reporting.patient_flow import ingest_steps
from chex_jobs.evaluation.results.results_json import loads
from chex_jobs.evaluation.results.schema import (
    SCHEMA,
    CurvePoint,
    HospitalResults,
    PatientFlow,
    PretrainingSummary,
    Provenance,
    Results,
)
from chex_jobs.handover import files
from chex_jobs.objectives.chance import chance_of

MAX_CURVE_POINTS = 500


@dataclass(frozen=True)
class FinishedStages:
    """Every other stage of the plan, finished, by `kind/name`."""

    by_name: Mapping[str, FinishedArtifact]

    def of_kind(self, kind: str) -> dict[str, FinishedArtifact]:
        """The stages of one kind, by name, in the plan's order."""
        return {
            label.partition("/")[2]: done
            for label, done in self.by_name.items()
            if label.startswith(f"{kind}/")
        }


def assemble_results(
    work: ReportSpec,
    job: JobSpec,
    stages: FinishedStages,
    environment: Mapping[str, str],
    artifacts_uri: str,
    now: datetime,
) -> Results:
    """Join the hospitals' results, the pretraining runs and where all of it comes from."""
    ingested = {name: IngestSummary.parse(done.summary) for name, done in stages.of_kind("ingest").items()}
    return Results(
        schema=SCHEMA,
        job=work.job_name,
        namespace=str(work.manifest["metadata"].get("namespace", "")),
        created_at=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        generated_data=any(job.dataset(name).source.is_generated for name in ingested),
        hospitals=tuple(
            loads(HospitalResults, done.read_bytes(files.METRICS))
            for done in stages.of_kind("evaluate").values()
        ),
        pretraining=tuple(_pretraining(name, job, done) for name, done in stages.of_kind("pretrain").items()),
        archive_flows=tuple(
            PatientFlow(name, ingest_steps(ingested[name]), ingested[name].quarantined)
            for name in dict.fromkeys(run.dataset for run in job.pretraining)
        ),
        provenance=Provenance(
            seed=job.seed,
            chexdragon_version=version("chexdragon"),
            source_digests={
                name: summary.source_digest for name, summary in ingested.items() if summary.source_digest
            },
            stage_identities={label: done.identity for label, done in stages.by_name.items()},
            manifest_sha256={label: done.manifest_sha256 for label, done in stages.by_name.items()},
            environment=dict(environment),
            spec_yaml=yaml.safe_dump(work.manifest, sort_keys=False, allow_unicode=True),
        ),
        artifacts_uri=artifacts_uri,
    )


def _pretraining(name: str, job: JobSpec, done: FinishedArtifact) -> PretrainingSummary:
    run, summary = job.pretraining_run(name), TrainingSummary.parse(done.summary)
    workers, chance = summary.workers, chance_of(run)
    seconds = summary.seconds_of_last_attempt if summary.resumed_from_step is None else None
    return PretrainingSummary(
        name=name,
        dataset=run.dataset,
        objective=summary.objective,
        start=run.start_from.label(),
        epochs=float(summary.epochs),
        films=summary.training_films,
        film_passes=float(summary.film_passes),
        device_seconds=None if seconds is None else seconds * workers,
        wall_seconds=seconds,
        world_sizes=(workers,),
        final_metrics=summary.metrics,
        loss=_loss_curve(done, summary),
        chance_loss=None if chance is None else chance.loss,
        chance_top1=None if chance is None else chance.top1,
        top1=_top1_curve(done),
    )


def _loss_curve(done: FinishedArtifact, summary: TrainingSummary) -> tuple[CurvePoint, ...]:
    """The loss by step as the last attempt reported it; by epoch where it reported nothing."""
    points = [CurvePoint(int(line["step"]), float(line["loss"])) for line in _journal(done)]
    if len(points) < 2:
        losses = summary.epoch_losses
        steps_per_epoch = summary.steps / max(1, len(losses))
        points = [
            CurvePoint(round((index + 1) * steps_per_epoch), float(loss)) for index, loss in enumerate(losses)
        ]
    return _thinned(points)


def _top1_curve(done: FinishedArtifact) -> tuple[CurvePoint, ...]:
    points = [
        CurvePoint(int(line["step"]), float(line["metrics"]["top1"]))
        for line in _journal(done)
        if "top1" in line["metrics"]
    ]
    return _thinned(points)


def _journal(done: FinishedArtifact) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.read_bytes(files.PROGRESS).splitlines()]


def _thinned(points: list[CurvePoint]) -> tuple[CurvePoint, ...]:
    stride = max(1, -(-len(points) // MAX_CURVE_POINTS))
    return tuple(points[::stride])
