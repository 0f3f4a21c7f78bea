"""What is made of Pods as real nodes report them."""

from typing import Any

import pytest

from chex_operator.controller.pods import project_pod

LABELS = {"chexdragon.dev/job-uid": "u", "chexdragon.dev/attempt-name": "a", "ray.io/node-type": "worker"}


def pod(status: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "labels": LABELS, **metadata}, "spec": {}, "status": status}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {
        "phase": "Pending",
        "containerStatuses": [{"state": {"waiting": {"reason": reason, "message": message}}}],
    }


def problem(status: dict[str, Any]) -> Any:
    projection = project_pod(pod(status))
    assert projection is not None
    return projection.pod.problem


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (waiting("ErrImagePull", "not found"), "ImagePull", "check spec.image of the runtime"),
        (waiting("ImagePullBackOff"), "ImagePull", "check spec.image of the runtime"),
        (waiting("InvalidImageName"), "ImagePull", "mend spec.image"),
        (waiting("CreateContainerConfigError", 'secret "s3" not found'), "CreateContainerConfigError", 'secret "s3" not found'),
        (
            {"phase": "Pending", "initContainerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]},
            "ImagePull",
            "registry",
        ),
        (
            {
                "phase": "Pending",
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
                    }
                ],
            },
            "Unschedulable",
            "3 Insufficient nvidia.com/gpu",
        ),
        (
            {"phase": "Running", "containerStatuses": [{"lastState": {"terminated": {"reason": "OOMKilled"}}}]},
            "OOMKilled",
            "ran out of memory",
        ),
    ],
)  # fmt: skip
def test_what_keeps_a_pod_from_running_is_reported_with_what_to_do(
    status: dict[str, Any], reason: str, words: str
) -> None:
    found = problem(status)
    assert found.reason == reason
    assert words in found.message
    assert not found.disruption


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}, "Evicted"),
        ({"phase": "Failed", "reason": "Preempting"}, "Preempted"),
        ({"phase": "Failed", "reason": "NodeLost"}, "NodeLost"),
        ({"phase": "Running", "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]}, "Preempted"),
        ({"phase": "Running", "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]}, "NodeLost"),
        ({"phase": "Running", "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "SomethingNew"}]}, "Disrupted"),
    ],
)  # fmt: skip
def test_what_nobody_is_to_blame_for_is_a_disruption(status: dict[str, Any], reason: str) -> None:
    found = problem(status)
    assert (found.reason, found.disruption) == (reason, True)


def test_a_pod_holds_its_machine_from_when_it_got_its_node_until_its_containers_have_ended() -> None:
    moment = "2026-01-01T00:00:10Z"
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": moment}
    running = project_pod(
        pod({"phase": "Running", "conditions": [scheduled]}, deletionTimestamp="2026-01-01T00:01:00Z")
    )
    ended = project_pod(pod({"phase": "Succeeded", "conditions": [scheduled]}))
    assert running is not None
    assert ended is not None
    assert (running.pod.alive, ended.pod.alive) == (True, False)
    assert running.pod.deleting_since == running.pod.scheduled_at + 50  # pyright: ignore[reportOptionalOperand]


def test_a_pod_of_no_attempt_is_not_kept() -> None:
    assert (
        project_pod({"metadata": {"name": "p", "labels": {"chexdragon.dev/job-uid": "u"}}, "status": {}})
        is None
    )
