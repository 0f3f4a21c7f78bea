"""`chex plan`."""

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from chex_api.dataset import Dataset
from chex_api.difference import differences
from chex_api.identity import short
from chex_api.job import ChexTrainingJob
from chex_api.plan import Plan, digest_keys, make_plan
from chex_api.stage import StageSpec
from chex_jobs.adaptation.stage import arms_of, finished_units, site_of, without_tasks
from chex_jobs.artifacts import ArtifactStore
from chex_jobs.cli.manifests import load
from chex_jobs.cli.output import print_plain
from chex_jobs.cli.preflight_line import looking
from chex_jobs.preflight import PreflightReport, run_preflight
from chex_jobs.preflight.sentences import dataset_lines
from chex_jobs.sweep.arms import Arm, Summary
from chex_jobs.sweep.units import WorkUnit
from chex_jobs.sweep.work_estimate import WorkEstimate, estimate_work

UNRESOLVED = "unresolved"
NEVER = "nothing of this name was finished here"
UNKNOWN = "what was finished was made by a version of chex that did not keep what of"
MOST_REASONS = 6
"""Told of one stage; the rest is told as a number."""

Finished = Callable[[WorkUnit], Summary | None]


def execute(arguments: argparse.Namespace) -> int:
    """Show the data, and what a run would do and why."""
    job = load(arguments)
    described = _unresolved(job) if arguments.no_preflight else _resolved(job)
    if arguments.output:
        print_plain(described, arguments.output)
    else:
        _print_for_people(described)
    return 0


def _resolved(job: ChexTrainingJob) -> dict[str, Any]:
    with looking() as tell:
        preflight = run_preflight(job, tell, with_work_left=True)
    plan = make_plan(job, preflight.digests)
    store = ArtifactStore.open(job.spec.artifacts.uri)
    return {
        **_head(job),
        "datasets": _datasets(preflight),
        "stages": _stages(plan, store, preflight.to_decode),
        "hospitals": _hospitals(job, plan, finished_units(store), preflight.not_trained),
    }


def _unresolved(job: ChexTrainingJob) -> dict[str, Any]:
    """The same without looking at a source: what an arm needs does not depend on digests, identities do."""
    plan = make_plan(job, dict.fromkeys(digest_keys(job.spec), ""))
    stages = [{**_stage(stage, finished=False), "identity": UNRESOLVED, "why": []} for stage in plan.stages]
    return {**_head(job), "stages": stages, "hospitals": _hospitals(job, plan, lambda _: None, {})}


def _head(job: ChexTrainingJob) -> dict[str, Any]:
    return {"job": job.metadata.name, "artifacts": job.spec.artifacts.uri}


def _datasets(preflight: PreflightReport) -> dict[str, Any]:
    """As plain data: YAML knows neither enumerations nor tuples."""
    return {name: json.loads(json.dumps(asdict(outlook))) for name, outlook in preflight.datasets.items()}


def _stages(plan: Plan, store: ArtifactStore, to_decode: Mapping[str, int]) -> list[dict[str, Any]]:
    parents = {stage.identity: stage.label for stage in plan.stages}
    described: list[dict[str, Any]] = []
    for stage in plan.stages:
        finished = store.stage(stage.kind, stage.name, stage.identity).finished() is not None
        why = [] if finished else _why(stage, store, parents)
        left = {} if finished or stage.kind != "ingest" else {"filmsToDecode": to_decode[stage.name]}
        described.append({**_stage(stage, finished=finished), "why": why, **left})
    return described


def _why(stage: StageSpec, store: ArtifactStore, parents: Mapping[str, str]) -> list[str]:
    """What differs from the newest finished stage of the same kind and name."""
    earlier = store.finished_stages(stage.kind, stage.name)
    if not earlier:
        return [NEVER]
    before = earlier[0].manifest.identified
    return differences(before, stage.identified, parents) if before else [UNKNOWN]


