"""A proxy in front of the API server that misbehaves when told to: for whoever's kubeconfig names it.

It shows the API server's own certificate and passes tokens on, so that nothing but the address differs. Calls and watches are
told apart: a plan of faults is for calls (the opening of a watch is one, of the verb `watch`); what a watch tells can be held
back, slowed down or cut.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

import aiohttp
from aiohttp import web
from yarl import URL

from tests.apiserver.control_plane import ApiClient
from tests.patience import PATIENCE_SECONDS

FAREWELL_SECONDS = 0.2
"""What connections have left when the proxy ends."""
LARGEST_BODY = 16 * 1024**2
NOT_FORWARDED = frozenset({"host", "connection", "transfer-encoding", "content-length", "keep-alive"})
REASONS = {
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}
VERBS = {"POST": "create", "PUT": "update", "DELETE": "delete"}


@dataclass(frozen=True)
class Call:
    """What a fault can be chosen by.

    Attributes:
        verb: get, list, watch, create, update, patch, apply, delete, or deletecollection.
        resource: The plural, such as `rayjobs`; empty for a path that is no resource's.
        namespace: Empty for none.
        name: Empty for a collection.
        subresource: Such as `status`.
    """

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def is_write(self) -> bool:
        """Whether it changes something."""
        return self.verb not in ("get", "list", "watch")


@dataclass(frozen=True)
class Fault:
    """What becomes of a call.

    Attributes:
        seconds: How long it is held up first.
        reaches: Whether the API server gets it.
        passes: Whether the client gets the API server's answer.
        code: What the client is answered instead; 0: its connection is cut.
        retry_after: Header of that answer; negative for none.
        meanwhile: Happens after the API server has, or has not, got the call, and before the client hears anything.
    """

    seconds: float = 0.0
    reaches: bool = False
    passes: bool = False
    code: int = 0
    retry_after: int = -1
    meanwhile: Callable[[], object] | None = None


CUT_BEFORE = Fault()
"""The connection is cut; the API server never sees the call."""
CUT_AFTER = Fault(reaches=True)
"""The API server does it, and the connection is cut before its answer."""


def refuse(code: int, *, retry_after: int = -1) -> Fault:
    """The client is answered 409, 429, 500 or the like; the API server never sees the call."""
    return Fault(code=code, retry_after=retry_after)


def fail_after(code: int) -> Fault:
    """The API server does it, and the client is told that it failed."""
    return Fault(reaches=True, code=code)


def delay(seconds: float) -> Fault:
    """The call takes longer."""
    return Fault(seconds=seconds, reaches=True, passes=True)


def kill_before(kill: Callable[[], object]) -> Fault:
    """`kill`, such as `OperatorProcess.kill`, ends whoever called; the API server never sees the call."""
    return Fault(meanwhile=kill)


def kill_after(kill: Callable[[], object]) -> Fault:
    """The API server does it; then `kill` ends whoever called, before the answer."""
    return Fault(reaches=True, meanwhile=kill)


When = Callable[[Call], bool]


def _always(call: Call) -> bool:
    return True


def no_lease(call: Call) -> bool:
    """Every call but those for leases and watches: what a job's life consists of. Leases are renewed by the clock."""
    return call.resource != "leases" and call.verb != "watch"


@dataclass
class _Plan:
    fault: Fault
    when: When
    skip: int
    times: int


