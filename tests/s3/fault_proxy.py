"""An HTTP proxy in front of an S3 server that misbehaves when told to, as networks and busy servers do."""

import http.client
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.patience import PATIENCE_SECONDS
from tests.s3.servers import S3Server

SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)
CONFLICT = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>ConditionalRequestConflict</Code>'
    b"<Message>A conflicting conditional operation is currently in progress.</Message></Error>"
)


class Fault(Enum):
    """What becomes of a request."""

    SLOW_DOWN = auto()  # 503 SlowDown; the server never sees it
    CONFLICT = auto()  # 409 ConditionalRequestConflict; the server never sees it
    RESET = auto()  # the connection is reset; the server never sees it
    LOST_ANSWER = auto()  # the server does it, but the connection is reset before its answer
    CUT_BODY = auto()  # the answer begins, and breaks off in the middle of its body
    HANG = auto()  # nothing happens any more, until the proxy stops


@dataclass(frozen=True)
class Refusal:
    """An answer in place of the server's, which never sees the request."""

    status: int
    code: str
    message: str = "no"
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def body(self) -> bytes:
        """As S3 writes errors."""
        inside = f"<Code>{self.code}</Code><Message>{self.message}</Message>"
        return f'<?xml version="1.0" encoding="UTF-8"?><Error>{inside}</Error>'.encode()


@dataclass(frozen=True)
class Request:
    """What a fault can be chosen by: the method, and the path with its query."""

    method: str
    path: str


@dataclass
class FaultProxy:
    """`endpoint` passes everything on to the server, but for the faults that are planned."""

    server: S3Server
    endpoint: str = ""
    seen: list[Request] = field(default_factory=list)
    hanging: threading.Event = field(default_factory=threading.Event)  # set when a request hangs
    stopped: threading.Event = field(default_factory=threading.Event)
    _planned: deque[tuple[Fault | Refusal, Callable[[Request], bool]]] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(
        self, fault: Fault | Refusal, times: int = 1, when: Callable[[Request], bool] = lambda request: True
    ) -> None:
        """Let the next requests for which `when` is true meet this fault, in the order of the plans."""
        with self._lock:
            self._planned.extend([(fault, when)] * times)

    def next_fault(self, request: Request) -> Fault | Refusal | None:
        """What this request meets, taken off the plan."""
        with self._lock:
            self.seen.append(request)
            if self._planned and self._planned[0][1](request):
                return self._planned.popleft()[0]
            return None

    @property
    def all_met(self) -> bool:
        """Whether every planned fault has happened."""
        return not self._planned


@contextmanager
def fault_proxy(server: S3Server) -> Iterator[FaultProxy]:
    """A proxy on a free port of the loopback, gone when the block ends."""
    proxy = FaultProxy(server)
    handler = type("Handler", (_Handler,), {"proxy": proxy, "upstream": urlsplit(server.endpoint).netloc})
    listener = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    listener.daemon_threads = True
    proxy.endpoint = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stopped.set()
        listener.shutdown()
        listener.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    proxy: FaultProxy
    upstream: str
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.proxy.next_fault(Request(self.command, self.path))
        match fault:
            case Fault.SLOW_DOWN:
                self._answer(503, {"Content-Type": "application/xml"}, SLOW_DOWN)
            case Fault.CONFLICT:
                self._answer(409, {"Content-Type": "application/xml"}, CONFLICT)
            case Fault.RESET:
                self._reset()
            case Fault.HANG:
                self.proxy.hanging.set()
                self.proxy.stopped.wait()
                self._reset()
            case Fault.LOST_ANSWER:
                self._forwarded(body)
                self._reset()
            case Fault.CUT_BODY:
                status, headers, answer = self._forwarded(body)
                self._answer(status, headers, answer[: len(answer) // 2])
                self._reset()
            case Refusal():
                self._answer(
                    fault.status, {"Content-Type": "application/xml", **dict(fault.headers)}, fault.body
                )
            case None:
                self._answer(*self._forwarded(body))

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve

    def _forwarded(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        # The Host header goes on as it is: the request's signature covers it.
        connection = http.client.HTTPConnection(self.upstream, timeout=PATIENCE_SECONDS)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() != "expect":
                    connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        lengths = {name: value for name, value in headers.items() if name.lower() == "content-length"}
        for name, value in headers.items():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", next(iter(lengths.values()), str(len(body))))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        linger_zero = struct.pack("ii", 1, 0)  # closing then sends RST, not FIN
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
        self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: tests read `FaultProxy.seen`."""
