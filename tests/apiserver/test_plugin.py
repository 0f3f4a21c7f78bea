"""`kubectl chex` as people call it: the real kubectl finds the plugin, and carries its calls to a real API server."""

import json
import os
import pty
import re
import secrets
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chex_jobs.artifacts import ArtifactStore, open_storage
from chex_jobs.executor.log_chunks import attempts_folder, preflight_logs
from tests.apiserver.control_plane import ApiClient
from tests.apiserver.kubelet_logs import KubeletLogs, kubelet_logs
from tests.apiserver.plugin import Plugin, plugin_for
from tests.patience import PATIENCE_SECONDS
from tests.pipeline.manifest import tiny_job
from tests.s3.fixtures import versitygw_server
from tests.s3.servers import S3Server

__all__ = ["versitygw_server"]

NAMESPACE = "plugin"
JOBS = f"/apis/chexdragon.dev/v1alpha1/namespaces/{NAMESPACE}/chextrainingjobs"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
IDENTITY = "0123456789ab" + "c" * 52
MERGE_PATCH = "application/merge-patch+json"


@pytest.fixture(scope="module")
def plugin(cluster: ApiClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plugin]:
    assert cluster.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}}).accepted
    yield plugin_for(cluster, tmp_path_factory.mktemp("plugin"))
    cluster.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")


@pytest.fixture
def job(plugin: Plugin) -> Iterator[str]:
    """The name of a job that was submitted."""
    manifest = job_manifest()
    name = manifest["metadata"]["name"]
    answer = plugin.api_server.create(JOBS, manifest)
    assert answer.accepted, answer.message
    yield name
    plugin.api_server.request("DELETE", f"{JOBS}/{name}")


def job_manifest(artifacts: str = "s3://models/tiny") -> dict[str, Any]:
    manifest = tiny_job(artifacts)
    manifest["metadata"] = {"name": f"tiny-{secrets.token_hex(3)}", "namespace": NAMESPACE}
    manifest["spec"]["runtimeRef"] = {"name": "h200"}
    return manifest


def condition(kind: str, status: str = "True", reason: str = "Told", message: str = "") -> dict[str, str]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }


def stage(name: str, state: str, attempt: int = 1, **more: Any) -> dict[str, Any]:
    attempt_name = f"chex-tiny-{name.partition('/')[0]}-1234abcd-{attempt}"
    return {
        "name": name,
        "state": state,
        "attempt": attempt,
        "attemptName": attempt_name,
        "identity": IDENTITY,
        **more,
    }


def stored(plugin: Plugin, name: str) -> dict[str, Any]:
    """A job as the API server has it, or its refusal."""
    return plugin.api_server.request("GET", f"{JOBS}/{name}").body


def tell(plugin: Plugin, name: str, **status: Any) -> None:
    """What the operator would do."""
    patch = json.dumps({"status": {"observedGeneration": 99, **status}})
    answer = plugin.api_server.request("PATCH", f"{JOBS}/{name}/status", patch, MERGE_PATCH)
    assert answer.accepted, answer.message


def in_namespace(*words: str) -> Sequence[str]:
    return (*words, "--namespace", NAMESPACE)


# submit


def test_a_submitted_manifest_is_stored_and_the_next_steps_are_named(plugin: Plugin, tmp_path: Path) -> None:
    manifest = job_manifest()
    name = manifest["metadata"]["name"]
    path = tmp_path / "job.json"
    path.write_text(json.dumps(manifest))
    done = plugin("submit", str(path))
    assert done.returncode == 0, done.stderr
    assert f"{NAMESPACE}/{name} submitted (generation 1)" in done.stdout
    assert f"kubectl chex status {name} --watch --namespace={NAMESPACE}" in done.stdout
    assert stored(plugin, name)["metadata"]["managedFields"][0]["manager"] == "kubectl-chex"


def test_an_edited_manifest_from_standard_input_changes_the_job(plugin: Plugin) -> None:
    manifest = job_manifest()
    assert plugin("submit", "-", text=json.dumps(manifest)).returncode == 0
    manifest["spec"]["seed"] = 5
    done = plugin("submit", "-", text=json.dumps(manifest))
    assert "submitted (generation 2)" in done.stdout
    assert stored(plugin, manifest["metadata"]["name"])["spec"]["seed"] == 5


