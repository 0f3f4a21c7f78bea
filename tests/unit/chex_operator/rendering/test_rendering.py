"""What the operator asks the cluster for, field by field where a field has a reason."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chex_api.run_policy import RunPolicy
from chex_api.stage import StageSpec
from chex_operator.rendering import (
    Attempt,
    JobReference,
    attempt_name,
    preflight_job,
    preflight_support,
    ray_job,
    supporting_objects,
)
from tests.unit.chex_operator.rendering.attempts import attempt, preflight, runtime

GOLDEN = Path(__file__).with_name("golden")
CASES = {
    "pretraining-on-gpus": attempt(),
    "report-on-the-head-alone": attempt("report", "tiny", number=1, workers=None, policy=RunPolicy()),
    "keys-in-a-secret": attempt(
        "adapt",
        "north",
        runtime=runtime(
            storage={
                "endpointURL": "https://s3.hospital.example",
                "credentials": {"secretName": "s3-keys"},
                "readPrefixes": ["s3://data/"],
                "writePrefixes": ["s3://models/"],
            },
            network={},
        ),
    ),
    "preflight-in-a-queue": preflight(),
    "gang-in-one-rack": attempt(
        runtime=runtime(
            pools=[
                {
                    "name": "gpu",
                    "cpu": "12",
                    "memory": "120Gi",
                    "gpus": 1,
                    "topology": {"key": "cloud.example/rack", "required": True},
                }
            ],
            scheduling={"labels": [{"key": "ray.io/gang-scheduling-enabled", "value": "true"}]},
        ),
        policy=RunPolicy(),
    ),
}


def objects(case: Any) -> list[dict[str, Any]]:
    if isinstance(case, Attempt):
        return [*supporting_objects(case), ray_job(case)]
    return [*preflight_support(case), preflight_job(case)]


def pod_templates(rendered: dict[str, Any]) -> dict[str, dict[str, Any]]:
    if rendered["kind"] == "Job":
        return {"preflight": rendered["spec"]["template"]}
    cluster = rendered["spec"]["rayClusterSpec"]
    workers = {
        f"worker-{group['groupName']}": group["template"] for group in cluster.get("workerGroupSpecs", [])
    }
    return {
        "head": cluster["headGroupSpec"]["template"],
        "submitter": rendered["spec"]["submitterPodTemplate"],
        **workers,
    }


@pytest.mark.parametrize("name", CASES)
def test_rendered_objects_are_the_golden_ones(name: str) -> None:
    """Renew with: `CHEX_WRITE_GOLDEN=1 pytest tests/unit/chex_operator/rendering`, and read the difference."""
    rendered = yaml.safe_dump_all(objects(CASES[name]), sort_keys=True, width=200)
    if os.environ.get("CHEX_WRITE_GOLDEN"):
        (GOLDEN / f"{name}.yaml").write_text(rendered)
    assert rendered == (GOLDEN / f"{name}.yaml").read_text()


@given(
    job=st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", fullmatch=True),
    number=st.integers(1, 100_000 - 1),
)
def test_names_fit_kuberay_whatever_the_job_is_called(job: str, number: int) -> None:
    name = attempt_name(attempt(job=JobReference("n", job, "uid", 1), number=number).reference)
    assert len(name) <= 47
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)


def test_label_values_fit_however_long_the_name_is() -> None:
    long = JobReference("n", "a" * 62 + "." + "b" * 190, "uid", 1)
    for each in objects(attempt(job=long)):
        assert all(
            re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", value)
            for value in each["metadata"]["labels"].values()
        )


def test_a_job_that_was_created_again_does_not_meet_children_of_the_old_one() -> None:
    again = JobReference("radiology", "network-2026q4", "another-uid", 1)
    assert attempt_name(attempt().reference) != attempt_name(attempt(job=again).reference)


def test_attempts_have_names_of_their_own_and_the_same_attempt_has_the_same() -> None:
    assert attempt_name(attempt(number=1).reference) != attempt_name(attempt(number=2).reference)
    assert ray_job(attempt()) == ray_job(attempt())


def test_a_lost_head_cannot_run_the_entry_point_twice() -> None:
    spec = ray_job(attempt())["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["submitterConfig"] == {"backoffLimit": 0}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_every_pod_meets_the_restricted_standard(case: Any) -> None:
    for template in pod_templates(objects(case)[-1]).values():
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_only_the_head_has_a_token_of_the_api_server() -> None:
    mounted = {
        role: template["spec"]["automountServiceAccountToken"]
        for role, template in pod_templates(ray_job(attempt())).items()
    }
    assert mounted == {"head": True, "submitter": False, "worker-gpu": False}


def test_a_driver_may_patch_its_own_progress_and_nothing_else() -> None:
    (role,) = (each for each in supporting_objects(attempt()) if each["kind"] == "Role")
    (rule,) = role["rules"]
    assert rule["resourceNames"] == [f"{attempt_name(attempt().reference)}-progress"]
    assert rule["resources"] == ["configmaps"]
    assert set(rule["verbs"]) == {"get", "patch"}


def test_everything_goes_with_its_job() -> None:
    for each in objects(attempt()):
        (owner,) = each["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"], owner["controller"]) == (
            "ChexTrainingJob",
            attempt().reference.job.uid,
            True,
        )
        assert each["metadata"]["namespace"] == "radiology"


def test_the_mounted_stage_is_the_one_that_was_planned_and_cannot_be_changed() -> None:
    config = supporting_objects(attempt())[0]
    assert config["immutable"] is True
    assert config["data"]["stage.json"] == attempt().document
    assert StageSpec.parse(json.loads(attempt().document)).identity == attempt().reference.identity


def test_the_queue_is_a_label_and_suspension_is_left_to_it() -> None:
    rendered = ray_job(attempt())
    assert rendered["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research"
    assert "suspend" not in rendered["spec"]


def test_workers_are_near_each_other_where_the_pool_says_so() -> None:
    def worker(**topology: Any) -> dict[str, Any]:
        pool = {"name": "gpu", "cpu": "12", "memory": "120Gi", "topology": {"key": "rack", **topology}}
        return pod_templates(ray_job(attempt(runtime=runtime(pools=[pool]))))["worker-gpu"]

    preferred, required = worker(), worker(required=True)
    assert preferred["metadata"]["annotations"] == {"kueue.x-k8s.io/podset-preferred-topology": "rack"}
    assert required["metadata"]["annotations"] == {"kueue.x-k8s.io/podset-required-topology": "rack"}
    ((how, (term,)),) = required["spec"]["affinity"]["podAffinity"].items()
    assert how == "requiredDuringSchedulingIgnoredDuringExecution"
    # Else the first worker would wait for one that is there already.
    mine = {**required["metadata"]["labels"], "ray.io/node-type": "worker"}
    assert term["labelSelector"]["matchLabels"].items() <= mine.items()
    assert list(preferred["spec"]["affinity"]["podAffinity"]) == [
        "preferredDuringSchedulingIgnoredDuringExecution"
    ]


def test_labels_for_a_batch_scheduler_cannot_hide_ours() -> None:
    for key in ("chexdragon.dev/job-uid", "kueue.x-k8s.io/queue-name", "app.kubernetes.io/name", "ray.io/"):
        with pytest.raises(ValidationError):
            runtime(scheduling={"labels": [{"key": key, "value": "x"}]})


def test_nothing_of_the_user_reaches_a_shell_or_an_expansion() -> None:
    hostile = runtime(env=[{"name": "HTTP_PROXY", "value": "$(AWS_SECRET_ACCESS_KEY) `id` ' \" ;"}])
    rendered = ray_job(attempt(runtime=hostile))
    assert rendered["spec"]["entrypoint"] == ray_job(attempt())["spec"]["entrypoint"]
    for template in pod_templates(rendered).values():
        (container,) = template["spec"]["containers"]
        assert "command" not in container
        assert "args" not in container
        values = {variable["name"]: variable.get("value") for variable in container["env"]}
        assert values["HTTP_PROXY"] == "$$(AWS_SECRET_ACCESS_KEY) `id` ' \" ;"


def test_shared_memory_is_within_the_memory_of_a_worker() -> None:
    pod = pod_templates(ray_job(attempt()))["worker-gpu"]["spec"]
    (volume,) = (each for each in pod["volumes"] if each["name"] == "shared-memory")
    assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "32Gi"}
    assert pod["containers"][0]["resources"]["limits"]["memory"] == "120Gi"
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_a_stage_without_workers_uses_the_cores_of_its_head() -> None:
    cluster = ray_job(CASES["report-on-the-head-alone"])["spec"]["rayClusterSpec"]
    assert "workerGroupSpecs" not in cluster
    assert "num-cpus" not in cluster["headGroupSpec"]["rayStartParams"]


def test_the_network_is_closed_but_for_what_the_runtime_names() -> None:
    policies = [each for each in supporting_objects(attempt()) if each["kind"] == "NetworkPolicy"]
    base, head = policies
    ports = [entry.get("ports") for entry in base["spec"]["ingress"]]
    assert ports[1:] == [[{"protocol": "TCP", "port": 8265}], [{"protocol": "TCP", "port": 8080}]]
    assert {"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]} not in base["spec"]["egress"]
    assert head["spec"]["podSelector"]["matchLabels"]["ray.io/node-type"] == "head"
    assert head["spec"]["egress"] == [{"to": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]}]