@dataclass
class FaultProxy:
    """Passes everything on to the API server, but for the faults that are planned. Its methods may be called from any thread.

    Attributes:
        url: For `write_kubeconfig(..., server=proxy.url)`.
        seen: Every call, in the order of its arrival, those that met a fault included.
    """

    url: str = ""
    seen: list[Call] = field(default_factory=list)
    _plans: list[_Plan] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _watches: Watches | None = None

    def plan(self, fault: Fault, *, when: When = _always, nth: int = 1, times: int = 1) -> None:
        """Let calls for which `when` is true meet this fault: from the n-th of them from now on, so many times."""
        with self._lock:
            self._plans.append(_Plan(fault, when, nth - 1, times))

    def forget(self) -> None:
        """Drop every plan, and what was seen; watches go on as they should."""
        with self._lock:
            self._plans.clear()
            self.seen.clear()
        self.watches.release()

    @property
    def all_met(self) -> bool:
        """Whether every planned fault has happened."""
        with self._lock:
            return not self._plans

    def count(self, when: When = _always) -> int:
        """Calls seen for which `when` is true."""
        with self._lock:
            return sum(map(when, self.seen))

    def by_kind(self) -> Counter[tuple[str, str]]:
        """Calls seen, by verb and resource."""
        with self._lock:
            return Counter((call.verb, call.resource) for call in self.seen)

    @property
    def watches(self) -> Watches:
        """Of those who watch through this proxy."""
        assert self._watches is not None
        return self._watches

    def next_fault(self, call: Call) -> Fault | None:
        """What this call meets; the first plan that fits is used up by it."""
        with self._lock:
            self.seen.append(call)
            for plan in self._plans:
                if not plan.when(call):
                    continue
                if plan.skip:
                    plan.skip -= 1
                    continue
                plan.times -= 1
                if not plan.times:
                    self._plans.remove(plan)
                return plan.fault
        return None


