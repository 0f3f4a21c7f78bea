"""Each test is a fact of KubeRay 1.7 or of Kubernetes 1.35, seen on a real node or read in the source, that the stand-in copies."""

import re
from collections.abc import Iterator

import pytest

from chex_api.attempt import FAILURE, RESULT, STOPPED
from chex_api.run_policy import RunPolicy
from chex_operator.kube.resource import (
    BATCH_JOBS,
    CONFIGMAPS,
    JOBS,
    NETWORKPOLICIES,
    PODS,
    RAYCLUSTERS,
    RAYJOBS,
    ROLES,
    Object,
)
from tests.apiserver.control_plane import ApiClient
from tests.apiserver.ray_engine.driver_runs import die, fail, finish, hang, lose
from tests.apiserver.ray_engine.ends import EVICTED, OUT_OF_MEMORY, PREEMPTED
from tests.apiserver.ray_engine.engine import Engine
from tests.apiserver.ray_engine.launching import Launchpad, eventually
from tests.apiserver.ray_engine.script import Part, no_image, unschedulable
from tests.apiserver.ray_engine.submitters import ended


@pytest.fixture
def pad(engine: Engine, controllers: ApiClient) -> Iterator[Launchpad]:
    pad = Launchpad(controllers)
    yield pad
    controllers.request("DELETE", JOBS.path(pad.namespace, "tiny"))  # and with it what still runs


def submitter(pad: Launchpad, name: str) -> Object:
    found = pad.get(BATCH_JOBS, name)
    assert found is not None
    return found


def gone(pad: Launchpad) -> bool:
    """Whether nothing runs any more."""
    return not pad.list(RAYCLUSTERS) and not pad.list(PODS, "ray.io/cluster")


def test_an_entry_point_that_ends_well_is_succeeded_first_and_complete_then(pad: Launchpad) -> None:
    name = pad.launch()
    pad.reaches(name, "Complete")
    states = pad.states(name)
    assert states[:2] == [("", ""), ("Initializing", "")]
    assert states[-3:] == [("Running", "RUNNING"), ("Running", "SUCCEEDED"), ("Complete", "SUCCEEDED")]
    assert pad.told(name)[RESULT]["manifestUri"].startswith("s3://radiology-models/")
    assert ended(submitter(pad, name)) == "Complete"


def test_an_entry_point_that_fails_is_failed_first_and_its_submitter_is_complete(
    pad: Launchpad, engine: Engine
) -> None:
    engine.script.plan(fail("no films", user_error=True), namespace=pad.namespace)
    name = pad.launch()
    status = pad.reaches(name, "Failed")
    assert (status["reason"], status["jobStatus"]) == ("AppFailed", "FAILED")
    assert ("Running", "FAILED") in pad.states(name)
    assert ended(submitter(pad, name)) == "Complete"
    assert pad.told(name)[FAILURE] == {"message": "no films", "userError": True}


def test_a_finished_rayjob_loses_its_cluster_and_keeps_its_submitter(pad: Launchpad) -> None:
    name = pad.launch()
    pad.reaches(name, "Complete")
    eventually(lambda: gone(pad), "the cluster is still there")
    assert submitter(pad, name)
    assert pad.status(name)["rayClusterName"]


def test_pods_have_the_labels_of_kuberay_and_of_their_template(pad: Launchpad, engine: Engine) -> None:
    engine.script.plan(hang(), namespace=pad.namespace)
    name = pad.launch()
    cluster = pad.reaches(name, "Running")["rayClusterName"]
    assert re.fullmatch(name + "-[a-z0-9]{5}", cluster)
    (head,), workers = pad.pods("head"), pad.pods("worker")
    assert len(workers) == 8
    for pod, group in [(head, "headgroup"), *[(worker, "gpu") for worker in workers]]:
        labels = pod["metadata"]["labels"]
        assert labels["ray.io/cluster"] == cluster
        assert labels["ray.io/group"] == group
        assert labels["app.kubernetes.io/name"] == "chex-training-job"  # the template wins
        assert labels["chexdragon.dev/attempt-name"] == name
        assert pod["status"]["phase"] == "Running"
        assert pod["status"]["containerStatuses"][0]["ready"] is True
        assert {"PodScheduled": "True", "Ready": "True"}.items() <= {
            each["type"]: each["status"] for each in pod["status"]["conditions"]
        }.items()
    (pod,) = pad.list(PODS, f"ray.io/originated-from-cr-name={name}")
    assert pod["metadata"]["labels"]["chexdragon.dev/attempt-name"] == name


