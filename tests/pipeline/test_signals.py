"""Signals to real runs: whoever asks, in whatever way, gets a checkpoint, the exit code of the signal, and nothing is left running."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.patience import PATIENCE_SECONDS
from tests.pipeline.manifest import tiny_job
from tests.pipeline.runs import chex_run, events_of, kill_everything

Ask = Callable[["subprocess.Popen[str]"], None]


@pytest.fixture(scope="module")
def long_job(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A job that is in its pretraining for hours, and stores no checkpoint before the end unless it is asked to stop."""
    manifest = tiny_job(f"file://{tmp_path_factory.mktemp('long')}/artifacts")
    pretraining = manifest["spec"]["pretraining"][0]
    pretraining["optimization"]["epochs"] = 9000
    pretraining["checkpoint"]["everyMinutes"] = 1000
    return manifest


def steps_kept(manifest: dict[str, Any]) -> list[int]:
    """Steps of the checkpoints that there are."""
    folder = Path(manifest["spec"]["artifacts"]["uri"].removeprefix("file://"))
    records = folder.glob("stages/pretrain-ssl-*/attempts/*/checkpoints/*.json")
    return sorted(int(record.name.partition("-")[0]) for record in records)


def when_training(process: "subprocess.Popen[str]", ask: Ask) -> list[dict[str, Any]]:
    """Read events until steps are made, ask, and read on to the end."""
    events, asked = [], False
    for event in events_of(process):
        events.append(event)
        if not asked and event["event"] == "progress" and event.get("stage") == "pretrain/ssl":
            asked = True
            ask(process)
    return events


def sent(number: signal.Signals) -> Ask:
    return lambda process: process.send_signal(number)


def as_timeout_does(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    os.killpg(process.pid, signal.SIGTERM)


def as_a_closing_shell_does(process: "subprocess.Popen[str]") -> None:
    os.killpg(process.pid, signal.SIGHUP)
    os.killpg(process.pid, signal.SIGCONT)
    process.send_signal(signal.SIGHUP)


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        pytest.param(sent(signal.SIGINT), 130, id="ctrl-c"),
        pytest.param(as_timeout_does, 143, id="timeout"),
        pytest.param(as_a_closing_shell_does, 129, id="closing shell"),
    ],
)
def test_a_signal_ends_a_run_with_a_checkpoint_and_its_exit_code(
    long_job: dict[str, Any], tmp_path: Path, ask: Ask, code: int
) -> None:
    before = steps_kept(long_job)
    with chex_run(long_job, tmp_path) as process:
        started = list[psutil.Process]()

        def note_and_ask(process: "subprocess.Popen[str]") -> None:
            started.extend(psutil.Process(process.pid).children(recursive=True))
            ask(process)

        events = when_training(process, note_and_ask)
        assert process.wait(PATIENCE_SECONDS) == code, process.stderr and process.stderr.read()
    assert events[-1]["event"] == "interrupted"
    assert steps_kept(long_job)[-1:] > before[-1:]
    _, alive = psutil.wait_procs(started, timeout=PATIENCE_SECONDS)
    assert not alive


def test_a_signal_while_ray_starts_ends_the_run(long_job: dict[str, Any], tmp_path: Path) -> None:
    with chex_run(long_job, tmp_path) as process:
        for event in events_of(process):
            if event["event"] == "planned":
                break
        while not any("gcs_server" in child.name() for child in psutil.Process(process.pid).children()):
            time.sleep(0.01)
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 143, process.stderr and process.stderr.read()


def test_a_reader_that_is_gone_ends_a_run_like_a_closed_terminal(
    long_job: dict[str, Any], tmp_path: Path
) -> None:
    before = steps_kept(long_job)
    with chex_run(long_job, tmp_path) as process:
        assert process.stdout is not None
        for event in events_of(process):
            if event["event"] == "progress" and event["stage"] == "pretrain/ssl":
                break
        process.stdout.close()
        process.stdout = None
        assert process.wait(PATIENCE_SECONDS) == 129, process.stderr and process.stderr.read()
    assert steps_kept(long_job)[-1:] > before[-1:]


def test_a_closed_terminal_ends_a_run_with_a_checkpoint(long_job: dict[str, Any], tmp_path: Path) -> None:
    before = steps_kept(long_job)
    path = tmp_path / "job.json"
    path.write_text(json.dumps(long_job))
    command = [sys.executable, "-m", "chex_jobs.cli", "run", str(path), "--cpus", "2"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, command, {**os.environ, "TERM": "xterm"})
    try:
        seen = b""
        while b"pretrain/ssl: step" not in seen:
            seen += os.read(terminal, 1 << 16)
        os.close(terminal)
        assert os.waitstatus_to_exitcode(wait_for(pid)) == 129
    finally:
        if psutil.pid_exists(pid):
            kill_tree(pid)
    assert steps_kept(long_job)[-1:] > before[-1:]


def test_a_run_under_nohup_outlives_its_terminal(long_job: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "job.json"
    path.write_text(json.dumps(long_job))
    with (tmp_path / "out").open("w+") as output:
        process = subprocess.Popen(
            ["nohup", sys.executable, "-m", "chex_jobs.cli", "run", str(path), "--json-lines", "--cpus", "2"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )
        try:
            steps = wait_for_steps(tmp_path / "out", 0)
            os.killpg(process.pid, signal.SIGHUP)
            wait_for_steps(tmp_path / "out", steps)
            process.terminate()
            assert process.wait(PATIENCE_SECONDS) == 143
        finally:
            kill_everything(process)
            process.wait()


def wait_for_steps(log: Path, more_than: int) -> int:
    """Steps that a run has told of, once there are more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        told = log.read_text().count('"stage": "pretrain/ssl"')
        if told > more_than + 3:
            return told
        time.sleep(0.2)
    raise AssertionError(log.read_text()[-3000:])


def wait_for(pid: int) -> int:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.1)
    raise AssertionError("the run did not end")


def kill_tree(pid: int) -> None:
    for process in [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]:
        process.kill()
    os.waitpid(pid, 0)