class Watches:
    """What is told by the watches that go through the proxy. Any thread may call; it takes effect at the next event."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._flows = asyncio.Event()
        self._flows.set()
        self._chosen: frozenset[str] = frozenset()
        self._seconds = 0.0
        self._live: dict[asyncio.Transport, str] = {}

    def hold(self, *resources: str) -> None:
        """Hold back what watches of these resources tell (of all, where none is named): what they feed gets stale."""
        self._set(resources, flows=False, seconds=0.0)

    def slow(self, seconds: float, *resources: str) -> None:
        """Let each piece of what these watches tell come that much later."""
        self._set(resources, flows=True, seconds=seconds)

    def release(self) -> None:
        """Tell what was held back, in its order, and go on as usual."""
        self._set((), flows=True, seconds=0.0)

    def _set(self, resources: tuple[str, ...], *, flows: bool, seconds: float) -> None:
        def do() -> None:
            self._chosen, self._seconds = frozenset(resources), seconds
            (self._flows.set if flows else self._flows.clear)()

        self._loop.call_soon_threadsafe(do)

    def drop(self, *resources: str) -> None:
        """Cut the watches of these resources; of all, where none is named."""

        def do() -> None:
            for transport, resource in list(self._live.items()):
                if not resources or resource in resources:
                    transport.abort()

        self._loop.call_soon_threadsafe(do)

    async def turn(self, resource: str) -> None:
        """Return when an event of this resource may be passed on."""
        if self._chosen and resource not in self._chosen:
            return
        await self._flows.wait()
        if self._seconds:
            await asyncio.sleep(self._seconds)

    @contextmanager
    def live(self, transport: asyncio.Transport, resource: str) -> Iterator[None]:
        """A watch that can be dropped, as long as the block lasts."""
        self._live[transport] = resource
        try:
            yield
        finally:
            self._live.pop(transport, None)


class _Relay:
    """Serves the proxy's clients. For one event loop."""

    def __init__(self, proxy: FaultProxy, upstream: str, session: aiohttp.ClientSession) -> None:
        self._proxy, self._upstream, self._session = proxy, upstream, session

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Pass a call on, or let it meet its fault."""
        call = call_of(request.method, request.raw_path, request.headers.get("Content-Type", ""))
        fault = self._proxy.next_fault(call)
        body = await request.read()
        if fault is None:
            return await (self._watch if call.verb == "watch" else self._forward)(request, call, body)
        await asyncio.sleep(fault.seconds)
        answer = await self._forward(request, call, body) if fault.reaches else None
        if fault.meanwhile is not None:
            await asyncio.to_thread(fault.meanwhile)
        if fault.passes and answer is not None:
            return answer
        return _refusal(fault) if fault.code else _cut(request)

    async def _forward(self, request: web.Request, call: Call, body: bytes) -> web.StreamResponse:
        async with self._send(request, body) as answer:
            content = await answer.read()
            return web.Response(status=answer.status, headers=_passed_on(answer.headers), body=content)

    async def _watch(self, request: web.Request, call: Call, body: bytes) -> web.StreamResponse:
        assert isinstance(request.transport, asyncio.Transport)
        with self._proxy.watches.live(request.transport, call.resource):
            async with self._send(request, body) as answer:
                told = web.StreamResponse(status=answer.status, headers=_passed_on(answer.headers))
                told.enable_chunked_encoding()
                await told.prepare(request)
                with suppress(ConnectionResetError):  # whoever watched is gone
                    async for chunk in answer.content.iter_any():
                        await self._proxy.watches.turn(call.resource)
                        await told.write(chunk)
                    await told.write_eof()
                return told

    def _send(self, request: web.Request, body: bytes):
        headers = _passed_on(request.headers)
        url = URL(self._upstream + request.raw_path, encoded=True)
        return self._session.request(request.method, url, headers=headers, data=body or None)


def call_of(method: str, path: str, content_type: str) -> Call:
    """What a request asks for."""
    parts = [unquote(part) for part in urlsplit(path).path.strip("/").split("/")]
    rest = parts[2:] if parts[0] == "api" else parts[3:] if parts[0] == "apis" else []
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource, name, subresource = (*rest[:3], "", "", "")[:3]
    watching = parse_qs(urlsplit(path).query).get("watch", ["0"])[0] in ("1", "true")
    verb = VERBS.get(method, "")
    if method == "GET":
        verb = "watch" if watching else "get" if name else "list"
    elif method == "PATCH":
        verb = "apply" if content_type.startswith("application/apply-patch") else "patch"
    elif method == "DELETE" and not name:
        verb = "deletecollection"
    return Call(verb, resource, namespace, name, subresource)


def _passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in NOT_FORWARDED}


def _refusal(fault: Fault) -> web.Response:
    """As the API server words it."""
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": REASONS.get(fault.code, ""),
        "message": "planned by the test",
        "code": fault.code,
    }
    headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after >= 0 else {}
    return web.Response(
        status=fault.code, headers=headers, body=json.dumps(status).encode(), content_type="application/json"
    )


def _cut(request: web.Request) -> web.Response:
    """Nothing is answered: the connection is reset."""
    if isinstance(request.transport, asyncio.Transport):
        request.transport.abort()
    return web.Response()


@contextmanager
def fault_proxy(server: ApiClient) -> Iterator[FaultProxy]:
    """A proxy on a free port of the loopback, gone when the block ends."""
    proxy, over = FaultProxy(), asyncio.Event()
    started: Future[asyncio.AbstractEventLoop] = Future()

    def run() -> None:
        try:
            asyncio.run(_serve(proxy, server, started, over))
        except Exception as fault:
            if started.done():
                raise
            started.set_exception(fault)

    thread = threading.Thread(target=run, name="fault-proxy", daemon=True)
    thread.start()
    loop = started.result(PATIENCE_SECONDS)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(PATIENCE_SECONDS)


async def _serve(
    proxy: FaultProxy, server: ApiClient, started: Future[asyncio.AbstractEventLoop], over: asyncio.Event
) -> None:
    loop = asyncio.get_running_loop()
    proxy._watches = Watches(loop)
    to_server = ssl.create_default_context(cafile=str(server.certificate))
    to_clients = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    to_clients.load_cert_chain(server.certificate, server.certificate.with_suffix(".key"))
    connector = aiohttp.TCPConnector(ssl=to_server, limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False, timeout=timeout) as session:
        application = web.Application(client_max_size=LARGEST_BODY)
        application.router.add_route("*", "/{path:.*}", _Relay(proxy, server.url, session).handle)
        # A client that goes away takes its watch at the API server with it.
        runner = web.AppRunner(
            application, handler_cancellation=True, access_log=None, shutdown_timeout=FAREWELL_SECONDS
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=to_clients).start()
        proxy.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        started.set_result(loop)
        await over.wait()
        await runner.cleanup()
    await asyncio.sleep(FAREWELL_SECONDS)  # aiohttp does not wait for the farewells of TLS
