"""Which stage and which container people mean when they ask for the log."""

from typing import Any

import pytest

from chex_jobs.cli.attempt_pods import LogSource, log_source, why_not_begun
from chex_jobs.cli.cluster_job import stage_that_matters
from chex_jobs.cli.kubectl import KubectlFailed
from tests.unit.cli.cluster_jobs import cluster_job, stage

RUNNING, ENDED = {"running": {}}, {"terminated": {"exitCode": 1}}
PULLING = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}


@pytest.mark.parametrize(
    ("stages", "leading", "expected"),
    [
        ([stage("ingest/a", "Finished"), stage("pretrain/ssl", "Running")], "", "pretrain/ssl"),
        ([stage("adapt/a", "Running"), stage("adapt/b", "Running")], "adapt/a", "adapt/a"),
        ([stage("adapt/a", "Running"), stage("adapt/b", "Running")], "", "adapt/b"),
        ([stage("adapt/a", "Failed"), stage("adapt/b", "Stopping")], "", "adapt/b"),
        (
            [stage("adapt/a", "Failed"), stage("adapt/b", "Finished"), stage("adapt/c", "Waiting")],
            "",
            "adapt/a",
        ),
        ([stage("adapt/a", "Finished"), stage("adapt/b", "Waiting", attemptName="x-1")], "", "adapt/b"),
        (
            [stage("ingest/a", "Finished"), stage("ingest/b", "Finished"), stage("pretrain/ssl", "Waiting")],
            "",
            "ingest/b",
        ),
        ([stage("ingest/a", "Finished", attemptName="")], "", None),
        ([], "", None),
    ],
)
def test_the_stage_that_matters(stages: list[dict[str, Any]], leading: str, expected: str | None) -> None:
    chosen = stage_that_matters(cluster_job(stages=stages).status.stages, leading)
    assert (chosen.name if chosen else None) == expected


def pod(name: str, created: str = "2026-01-01T00:00:00Z", **states: Any) -> dict[str, Any]:
    statuses = [{"name": container.replace("_", "-"), "state": state} for container, state in states.items()]
    return {
        "metadata": {"name": name, "creationTimestamp": created},
        "status": {"containerStatuses": statuses},
    }


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        (
            [pod("h", ray_head=RUNNING), pod("s", ray_job_submitter=RUNNING)],
            LogSource("s", "ray-job-submitter"),
        ),
        (
            [pod("h", ray_head=RUNNING), pod("s", ray_job_submitter=ENDED)],
            LogSource("s", "ray-job-submitter"),
        ),
        ([pod("h", ray_head=RUNNING), pod("s", ray_job_submitter=PULLING)], LogSource("h", "ray-head")),
        ([pod("w", ray_worker=RUNNING), pod("h", ray_head=PULLING)], None),
        ([pod("p", preflight=ENDED)], LogSource("p", "preflight")),
        (
            [pod("p-2", "2026-01-02T00:00:00Z", preflight=ENDED), pod("p-1", preflight=ENDED)],
            LogSource("p-2", "preflight"),
        ),
        ([], None),
    ],
)
def test_the_container_with_the_drivers_output(
    pods: list[dict[str, Any]], expected: LogSource | None
) -> None:
    assert log_source(pods) == expected


def test_what_pods_wait_for_is_told_once() -> None:
    unscheduled = pod("w")
    unscheduled["status"]["conditions"] = [
        {
            "type": "PodScheduled",
            "status": "False",
            "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
        }
    ]
    assert why_not_begun([unscheduled, unscheduled, pod("h", ray_head=PULLING)]) == (
        "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.; ImagePullBackOff no such image"
    )


def test_what_a_newer_operator_tells_beside_the_known_is_passed_over() -> None:
    job = cluster_job(phase="Adapting", novelty={"a": 1}, stages=[stage("ingest/a", "Running", novelty=2)])
    assert job.status.stages[0].name == "ingest/a"


def test_a_word_that_is_not_known_is_named_with_the_way_out() -> None:
    with pytest.raises(KubectlFailed, match=r"status\.phase .*'Dreaming'.*upgrade"):
        cluster_job(phase="Dreaming")


def test_an_end_that_was_told_of_an_earlier_spec_is_none() -> None:
    complete = {
        "type": "Complete",
        "status": "True",
        "reason": "R",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    assert cluster_job(conditions=[complete]).ended == "Complete"
    assert cluster_job(conditions=[complete], observedGeneration=1).ended == ""
