"""From `kubectl apply` to the end, as the operator tells it."""

import json
from pathlib import Path

from chex_operator.kube.resource import CLUSTER_RUNTIMES, CONFIGMAPS, EVENTS, JOBS, PODS, RAYJOBS, ROLES
from tests.apiserver.control_plane import ApiClient
from tests.apiserver.controller.hospital_network import HospitalNetwork, hospital_network, runtime_object
from tests.apiserver.controller.recorder import contradictions, versions_of
from tests.apiserver.ray_engine.driver_runs import die, fail, finish, hang, lose
from tests.apiserver.ray_engine.engine import Engine
from tests.apiserver.ray_engine.launching import eventually
from tests.apiserver.ray_engine.script import Part, no_image, unschedulable, wrong_configuration

A_RAYJOB = {
    "apiVersion": "ray.io/v1",
    "kind": "RayJob",
    "metadata": {"name": "any"},
    "spec": {"rayClusterSpec": {"headGroupSpec": {"rayStartParams": {}, "template": {}}}},
}


def test_a_job_is_carried_from_its_manifest_to_its_report_and_every_status_is_true(
    network: HospitalNetwork,
) -> None:
    network.plan(finish(summary={"recommended": "ssl/probe@1", "auroc": 0.81}), kind="evaluate")
    network.plan(finish(summary={"page": "s3://radiology-models/report.html"}), kind="report")
    made = network.apply()
    status = network.reaches("Complete")
    assert [stage["state"] for stage in status["stages"]] == ["Finished"] * len(status["stages"])
    assert status["progress"] == "100%"
    assert status["best"] == "north: ssl/probe@1 0.810"
    assert status["reportURI"] == "s3://radiology-models/report.html"
    assert all(stage["attempt"] == 1 for stage in status["stages"])
    eventually(lambda: not network.live_pods(), "machines are still held")
    versions = versions_of(network.server, network.namespace, made["metadata"]["resourceVersion"])
    assert contradictions(versions) == []
    assert len(versions) > 10


def test_a_replica_that_waits_keeps_no_keys_and_goes_on_where_the_first_one_stopped(
    network: HospitalNetwork,
) -> None:
    network.plan(hang(), kind="pretrain", number=1)  # which tells progress all the time
    network.apply()
    network.comes_to("pretrain/ssl", reason="Running")
    with network.another() as second:
        eventually(lambda: second.ask("/readyz")[0] == 200, "it does not become ready")
        assert "chex_operator_queue_depth 0.0" in second.ask("/metrics")[1]
        assert network.operator.stop() == 0
        network.apply(suspend=True)
        network.reaches("Suspended")
        network.apply()
        network.reaches("Complete")


def test_events_report_what_happens(network: HospitalNetwork) -> None:
    network.apply()
    network.reaches("Complete")

    def reasons() -> set[str]:
        return {
            event["reason"]
            for event in network.list(EVENTS)
            if event["regarding"]["kind"] == "ChexTrainingJob"
        }

    eventually(lambda: {"StageStarted", "StageFinished", "Complete"} <= reasons(), "events are missing")


def test_a_failed_attempt_is_tried_again_and_leaves_nothing_behind(network: HospitalNetwork) -> None:
    network.plan(fail("the loss is not a number"), kind="ingest", stage="archive", number=1)
    network.apply()
    waiting = network.comes_to("ingest/archive", state="Waiting", reason="StageFailed")
    assert waiting["message"] == "the loss is not a number"
    assert waiting["notBefore"]
    network.comes_to("ingest/archive", state="Finished")
    assert network.stage("ingest/archive")["attempt"] == 2
    network.reaches("Complete")
    first = waiting["attemptName"]
    eventually(lambda: first not in network.ray_jobs(), "the first attempt is still there")
    eventually(
        lambda: (
            not [
                item
                for kind in (CONFIGMAPS, ROLES)
                for item in network.list(kind, f"chexdragon.dev/attempt-name={first}")
            ]
        ),
        "the first attempt has left something",
    )


def test_a_fault_of_the_data_fails_the_job_in_the_drivers_own_words(network: HospitalNetwork) -> None:
    network.plan(fail("no column 'Effusion' in data.csv", user_error=True), kind="ingest", stage="north")
    network.apply()
    network.reaches("Failed")
    failed = network.condition("Failed")
    assert failed["reason"] == "StageFailed"
    assert "ingest/north: no column 'Effusion' in data.csv" in failed["message"]
    assert not network.live_pods()