def test_all_faults_are_named_at_once_and_nothing_is_sent(plugin: Plugin) -> None:
    manifest = job_manifest()
    manifest["spec"]["seeed"] = 1
    manifest["spec"]["hospitals"][0]["labelFractions"] = [2]
    done = plugin("submit", "-", text=json.dumps(manifest), KUBECTL="/no/such/program")
    assert done.returncode == 2
    assert "spec.seeed: unknown field" in done.stderr
    assert "spec.hospitals[0].labelFractions[0]" in done.stderr


def test_files_of_this_machine_are_refused_with_their_paths(plugin: Plugin) -> None:
    manifest = job_manifest("file:///home/somebody/artifacts")
    manifest["spec"]["datasets"][0]["source"] = {"covidChestXray": {"uri": "file:///data/covid"}}
    done = plugin("submit", "-", text=json.dumps(manifest))
    assert done.returncode == 2
    assert "spec.artifacts.uri: is file:///home/somebody/artifacts, which no Pod can read" in done.stderr
    assert "spec.datasets[0].source.covidChestXray.uri: is file:///data/covid" in done.stderr
    assert "chex run" in done.stderr


def test_a_manifest_without_a_runtime_is_refused_before_anything_is_sent(plugin: Plugin) -> None:
    manifest = job_manifest()
    del manifest["spec"]["runtimeRef"]
    done = plugin("submit", "-", text=json.dumps(manifest), KUBECTL="/no/such/program")
    assert done.returncode == 2
    assert "spec.runtimeRef: is required in a cluster; name a runtime: kubectl get" in done.stderr


def test_a_dry_run_asks_the_api_server_and_stores_nothing(plugin: Plugin) -> None:
    manifest = job_manifest()
    done = plugin("submit", "-", "--dry-run", text=json.dumps(manifest))
    assert done.returncode == 0, done.stderr
    assert "nothing was stored" in done.stdout
    assert stored(plugin, manifest["metadata"]["name"])["code"] == 404


def test_what_only_the_api_server_refuses_is_an_invalid_manifest_too(plugin: Plugin) -> None:
    manifest = job_manifest()
    assert plugin("submit", "-", text=json.dumps(manifest)).returncode == 0
    manifest["spec"]["artifacts"]["uri"] = "s3://models/elsewhere"
    done = plugin("submit", "-", text=json.dumps(manifest))
    assert done.returncode == 2
    assert "spec.artifacts" in done.stderr


def test_fields_of_another_program_are_taken_over_only_when_told(plugin: Plugin, job: str) -> None:
    manifest = job_manifest()
    manifest["metadata"]["name"] = job
    manifest["spec"]["seed"] = 5
    refused = plugin("submit", "-", text=json.dumps(manifest))
    assert refused.returncode == 1
    assert "conflict" in refused.stderr
    done = plugin("submit", "-", "--force-conflicts", text=json.dumps(manifest))
    assert done.returncode == 0, done.stderr
    assert stored(plugin, job)["spec"]["seed"] == 5


# status


def test_a_page_shows_stages_reasons_and_results(plugin: Plugin, job: str) -> None:
    tell(
        plugin,
        job,
        phase="Adapting",
        progress="71%",
        eta="2h-6h",
        gpuHours="143.2",
        startTime="2026-01-01T00:00:00Z",
        conditions=[condition("Valid"), condition("Running", reason="StageRunning")],
        stages=[
            stage("pretrain/ssl", "Finished", progressPercent=100, gpuSeconds="7200"),
            stage(
                "adapt/north",
                "Running",
                2,
                progressPercent=40,
                reason="Unschedulable",
                message="no node has a GPU free",
            ),
        ],
        hospitals=[
            {
                "name": "north",
                "recommended": "ssl/probe",
                "auroc": "0.871",
                "aurocLow": "0.842",
                "aurocHigh": "0.899",
            }
        ],
    )
    done = plugin(*in_namespace("status", job))
    assert done.returncode == 0, done.stderr
    page = re.sub(r" +", " ", done.stdout)
    assert f"{NAMESPACE}/{job} Adapting 71% 2h-6h left\n" in page
    assert "pretrain/ssl Finished 1 ██████████ 100% 2.0\n" in page
    assert "adapt/north Running 2 ████░░░░░░ 40% 0.0 Unschedulable\n no node has a GPU free\n" in page
    assert "north ssl/probe 0.871 (0.842 to 0.899)\n" in page


def test_jobs_are_listed_in_a_table_and_for_machines(plugin: Plugin, job: str) -> None:
    tell(plugin, job, phase="Pretraining", progress="12%", stage="pretrain/ssl")
    done = plugin(*in_namespace("status"))
    (line,) = (line for line in done.stdout.splitlines() if line.startswith(job))
    assert line.split()[1:4] == ["Pretraining", "12%", "pretrain/ssl"]
    everywhere = plugin("status", "--all-namespaces")
    assert f"{NAMESPACE}/{job}" in everywhere.stdout
    listed = json.loads(plugin(*in_namespace("status", "--output", "json")).stdout)
    assert job in [item["metadata"]["name"] for item in listed["items"]]
    one = plugin(*in_namespace("status", job, "--output", "yaml"))
    assert "phase: Pretraining" in one.stdout


def test_a_watch_tells_every_change_and_ends_well_with_a_complete_job(plugin: Plugin, job: str) -> None:
    with plugin.start(*in_namespace("status", job, "--watch")) as watching:
        assert watching.stdout is not None
        assert f"{NAMESPACE}/{job} Pending" in re.sub(" +", " ", watching.stdout.readline())
        tell(plugin, job, phase="Pretraining", stages=[stage("pretrain/ssl", "Running")])
        assert "Pretraining" in watching.stdout.readline()
        assert "pretrain/ssl: Running, attempt 1" in watching.stdout.readline()
        tell(plugin, job, phase="Complete", conditions=[condition("Complete", reason="ReportWritten")])
        rest, _ = watching.communicate(timeout=PATIENCE_SECONDS)
    assert "Complete=True: ReportWritten" in rest
    assert f"kubectl chex report {job} --open --namespace={NAMESPACE}" in rest
    assert watching.returncode == 0


def test_on_a_terminal_one_page_is_drawn_in_place(plugin: Plugin, job: str) -> None:
    with on_terminal(plugin, *in_namespace("status", job, "--watch")) as (watching, terminal):
        assert f"{NAMESPACE}/{job}   Pending" in read_until(terminal, "as of ")
        tell(plugin, job, phase="Pretraining", stages=[stage("pretrain/ssl", "Running", progressPercent=50)])
        shown = read_until(terminal, "as of ")
        assert (
            "\x1b[6F" in shown
        )  # over the first frame: headline, times, what the operator has not seen, the time
        assert "█████░░░░░  50%" in shown
        tell(plugin, job, phase="Failed", conditions=[condition("Failed")])
        read_until(terminal, f"kubectl chex logs {job}")
        assert watching.wait(PATIENCE_SECONDS) == 1


def test_on_a_terminal_deleting_is_asked_for(plugin: Plugin, job: str) -> None:
    with on_terminal(plugin, *in_namespace("cancel", job, "--delete")) as (asking, terminal):
        read_until(terminal, f"Delete {NAMESPACE}/{job}? Its artifacts in s3://models/tiny are kept. [y/N] ")
        os.write(terminal, b"\n")
        read_until(terminal, "nothing was deleted")
        assert asking.wait(PATIENCE_SECONDS) == 1
    assert stored(plugin, job)["metadata"]["name"] == job


@contextmanager
def on_terminal(plugin: Plugin, *words: str) -> "Iterator[tuple[subprocess.Popen[bytes], int]]":
    """A command with a terminal, of which the test has the other end."""
    ours, theirs = pty.openpty()
    command = [str(plugin.kubectl), "chex", *words]
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=plugin.environment
    ) as process:
        os.close(theirs)
        try:
            yield process, ours
        finally:
            process.kill()
            os.close(ours)


def read_until(terminal: int, text: str) -> str:
    """What a terminal shows until it has shown a text."""
    shown, deadline = "", time.monotonic() + PATIENCE_SECONDS
    while text not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 1.0)[0]:
            shown += os.read(terminal, 1 << 16).decode()
    return shown


def test_a_watch_fails_with_the_job(plugin: Plugin, job: str) -> None:
    tell(
        plugin,
        job,
        phase="Failed",
        conditions=[condition("Failed", reason="BackoffLimitExceeded", message="4 times")],
    )
    done = plugin(*in_namespace("status", job, "--watch"))
    assert done.returncode == 1
    assert "Failed=True: BackoffLimitExceeded: 4 times" in done.stdout
    assert f"kubectl chex logs {job}" in done.stdout


