"""Writes ``example_results.json``: one document with every kind of field filled, for tests of whatever
prints results.

    python tests/unit/evaluation/example_results.py

The numbers are drawn, not measured: they only have realistic sizes and hang together (intervals contain their
value, costs are ordered, counts add up).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chex_jobs.evaluation.results.results_json import dumps
from chex_jobs.evaluation.results.schema import (
    SCHEMA,
    ArmCost,
    ArmKey,
    ArmResult,
    ArmTask,
    ArmVerdict,
    Calibration,
    ClassCounts,
    Comparison,
    CrossHospitalCell,
    Curve,
    CurvePoint,
    DeployedModel,
    DeployedPerformance,
    Estimate,
    FlowStep,
    HospitalCompute,
    HospitalResults,
    Interval,
    LedgerSummary,
    MetadataBaseline,
    Opening,
    OperatingPoint,
    PatientFlow,
    PretrainingSummary,
    Provenance,
    Recommendation,
    RecommendationVerdict,
    ReliabilityBin,
    Replicate,
    Results,
    SubgroupCell,
    Sufficiency,
    TaskScaling,
    TaskSummary,
)

PATH = Path(__file__).with_name("example_results.json")
STARTS = {"ssl": 0.72, "multimodal": 0.77, "random": 0.68}  # start -> AUROC of its probe
STRATEGIES = (("probe", "LinearProbe", ""), ("lp-ft", "LPFT", ""), ("dapt-lp-ft", "LPFT", "moCo"))
FRACTIONS = (0.1, 1.0)
TOO_FEW = "Only 13 patients in the smaller class of the test set; 20 are needed for an interval."


def estimate(
    value: float, error: float, *, method: str = "clustered-score", sufficient: bool = True
) -> Estimate:
    if not sufficient:
        return Estimate(round(value, 4), reason=TOO_FEW)
    lower, upper = max(0.0, value - 1.96 * error), min(1.0, value + 1.96 * error)
    return Estimate(
        round(value, 4), Interval(round(lower, 4), round(upper, 4), 0.95, method), round(error, 4)
    )


def arm_task(
    task: str, auroc: float, rng: np.random.Generator, num_draws: int, *, sufficient: bool
) -> ArmTask:
    values = auroc + rng.normal(0, 0.012, size=(num_draws, 3))
    replicates = tuple(
        Replicate(
            d,
            s,
            round(float(values[d, s]) + 0.02, 4),
            round(float(values[d, s]), 4),
            round(float(values[d, s]) - 0.3, 4),
        )
        for d in range(num_draws)
        for s in range(3)
    )
    return ArmTask(
        task=task,
        validation_auroc=round(auroc + 0.02, 4),
        auroc=estimate(auroc, 0.021, sufficient=sufficient),
        auprc=estimate(auroc - 0.3, 0.035, method="clustered-score", sufficient=sufficient),
        brier=estimate(0.16, 0.012, method="clustered-score", sufficient=sufficient),
        expected_calibration_error=Estimate(0.031, reason="Its bootstrap is biased; see docs/statistics.md."),
        standard_error_test=0.019 if sufficient else None,
        standard_error_training=0.009 if sufficient else None,
        replicates=replicates,
    )


def arm_results(
    tasks: tuple[str, ...], rng: np.random.Generator, *, sufficient: bool, folds: int
) -> tuple[ArmResult, ...]:
    arms = []
    for start in STARTS:
        for position, (strategy, transfer, dapt) in enumerate(STRATEGIES):
            for fraction in FRACTIONS:
                base = STARTS[start] + (0.0, 0.034, 0.034)[position] + 0.04 * (fraction == 1.0)
                draws = 1 if fraction == 1.0 else 3
                means = [base + float(rng.normal(0, 0.01)) for _ in tasks]
                arms.append(
                    ArmResult(
                        arm=ArmKey(start, strategy, fraction),
                        transfer=transfer,
                        dapt_objective=dapt,
                        cost=ArmCost(
                            film_passes=float(600 * (1 + 40 * position) * (1 + 9 * (fraction == 1.0))),
                            labelled_patients=int(420 * fraction),
                            trials=16,
                            final_fits=draws * 3 * max(folds, 1),
                            device_seconds=round(8.0 + 190 * position * fraction, 1),
                        ),
                        hyperparameters={"learningRate": 3.1e-4, "weightDecay": 0.01}
                        if position
                        else {"c": 0.05},
                        validation_score=round(float(np.mean(means)) + 0.02, 4),
                        mean_auroc=estimate(float(np.mean(means)), 0.017, sufficient=sufficient),
                        tasks=tuple(
                            arm_task(task, mean, rng, draws, sufficient=sufficient)
                            for task, mean in zip(tasks, means, strict=True)
                        ),
                    )
                )
    return tuple(
        sorted(arms, key=lambda each: (each.cost.labelled_patients, each.cost.film_passes, each.arm))
    )


def recommendation(
    arms: tuple[ArmResult, ...], tasks: tuple[str, ...], *, sufficient: bool, folds: int
) -> Recommendation:
    reference = max((a for a in arms if a.arm.label_fraction == 1.0), key=lambda a: a.validation_score or 0.0)
    comparisons = []
    for each in arms:
        deficit = (reference.mean_auroc.value or 0.0) - (each.mean_auroc.value or 0.0)
        bounds = (deficit - 0.03, deficit + 0.008)
        if each is reference:
            comparisons.append(Comparison(each.arm, 0.0, 0.0, 0.0, 0.0, ArmVerdict.REFERENCE))
        elif not sufficient:
            comparisons.append(Comparison(each.arm, None, None, None, None, ArmVerdict.INSUFFICIENT_DATA))
        else:
            verdict = (
                ArmVerdict.WITHIN_MARGIN
                if bounds[1] < 0.02
                else ArmVerdict.WORSE
                if bounds[0] > 0
                else ArmVerdict.NOT_DISTINGUISHABLE
            )
            comparisons.append(
                Comparison(
                    each.arm, round(deficit, 4), 0.011, round(bounds[0], 4), round(bounds[1], 4), verdict
                )
            )
    passing = [c.arm for c in comparisons if c.verdict in (ArmVerdict.WITHIN_MARGIN, ArmVerdict.REFERENCE)]
    enough = passing[0] if sufficient and passing[0] != reference.arm else None
    kind = (
        RecommendationVerdict.INSUFFICIENT_DATA
        if not sufficient
        else RecommendationVerdict.NOT_DISTINGUISHABLE
        if enough is None
        else RecommendationVerdict.CHEAPER_ARM_WITHIN_MARGIN
    )
    return Recommendation(
        deploy=reference.arm,
        enough=enough,
        verdict=kind,
        proven=kind is RecommendationVerdict.CHEAPER_ARM_WITHIN_MARGIN,
        sentence=f"Deploy {reference.arm.label} ({kind.value}).",
        margin=0.02,
        confidence=0.95,
        critical_value=2.31 if sufficient else None,
        tasks=tasks if sufficient else (),
        comparisons=tuple(comparisons),
        deployed=tuple(
            DeployedModel(
                f"{17 + f:064x}",
                0,
                1,
                f if folds else -1,
                tuple(TaskScaling(task, 0.76, -0.2 + 0.1 * f) for task in tasks),
            )
            for f in range(max(folds, 1))
        ),
        deployed_performance=tuple(
            DeployedPerformance(task, estimate(0.83, 0.02, sufficient=sufficient), calibrated=True)
            for task in tasks
        ),
    )


def hospital(
    name: str, tasks: tuple[str, ...], *, sufficient: bool, folds: int, other: str, seed: int
) -> HospitalResults:
    rng = np.random.default_rng(seed)
    arms = arm_results(tasks, rng, sufficient=sufficient, folds=folds)
    advice = recommendation(arms, tasks, sufficient=sufficient, folds=folds)
    shown = tuple(arm for arm in (advice.deploy, advice.enough) if arm is not None)
    counts = ClassCounts(250, 75, 170, 58, 131) if sufficient else ClassCounts(243, 186, 52, 29, 13)
    positive = counts.positive_patients
    method = "clustered-share"
    return HospitalResults(
        schema=SCHEMA,
        hospital=name,
        dataset=name,
        unit="Image",
        split="groupedFolds" if folds else "patients",
        num_folds=folds,
        margin=0.02,
        confidence=0.95,
        tasks=tuple(
            TaskSummary(
                t,
                counts if folds else ClassCounts(610, 180, 409, 131, 300),
                counts,
                counts,
                Sufficiency.SUFFICIENT if sufficient else Sufficiency.INSUFFICIENT_DATA,
                "" if sufficient else TOO_FEW,
            )
            for t in tasks
        ),
        arms=arms,
        recommendation=advice,
        metadata_baselines=tuple(
            MetadataBaseline(
                task,
                ("view", "sex", "age"),
                estimate(0.66, 0.03, sufficient=sufficient),
                estimate(0.41, 0.03, method=method, sufficient=sufficient),
                estimate(0.15, 0.03, sufficient=sufficient),
                "",
            )
            if task != "effusion"
            else MetadataBaseline(
                task,
                (),
                Estimate(None, reason="no columns"),
                Estimate(None, reason="no columns"),
                Estimate(None, reason="no columns"),
                "The data set has no view, sex, age or device column.",
            )
            for task in tasks
        ),
        calibrations=tuple(
            Calibration(
                arm,
                task,
                estimate(0.15, 0.01, method=method, sufficient=sufficient),
                0.031,
                0.92,
                -0.05,
                tuple(ReliabilityBin(p / 10 + 0.05, p / 10 + 0.03, 25) for p in range(10))
                if sufficient
                else (),
                (
                    OperatingPoint(
                        0.9,
                        0.61,
                        0.58,
                        0.9,
                        estimate(0.55, 0.04, method=method, sufficient=sufficient),
                        estimate(0.88, 0.03, method=method, sufficient=sufficient),
                    ),
                ),
            )
            for arm in shown
            for task in tasks
        ),
        curves=tuple(
            Curve(
                arm,
                task,
                kind,
                tuple(round(v / 20, 2) for v in range(21)),
                tuple(
                    round(float((v / 20) ** 0.4 if kind == "ROC" else 1 - 0.6 * v / 20), 3) for v in range(21)
                ),
            )
            for arm in shown
            for task in tasks
            for kind in ("ROC", "PR")
        )
        if sufficient
        else (),
        subgroups=tuple(
            SubgroupCell(column, level, task, *cell)
            for task in tasks
            for column, level, cell in (
                ("sex", "F", (80, positive // 2, estimate(0.81, 0.03, sufficient=sufficient), False)),
                (
                    "sex",
                    "M",
                    (90, positive - positive // 2, estimate(0.84, 0.03, sufficient=sufficient), False),
                ),
                ("view", "ap", (150, positive - 12, estimate(0.82, 0.03, sufficient=sufficient), False)),
                ("view", "lateral", (None, None, Estimate(None, reason="Fewer than 10 patients."), True)),
                (
                    "view",
                    "missing",
                    (None, None, Estimate(None, reason="Hidden: it would reveal another cell."), True),
                ),
            )
        ),
        cross_hospital=tuple(
            CrossHospitalCell(
                name,
                other,
                tasks[0],
                arm,
                estimate(0.71, 0.03, sufficient=sufficient),
                estimate(0.83, 0.02, sufficient=sufficient),
            )
            for arm in shown
        ),
        flow=PatientFlow(
            name,
            (
                FlowStep("Listed", 1190, None, 0, ""),
                FlowStep("Eligible", 1140, 709, 50, "modality is CR or DX"),
                FlowStep("Decoded", 1110, 700, 30, "films quarantined at ingest"),
                FlowStep("Train", 610, 409, 0, ""),
                FlowStep("Validate", 250, 121, 0, ""),
                FlowStep("Test", 250, 170, 0, ""),
                *(FlowStep(f"TestLabelled:{t}", 250, 170, 0, "label known") for t in tasks),
            ),
            {"Truncated": 4, "GitLfsPointer": 21, "DuplicateFilm": 5},
        ),
        ledger=LedgerSummary(
            2,
            1,
            tuple(
                Opening(
                    i + 1, f"2026-11-2{i}T09:00:00Z", name, name, f"{5:064x}", f"uid-{i}", "evaluate", 250
                )
                for i in range(2)
            ),
        ),
        compute=HospitalCompute(sum(a.cost.film_passes for a in arms), 3100.5, 16 * len(arms), 6, 90, 2400.0),
        identities={
            f"evaluate/{name}": f"{5:064x}",
            f"adapt/{name}": f"{6:064x}",
            f"ingest/{name}": f"{7:064x}",
        },
        warnings=() if sufficient else ("Task icu: metadata alone predicts as well as the model.",),
    )


def example() -> Results:
    """Two hospitals, one with a patient split and enough data, one with grouped folds and too few
    patients."""
    return Results(
        schema=SCHEMA,
        job="network-2026q4",
        namespace="radiology",
        created_at="2026-11-23T09:00:00Z",
        generated_data=True,
        hospitals=(
            hospital("north", ("opacity", "effusion"), sufficient=True, folds=0, other="south", seed=1),
            hospital("south", ("opacity", "icu"), sufficient=False, folds=5, other="north", seed=2),
        ),
        pretraining=tuple(
            PretrainingSummary(
                name,
                "archive",
                objective,
                start,
                20.0,
                900,
                54000.0,
                610.2,
                320.0,
                (2, 1),
                {"loss": 1.02, "accuracy": 0.61},
                tuple(CurvePoint(s * 10, round(4.0 / (1 + s / 8), 3)) for s in range(40)),
            )
            for name, objective, start in (("ssl", "moCo", "random"), ("multimodal", "clip", "ssl"))
        ),
        archive_flows=(
            PatientFlow(
                "archive",
                (
                    FlowStep("Listed", 1210, None, 0, ""),
                    FlowStep("Decoded", 1200, 640, 10, "films quarantined at ingest"),
                    FlowStep("Train", 900, 480, 0, ""),
                ),
                {"Unreadable": 10},
            ),
        ),
        provenance=Provenance(
            seed=0,
            chexdragon_version="0.1.0",
            source_digests={"archive": f"{1:064x}", "north": f"{2:064x}", "south": f"{3:064x}"},
            stage_identities={
                "pretrain/ssl": f"{8:064x}",
                "evaluate/north": f"{5:064x}",
                "evaluate/south": f"{9:064x}",
            },
            manifest_sha256={"pretrain/ssl": f"{10:064x}"},
            environment={"python": "3.11.9", "torch": "2.15.0", "device": "CPU, 2 cores"},
            spec_yaml="apiVersion: chexdragon.dev/v1alpha1\nkind: ChexTrainingJob\n",
        ),
        artifacts_uri="s3://radiology-models/network-2026q4",
    )


if __name__ == "__main__":
    PATH.write_bytes(dumps(example()))