def test_a_failing_preflight_asks_for_no_gpu(network: HospitalNetwork) -> None:
    network.plan(fail("spec.datasets[0].source: no such bucket", user_error=True), kind="preflight")
    network.apply()
    network.reaches("Failed")
    assert network.condition("Failed")["reason"] == "PreflightFailed"
    assert "no such bucket" in network.condition("Failed")["message"]
    assert not network.ray_jobs()
    assert "finalizers" not in (network.job() or {})["metadata"]


def test_an_evicted_worker_is_a_disruption(network: HospitalNetwork) -> None:
    network.plan(lose("worker"), kind="pretrain", number=1)
    network.apply(backoffLimit=0)
    network.reaches("Complete")
    stage = network.stage("pretrain/ssl")
    assert (stage["attempt"], stage["disruptions"], stage.get("failures", 0)) == (2, 1, 0)


def test_a_driver_that_dies_silently_is_a_failure_and_the_next_attempt_waits(
    network: HospitalNetwork,
) -> None:
    network.plan(die(), kind="pretrain", number=1)
    network.apply()
    assert network.comes_to("pretrain/ssl", state="Waiting", reason="AppFailed")["failures"] == 1
    network.reaches("Complete")


def test_a_result_that_never_arrived_is_looked_up_by_a_preflight(network: HospitalNetwork) -> None:
    network.plan(finish(tells=False), kind="pretrain")
    network.apply()
    network.reaches("Complete")
    assert network.stage("pretrain/ssl")["attempt"] == 1
    assert network.stage("preflight")["attempt"] == 2


def test_an_image_that_cannot_be_pulled_is_reported_within_seconds(network: HospitalNetwork) -> None:
    network.plan(Part(finish(), (no_image(),)), kind="ingest")
    network.apply()
    network.comes_to("ingest/archive", reason="ImagePull")
    running = network.condition("Running")
    assert running["reason"] == "ImagePull"
    assert "check spec.image of the runtime" in running["message"]


def test_missing_gpus_are_reported_in_the_schedulers_words(network: HospitalNetwork) -> None:
    network.plan(Part(finish(), (unschedulable(),)), kind="pretrain")
    network.apply()
    network.comes_to("pretrain/ssl", reason="Unschedulable")
    assert "Insufficient nvidia.com/gpu" in network.condition("Running")["message"]


def test_a_missing_secret_is_reported_by_its_name(network: HospitalNetwork) -> None:
    network.plan(Part(finish(), (wrong_configuration(),)), kind="ingest")
    network.apply()
    network.comes_to("ingest/archive", reason="CreateContainerConfigError")
    assert "s3-keys" in network.condition("Running")["message"]


def test_suspending_frees_all_machines_and_resuming_goes_on(network: HospitalNetwork) -> None:
    network.plan(hang(), kind="pretrain", number=1)
    made = network.apply()
    network.comes_to("pretrain/ssl", reason="Running")
    network.apply(suspend=True)
    network.reaches("Suspended")
    assert network.condition("Suspended")["status"] == "True"
    eventually(lambda: not network.live_pods(), "machines are still held")
    assert network.stage("pretrain/ssl")["state"] == "Suspended"
    network.apply(suspend=False)
    network.reaches("Complete")
    assert network.stage("pretrain/ssl")["attempt"] == 2
    assert network.stage("preflight")["attempt"] == 1
    assert (
        contradictions(versions_of(network.server, network.namespace, made["metadata"]["resourceVersion"]))
        == []
    )


def test_deleting_a_job_waits_for_the_checkpoint_and_frees_everything(network: HospitalNetwork) -> None:
    network.plan(hang(), kind="pretrain")
    network.apply()
    stage = network.comes_to("pretrain/ssl", reason="Running")
    network.delete(JOBS, "tiny")
    eventually(lambda: network.job() is None, "the job is still there", seconds=60)
    assert f"asking {stage['attemptName']} to stop: Deleted" in network.operator.text()
    eventually(lambda: not network.live_pods() and not network.list(RAYJOBS), "something is left", seconds=60)
    eventually(
        lambda: not network.list(CONFIGMAPS, "chexdragon.dev/job-uid"), "ConfigMaps are left", seconds=60
    )


def test_an_edited_manifest_stops_only_what_changed(network: HospitalNetwork) -> None:
    network.plan(hang(), kind="pretrain", number=1)
    network.apply()
    old = network.comes_to("pretrain/ssl", reason="Running")
    finished = network.stage("ingest/archive")

    def more_epochs(spec: dict) -> None:
        spec["pretraining"][0]["optimization"]["epochs"] = 9

    network.plan(finish(), kind="pretrain")
    network.apply(change=more_epochs)
    network.reaches("Complete")
    assert network.stage("pretrain/ssl")["identity"] != old["identity"]
    assert network.stage("ingest/archive") == finished
    eventually(lambda: old["attemptName"] not in network.ray_jobs(), "the old attempt is still there")


