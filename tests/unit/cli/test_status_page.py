"""What people see of a job, to the letter."""

from datetime import timedelta
from typing import Any

import pytest

from chex_jobs.cli.status_changes import changes
from chex_jobs.cli.status_page import age, bar, job_table, page
from tests.unit.cli.cluster_jobs import NOW, cluster_job, condition, stage

UNDER_WAY: dict[str, Any] = {
    "phase": "Adapting",
    "progress": "71%",
    "eta": "2h-6h",
    "gpuHours": "143.2",
    "stage": "adapt/hannover",
    "best": "hannover: multimodal/dapt-lp-ft 0.87",
    "startTime": "2026-10-01T15:00:00Z",
    "conditions": [
        condition("Valid", reason="Planned", message="6 stages"),
        condition("Running", reason="StagesRunning"),
        condition("Failed", "False", "NotFailed"),
    ],
    "stages": [
        stage("preflight", "Finished", progressPercent=100),
        stage("pretrain/ssl", "Finished", progressPercent=100, gpuSeconds="460800", workers=8),
        stage(
            "adapt/hannover",
            "Running",
            attempt=3,
            progressPercent=37,
            gpuSeconds="7200",
            gpus=4,
            workers=4,
            startTime="2026-10-02T08:00:00Z",
            failures=1,
            disruptions=2,
            reason="WaitingForPods",
            message="1 of 4 workers is Unschedulable: no node has nvidia.com/gpu free; it goes on when one is there, or ask for fewer workers in spec.hospitals",
        ),
        stage("evaluate/hannover", "Waiting"),
    ],
    "hospitals": [
        {
            "name": "hannover",
            "recommended": "multimodal/dapt-lp-ft",
            "auroc": "0.871",
            "aurocLow": "0.842",
            "aurocHigh": "0.899",
        },
        {"name": "small", "recommended": "insufficient data"},
        {"name": "later"},
    ],
}

PAGE = """\
radiology/network-2026q4   Adapting   71%   2h-6h left
begun 19h ago, 143.2 of 400 GPU-hours

Valid=True for 2h: Planned: 6 stages
Running=True for 2h: StagesRunning

STAGE               STATE      ATTEMPT   PROGRESS          GPU-HOURS   WORKERS   REASON
preflight           Finished         1   ██████████ 100%         0.0
pretrain/ssl        Finished         1   ██████████ 100%       128.0         8
adapt/hannover      Running          3   ███▊░░░░░░  37%        10.0         4   WaitingForPods
  1 failure, 2 disruptions; 1 of 4 workers is Unschedulable: no node has nvidia.com/gpu
    free; it goes on when one is there, or ask for fewer workers in spec.hospitals
evaluate/hannover   Waiting              ░░░░░░░░░░   0%         0.0

HOSPITAL   DEPLOY                  AUROC
hannover   multimodal/dapt-lp-ft   0.871 (0.842 to 0.899)
small      insufficient data"""


def test_a_page_of_a_job_under_way() -> None:
    assert "\n".join(page(cluster_job(**UNDER_WAY), NOW, 90)) == PAGE


def test_a_page_of_an_invalid_job_says_why() -> None:
    why = "spec.runtimeRef names ClusterChexRuntime h200, which does not exist; there are: a100"
    shown = page(cluster_job(conditions=[condition("Valid", "False", "RuntimeNotFound", why)]), NOW, 160)
    assert shown == [
        "radiology/network-2026q4   Pending",
        "submitted 19h ago, not begun yet",
        "",
        f"Valid=False for 2h: RuntimeNotFound: {why}",
    ]


def test_a_page_of_a_complete_job_names_its_report_and_how_long_it_took() -> None:
    ended: dict[str, Any] = {
        "phase": "Complete",
        "progress": "100%",
        "gpuHours": "201.0",
        "startTime": "2026-10-01T15:00:00Z",
        "completionTime": "2026-10-02T09:30:00Z",
        "reportURI": "s3://models/network/report.html",
    }
    assert page(cluster_job(**ended), NOW, 80) == [
        "radiology/network-2026q4   Complete   100%",
        "ended 30m ago after 18h, 201.0 of 400 GPU-hours",
        "",
        "report: s3://models/network/report.html",
    ]


