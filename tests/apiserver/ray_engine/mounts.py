"""What a Pod's containers are given: files of ConfigMaps and Secrets, environment, a token."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from chex_operator.kube.resource import CONFIGMAPS, Object, Resource
from tests.apiserver.ray_engine.api import Api

SECRETS = Resource("", "v1", "secrets", "Secret")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
TOKEN_SECONDS = 3600


class NotMountable(Exception):
    """Something that the Pod names is not there: the reason and message that its container's status shows."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


@dataclass(frozen=True)
class Given:
    """What the first container of a Pod is given.

    Attributes:
        files: Text of each mounted file, by its path in the container.
        environment: Values as the program sees them.
    """

    files: dict[str, str]
    environment: dict[str, str]


async def given_to(pod: Object, api: Api) -> Given:
    """Read what the Pod names. Raises `NotMountable`."""
    container = pod["spec"]["containers"][0]
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
    files: dict[str, str] = {}
    for mount in container.get("volumeMounts", []):
        source = volumes.get(mount["name"], {}).get("configMap")
        if source is not None:
            files |= await _files(api, pod, source, mount["mountPath"])
    environment: dict[str, str] = {}
    for variable in container.get("env", []):
        environment[variable["name"]] = await _value(api, pod, variable)
    return Given(files, environment)


async def _files(api: Api, pod: Object, source: Object, folder: str) -> dict[str, str]:
    held = await api.get(CONFIGMAPS, pod["metadata"]["namespace"], source["name"])
    if held is None:
        raise NotMountable("ContainerCreating", f'configmap "{source["name"]}" not found')
    data: dict[str, str] = held.get("data") or {}
    chosen = {item["key"]: item["path"] for item in source.get("items", [])} or {key: key for key in data}
    return {f"{folder}/{path}": data[key] for key, path in chosen.items()}


async def _value(api: Api, pod: Object, variable: Object) -> str:
    source = variable.get("valueFrom")
    if source is None:
        # Nothing of ours refers to another variable with $(NAME); `$$` stands for `$`.
        return variable.get("value", "").replace("$$", "$")
    if "fieldRef" in source:
        return _field(pod, source["fieldRef"]["fieldPath"])
    reference = source["secretKeyRef"]
    secret = await api.get(SECRETS, pod["metadata"]["namespace"], reference["name"])
    if secret is None:
        raise NotMountable("CreateContainerConfigError", f'secret "{reference["name"]}" not found')
    encoded = (secret.get("data") or {}).get(reference["key"])
    if encoded is None:
        message = f"couldn't find key {reference['key']} in Secret {pod['metadata']['namespace']}/{reference['name']}"
        raise NotMountable("CreateContainerConfigError", message)
    return base64.b64decode(encoded).decode()


def _field(pod: Object, path: str) -> str:
    metadata = pod["metadata"]
    if path.startswith("metadata.labels['"):
        return metadata.get("labels", {}).get(path.removeprefix("metadata.labels['").removesuffix("']"), "")
    return {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
    }[path]


class Tokens:
    """Tokens of ServiceAccounts, each asked for once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[tuple[str, str], str] = {}

    async def of(self, pod: Object) -> str:
        """The token that is mounted into the Pod; empty where it wants none. Raises `ApiError`: there is no such account."""
        spec = pod["spec"]
        if spec.get("automountServiceAccountToken") is False:
            return ""
        account = (pod["metadata"]["namespace"], spec.get("serviceAccountName") or "default")
        if account not in self._known:
            path = SERVICE_ACCOUNTS.path(*account, "token")
            asked = await self._api.call("POST", path, {"spec": {"expirationSeconds": TOKEN_SECONDS}})
            self._known[account] = asked["status"]["token"]
        return self._known[account]
