"""What is kept of the API's objects, and what is not believed of what a driver writes."""

import json
from typing import Any

import pytest

from chex_api.attempt import FAILURE, PROGRESS, RESULT, STOP, STOPPED
from chex_operator.controller.projections import (
    progress_record_of,
    project_batch_job,
    project_config_map,
    project_job,
    project_ray_job,
    stop_text,
)
from chex_operator.rules.outcome import RayJobState

LABELS = {
    "chexdragon.dev/job-uid": "u",
    "chexdragon.dev/attempt-name": "a",
    "chexdragon.dev/role": "progress",
}


def record(data: dict[str, str], component: str = "pretrain") -> Any:
    labels = {**LABELS, "app.kubernetes.io/component": component}
    metadata = {"namespace": "n", "name": "a-progress", "uid": "7", "labels": labels}
    return progress_record_of(project_config_map({"metadata": metadata, "data": data}))


def test_a_driver_is_understood() -> None:
    found = record(
        {
            PROGRESS: json.dumps({"done": 3, "total": 8, "committed": 2}),
            RESULT: json.dumps({"manifestUri": "s3://m/manifest.json", "manifestSha256": "a"}),
            FAILURE: json.dumps({"message": "no films", "userError": True}),
            STOPPED: "{}",
            STOP: stop_text("Suspended", "2026-01-01T00:00:00Z"),
        }
    )
    assert (found.progress.done, found.progress.committed) == (3, 2)
    assert found.result.manifest_uri == "s3://m/manifest.json"
    assert (found.driver_report.failure, found.driver_report.user_error, found.driver_report.stopped) == (
        "no films",
        True,
        True,
    )
    assert found.stop_since == 1767225600.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"done": "many"}',
        '{"done": -1, "total": 1}',
        '{"done": 1e308, "total": 1e-308}',
        '{"done": 1, "total": 2, "committed": 1e30}',
        json.dumps({"manifestUri": f"s3://m/{'m' * 3000}", "manifestSha256": "a"}),
        "9" * 20_000,
    ],
)
def test_what_a_driver_cannot_have_meant_is_passed_over(text: str) -> None:
    found = record({PROGRESS: text, RESULT: text, FAILURE: text, STOP: text})
    assert (found.progress, found.result, found.driver_report.failure) == (None, None, "")
    assert found.stop_since is not None


def test_fields_of_another_version_of_the_jobs_image_are_passed_over() -> None:
    found = record({PROGRESS: '{"done": 1, "total": 2, "invented": "later"}'})
    assert (found.progress.done, found.progress.total) == (1, 2)


def test_a_stages_driver_cannot_pose_as_a_preflight() -> None:
    text = json.dumps({"digests": {}, "identities": {}, "finished": {}})
    assert record({RESULT: text}).preflight is None
    assert record({RESULT: text}, "preflight").preflight is not None


def test_a_job_is_kept_small_and_read_back_as_it_was() -> None:
    spec = {"seed": 1, "datasets": [{"name": f"d{n}"} for n in range(200)], "runtimeRef": {"name": "h200"}}
    metadata = {"namespace": "n", "name": "j", "uid": "u", "resourceVersion": "5", "generation": 2}
    projection = project_job({"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}})
    assert projection.spec_and_status() == (spec, {"phase": "Pending"})
    assert projection.runtime == ("ClusterChexRuntime", "h200")
    assert len(projection.document) < len(json.dumps(spec)) / 4


def test_the_owner_of_a_run_is_the_training_job_and_not_kuberay() -> None:
    item = {
        "metadata": {
            "namespace": "n",
            "name": "r",
            "uid": "x",
            "labels": LABELS,
            "ownerReferences": [{"kind": "RayJob", "name": "tiny", "controller": True}],
        },
        "status": {},
    }
    assert project_batch_job(item).job_name == ""
    item["metadata"]["ownerReferences"] = [{"kind": "ChexTrainingJob", "name": "tiny", "controller": True}]
    assert project_ray_job(item).job_name == "tiny"


@pytest.mark.parametrize(
    ("status", "spec", "state"),
    [
        ({}, {}, RayJobState("", "Running")),
        ({}, {"suspend": True}, RayJobState("", "Suspended")),
        ({"conditions": [{"type": "Complete", "status": "True"}]}, {}, RayJobState("SUCCEEDED", "Complete")),
        (
            {
                "conditions": [
                    {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "m"}
                ]
            },
            {},
            RayJobState("FAILED", "Failed", "BackoffLimitExceeded", "m"),
        ),
        ({"conditions": [{"type": "Failed", "status": "False"}]}, {}, RayJobState("", "Running")),
    ],
)
def test_a_batch_job_is_reported_in_kuberays_words(status: Any, spec: Any, state: RayJobState) -> None:
    metadata = {"namespace": "n", "name": "r", "uid": "x", "labels": LABELS}
    assert (
        project_batch_job({"metadata": metadata, "spec": spec, "status": status}).attempt_object.state
        == state
    )


def test_when_a_run_started_and_ended_is_what_its_own_controller_says() -> None:
    metadata = {"namespace": "n", "name": "r", "uid": "x", "labels": LABELS}
    started, ended = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"
    job = {"metadata": metadata, "spec": {}, "status": {"startTime": started, "completionTime": ended}}
    assert (
        project_batch_job(job).attempt_object.admitted_at,
        project_batch_job(job).attempt_object.ended_at,
    ) == (1767225600.0, 1767229200.0)
    failed = {"conditions": [{"type": "Failed", "status": "True", "lastTransitionTime": ended}]}
    assert project_batch_job({**job, "status": failed}).attempt_object.ended_at == 1767229200.0
    assert project_ray_job({**job, "status": {"endTime": ended}}).attempt_object.ended_at == 1767229200.0
    assert project_ray_job({**job, "status": {}}).attempt_object.ended_at is None