def test_no_condition_and_no_observed_generation_is_ever_written(pad: Launchpad) -> None:
    name = pad.launch()
    pad.reaches(name, "Complete")
    for version in pad.history(RAYJOBS, name):
        assert not {"conditions", "observedGeneration"} & version.get("status", {}).keys()


def test_a_lost_head_fails_the_submission_and_leaves_the_job_status_running(
    pad: Launchpad, engine: Engine
) -> None:
    engine.script.plan(hang(), namespace=pad.namespace)
    name = pad.launch()
    eventually(lambda: pad.status(name).get("jobStatus") == "RUNNING", "it does not run")
    pad.delete(PODS, pad.pods("head")[0]["metadata"]["name"])
    status = pad.reaches(name, "Failed")
    assert (status["reason"], status["jobStatus"]) == ("SubmissionFailed", "RUNNING")
    assert [run.attempt for run in engine.started].count(name) == 1


def test_a_lost_head_runs_the_entry_point_twice_where_the_submitter_may_try_again(
    pad: Launchpad, engine: Engine
) -> None:
    engine.script.plan(hang(), namespace=pad.namespace)
    name = pad.launch(submitterConfig=None)
    eventually(lambda: pad.status(name).get("jobStatus") == "RUNNING", "it does not run")
    engine.script.plan(finish(), namespace=pad.namespace)
    pad.delete(PODS, pad.pods("head")[0]["metadata"]["name"])
    pad.reaches(name, "Complete")
    assert [run.attempt for run in engine.started].count(name) == 2
    assert submitter(pad, name)["status"]["failed"] == 1


def test_a_backoff_limit_of_the_rayjob_makes_a_new_cluster(pad: Launchpad, engine: Engine) -> None:
    engine.script.plan(die(), namespace=pad.namespace)
    name = pad.launch(backoffLimit=1)
    eventually(lambda: pad.status(name).get("failed") == 2, "it is not tried twice")
    clusters = {
        version["status"]["rayClusterName"]
        for version in pad.history(RAYJOBS, name)
        if version.get("status", {}).get("rayClusterName")
    }
    assert len(clusters) == 2
    assert ("Retrying", "FAILED") in pad.states(name)


def test_what_does_not_run_in_its_time_fails_with_the_reason(pad: Launchpad, engine: Engine) -> None:
    engine.script.plan(Part(finish(), (unschedulable(),)), namespace=pad.namespace)
    name = pad.launch(preRunningDeadlineSeconds=1)
    assert pad.reaches(name, "Failed")["reason"] == "PreRunningDeadlineExceeded"
    assert [state for state, _ in pad.states(name)] == ["", "Initializing", "Failed"]


def test_a_deadline_fails_the_rayjob_and_leaves_the_job_status_running(
    pad: Launchpad, engine: Engine
) -> None:
    engine.script.plan(hang(obeys=False), namespace=pad.namespace)
    name = pad.launch(activeDeadlineSeconds=600)
    eventually(lambda: pad.status(name).get("jobStatus") == "RUNNING", "it does not run")
    pad.patch(RAYJOBS, name, {"spec": {"activeDeadlineSeconds": 1}})
    status = pad.reaches(name, "Failed")
    assert (status["reason"], status["jobStatus"]) == ("DeadlineExceeded", "RUNNING")


