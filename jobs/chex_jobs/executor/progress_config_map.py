"""The ConfigMap by which a driver in a cluster tells the operator how its attempt goes, and hears whether to stop.

The driver may get and patch this one object and nothing else. A patch answers with the object as it is now, so one request in
some seconds carries progress one way and the wish to stop the other way.
"""

import http.client
import json
import logging
import os
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from chex_api.attempt import PROGRESS, STOP
from chex_api.proxies import proxy_for
from chex_api.stage import StageProgress
from chex_jobs.executor.pod_files import service_account

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 5.0
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class ApiServer:
    """How Pods reach the API server. The token is read anew for each request: the kubelet renews it."""

    url: str
    token_file: Path
    certificate_file: Path

    @classmethod
    def of_this_pod(cls, environment: Mapping[str, str]) -> Self:
        """Where the kubelet says it is."""
        host, port = environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"]
        host = f"[{host}]" if ":" in host else host
        folder = service_account(environment)
        return cls(f"https://{host}:{port}", folder / "token", folder / "ca.crt")

    def patch(self, path: str, body: object) -> dict[str, object]:
        """Merge patch.

        Raises:
            OSError: no answer, or a refusal (`urllib.error.HTTPError` and `URLError` are some).
            http.client.HTTPException: an answer that was cut off, or is none.
            ValueError: an answer that is no JSON.
        """
        request = urllib.request.Request(  # noqa: S310 - https, from the Pod's environment
            self.url + path,
            data=json.dumps(body).encode(),
            method="PATCH",
            headers={
                "Authorization": f"Bearer {self.token_file.read_text().strip()}",
                "Content-Type": "application/merge-patch+json",
                "Accept": "application/json",
            },
        )
        with self._opener().open(request, timeout=TIMEOUT_SECONDS) as answer:
            held = json.load(answer)
        if not isinstance(held, dict):
            raise ValueError("the API server's answer is no object")
        return held

    def _opener(self) -> urllib.request.OpenerDirector:
        """By the proxy of the environment, if any; urllib's own reading of `NO_PROXY` knows no address ranges."""
        proxy = proxy_for(self.url, os.environ)
        context = ssl.create_default_context(cafile=str(self.certificate_file))
        return urllib.request.build_opener(
            urllib.request.ProxyHandler({"https": proxy} if proxy else {}),
            urllib.request.HTTPSHandler(context=context),
        )


class ProgressConfigMap:
    """Sends the newest progress at most once in `interval` seconds, from a thread of its own, until the block ends.

    A request that fails is logged and made again with the next: progress is worth no run.
    """

    def __init__(
        self,
        server: ApiServer,
        namespace: str,
        name: str,
        stop: threading.Event,
        *,
        interval: float = INTERVAL_SECONDS,
    ) -> None:
        """`stop` is set when the operator asks for it."""
        self._server = server
        self._path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
        self._stop = stop
        self._interval = interval
        self._newest: StageProgress | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send_until_ended, name="progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(TIMEOUT_SECONDS * 2)

    def report(self, progress: StageProgress) -> None:
        """Remember what is to be sent next; never waits."""
        self._newest = progress

    def finish(self, key: str, plain: object, *, tries: int = 5) -> bool:
        """Send how the attempt ended (`RESULT`, `FAILURE` or `STOPPED`); whether it arrived. The artifacts know it in any case."""
        for number in range(tries):
            if number:
                self._ended.wait(2.0**number)
            if self._exchange({**self._progress(), key: json.dumps(plain, ensure_ascii=False)}):
                return True
        return False

    def _send_until_ended(self) -> None:
        while not self._ended.wait(self._interval):
            self._exchange(self._progress())

    def _progress(self) -> dict[str, str]:
        """The newest progress; a short stage's is sent with its outcome, at the latest."""
        newest = self._newest
        return {} if newest is None else {PROGRESS: json.dumps(newest.plain(), ensure_ascii=False)}

    def _exchange(self, data: dict[str, str]) -> bool:
        try:
            answer = self._server.patch(self._path, {"data": data})
            held = answer.get("data")
        except (OSError, http.client.HTTPException, ValueError) as error:
            log.warning("progress was not accepted: %s", error or type(error).__name__)
            return False
        if isinstance(held, dict) and STOP in held and not self._stop.is_set():
            log.info("the operator asks this attempt to stop with a checkpoint")
            self._stop.set()
        return True
