"""The servers as pytest fixtures. A test package imports those it needs into its `conftest.py`."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.s3.fault_proxy import FaultProxy, fault_proxy
from tests.s3.servers import S3Server, moto, versitygw

STORAGES = ("file", "versitygw", "moto")


@pytest.fixture(scope="session")
def versitygw_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One versitygw for the test run."""
    with versitygw(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One moto server for the test run."""
    with moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(params=STORAGES)
def storage_uri(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty storage root: the same test runs over a directory, versitygw and moto."""
    if request.param == "file":
        return f"file://{tmp_path}/storage"
    return _empty_root(request.getfixturevalue(f"{request.param}_server"), tmp_path, monkeypatch)


@pytest.fixture(params=[name for name in STORAGES if name != "file"])
def s3_uri(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty prefix in versitygw and in moto."""
    return _empty_root(request.getfixturevalue(f"{request.param}_server"), tmp_path, monkeypatch)


@pytest.fixture
def faulty_s3(
    versitygw_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[FaultProxy, str]]:
    """versitygw behind a proxy that misbehaves as planned, and an empty prefix in it."""
    with fault_proxy(versitygw_server) as proxy:
        yield proxy, _empty_root(versitygw_server.behind(proxy.endpoint), tmp_path, monkeypatch)


def _empty_root(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new prefix, with the environment of this process set for the server and a cache of its own."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return f"s3://{server.bucket}/{secrets.token_hex(6)}"
