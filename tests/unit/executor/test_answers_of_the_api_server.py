"""What a driver makes of answers that an API server does not give: progress is worth no run, and a stop must be heard."""

import http.client
import threading
import time
from typing import Any

import pytest

from chex_api.attempt import RESULT, STOP
from chex_api.stage import StageProgress
from chex_jobs.executor.progress_config_map import ProgressConfigMap
from tests.patience import PATIENCE_SECONDS


class Answers:
    """Fails so often in this way, then answers that a stop is asked for."""

    def __init__(self, error: Exception, times: int) -> None:
        self._error, self.left = error, times

    def patch(self, path: str, body: object) -> dict[str, Any]:
        del path, body
        if self.left:
            self.left -= 1
            raise self._error
        return {"data": {STOP: "2026-11-01T00:00:00Z Suspended"}}


FAULTS = [
    http.client.IncompleteRead(b'{"da'),
    http.client.BadStatusLine("<html>"),
    ValueError("Expecting value: line 1 column 1 (char 0)"),
    ConnectionResetError("reset by peer"),
]
each_fault = pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)


@each_fault
def test_an_answer_that_is_cut_off_is_not_the_last_one_that_is_asked_for(error: Exception) -> None:
    server: Any = Answers(error, times=2)
    stop = threading.Event()
    with ProgressConfigMap(server, "n", "a-progress", stop, interval=0.01) as progress:
        progress.report(StageProgress(done=1, total=2))
        assert stop.wait(PATIENCE_SECONDS)


@each_fault
def test_how_an_attempt_ended_is_sent_again(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Event, "wait", lambda *_: time.sleep(0.01))
    server: Any = Answers(error, times=2)
    progress = ProgressConfigMap(server, "n", "a-progress", threading.Event())
    assert progress.finish(RESULT, {})
