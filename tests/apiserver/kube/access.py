"""The operator's client at the test's API server, and namespaces to work in."""

import ssl
import uuid
from pathlib import Path
from typing import Any

import yaml

from chex_operator.kube.client import Client
from chex_operator.kube.connection import Connection
from chex_operator.kube.resource import Object
from tests.apiserver.control_plane import ADMIN_TOKEN, ApiClient

SAMPLE = Path(__file__).parents[3] / "infra" / "samples" / "quickstart.yaml"


class Token:
    """A bearer token that stays what it is."""

    def __init__(self, token: str = ADMIN_TOKEN) -> None:
        self._token = token

    async def authorization(self) -> str | None:
        return f"Bearer {self._token}"

    async def renew(self, refused: str | None) -> bool:
        return False


def client_at(server: ApiClient, *, token: str = ADMIN_TOKEN, **options: Any) -> Client:
    """A client with an administrator's rights, unless another token is given."""
    tls = ssl.create_default_context(cafile=str(server.certificate))
    return Client(Connection(server.url, tls, Token(token)), **options)


def new_namespace(server: ApiClient) -> str:
    """A namespace that nobody else uses. Nothing removes it: its objects are gone with the control plane."""
    name = f"runtime-{uuid.uuid4().hex[:8]}"
    answer = server.create("/api/v1/namespaces", {"metadata": {"name": name}})
    assert answer.accepted, answer.message
    return name


def config_map(namespace: str, name: str, value: str = "0", **labels: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "data": {"value": value},
    }


def job(namespace: str, name: str = "job") -> Object:
    """The job of the quickstart."""
    manifest = yaml.safe_load(SAMPLE.read_text())
    manifest["metadata"] = {"namespace": namespace, "name": name}
    return manifest
