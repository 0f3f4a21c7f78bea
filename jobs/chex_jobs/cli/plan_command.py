"""`chex plan`."""

import argparse
from dataclasses import asdict
from typing import Any

from chex_api.dataset import Dataset
from chex_api.identity import short
from chex_api.job import ChexTrainingJob
from chex_api.plan import Plan, digest_keys, make_plan
from chex_api.stage import StageSpec
from chex_jobs.adaptation.stage import arms_of, site_of
from chex_jobs.artifacts import ArtifactStore
from chex_jobs.cli.manifests import load
from chex_jobs.cli.output import print_plain
from chex_jobs.preflight import PreflightReport, run_preflight
from chex_jobs.sweep.effort import effort_of

UNRESOLVED = "unresolved"


def execute(arguments: argparse.Namespace) -> int:
    """Show what a run would do."""
    job = load(arguments)
    described = _unresolved(job) if arguments.no_preflight else _resolved(job)
    if arguments.output:
        print_plain(described, arguments.output)
    else:
        _print_for_people(described)
    return 0


def _resolved(job: ChexTrainingJob) -> dict[str, Any]:
    preflight = run_preflight(job)
    plan = make_plan(job, preflight.digests)
    store = ArtifactStore.open(job.spec.artifacts.uri)
    stages = [
        _stage(stage, finished=store.stage(stage.kind, stage.name, stage.identity).finished() is not None)
        for stage in plan.stages
    ]
    return {
        **_head(job),
        "datasets": _datasets(preflight),
        "stages": stages,
        "hospitals": _hospitals(job, plan),
    }


def _unresolved(job: ChexTrainingJob) -> dict[str, Any]:
    """The same without looking at a source: what an arm needs does not depend on digests, identities do."""
    plan = make_plan(job, dict.fromkeys(digest_keys(job.spec), ""))
    stages = [{**_stage(stage, finished=False), "identity": UNRESOLVED} for stage in plan.stages]
    return {**_head(job), "stages": stages, "hospitals": _hospitals(job, plan)}


def _head(job: ChexTrainingJob) -> dict[str, Any]:
    return {"job": job.metadata.name, "artifacts": job.spec.artifacts.uri}


def _datasets(preflight: PreflightReport) -> dict[str, Any]:
    return {name: asdict(counts) for name, counts in preflight.counts.items()}


def _stage(stage: StageSpec, *, finished: bool) -> dict[str, Any]:
    parents = [f"{parent.kind}/{parent.name}" for parent in stage.parents]
    return {
        "stage": f"{stage.kind}/{stage.name}",
        "identity": stage.identity,
        "finished": finished,
        "parents": parents,
    }


def _hospitals(job: ChexTrainingJob, plan: Plan) -> list[dict[str, Any]]:
    """Every hospital's arms with their work."""
    return [
        _arms(plan.stage("adapt", hospital.name), job.spec.dataset(hospital.dataset))
        for hospital in job.spec.hospitals
    ]


def _arms(stage: StageSpec, dataset: Dataset) -> dict[str, Any]:
    assert stage.work.adapt is not None
    sweep, folds = stage.work.adapt.hospital.sweep, dataset.split.grouped_folds
    site = site_of(stage, dataset.unit)
    arms = []
    for arm in arms_of(stage.work.adapt, num_folds=1 if folds else 0).values():
        counted = {name: value * (folds or 1) for name, value in asdict(effort_of(arm, site, sweep)).items()}
        named = {"start": arm.start_name, "strategy": arm.strategy.name, "labelFraction": arm.fraction}
        arms.append({**named, "trials": sweep.trials_per_arm * (folds or 1), **counted})
    return {"hospital": stage.name, "folds": folds or 0, "arms": arms}


def _print_for_people(described: dict[str, Any]) -> None:
    print(f"{described['job']}  →  {described['artifacts']}")
    for name, counts in described.get("datasets", {}).items():
        print(
            f"  {name}: {counts['films']} films of {counts['patients']} patients, {counts['training_films']} to train on"
        )
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
        after = (
            f"after {', '.join(stage['parents'])}"
            if stage["parents"] and not stage["stage"].startswith("report/")
            else ""
        )
        print(f"{branch} {stage['stage']:<{width}}  {identity:<12}  {state:<8}  {after}".rstrip())


def _print_arms(hospital: dict[str, Any]) -> None:
    folds = f", {hospital['folds']} folds" if hospital["folds"] else ""
    print(
        f"\n{hospital['hospital']}: {len(hospital['arms'])} arms{folds}; epochs are passes over films (dapt: all training films; else: the arm's labelled ones)"
    )
    columns = (
        "start",
        "strategy",
        "labels",
        "trials",
        "dapt epochs",
        "trial epochs",
        "final fits",
        "final epochs ≤",
    )
    rows = [
        (
            arm["start"],
            arm["strategy"],
            f"{arm['labelFraction']:g}",
            *(
                str(arm[key])
                for key in ("trials", "dapt_epochs", "trial_epochs", "final_fits", "final_epochs")
            ),
        )
        for arm in hospital["arms"]
    ]
    widths = [max(len(row[index]) for row in [columns, *rows]) for index in range(len(columns))]
    for row in [columns, *rows]:
        print(
            "  "
            + "  ".join(
                cell.ljust(width) if index < 2 else cell.rjust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )
