"""Rendered attempts that really run: their files, their environment, their Role, Ray, and S3."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chex_api.attempt import FAILURE, PROGRESS, RESULT
from chex_jobs.artifacts import open_storage
from chex_operator.kube.resource import BATCH_JOBS, JOBS, Object
from tests.apiserver.control_plane import ApiClient
from tests.apiserver.ray_engine.ends import OUT_OF_MEMORY
from tests.apiserver.ray_engine.engine import Engine
from tests.apiserver.ray_engine.launching import Launchpad, eventually
from tests.apiserver.ray_engine.local_process import LocalNode
from tests.apiserver.ray_engine.submitters import ended
from tests.s3.servers import S3Server

REAL_SECONDS = 240.0


@pytest.fixture
def pad(engine: Engine, controllers: ApiClient, tmp_path: Path) -> Iterator[Launchpad]:
    pad = Launchpad(controllers)
    engine.script.plan(LocalNode(controllers, tmp_path), namespace=pad.namespace)
    yield pad
    controllers.request("DELETE", JOBS.path(pad.namespace, "tiny"))


@pytest.fixture
def storage(pad: Launchpad, versitygw_server: S3Server) -> Object:
    """The runtime's storage, and the Secret that it names."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    keys = {name: versitygw_server.environment[name] for name in names}
    pad.create(
        f"/api/v1/namespaces/{pad.namespace}/secrets", {"metadata": {"name": "keys"}, "stringData": keys}
    )
    return {
        "endpointURL": versitygw_server.endpoint,
        "region": "us-east-1",
        "credentials": {"secretName": "keys"},
        "readPrefixes": [f"s3://{versitygw_server.bucket}/"],
        "writePrefixes": [f"s3://{versitygw_server.bucket}/"],
    }


def artifacts(pad: Launchpad, server: S3Server) -> str:
    return f"s3://{server.bucket}/{pad.namespace}"


def archived_log(pad: Launchpad, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a driver of this namespace has left for those who come after its Pods."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    storage = open_storage(artifacts(pad, server))
    return b"".join(storage.read_bytes(key) for key in storage.sizes() if "/logs/driver-" in key).decode()


def test_an_entry_point_really_runs_and_its_result_arrives(
    pad: Launchpad,
    storage: Object,
    versitygw_server: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri = artifacts(pad, versitygw_server)
    name = pad.launch("ingest", "archive", artifacts=uri, storage=storage)
    eventually(
        lambda: pad.status(name).get("jobDeploymentStatus") in ("Complete", "Failed"),
        "it does not end",
        seconds=REAL_SECONDS,
    )
    logs = "".join(file.read_text() for file in sorted(tmp_path.glob("*.log")))
    assert pad.status(name)["jobStatus"] == "SUCCEEDED", logs[-3000:]
    told = pad.told(name)
    assert told[RESULT]["manifestUri"].startswith(f"{uri}/stages/ingest-archive-")
    assert PROGRESS in told
    assert "ingest/archive: finished" in archived_log(pad, versitygw_server, monkeypatch)


def test_a_preflight_really_looks(
    pad: Launchpad,
    storage: Object,
    versitygw_server: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = pad.launch_preflight(artifacts=artifacts(pad, versitygw_server), storage=storage)
    job = eventually(
        lambda: job if ended(job := pad.get(BATCH_JOBS, name) or {}) else None,
        "it does not end",
        seconds=REAL_SECONDS,
    )
    assert ended(job) == "Complete", (tmp_path / f"{name}.log").read_text()[-3000:]
    assert "report/tiny" in pad.told(name)[RESULT]["identities"]
    assert "preflight passed" in archived_log(pad, versitygw_server, monkeypatch)


def test_a_preflight_without_storage_really_says_so(
    pad: Launchpad, storage: Object, versitygw_server: S3Server
) -> None:
    name = pad.launch_preflight(artifacts="s3://nowhere/at-all", storage=storage)
    job = eventually(
        lambda: job if ended(job := pad.get(BATCH_JOBS, name) or {}) else None,
        "it does not end",
        seconds=REAL_SECONDS,
    )
    assert ended(job) == "Failed"
    assert "nowhere" in pad.told(name)[FAILURE]["message"]


def test_a_lost_head_takes_every_process_with_it(
    pad: Launchpad, engine: Engine, storage: Object, versitygw_server: S3Server
) -> None:
    name = pad.launch("ingest", "archive", artifacts=artifacts(pad, versitygw_server), storage=storage)
    eventually(
        lambda: any("chex_jobs.executor.cluster" in each for each in _processes(pad.namespace)),
        "its driver does not begin",
        seconds=REAL_SECONDS,
    )
    engine.end_pods("head", OUT_OF_MEMORY, attempt=name)
    assert pad.reaches(name, "Failed")["reason"] == "SubmissionFailed"
    eventually(lambda: not _processes(pad.namespace), "processes are left")


def _processes(namespace: str) -> list[str]:
    """Command lines of the processes that were given a variable of this namespace."""
    mark = f"RAY_CLUSTER_NAMESPACE={namespace}".encode()
    found: list[str] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return found