@pytest.mark.parametrize(
    ("name", "words"),
    [("a" * 48, "no more than 47 characters"), ("a.b", "DNS1035"), ("1a", "DNS1035")],
)
def test_a_name_that_the_api_server_admits_may_fail_validation(pad: Launchpad, name: str, words: str) -> None:
    status = pad.reaches(pad.launch(rename=name), "ValidationFailed")
    assert status["reason"] == "ValidationFailed"
    assert words in status["message"]
    assert not pad.list(RAYCLUSTERS)


def test_a_suspend_without_a_shutdown_fails_validation(pad: Launchpad) -> None:
    name = pad.launch(suspend=True, shutdownAfterJobFinishes=False)
    assert "suspended" in pad.reaches(name, "ValidationFailed")["message"]


def test_a_rayjob_that_is_created_suspended_waits_without_pods_until_it_is_released(pad: Launchpad) -> None:
    name = pad.launch(suspend=True)
    pad.reaches(name, "Suspended")
    assert not pad.list(PODS)
    assert not pad.list(RAYCLUSTERS)
    pad.patch(RAYJOBS, name, {"spec": {"suspend": False}})
    pad.reaches(name, "Complete")


def test_a_suspend_takes_cluster_and_submitter_and_a_resume_begins_anew(
    pad: Launchpad, engine: Engine
) -> None:
    engine.script.plan(hang(), namespace=pad.namespace)
    name = pad.launch()
    first = pad.reaches(name, "Running")["rayClusterName"]
    eventually(lambda: pad.status(name).get("jobStatus") == "RUNNING", "it does not run")
    pad.patch(RAYJOBS, name, {"spec": {"suspend": True}})
    status = pad.reaches(name, "Suspended")
    assert not status.get("rayClusterName")
    assert pad.get(BATCH_JOBS, name) is None
    eventually(lambda: gone(pad), "the cluster is still there")
    engine.script.plan(finish(), namespace=pad.namespace)
    pad.patch(RAYJOBS, name, {"spec": {"suspend": False}})
    assert pad.reaches(name, "Complete")["rayClusterName"] != first


def test_a_deleted_rayjob_is_gone_at_once_and_its_pods_later(pad: Launchpad, engine: Engine) -> None:
    engine.script.plan(hang(obeys=False), namespace=pad.namespace)
    name = pad.launch()
    eventually(lambda: pad.status(name).get("jobStatus") == "RUNNING", "it does not run")
    pad.delete(RAYJOBS, name)
    eventually(lambda: pad.get(RAYJOBS, name) is None, "the RayJob is still there")
    eventually(lambda: gone(pad) and not pad.list(PODS) and not pad.list(BATCH_JOBS), "something is left")


def test_without_kuberay_a_deleted_rayjob_stays_until_kuberay_is_back(pad: Launchpad, engine: Engine) -> None:
    engine.script.plan(hang(), namespace=pad.namespace)
    name = pad.launch()
    pad.reaches(name, "Running")
    engine.kuberay_down()
    try:
        pad.delete(RAYJOBS, name)
        with pytest.raises(AssertionError):
            eventually(lambda: pad.get(RAYJOBS, name) is None, "as it should be", seconds=1.0)
        held = pad.get(RAYJOBS, name)
        assert held is not None
        assert held["metadata"]["finalizers"] == ["ray.io/rayjob-finalizer"]
        assert pad.pods("head")
    finally:
        engine.kuberay_up()
    eventually(lambda: pad.get(RAYJOBS, name) is None, "the RayJob is still there")


def test_edits_of_a_created_rayjob_change_nothing(pad: Launchpad, engine: Engine) -> None:
    engine.script.plan(hang(), namespace=pad.namespace)
    name = pad.launch()
    cluster = pad.reaches(name, "Running")["rayClusterName"]
    pad.patch(RAYJOBS, name, {"spec": {"rayClusterSpec": {"rayVersion": "1.0.0"}, "entrypoint": "other"}})
    eventually(lambda: pad.status(name).get("jobStatus") == "RUNNING", "it does not run")
    held = pad.get(RAYCLUSTERS, cluster)
    assert held is not None
    assert held["spec"]["rayVersion"] == "2.60.0"