def _stage(stage: StageSpec, *, finished: bool) -> dict[str, Any]:
    parents = [parent.label for parent in stage.parents]
    return {
        "stage": stage.label,
        "identity": stage.identity,
        "finished": finished,
        "parents": parents,
    }


def _hospitals(
    job: ChexTrainingJob, plan: Plan, finished: Finished, not_trained: Mapping[str, tuple[str, ...]]
) -> list[dict[str, Any]]:
    """Every hospital's arms with the work that is left of them."""
    return [
        _arms(
            without_tasks(plan.stage("adapt", hospital.name), not_trained.get(hospital.name, ())),
            job.spec.dataset(hospital.dataset),
            finished,
        )
        for hospital in job.spec.hospitals
    ]


def _arms(stage: StageSpec, dataset: Dataset, finished: Finished) -> dict[str, Any]:
    assert stage.work.adapt is not None
    sweep, folds = stage.work.adapt.hospital.sweep, dataset.split.grouped_folds
    site = site_of(stage, dataset.unit)
    by_arm: dict[tuple[str, str, float], list[Arm]] = {}
    for (start, strategy, fraction, _), arm in arms_of(stage.work.adapt, folds or 0).items():
        by_arm.setdefault((start, strategy, fraction), []).append(arm)
    described = [
        {
            "start": start,
            "strategy": strategy,
            "labelFraction": fraction,
            "trials": sweep.trials_per_arm * len(arms),
            **_sum(estimate_work(arm, site, sweep, finished) for arm in arms),
        }
        for (start, strategy, fraction), arms in by_arm.items()
    ]
    return {"hospital": stage.name, "folds": folds or 0, "arms": described if site.tasks else []}


def _sum(efforts: Any) -> dict[str, int]:
    told = [asdict(effort) for effort in efforts]
    return {field.name: sum(effort[field.name] for effort in told) for field in fields(WorkEstimate)}


def _print_for_people(described: dict[str, Any]) -> None:
    print(f"{described['job']}  →  {described['artifacts']}")
    for name, outlook in described.get("datasets", {}).items():
        for line in dataset_lines(name, outlook):
            print(f"  {line}")
    print()
    _print_tree(described["stages"])
    for hospital in described["hospitals"]:
        _print_arms(hospital)


def _print_tree(stages: list[dict[str, Any]]) -> None:
    width = max(len(stage["stage"]) for stage in stages)
    for index, stage in enumerate(stages):
        last = index == len(stages) - 1
        identity = short(stage["identity"])
        state = "finished" if stage["finished"] else "to run"
        after = (
            f"after {', '.join(stage['parents'])}"
            if stage["parents"] and not stage["stage"].startswith("report/")
            else ""
        )
        branch = "└─" if last else "├─"
        print(f"{branch} {stage['stage']:<{width}}  {identity:<12}  {state:<8}  {after}".rstrip())
        if "filmsToDecode" in stage:
            print(
                f"{'  ' if last else '│ '}    {stage['filmsToDecode']} films to decode; the others are taken over"
            )
        for reason in _shortened(stage["why"]):
            print(f"{'  ' if last else '│ '}    because {reason}")


def _shortened(reasons: list[str]) -> list[str]:
    if len(reasons) <= MOST_REASONS:
        return reasons
    return [*reasons[:MOST_REASONS], f"{len(reasons) - MOST_REASONS} more things differ"]


def _print_arms(hospital: dict[str, Any]) -> None:
    folds = f", {hospital['folds']} folds" if hospital["folds"] else ""
    left = sum(arm["units"] > 0 for arm in hospital["arms"])
    print(
        f"\n{hospital['hospital']}: {left} of {len(hospital['arms'])} arms have work left{folds}; only that is counted. Epochs are "
        "passes over films (dapt: all training films; else: the arm's labelled ones)"
    )
    columns = (
        "start",
        "strategy",
        "labels",
        "trials",
        "units left",
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
                for key in ("trials", "units", "dapt_epochs", "trial_epochs", "final_fits", "final_epochs")
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