def test_a_watch_ends_when_the_operator_refuses_the_job(plugin: Plugin, job: str) -> None:
    tell(plugin, job, conditions=[condition("Valid", "False", "RuntimeNotFound", "there is no h200")])
    done = plugin(*in_namespace("status", job, "--watch"))
    assert done.returncode == 1
    assert "Valid=False: RuntimeNotFound: there is no h200" in done.stdout
    assert f"then:  kubectl chex status {job} --watch --namespace={NAMESPACE}" in done.stdout


def test_a_watch_ends_when_its_job_is_deleted(plugin: Plugin, job: str) -> None:
    with plugin.start(*in_namespace("status", job, "--watch")) as watching:
        assert watching.stdout is not None
        watching.stdout.readline()
        plugin.api_server.request("DELETE", f"{JOBS}/{job}")
        rest, _ = watching.communicate(timeout=PATIENCE_SECONDS)
    assert "was deleted" in rest
    assert watching.returncode == 1


def test_an_interrupted_watch_leaves_no_kubectl_behind(plugin: Plugin, job: str) -> None:
    with plugin.start(*in_namespace("status", job, "--watch")) as watching:
        assert watching.stdout is not None
        watching.stdout.readline()
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=PATIENCE_SECONDS)  # a kubectl that lives on would hold the pipe open
    assert watching.returncode == 130