def test_an_unknown_field_is_refused_and_any_submission_mode_is_not(pad: Launchpad) -> None:
    with pytest.raises(AssertionError, match=r"unknown field .*spec\.colour"):
        pad.launch(colour="blue")
    assert pad.launch("report", "tiny", submissionMode="Carrier pigeon")


def test_an_evicted_worker_is_failed_with_the_reason_and_then_replaced(
    pad: Launchpad, engine: Engine
) -> None:
    engine.script.plan(hang(), namespace=pad.namespace)
    name = pad.launch()
    eventually(lambda: pad.status(name).get("jobStatus") == "RUNNING", "it does not run")
    first = {pod["metadata"]["name"] for pod in pad.pods("worker")}
    engine.end_pods("worker", EVICTED, attempt=name)
    eventually(
        lambda: len(now := {pod["metadata"]["name"] for pod in pad.pods("worker")}) == 8 and not now & first,
        "the workers are not replaced",
    )
    last = [version for version in pad.history(PODS, min(first)) if version["status"]["phase"] == "Failed"]
    assert last[0]["status"]["reason"] == "Evicted"
    conditions = {each["type"]: each for each in last[0]["status"]["conditions"]}
    assert conditions["DisruptionTarget"]["reason"] == "TerminationByKubelet"


def test_a_preempted_worker_is_marked_and_deleted(pad: Launchpad, engine: Engine) -> None:
    engine.script.plan(lose("worker", PREEMPTED), namespace=pad.namespace)
    name = pad.launch()
    pad.reaches(name, "Failed")
    pods = [
        version
        for version in pad.history(PODS, "")
        if version["metadata"]["labels"].get("ray.io/node-type") == "worker"
    ]
    marked = [
        condition["reason"]
        for pod in pods
        for condition in pod["status"].get("conditions", [])
        if condition["type"] == "DisruptionTarget"
    ]
    assert "PreemptionByScheduler" in marked


def test_a_head_without_memory_says_so_and_fails_the_submission(pad: Launchpad, engine: Engine) -> None:
    engine.script.plan(lose("head", OUT_OF_MEMORY), namespace=pad.namespace)
    name = pad.launch()
    assert pad.reaches(name, "Failed")["reason"] == "SubmissionFailed"
    reasons = [
        container["state"]["terminated"]["reason"]
        for version in pad.history(PODS, "")
        for container in version["status"].get("containerStatuses", [])
        if "terminated" in container["state"]
        and version["metadata"]["labels"].get("ray.io/node-type") == "head"
    ]
    assert "OOMKilled" in reasons


def test_a_pod_without_a_node_says_what_is_missing(pad: Launchpad, engine: Engine) -> None:
    engine.script.plan(Part(finish(), (unschedulable(),)), namespace=pad.namespace)
    pad.launch()
    pod = eventually(
        lambda: next((pod for pod in pad.pods("worker") if pod["status"].get("conditions")), None),
        "nothing is said",
    )
    (condition,) = pod["status"]["conditions"]
    assert (condition["reason"], condition["status"]) == ("Unschedulable", "False")
    assert "Insufficient nvidia.com/gpu" in condition["message"]


