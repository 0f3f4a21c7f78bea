"""Calls of the API server by the engine, in plain dicts. Not the operator's client, whose faults would then be shared."""

import asyncio
import json
import ssl
from collections.abc import Callable
from typing import Any, Self

import aiohttp

from chex_operator.kube.errors import ApiError, NotFound
from chex_operator.kube.resource import Object, Resource
from chex_operator.kube.wire import refusal

Held = Callable[[Resource, str, str], Object | None]
"""An object, by kind, namespace and name, as it was heard of last."""
FAREWELL_SECONDS = 0.2
MERGE_PATCH = "application/merge-patch+json"


class Api:
    """One API server, as one identity. For one event loop; an async context manager."""

    def __init__(self, url: str, certificate: str, token: str) -> None:
        self._url = url
        self._tls = ssl.create_default_context(cafile=certificate)
        self._token = token
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=64)
        self._session = aiohttp.ClientSession(connector=connector)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(FAREWELL_SECONDS)  # aiohttp does not wait for the farewells of TLS

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        content_type: str = "application/json",
        token: str = "",
    ) -> Object:
        """Send one request, as somebody else where `token` is given. Raises `ApiError`."""
        assert self._session is not None
        headers = {"Authorization": f"Bearer {token or self._token}", "Content-Type": content_type}
        content = json.dumps(body).encode() if body is not None else None
        async with self._session.request(method, self._url + path, data=content, headers=headers) as answer:
            received = await answer.read()
            if answer.status >= 300:
                raise refusal(answer.status, received, answer.headers.get("Retry-After"))
            return json.loads(received)

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """The object, or None where there is none."""
        try:
            return await self.call("GET", resource.path(namespace, name))
        except NotFound:
            return None

    async def create(self, resource: Resource, body: Object) -> Object:
        """Create an object in its own namespace."""
        return await self.call("POST", resource.path(body["metadata"]["namespace"]), body)

    async def patch(
        self, resource: Resource, item: Object, change: Object, subresource: str = "", *, guarded: bool = True
    ) -> Object:
        """Merge `change` into this very object; where `guarded`, `Conflict` when there is a newer version of it."""
        metadata = item["metadata"]
        known = ("uid", "resourceVersion") if guarded else ("uid",)
        body = {**change, "metadata": {**change.get("metadata", {}), **{key: metadata[key] for key in known}}}
        path = resource.path(metadata["namespace"], metadata["name"], subresource)
        return await self.call("PATCH", path, body, MERGE_PATCH)

    async def delete(self, resource: Resource, item: Object, *, grace: int | None = None) -> None:
        """Ask for this very object to be deleted; that it is gone, or another one by now, is fine."""
        metadata = item["metadata"]
        options: Object = {"propagationPolicy": "Background", "preconditions": {"uid": metadata["uid"]}}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            await self.call("DELETE", resource.path(metadata["namespace"], metadata["name"]), options)
        except ApiError as refused:
            if refused.status not in (404, 409):
                raise