def test_a_complete_job_that_is_edited_runs_what_changed(network: HospitalNetwork) -> None:
    def longer(spec: dict) -> None:
        spec["pretraining"][0]["optimization"]["epochs"] = 9

    network.apply()
    network.reaches("Complete")
    before = {stage["name"]: stage["identity"] for stage in network.status()["stages"]}
    edited = network.apply(change=longer)
    status = eventually(
        lambda: (
            found
            if (found := network.status())["observedGeneration"] == edited["metadata"]["generation"]
            and found["phase"] == "Complete"
            else None
        ),
        "the edited job is not complete",
        seconds=150.0,
    )
    changed = {stage["name"] for stage in status["stages"] if stage["identity"] != before[stage["name"]]}
    assert changed == {"preflight", "pretrain/ssl", "adapt/north", "evaluate/north", "report/tiny"}
    versions = versions_of(network.server, network.namespace, edited["metadata"]["resourceVersion"])
    assert contradictions(versions) == []


def test_some_time_after_its_end_a_jobs_objects_go_and_the_job_stays(network: HospitalNetwork) -> None:
    network.apply(ttlSecondsAfterFinished=0)
    network.reaches("Complete")
    eventually(lambda: not network.list(RAYJOBS), "RayJobs are left")
    eventually(lambda: not network.list(CONFIGMAPS, "chexdragon.dev/job-uid"), "ConfigMaps are left")
    assert network.status()["phase"] == "Complete"


def test_a_deadline_stops_the_job_and_says_what_is_unfinished(network: HospitalNetwork) -> None:
    network.plan(hang(), kind="pretrain")
    network.apply(activeDeadlineSeconds=4)
    network.reaches("Failed")
    failed = network.condition("Failed")
    assert failed["reason"] == "DeadlineExceeded"
    assert "adapt/north" in failed["message"]


def test_a_rayjob_that_the_cluster_refuses_is_reported_and_tried_again(network: HospitalNetwork) -> None:
    policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    about = {"metadata": {"name": f"no-ray-{network.namespace}"}}
    rule = {
        "apiGroups": ["ray.io"],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["rayjobs"],
    }
    policy = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "false", "message": "no room for Ray this week"}],
    }
    mine = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": network.namespace}}}
    binding = {
        "policyName": about["metadata"]["name"],
        "validationActions": ["Deny"],
        "matchResources": mine,
    }
    assert network.server.create(policies, {**about, "spec": policy}).accepted
    assert network.server.create(
        f"{policies.removesuffix('policies')}policybindings", {**about, "spec": binding}
    ).accepted
    eventually(
        lambda: (
            "no room"
            in network.server.create(RAYJOBS.path(network.namespace), A_RAYJOB, dry_run=True).message
        ),
        "the policy is not enforced",
    )
    network.apply()
    network.comes_to("ingest/archive", reason="CreationRefused")
    eventually(
        lambda: "no room for Ray this week" in network.condition("Running")["message"],
        "the condition does not say why",
    )


def test_the_rendered_pods_are_admitted_where_restricted_is_enforced(network: HospitalNetwork) -> None:
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    answer = network.server.request(
        "PATCH", f"/api/v1/namespaces/{network.namespace}", json.dumps(label), "application/merge-patch+json"
    )
    assert answer.accepted
    network.apply()
    network.reaches("Complete")
    assert network.list(PODS)


def test_an_operator_of_the_whole_cluster_serves_every_namespace_and_cluster_runtimes(
    controllers: ApiClient, engine: Engine, tmp_path: Path
) -> None:
    with hospital_network(controllers, engine, tmp_path, whole_cluster=True) as network:

        def on_a_cluster_runtime(spec: dict) -> None:
            spec["runtimeRef"] = {"kind": "ClusterChexRuntime", "name": network.namespace}

        network.apply(change=on_a_cluster_runtime)
        network.reaches("Pending")
        eventually(
            lambda: network.condition("Valid").get("reason") == "RuntimeNotFound", "nobody misses the runtime"
        )
        network.create(CLUSTER_RUNTIMES, runtime_object(CLUSTER_RUNTIMES, network.namespace))
        network.reaches("Complete")