def test_a_pod_that_is_not_admitted_leaves_the_rayjob_waiting_and_its_cluster_says_why(
    pad: Launchpad,
) -> None:
    name = pad.launch(policy=RunPolicy(priority_class_name="no-such-class"))
    cluster = eventually(
        lambda: next((each for each in pad.list(RAYCLUSTERS) if "status" in each), None),
        "nothing is said",
    )
    (condition,) = cluster["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("ReplicaFailure", "FailedCreateHeadPod")
    assert "no PriorityClass with name no-such-class" in condition["message"]
    assert pad.status(name)["jobDeploymentStatus"] == "Initializing"


def test_a_pod_without_an_image_waits_with_the_reason(pad: Launchpad, engine: Engine) -> None:
    engine.script.plan(Part(finish(), (no_image("head"),)), namespace=pad.namespace)
    pad.launch()
    pod = eventually(
        lambda: next((pod for pod in pad.pods("head") if pod["status"].get("containerStatuses")), None),
        "nothing is said",
    )
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImagePull"


def test_a_driver_that_is_asked_to_stop_says_so_and_its_rayjob_fails(pad: Launchpad, engine: Engine) -> None:
    engine.script.plan(hang(), namespace=pad.namespace)
    name = pad.launch()
    eventually(lambda: pad.status(name).get("jobStatus") == "RUNNING", "it does not run")
    pad.patch_progress(name, {"stop": "suspended"})
    status = pad.reaches(name, "Failed")
    assert (status["reason"], status["jobStatus"]) == ("AppFailed", "FAILED")
    assert pad.told(name)[STOPPED] == {}


def test_a_result_can_be_lost_though_the_stage_is_finished(pad: Launchpad, engine: Engine) -> None:
    engine.script.plan(finish(tells=False), namespace=pad.namespace)
    name = pad.launch()
    pad.reaches(name, "Complete")
    assert RESULT not in pad.told(name)


def test_a_pod_that_names_a_missing_secret_waits_until_it_is_there(pad: Launchpad) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    storage = {
        "credentials": {"secretName": "s3-keys"},
        "readPrefixes": ["s3://data/"],
        "writePrefixes": ["s3://radiology-models/"],
    }
    name = pad.launch(storage=storage)
    pod = eventually(
        lambda: next((pod for pod in pad.pods("head") if pod["status"].get("containerStatuses")), None),
        "nothing is said",
    )
    waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "CreateContainerConfigError", "message": 'secret "s3-keys" not found'}
    secrets = f"/api/v1/namespaces/{pad.namespace}/secrets"
    pad.create(secrets, {"metadata": {"name": "s3-keys"}, "stringData": keys})
    pad.reaches(name, "Complete")


def test_a_preflight_runs_in_a_pod_of_kubernetes_own_job_controller(pad: Launchpad) -> None:
    name = pad.launch_preflight()
    eventually(lambda: ended(submitter(pad, name)) == "Complete", "the Job is not complete")
    found = pad.told(name)[RESULT]
    assert found["finished"] == {}
    assert "report/tiny" in found["identities"]


def test_a_preflight_finds_what_drivers_have_finished_though_they_could_not_tell(
    pad: Launchpad, engine: Engine
) -> None:
    engine.script.plan(finish(tells=False), namespace=pad.namespace, kind="adapt")
    pad.reaches(pad.launch(), "Complete")
    name = pad.launch_preflight()
    eventually(lambda: ended(submitter(pad, name)) == "Complete", "the Job is not complete")
    assert list(pad.told(name)[RESULT]["finished"]) == ["adapt/north"]


def test_a_preflight_that_fails_fails_its_job(pad: Launchpad, engine: Engine) -> None:
    engine.script.plan(fail("the storage is read-only", user_error=True), namespace=pad.namespace)
    name = pad.launch_preflight()
    eventually(lambda: ended(submitter(pad, name)) == "Failed", "the Job has not failed")
    assert pad.told(name)[FAILURE]["message"] == "the storage is read-only"


def test_everything_of_a_deleted_job_is_collected(pad: Launchpad, engine: Engine) -> None:
    engine.script.plan(hang(), namespace=pad.namespace)
    name = pad.launch()
    pad.reaches(name, "Running")
    pad.delete(JOBS, "tiny")
    for resource in (RAYJOBS, RAYCLUSTERS, BATCH_JOBS, PODS, ROLES, NETWORKPOLICIES):
        eventually(lambda kind=resource: not pad.list(kind), f"{resource.plural} are left")
    eventually(lambda: pad.get(CONFIGMAPS, f"{name}-progress") is None, "the progress is left")


def test_a_namespace_ends(pad: Launchpad, engine: Engine, controllers: ApiClient) -> None:
    engine.script.plan(hang(), namespace=pad.namespace)
    pad.reaches(pad.launch(), "Running")
    path = f"/api/v1/namespaces/{pad.namespace}"
    assert controllers.request("DELETE", path).accepted
    eventually(lambda: controllers.request("GET", path).code == 404, "the namespace is still there")
