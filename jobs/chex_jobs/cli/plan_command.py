"""`chex plan`."""

import argparse
from dataclasses import asdict
from typing import Any

from chex_api.hospital import Hospital
from chex_api.identity import short
from chex_api.job import ChexTrainingJob
from chex_api.plan import Plan, make_plan, stage_names, start_labels
from chex_api.stage import StageSpec
from chex_jobs.artifacts import ArtifactStore
from chex_jobs.cli.main import FAILED, WRONG_USAGE
from chex_jobs.cli.manifests import InvalidManifest, load, report_faults
from chex_jobs.cli.output import print_plain
from chex_jobs.preflight import PreflightFailed, PreflightReport, run_preflight
from chex_jobs.sweep.arms import Arm
from chex_jobs.sweep.effort import effort_of
from chex_jobs.sweep.units import Site, Start


def execute(arguments: argparse.Namespace) -> int:
    """Show what a run would do."""
    try:
        job = load(arguments)
        described = _unresolved(job) if arguments.no_preflight else _resolved(job)
    except InvalidManifest as error:
        report_faults(arguments.manifest, error.faults)
        return WRONG_USAGE
    except PreflightFailed as error:
        report_faults(arguments.manifest, error.faults)
        return FAILED
    if arguments.output:
        print_plain(described, arguments.output)
    else:
        _print_for_people(described)
    return 0


def _resolved(job: ChexTrainingJob) -> dict[str, Any]:
    preflight = run_preflight(job)
    plan = make_plan(job, preflight.digests)
    store = ArtifactStore.open(job.spec.artifacts.uri)
    stages = [_stage(stage, finished=store.stage(stage.kind, stage.name, stage.identity).finished() is not None) for stage in plan.stages]
    return {**_head(job), "datasets": _datasets(preflight), "stages": stages, "hospitals": [_arms(hospital, job, plan) for hospital in job.spec.hospitals]}


def _unresolved(job: ChexTrainingJob) -> dict[str, Any]:
    stages = [{"stage": f"{kind}/{name}", "identity": "unresolved", "finished": False, "parents": []} for kind, name in stage_names(job)]
    return {**_head(job), "stages": stages, "hospitals": [_arms(hospital, job, None) for hospital in job.spec.hospitals]}


def _head(job: ChexTrainingJob) -> dict[str, Any]:
    return {"job": job.metadata.name, "artifacts": job.spec.artifacts.uri}


def _datasets(preflight: PreflightReport) -> dict[str, Any]:
    return {name: asdict(counts) for name, counts in preflight.counts.items()}


def _stage(stage: StageSpec, *, finished: bool) -> dict[str, Any]:
    parents = [f"{parent.kind}/{parent.name}" for parent in stage.parents]
    return {"stage": f"{stage.kind}/{stage.name}", "identity": stage.identity, "finished": finished, "parents": parents}


def _arms(hospital: Hospital, job: ChexTrainingJob, plan: Plan | None) -> dict[str, Any]:
    """Every arm of a hospital with its work; counts do not depend on digests."""
    dataset = job.spec.dataset(hospital.dataset)
    site = Site(
        dataset=plan.stage("ingest", dataset.name).identity if plan else "",
        tasks=hospital.tasks,
        seed=job.spec.seed,
        encoders=job.spec.encoders,
        augmentation=hospital.augmentation,
        batch_norm=hospital.batch_norm,
        precision=hospital.precision,
        metric=hospital.sweep.metric,
    )
    folds = dataset.split.grouped_folds or 1
    arms = []
    for label in start_labels(hospital.start_from):
        for strategy in hospital.strategies:
            for fraction in hospital.label_fractions:
                fold = 0 if dataset.split.grouped_folds else None
                effort = effort_of(Arm(label, Start(label), strategy, fraction, fold), site, hospital.sweep)
                counted = {name: value * folds for name, value in asdict(effort).items()}
                arms.append({"start": label, "strategy": strategy.name, "labelFraction": fraction, "trials": hospital.sweep.trials_per_arm * folds, **counted})
    return {"hospital": hospital.name, "folds": dataset.split.grouped_folds or 0, "arms": arms}


def _print_for_people(described: dict[str, Any]) -> None:
    print(f"{described['job']}  →  {described['artifacts']}")
    for name, counts in described.get("datasets", {}).items():
        print(f"  {name}: {counts['films']} films of {counts['patients']} patients, {counts['training_films']} to train on")
    print()
    _print_tree(described["stages"])
    for hospital in described["hospitals"]:
        _print_arms(hospital)


def _print_tree(stages: list[dict[str, Any]]) -> None:
    width = max(len(stage["stage"]) for stage in stages)
    for index, stage in enumerate(stages):
        branch = "└─" if index == len(stages) - 1 else "├─"
        identity = short(stage["identity"])
        state = "finished" if stage["finished"] else "to run"
        after = f"after {', '.join(stage['parents'])}" if stage["parents"] and not stage["stage"].startswith("report/") else ""
        print(f"{branch} {stage['stage']:<{width}}  {identity:<12}  {state:<8}  {after}".rstrip())


def _print_arms(hospital: dict[str, Any]) -> None:
    folds = f", {hospital['folds']} folds" if hospital["folds"] else ""
    print(f"\n{hospital['hospital']}: {len(hospital['arms'])} arms{folds}; epochs are passes over films (dapt: all training films; else: the arm's labelled ones)")
    columns = ("start", "strategy", "labels", "trials", "dapt epochs", "trial epochs", "final fits", "final epochs ≤")
    rows = [
        (arm["start"], arm["strategy"], f"{arm['labelFraction']:g}", *(str(arm[key]) for key in ("trials", "dapt_epochs", "trial_epochs", "final_fits", "final_epochs")))
        for arm in hospital["arms"]
    ]
    widths = [max(len(row[index]) for row in [columns, *rows]) for index in range(len(columns))]
    for row in [columns, *rows]:
        print("  " + "  ".join(cell.ljust(width) if index < 2 else cell.rjust(width) for index, (cell, width) in enumerate(zip(row, widths, strict=True))))
