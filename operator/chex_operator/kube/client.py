"""Calls of the API server, in plain dicts.

aiohttp and no generated client: objects stay what JSON says, so that a field which a newer API server knows is neither
refused nor lost (`docs/architecture.md` has the figures).
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from typing import Literal, Self
from urllib.parse import urlencode

import aiohttp
import orjson
from yarl import URL

from chex_operator.kube.clock import Clock, SystemClock
from chex_operator.kube.connection import Connection
from chex_operator.kube.errors import (
    ApiError,
    NotFound,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from chex_operator.kube.queue import Backoff
from chex_operator.kube.resource import Object, Resource
from chex_operator.kube.wire import Page, WatchEvent, decoded, event, lines, refusal

FIELD_MANAGER = "chex-operator"
"""Owner of the fields we apply. Never to be changed: what an older name owns would stay for ever."""
CONNECT_SECONDS = 10.0
WATCH_GRACE_SECONDS = 15.0
"""A watch that the server does not end at the time it was asked to is cut by us this much later."""
LONGEST_RETRY_AFTER_SECONDS = 60.0
"""A longer `Retry-After` is raised as an error instead of waited for."""
FAREWELL_SECONDS = 0.25
"""What TLS takes to say farewell on the connection of a call that was cancelled; aiohttp offers no way to wait for it."""

Observer = Callable[[str, str, int, float], None]
"""Called for each attempt of a call with: the verb, the resource's plural, the HTTP status (0: no answer), and seconds.