@pytest.mark.parametrize(
    ("words", "told", "code"),
    [
        (("status", "nobody"), '"nobody" not found', 1),
        (("status", "nobody", "--watch"), '"nobody" not found', 1),
        (("status", "--watch"), "name it", 2),
        (("status", "x", "--context", "nowhere"), 'context "nowhere" does not exist', 1),
        (("logs", "nobody"), '"nobody" not found', 1),
        (("cancel", "nobody"), '"nobody" not found', 1),
        (("report", "nobody"), '"nobody" not found', 1),
        (("report", "nobody.yaml"), "cannot read nobody.yaml", 2),
        (("report", "nobody", "--artifacts", "x"), "not with a job", 2),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    plugin: Plugin, words: tuple[str, ...], told: str, code: int
) -> None:
    done = plugin(*in_namespace(*words))
    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_kubectl_is_named_with_the_way_out(plugin: Plugin) -> None:
    done = plugin("status", KUBECTL="/no/such/kubectl")
    assert done.returncode == 1
    assert "cannot start '/no/such/kubectl'" in done.stderr
    assert "set KUBECTL" in done.stderr


# cancel and resume


def test_a_cancelled_job_is_suspended_and_resumed(plugin: Plugin, job: str) -> None:
    stopped = plugin(*in_namespace("cancel", job))
    assert stopped.returncode == 0, stopped.stderr
    assert f"kubectl chex resume {job} --namespace={NAMESPACE}" in stopped.stdout
    assert stored(plugin, job)["spec"]["runPolicy"]["suspend"] is True
    assert plugin(*in_namespace("resume", job)).returncode == 0
    assert stored(plugin, job)["spec"]["runPolicy"]["suspend"] is False
    assert "not suspended" in plugin(*in_namespace("resume", job)).stdout


def test_submitting_again_what_was_cancelled_says_that_it_is_suspended(plugin: Plugin) -> None:
    manifest = job_manifest()
    name = manifest["metadata"]["name"]
    assert plugin("submit", "-", text=json.dumps(manifest)).returncode == 0
    assert plugin(*in_namespace("cancel", name)).returncode == 0
    again = plugin("submit", "-", text=json.dumps(manifest))
    assert again.returncode == 0, again.stderr
    assert f"it is suspended; let it run:  kubectl chex resume {name}" in again.stdout


def test_a_manifest_that_says_so_resumes_what_was_cancelled(plugin: Plugin) -> None:
    manifest = job_manifest()
    manifest["spec"]["runPolicy"] = {"suspend": False}
    name = manifest["metadata"]["name"]
    assert plugin("submit", "-", text=json.dumps(manifest)).returncode == 0
    assert plugin(*in_namespace("cancel", name)).returncode == 0
    again = plugin("submit", "-", text=json.dumps(manifest))
    assert again.returncode == 0, again.stderr
    assert stored(plugin, name)["spec"]["runPolicy"]["suspend"] is False


def test_a_job_that_has_ended_is_not_suspended(plugin: Plugin, job: str) -> None:
    tell(plugin, job, phase="Complete", conditions=[condition("Complete")])
    done = plugin(*in_namespace("cancel", job))
    assert done.returncode == 0
    assert "nothing to stop" in done.stdout
    assert stored(plugin, job)["spec"]["runPolicy"]["suspend"] is False


def test_a_deleted_job_is_gone_and_its_artifacts_are_named(plugin: Plugin, job: str) -> None:
    done = plugin(*in_namespace("cancel", job, "--delete"))
    assert done.returncode == 0, done.stderr
    assert "artifacts are kept in s3://models/tiny" in done.stdout
    assert stored(plugin, job)["code"] == 404


# logs


@pytest.fixture(scope="module")
def kubelet(plugin: Plugin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeletLogs]:
    accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    account = plugin.api_server.create(accounts, {"metadata": {"name": "default"}})
    assert account.accepted or account.code == 409, account.message  # where controllers work, it is there
    with kubelet_logs(plugin.api_server, tmp_path_factory.mktemp("kubelet"), "node-of-logs") as kubelet:
        yield kubelet


def run_pod(plugin: Plugin, kubelet: KubeletLogs, attempt: str, container: str, log: str | None) -> None:
    """A Pod of an attempt: it has printed `log`, or waits for its image."""
    name = f"{container}-{secrets.token_hex(3)}"
    pod = {
        "metadata": {"name": name, "labels": {"chexdragon.dev/attempt-name": attempt}},
        "spec": {
            "nodeName": kubelet.node,
            "automountServiceAccountToken": False,
            "containers": [{"name": container, "image": "jobs"}],
        },
    }
    created = plugin.api_server.create(PODS, pod)
    assert created.accepted, created.message
    if log is not None:
        kubelet.logs[f"{NAMESPACE}/{name}/{container}"] = log
    state = (
        {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        if log is not None
        else {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
    )
    status = {
        "phase": "Running" if log is not None else "Pending",
        "containerStatuses": [
            {
                "name": container,
                "state": state,
                "image": "jobs",
                "imageID": "",
                "ready": False,
                "restartCount": 0,
            }
        ],
    }
    told = plugin.api_server.request(
        "PATCH", f"{PODS}/{name}/status", json.dumps({"status": status}), MERGE_PATCH
    )
    assert told.accepted, told.message


def new_stage(name: str, state: str) -> dict[str, Any]:
    """A stage whose attempt no other test has Pods of."""
    return {**stage(name, state), "attemptName": f"chex-{secrets.token_hex(4)}-1"}


def test_the_driver_of_the_running_stage_is_heard_through_the_submitter(
    plugin: Plugin, kubelet: KubeletLogs, job: str
) -> None:
    running = new_stage("pretrain/ssl", "Running")
    tell(
        plugin,
        job,
        stages=[new_stage("ingest/archive", "Finished"), running, new_stage("adapt/north", "Waiting")],
    )
    run_pod(plugin, kubelet, running["attemptName"], "ray-head", "ray's own words\n")
    run_pod(plugin, kubelet, running["attemptName"], "ray-job-submitter", "epoch 1\nepoch 2\n")
    done = plugin(*in_namespace("logs", job))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "epoch 1\nepoch 2\n"
    assert "pretrain/ssl, attempt 1 (Running)" in done.stderr


def test_before_the_driver_begins_the_head_is_heard(plugin: Plugin, kubelet: KubeletLogs, job: str) -> None:
    running = new_stage("pretrain/ssl", "Running")
    tell(plugin, job, stages=[running])
    run_pod(plugin, kubelet, running["attemptName"], "ray-head", "ray's own words\n")
    done = plugin(*in_namespace("logs", job))
    assert done.stdout == "ray's own words\n"
    assert "the driver has not begun" in done.stderr


def test_following_waits_for_the_driver_and_says_for_what(
    plugin: Plugin, kubelet: KubeletLogs, job: str
) -> None:
    running = new_stage("pretrain/ssl", "Running")
    tell(plugin, job, stages=[running])
    run_pod(plugin, kubelet, running["attemptName"], "ray-head", None)
    with plugin.start(*in_namespace("logs", job, "--follow")) as following:
        assert following.stderr is not None
        following.stderr.readline()
        assert "waiting: ErrImagePull no such image" in following.stderr.readline()
        run_pod(plugin, kubelet, running["attemptName"], "ray-job-submitter", "begun\n")
        printed, _ = following.communicate(timeout=PATIENCE_SECONDS)
    assert printed == "begun\n"


def test_without_following_pods_that_have_not_begun_are_said_to_wait(
    plugin: Plugin, kubelet: KubeletLogs, job: str
) -> None:
    running = new_stage("pretrain/ssl", "Running")
    tell(plugin, job, stages=[running])
    run_pod(plugin, kubelet, running["attemptName"], "ray-head", None)
    done = plugin(*in_namespace("logs", job))
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr.endswith("waiting: ErrImagePull no such image\n")


def archive(server: S3Server, monkeypatch: pytest.MonkeyPatch, attempt_id: str, *chunks: str) -> str:
    """Archived logs of an attempt at pretrain/ssl; returns the URI of all artifacts."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    artifacts = f"s3://{server.bucket}/{secrets.token_hex(6)}"
    storage = open_storage(attempts_folder(artifacts, "pretrain/ssl", IDENTITY))
    for number, chunk in enumerate(chunks, 1):
        storage.write_bytes(f"{attempt_id}/logs/driver-{number:05d}.log", chunk.encode())
    return artifacts


def submit(plugin: Plugin, artifacts: str) -> str:
    manifest = job_manifest(artifacts)
    answer = plugin.api_server.create(JOBS, manifest)
    assert answer.accepted, answer.message
    return manifest["metadata"]["name"]


def test_after_its_cluster_is_gone_the_log_of_the_failed_stage_comes_from_the_archive(
    plugin: Plugin, versitygw_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = stage("pretrain/ssl", "Failed", 2)
    artifacts = archive(
        versitygw_server, monkeypatch, f"{failed['attemptName']}-x7k2p-abc123", "epoch 1\nepo", "ch 2\n"
    )
    name = submit(plugin, artifacts)
    tell(plugin, name, phase="Failed", stages=[stage("ingest/archive", "Finished"), failed])
    done = plugin(*in_namespace("logs", name), **versitygw_server.environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "epoch 1\nepoch 2\n"
    assert "from the archive: s3://" in done.stderr
    earlier = plugin(*in_namespace("logs", name, "--attempt", "1"), **versitygw_server.environment)
    assert earlier.returncode == 1
    assert "attempt 1 has no Pod that has begun, and no archived log" in earlier.stderr


def test_the_log_of_a_preflight_that_is_gone_comes_from_the_archive(
    plugin: Plugin, versitygw_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = archive(versitygw_server, monkeypatch, "unused")
    failed = stage("preflight", "Failed", identity="")
    folder = open_storage(preflight_logs(artifacts, f"{failed['attemptName']}-abc123"))
    folder.write_bytes("driver-00001.log", b"no such bucket\n")
    name = submit(plugin, artifacts)
    tell(plugin, name, phase="Failed", stages=[failed])
    done = plugin(*in_namespace("logs", name, "--stage", "preflight"), **versitygw_server.environment)
    assert done.stdout == "no such bucket\n", done.stderr


def test_an_archive_that_may_not_be_read_is_named(
    plugin: Plugin, versitygw_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = stage("pretrain/ssl", "Failed")
    name = submit(plugin, archive(versitygw_server, monkeypatch, f"{failed['attemptName']}-abc", "secret"))
    tell(plugin, name, phase="Failed", stages=[failed])
    denied = plugin(
        *in_namespace("logs", name), **versitygw_server.environment | {"AWS_SECRET_ACCESS_KEY": "wrong"}
    )
    assert denied.returncode == 1
    assert f"/attempts/{failed['attemptName']}-*/logs" in denied.stderr
    assert "your own credentials" in denied.stderr
    assert denied.stdout == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "has begun no stage yet"),
        (("--stage", "pretrain/ss1"), "it has: ingest/archive"),
        (("--stage", "ingest/archive"), "no attempt of this job"),
    ],
)
def test_a_stage_without_a_log_is_told(plugin: Plugin, job: str, words: tuple[str, ...], told: str) -> None:
    tell(plugin, job, stages=[{"name": "ingest/archive", "state": "Finished"}])
    done = plugin(*in_namespace("logs", job, *words))
    assert done.returncode == 1
    assert told in done.stderr


# report


@pytest.fixture
def reported(plugin: Plugin, versitygw_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a job whose report is written."""
    for name, value in versitygw_server.environment.items():
        monkeypatch.setenv(name, value)
    artifacts = f"s3://{versitygw_server.bucket}/{secrets.token_hex(6)}"
    attempt = ArtifactStore.open(artifacts).stage("report", "tiny", IDENTITY).attempt("one")
    attempt.write_bytes("report.html", b"<h1>the evidence</h1>")
    attempt.write_bytes("models/north/model-card.md", b"# card")
    attempt.write_bytes("models/north/model.safetensors", b"weights")
    finished = attempt.commit({"page": f"{attempt.uri}/report.html"})
    name = submit(plugin, artifacts)
    pinned = {"manifestURI": finished.manifest_uri, "manifestSha256": finished.manifest_sha256}
    tell(plugin, name, phase="Complete", stages=[{**stage("report/tiny", "Finished"), **pinned}])
    return name


def test_a_report_is_found_and_saved(
    plugin: Plugin, reported: str, versitygw_server: S3Server, tmp_path: Path
) -> None:
    found = plugin(*in_namespace("report", reported), **versitygw_server.environment)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("s3://")
    assert found.stdout.endswith("/report.html\n")
    saved = plugin(
        *in_namespace("report", reported, "--save", str(tmp_path / "out")), **versitygw_server.environment
    )
    assert saved.stdout == f"{tmp_path}/out/report.html\n"
    assert (tmp_path / "out" / "report.html").read_bytes() == b"<h1>the evidence</h1>"
    model = tmp_path / "out" / "models" / "north"
    assert [path.name for path in model.iterdir()] == ["model-card.md"]
    assert (model / "model-card.md").read_bytes() == b"# card"


def test_models_are_saved_with_a_report_when_they_are_asked_for(
    plugin: Plugin, reported: str, versitygw_server: S3Server, tmp_path: Path
) -> None:
    words = in_namespace("report", reported, "--save", str(tmp_path), "--models")
    done = plugin(*words, **versitygw_server.environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "models" / "north" / "model.safetensors").read_bytes() == b"weights"


def test_a_report_is_opened_in_the_browser(
    plugin: Plugin, reported: str, versitygw_server: S3Server, tmp_path: Path
) -> None:
    browser = browser_that_writes_down(tmp_path / "opened")
    done = plugin(
        *in_namespace("report", reported, "--open", "--save", str(tmp_path / "out")),
        **versitygw_server.environment,
        BROWSER=browser,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "opened").read_text() == (tmp_path / "out" / "report.html").as_uri() + "\n"


def test_a_report_that_is_only_opened_brings_its_page_alone(
    plugin: Plugin, reported: str, versitygw_server: S3Server, tmp_path: Path
) -> None:
    done = plugin(
        *in_namespace("report", reported, "--open"),
        **versitygw_server.environment,
        BROWSER=browser_that_writes_down(tmp_path / "opened"),
        XDG_CACHE_HOME=str(tmp_path / "cache"),
    )
    assert done.returncode == 0, done.stderr
    (page,) = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert page.read_bytes() == b"<h1>the evidence</h1>"
    assert (tmp_path / "opened").read_text() == page.as_uri() + "\n"


def browser_that_writes_down(opened: Path) -> str:
    """What BROWSER may say: a program that opens nothing, and writes to a file what it was told to open."""
    browser = opened.with_name("browser")
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    return f"{browser} %s"


def test_a_job_without_a_report_says_where_it_is(plugin: Plugin, job: str) -> None:
    tell(plugin, job, phase="Pretraining")
    done = plugin(*in_namespace("report", job))
    assert done.returncode == 1
    assert "has no report yet: it is Pretraining" in done.stderr


# help


def test_help_speaks_of_kubectl_chex(plugin: Plugin) -> None:
    done = plugin("--help")
    assert done.stdout.startswith("usage: kubectl chex ")
    assert done.stdout.index("in a cluster") < done.stdout.index("on this machine")
