"""Real Pods, real Ray, real KubeRay."""

import pytest

from tests.e2e.cluster import Cluster

LONG = 400
"""Epochs of a pretraining that takes some minutes on half a core."""


def test_a_manifest_becomes_a_report(cluster: Cluster) -> None:
    name = cluster.submit()
    cluster.kubectl("wait", f"ctj/{name}", "--for=condition=Complete", "--timeout=20m")
    status = cluster.status(name)
    assert status["reportURI"].endswith("/report.html")
    assert [hospital["name"] for hospital in status["hospitals"]] == ["north"]
    cluster.wait(name, lambda: not cluster.ray_pods_of(name), "machines are still held")
    cluster.kubectl("delete", "ctj", name, "--timeout=5m")


def test_a_lost_head_a_suspension_and_a_deletion_cost_no_checkpoint_and_leave_no_pod(
    cluster: Cluster,
) -> None:
    name = cluster.submit(epochs=LONG)
    cluster.comes_to(name, "pretrain/ssl", percent=5)
    selector = f"app.kubernetes.io/instance={name},app.kubernetes.io/component=pretrain,ray.io/node-type=head"
    cluster.kubectl("delete", "pod", "-l", selector, "--grace-period=0", "--force")
    cluster.comes_to(name, "pretrain/ssl", attempt=2, percent=10)

    cluster.apply(name, epochs=LONG, suspend=True)
    cluster.reaches(name, "Suspended")
    cluster.wait(name, lambda: not cluster.ray_pods_of(name), "machines are still held")
    before = cluster.stage(name, "pretrain/ssl")
    assert float(before["committed"]) > 0

    cluster.apply(name, epochs=LONG)
    cluster.comes_to(name, "pretrain/ssl", attempt=3, percent=before["progressPercent"] + 1)

    cluster.kubectl("delete", "ctj", name, "--timeout=8m")
    assert not cluster.ray_pods_of(name)


@pytest.mark.parametrize(("role", "attempts"), [("worker", 1), ("head", 2)])
def test_an_evicted_pod_is_told_of_and_no_failure_though_it_is_replaced_at_once(
    cluster: Cluster, role: str, attempts: int
) -> None:
    """Ray Train goes on with the worker that takes its place. A head takes the attempt with it."""
    name = cluster.submit(epochs=LONG, backoffLimit=0)
    cluster.comes_to(name, "pretrain/ssl", percent=5)
    selector = (
        f"app.kubernetes.io/instance={name},app.kubernetes.io/component=pretrain,ray.io/node-type={role}"
    )
    cluster.evict(cluster.pods(selector)[0])
    cluster.wait(
        name, lambda: cluster.stage(name, "pretrain/ssl")["reason"] == "Evicted", "nobody tells of it"
    )
    before = cluster.stage(name, "pretrain/ssl")["progressPercent"]
    cluster.comes_to(name, "pretrain/ssl", attempt=attempts, percent=before + 1)
    stage = cluster.stage(name, "pretrain/ssl")
    assert (stage["attempt"], stage.get("disruptions", 0), stage.get("failures", 0)) == (
        attempts,
        attempts - 1,
        0,
    )
    cluster.kubectl("delete", "ctj", name, "--timeout=8m")