For a watch it is called once it is open.
"""


@dataclass(frozen=True)
class _Call:
    """A request, and whether it does no harm when it arrives twice."""

    verb: str
    resource: Resource
    method: str
    path: str
    query: dict[str, str]
    body: Object | None = None
    content_type: str = "application/json"
    repeatable: bool = False


class _Lost(Exception):
    """The connection was lost before the answer came."""


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send each request once: aiohttp sends PUT and DELETE again when a connection breaks, harmless or not."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as fault:
        raise _Lost(str(fault)) from fault


class Client:
    """One API server, for one event loop. Close it, or use it as an async context manager.

    Every method raises `ApiError` of the kind that fits. Calls that do no harm when they arrive twice (reading, applying,
    deleting by uid) are repeated after 429, 5xx and lost connections; every call is when the server asks for it with
    `Retry-After`. After any other lost answer the caller must look what is there.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        observer: Observer | None = None,
        clock: Clock | None = None,
        random_source: random.Random | None = None,
        request_seconds: float = 30.0,
        connections: int = 32,
        attempts: int = 5,
        backoff: Backoff | None = None,
        requests_per_second: float | None = None,
    ) -> None:
        """Connects at the first call.

        Args:
            connection: To which API server.
            observer: Counts the calls.
            clock: For waits between attempts.
            random_source: For their jitter.
            request_seconds: For one attempt of any call but a watch.
            connections: At most that many, watches not counted.
            attempts: Of one call, the first included.
            backoff: Between attempts, where the server does not say.
            requests_per_second: None for no limit of our own: the API server's priorities and fairness judge better.
        """
        self._connection = connection
        self._observer = observer
        self._clock = clock or SystemClock()
        self._random = random_source or random.Random()
        self._attempts = attempts
        self._backoff = backoff or Backoff(first_seconds=0.2, cap_seconds=5.0)
        self._connections = connections
        self._request_seconds = request_seconds
        self._interval = 1.0 / requests_per_second if requests_per_second else 0.0
        self._next_turn = 0.0
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._cancelled = False
        self._user_agent = f"{FIELD_MANAGER}/{version('chexdragon')}"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; watches end with `Unreachable`."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()
        await asyncio.sleep(
            FAREWELL_SECONDS if self._cancelled else 0
        )  # 0: sockets close in the loop's next turn

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """Read one object. Raises `NotFound`."""
        path = resource.path(namespace, name)
        return await self._answer(_Call("get", resource, "GET", path, {}, repeatable=True))

    async def list_page(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str = "",
        limit: int = 500,
        continue_token: str = "",
    ) -> Page:
        """Read up to `limit` objects, as of now or as of the page that gave `continue_token`.

        Raises:
            Expired: The first page is too long ago; begin again.
        """
        query = {"limit": str(limit)}
        if label_selector:
            query["labelSelector"] = label_selector
        if continue_token:
            query["continue"] = continue_token
        path = resource.path(namespace)
        answer = await self._answer(_Call("list", resource, "GET", path, query, repeatable=True))
        metadata = answer.get("metadata", {})
        return Page(
            answer.get("items") or [], metadata.get("resourceVersion", ""), metadata.get("continue", "")
        )

    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        label_selector: str = "",
        resource_version: str,
        timeout_seconds: int,
    ) -> AsyncGenerator[WatchEvent, None]:
        """What happens after `resource_version`, until the server ends it, after `timeout_seconds` at the latest.

        Never repeated here: only the caller knows up to where it has heard. Close the generator (`aclosing`), else its
        connection stays open until it is collected.

        Raises:
            Expired: `resource_version` is too long ago; list again.
        """
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
        }
        if label_selector:
            query["labelSelector"] = label_selector
        call = _Call("watch", resource, "GET", resource.path(namespace), query)
        renewed = False
        while True:
            authorization = await self._connection.credentials.authorization()
            try:
                async with aclosing(self._stream(call, authorization, timeout_seconds)) as events:
                    async for each in events:
                        yield each
                return
            except ApiError as error:
                if renewed or not await self._may_repeat_as_another(error, authorization):
                    raise
                renewed = True

    async def create(self, resource: Resource, body: Object) -> Object:
        """Create the object; fields that its kind does not have are refused. Raises `AlreadyExists`."""
        path = resource.path(body["metadata"].get("namespace"))
        return await self._answer(_Call("create", resource, "POST", path, _writing(), body))

    async def apply(self, resource: Resource, body: Object, *, force: bool = True) -> Object:
        """Server-side apply as `FIELD_MANAGER`: fields that we applied before and that are gone from `body` are removed.

        Raises:
            Conflict: Another owner has a field of ours, and not `force`.
        """
        query = {**_writing(), "force": "true" if force else "false"}
        return await self._answer(
            _Call(
                "apply",
                resource,
                "PATCH",
                _path_of(resource, body),
                query,
                body,
                "application/apply-patch+yaml",
                repeatable=True,
            )
        )

    async def replace(self, resource: Resource, body: Object) -> Object:
        """Write the whole object over the version of it that `body` was made from. Raises `Conflict`, `NotFound`."""
        if not body["metadata"].get("resourceVersion"):
            raise ValueError("without a resourceVersion, a replacement overwrites whatever is there")
        return await self._answer(
            _Call("update", resource, "PUT", _path_of(resource, body), _writing(), body)
        )

    async def patch_status(
        self, resource: Resource, namespace: str | None, name: str, status: Object, *, resource_version: str
    ) -> Object:
        """Merge `status` into that of the version that was read. What is to be gone must be there as None.

        Raises:
            Conflict: The object has another version by now.
        """
        path = resource.path(namespace, name, "status")
        return await self._merge(resource, path, {"status": status}, {"resourceVersion": resource_version})

    async def patch_metadata(
        self, resource: Resource, namespace: str | None, name: str, metadata: Object, *, resource_version: str
    ) -> Object:
        """Merge `metadata` into that of the version that was read: labels, annotations, the whole list of finalizers.

        Raises:
            Conflict: The object has another version by now.
        """
        known = {"resourceVersion": resource_version}
        return await self._merge(resource, resource.path(namespace, name), {"metadata": metadata}, known)

    async def patch(
        self, resource: Resource, namespace: str | None, name: str, change: Object, *, uid: str
    ) -> Object:
        """Merge `change` into whatever version there is by now of the object that was read.

        Raises:
            Invalid: Another object has its name by now.
        """
        return await self._merge(resource, resource.path(namespace, name), change, {"uid": uid})

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        propagation: str = "Background",
    ) -> None:
        """Ask for the object to be deleted; that it is absent is fine.

        Args:
            resource: The object's kind.
            namespace: None for a kind that lives in none.
            name: The object's.
            uid: Delete only this object, not another one that has its name by now.
            propagation: `Background`, `Foreground` or `Orphan`.

        Raises:
            Conflict: The object of this name has another uid.
        """
        options: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
        }
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        path = resource.path(namespace, name)
        call = _Call("delete", resource, "DELETE", path, {}, options, repeatable=uid is not None)
        try:
            await self._answer(call)
        except NotFound:
            return

    async def _merge(self, resource: Resource, path: str, change: Object, known: dict[str, str]) -> Object:
        """Merge a change into an object of which something is known that must still hold."""
        if not all(known.values()):
            raise ValueError("without a resourceVersion or a uid, a patch changes whatever is there")
        body = {**change, "metadata": {**change.get("metadata", {}), **known}}
        repeatable = "resourceVersion" not in known
        return await self._answer(
            _Call(
                "patch",
                resource,
                "PATCH",
                path,
                _writing(),
                body,
                "application/merge-patch+json",
                repeatable=repeatable,
            )
        )

    async def _answer(self, call: _Call) -> Object:
        failures, renewed = 0, False
        while True:
            await self._turn()
            authorization = await self._connection.credentials.authorization()
            try:
                return await self._attempt(call, authorization)
            except ApiError as error:
                if not renewed and await self._may_repeat_as_another(error, authorization):
                    renewed = True
                    continue
                failures += 1
                wait = self._seconds_before_repeating(call, error, failures)
                if wait is None:
                    raise
            await self._clock.sleep(wait)

    async def _may_repeat_as_another(self, error: ApiError, authorization: str | None) -> bool:
        return error.status == HTTPStatus.UNAUTHORIZED and await self._connection.credentials.renew(
            authorization
        )

    def _seconds_before_repeating(self, call: _Call, error: ApiError, failures: int) -> float | None:
        if failures >= self._attempts:
            return None
        wait = self._backoff.seconds(failures, self._random.random())
        asked = error.status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
        if asked and error.retry_after is not None:
            return error.retry_after + wait if error.retry_after <= LONGEST_RETRY_AFTER_SECONDS else None
        if call.repeatable and isinstance(error, (TooManyRequests, ServerError, Unreachable)):
            return wait
        return None

    async def _turn(self) -> None:
        if not self._interval:
            return
        now = self._clock.monotonic()
        turn = max(now, self._next_turn)
        self._next_turn = turn + self._interval
        if turn > now:
            await self._clock.sleep(turn - now)

    async def _attempt(self, call: _Call, authorization: str | None) -> Object:
        session = self._session("calls")
        started, code = self._clock.monotonic(), 0
        try:
            async with self._send(session, call, authorization, self._request_seconds) as response:
                content = await response.read()
                code = response.status
        except asyncio.CancelledError:
            self._cancelled = True
            raise
        except (aiohttp.ClientError, OSError, _Lost) as fault:
            raise _unreachable(call, fault) from fault
        finally:
            self._observe(call, code, started)
        if code >= HTTPStatus.MULTIPLE_CHOICES:
            raise refusal(code, content, response.headers.get("Retry-After"))
        return decoded(content)

    async def _stream(
        self, call: _Call, authorization: str | None, timeout_seconds: int
    ) -> AsyncGenerator[WatchEvent, None]:
        session = self._session("watches")
        started = self._clock.monotonic()
        opened = False
        try:
            async with self._send(
                session, call, authorization, timeout_seconds + WATCH_GRACE_SECONDS
            ) as response:
                opened = True
                self._observe(call, response.status, started)
                if response.status != HTTPStatus.OK:
                    raise refusal(response.status, await response.read(), response.headers.get("Retry-After"))
                try:
                    async for line in lines(response.content.iter_any()):
                        yield event(line)
                finally:
                    _abandon(response)
        except asyncio.CancelledError:
            self._cancelled = True
            raise
        except (aiohttp.ClientError, OSError, _Lost) as fault:
            if not opened:
                self._observe(call, 0, started)
            raise _unreachable(call, fault) from fault

    def _send(
        self, session: aiohttp.ClientSession, call: _Call, authorization: str | None, seconds: float
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        url = self._connection.server + call.path + ("?" + urlencode(call.query) if call.query else "")
        headers = {"Accept": "application/json"}
        if authorization:
            headers["Authorization"] = authorization
        content = None
        if call.body is not None:
            headers["Content-Type"] = call.content_type
            content = orjson.dumps(call.body)
        return session.request(
            call.method,
            URL(url, encoded=True),
            data=content,
            headers=headers,
            allow_redirects=False,
            proxy=self._connection.proxy,
            server_hostname=self._connection.server_name,
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS),
        )

    def _session(self, purpose: Literal["calls", "watches"]) -> aiohttp.ClientSession:
        """Watches hold their connections for minutes: among the others they would use up the places."""
        session = self._sessions.get(purpose)
        if session is None:
            places = self._connections if purpose == "calls" else 0  # 0: no limit
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=places, ssl=self._connection.tls),
                cookie_jar=aiohttp.DummyCookieJar(),
                middlewares=(_once,),
                # No compression: near an API server it costs more time than it saves.
                headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            )
            self._sessions[purpose] = session
        return session

    def _observe(self, call: _Call, code: int, started: float) -> None:
        if self._observer is not None:
            self._observer(call.verb, call.resource.plural, code, self._clock.monotonic() - started)


def _abandon(response: aiohttp.ClientResponse) -> None:
    """Drop the connection of an answer that goes on. A farewell would wait for the other side's, perhaps for ever."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()


def _writing() -> dict[str, str]:
    return {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}


def _path_of(resource: Resource, body: Object) -> str:
    return resource.path(body["metadata"].get("namespace"), body["metadata"]["name"])


def _unreachable(call: _Call, fault: Exception) -> Unreachable:
    what = str(fault) or type(fault).__name__
    return Unreachable(0, "", f"{call.verb} {call.path}: {what}")


async def listed(
    client: Client, resource: Resource, namespace: str | None, label_selector: str, *, limit: int = 500
) -> AsyncGenerator[Object, None]:
    """Every object that bears the labels, page after page of up to `limit`. Raises what `Client.list_page` does."""
    token = ""
    while True:
        page = await client.list_page(
            resource, namespace, label_selector=label_selector, limit=limit, continue_token=token
        )
        for each in page.items:
            yield each
        token = page.continue_token
        if not token:
            return
