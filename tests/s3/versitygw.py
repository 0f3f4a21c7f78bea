"""The binary of versitygw, an S3 server over a directory: built once from the pinned module beside this file.

A build takes two minutes and the network, once for each change of the pins.
"""

import hashlib
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.s3.go_toolchain import cache_root, go_environment, go_for, locked

MODULE = Path(__file__).parent
PACKAGE = "github.com/versity/versitygw/cmd/versitygw"


def binary() -> Path:
    """The cached binary of these pins; built if it is not there. Raises `RuntimeError` with what Go said."""
    target = cache_root() / "versitygw" / _build_name() / "versitygw"
    with locked(target.parent.with_suffix(".lock")):
        if not target.exists():
            _build(target)
    return target


def _build_name() -> str:
    pins = hashlib.sha256((MODULE / "go.mod").read_bytes() + (MODULE / "go.sum").read_bytes())
    return f"{sys.platform}-{platform.machine()}-{pins.hexdigest()[:12]}"


def _build(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as scratch:
        built = Path(scratch) / "versitygw"
        command = [go_for(MODULE), "build", "-trimpath", "-ldflags=-s -w", "-o", str(built), PACKAGE]
        ended = subprocess.run(
            command, cwd=MODULE, env=go_environment(), capture_output=True, text=True, check=False
        )
        if ended.returncode != 0:
            raise RuntimeError(f"versitygw cannot be built in {MODULE}:\n{ended.stderr[-2000:]}")
        built.rename(target)  # a build that was interrupted is never taken for a finished one


if __name__ == "__main__":
    print(binary())
