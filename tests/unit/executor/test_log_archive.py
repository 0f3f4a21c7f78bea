"""A process whose output is archived, ended in every way in which a driver ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chex_jobs.artifacts import open_storage
from chex_jobs.executor.log_chunks import archived_attempts, preflight_logs, read_chunks
from tests.patience import PATIENCE_SECONDS

DRIVER = """
import os, signal, subprocess, sys, time
from chex_jobs.executor.log_archive import archived_output
with archived_output({folder!r}, interval={interval}):
{body}
"""


def driver(folder: str, body: str, *, interval: float = 3600.0) -> subprocess.Popen[str]:
    """A process that prints what `body` says to an archive in `folder`."""
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER.format(folder=folder, interval=interval, body=indented)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "AWS_SECRET_ACCESS_KEY": SECRET},
    )


SECRET = "wJalrXUtnFEMI/K7MDENG"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "attempts" / "chex-a-1-abcdef" / "logs"


def archived(folder: Path) -> str:
    return "".join(path.read_text() for path in sorted(folder.glob("driver-*.log")))


def wait_for(folder: Path, text: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while text not in archived(folder):
        assert time.monotonic() < deadline, f"{text!r} is not in the archive: {archived(folder)!r}"
        time.sleep(0.02)


def test_prints_of_python_of_c_and_of_children_are_archived_in_order_and_still_printed(folder: Path) -> None:
    body = "print('python')\nos.write(2, b'c library\\n')\nsubprocess.run(['echo', 'child'])\nprint('end')"
    printed, _ = driver(folder.as_uri(), body).communicate(timeout=PATIENCE_SECONDS)
    assert printed == "python\nc library\nchild\nend\n"
    assert archived(folder) == printed


def test_credentials_are_neither_archived_nor_printed(folder: Path) -> None:
    printed, _ = driver(folder.as_uri(), "print(os.environ['AWS_SECRET_ACCESS_KEY'])").communicate(
        timeout=PATIENCE_SECONDS
    )
    assert archived(folder) == printed == "[redacted]\n"


def test_a_killed_process_has_left_its_earlier_chunks(folder: Path) -> None:
    with driver(folder.as_uri(), "print('early')\ntime.sleep(60)", interval=0.2) as process:
        wait_for(folder, "early")
        chunks = sorted(path.name for path in folder.iterdir())
        process.kill()
    assert chunks == ["driver-00001.log"]
    assert archived(folder) == "early\n"


def test_the_last_words_of_a_killed_process_are_archived_although_no_chunk_was_due(folder: Path) -> None:
    with driver(folder.as_uri(), "print('last words')\nos.kill(os.getpid(), signal.SIGKILL)") as process:
        printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == -signal.SIGKILL
    assert archived(folder) == printed == "last words\n"


def test_a_process_that_is_told_to_end_and_does_not_listen_leaves_its_log(folder: Path) -> None:
    with driver(folder.as_uri(), "print('working')\ntime.sleep(60)", interval=0.1) as process:
        wait_for(folder, "working")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == -signal.SIGTERM
    assert archived(folder) == "working\n"


def test_an_exception_is_archived_and_printed_once_by_its_type_and_place(folder: Path) -> None:
    process = driver(folder.as_uri(), "raise ValueError('patient-4711')")
    printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert printed.count("ValueError at\n") == printed.count('File "<string>"') == 1
    assert archived(folder) == printed


def test_the_text_of_an_exception_is_stored_beside_the_logs_and_not_printed(folder: Path) -> None:
    printed, _ = driver(folder.as_uri(), "raise ValueError('patient-4711')").communicate(
        timeout=PATIENCE_SECONDS
    )
    assert "patient-4711" not in printed
    assert f"its whole text is in {folder.parent.as_uri()}/failure.txt" in printed
    assert "ValueError: patient-4711" in (folder.parent / "failure.txt").read_text()


def test_an_exit_code_is_kept(folder: Path) -> None:
    process = driver(folder.as_uri(), "print('stopped')\nsys.exit(3)")
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 3
    assert archived(folder) == "stopped\n"


def test_a_child_that_lives_on_keeps_nobody_waiting(folder: Path) -> None:
    body = (
        "child = subprocess.Popen(['sleep', 'inf'], stdin=subprocess.DEVNULL)\nprint(child.pid, flush=True)"
    )
    with driver(folder.as_uri(), body) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            process.wait(timeout=PATIENCE_SECONDS)
        finally:
            os.kill(child, signal.SIGKILL)
    assert archived(folder) == f"{child}\n"


def test_storage_that_refuses_is_one_warning_and_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    process = driver(
        f"file://{tmp_path}/file/logs", "for n in range(3):\n    print(n)\n    time.sleep(0.3)", interval=0.1
    )
    printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert printed.count("log archive: the log is not archived for now") == 1
    assert [line for line in printed.splitlines() if line.isdigit()] == ["0", "1", "2"]


def test_a_location_that_is_none_is_one_warning_and_no_failure() -> None:
    process = driver("s3://UPPER CASE/logs", "time.sleep(1)\nprint('done')")
    printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert "log archive: the log is not archived: " in printed
    assert printed.endswith("done\n")
    assert len(printed.splitlines()) == 2


def test_a_killed_archiver_costs_no_run(folder: Path) -> None:
    body = """
import psutil
print('before', flush=True)
(archiver,) = psutil.Process().children()
archiver.kill()
for number in range(20000):
    print('more than a pipe holds', number)
print('after', flush=True)
subprocess.run(['echo', 'child'])
"""
    process = driver(folder.as_uri(), body)
    printed, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert "after\n" in printed
    assert "child\n" in printed
    assert "more than a pipe holds 19999\n" in printed


def test_what_a_killed_archiver_leaves_unread_is_masked_all_the_same(folder: Path) -> None:
    body = """
import psutil
(archiver,) = psutil.Process().children()
archiver.suspend()
print(os.environ['AWS_SECRET_ACCESS_KEY'], flush=True)
archiver.kill()
"""
    printed, _ = driver(folder.as_uri(), body).communicate(timeout=PATIENCE_SECONDS)
    assert "[redacted]\n" in printed
    assert SECRET not in printed


def test_the_chunks_of_one_attempt_are_found_in_order_and_no_other_ones(tmp_path: Path) -> None:
    storage = open_storage(f"file://{tmp_path}")
    for attempt in ("chex-a-1-abc", "chex-a-10-abc", "chex-a-1-x7k2p-def"):
        for number in (1, 2, 10, 99999, 100000):
            storage.write_bytes(f"{attempt}/logs/driver-{number:05d}.log", f"{attempt} {number}\n".encode())
    storage.write_bytes("chex-a-1-abc/checkpoints/000-a.json", b"{}")
    found = archived_attempts(f"file://{tmp_path}", "chex-a-1")
    assert sorted(found) == ["chex-a-1-abc", "chex-a-1-x7k2p-def"]
    assert b"".join(read_chunks(storage, found["chex-a-1-abc"])).split()[1::2] == [
        b"1",
        b"2",
        b"10",
        b"99999",
        b"100000",
    ]


def test_a_preflight_has_a_folder_of_its_own() -> None:
    assert preflight_logs("s3://models/network", "chex-n-preflight-1-abc") == (
        "s3://models/network/preflights/chex-n-preflight-1-abc/logs"
    )