def test_a_reason_that_repeats_what_it_stands_beside_is_left_out() -> None:
    job = cluster_job(
        conditions=[condition("Complete", reason="Complete")],
        stages=[stage("report/network", "Finished", reason="Finished", progressPercent=100)],
    )
    shown = page(job, NOW, 80)
    assert "Complete=True for 2h" in shown
    assert shown[-1] == "report/network   Finished         1   ██████████ 100%         0.0"
    assert changes(None, job)[1:] == ["Complete=True", "report/network: Finished, attempt 1"]


def test_a_status_of_an_earlier_spec_is_marked() -> None:
    assert "the operator has not looked at the newest spec yet" in page(
        cluster_job(observedGeneration=1), NOW, 80
    )


def test_a_message_cannot_steer_the_terminal() -> None:
    told = cluster_job(conditions=[condition("Valid", "False", "Broken", "\x1b[2J\x07 gone")])
    assert not any("\x1b" in line or "\x07" in line for line in [*page(told, NOW, 80), *changes(None, told)])


def test_a_table_of_jobs() -> None:
    assert job_table([cluster_job(**UNDER_WAY)], NOW, with_namespace=False) == [
        "NAME             PHASE      PROGRESS   STAGE            BEST                                   GPU-HOURS   ETA     AGE",
        "network-2026q4   Adapting        71%   adapt/hannover   hannover: multimodal/dapt-lp-ft 0.87       143.2   2h-6h   19h",
    ]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-5, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172_800, "2d")],
)
def test_ages_are_told_as_kubectl_does(seconds: int, told: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == told


def test_every_bar_is_ten_cells_and_grows() -> None:
    bars = [bar(percent) for percent in range(101)]
    assert {len(each) for each in bars} == {10}
    assert (bars[0], bars[50], bars[100]) == ("░░░░░░░░░░", "█████░░░░░", "██████████")
    assert len(set(bars)) == 81


# what changed


def test_of_a_job_seen_first_everything_that_holds_is_told() -> None:
    assert changes(None, cluster_job(**UNDER_WAY)) == [
        "radiology/network-2026q4   Adapting   71%   2h-6h left",
        "Valid=True: Planned: 6 stages",
        "Running=True: StagesRunning",
        "preflight: Finished, attempt 1",
        "pretrain/ssl: Finished, attempt 1",
        "adapt/hannover: Running, attempt 3 (WaitingForPods: 1 of 4 workers is Unschedulable: no node has nvidia.com/gpu free; it goes on when one is there, or ask for fewer workers in spec.hospitals)",
        "hannover: multimodal/dapt-lp-ft, AUROC 0.871 (0.842 to 0.899)",
        "small: insufficient data",
    ]


def test_what_is_equal_is_not_told_again() -> None:
    assert changes(cluster_job(**UNDER_WAY), cluster_job(**UNDER_WAY)) == []


def test_progress_inside_a_stage_is_told_by_the_whole_jobs_progress_alone() -> None:
    before = cluster_job(
        phase="Ingesting", progress="1%", stages=[stage("ingest/a", "Running", progressPercent=10)]
    )
    after = cluster_job(
        phase="Ingesting", progress="2%", stages=[stage("ingest/a", "Running", progressPercent=20)]
    )
    assert changes(before, after) == ["radiology/network-2026q4   Ingesting   2%"]


def test_a_retry_and_a_condition_that_holds_no_more_are_told() -> None:
    before = cluster_job(conditions=[condition("Running")], stages=[stage("ingest/a", "Running")])
    after = cluster_job(
        conditions=[condition("Running", "False", "Retrying")],
        stages=[stage("ingest/a", "Waiting", attempt=1, reason="OOMKilled", message="give it more memory")],
    )
    assert changes(before, after) == [
        "Running=False: Retrying",
        "ingest/a: Waiting, attempt 1 (OOMKilled: give it more memory)",
    ]
