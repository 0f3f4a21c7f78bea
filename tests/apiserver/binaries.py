"""The control plane's programs for the tests: given by the environment, or built once from the pinned Go module and cached.

The module in `assets/` pins them and everything below them (`go.sum` holds the hashes). A build takes some minutes
and the network, once for each change of the pins. `python -m tests.apiserver.binaries` prints the folder of the binaries.
"""

import hashlib
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.s3.go_toolchain import cache_root, go_environment, go_for, locked

ASSETS = Path(__file__).parent / "assets"
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
"""Go main packages, by the name of the binary."""


def control_plane_binaries() -> Path:
    """The folder that holds every program of `PACKAGES`.

    `KUBEBUILDER_ASSETS` (the variable of controller-runtime's envtest) wins; otherwise the cache, built when it is empty.
    What envtest itself downloads has no kube-controller-manager: put one beside it.

    Raises:
        RuntimeError: `KUBEBUILDER_ASSETS` lacks a binary, or the build failed: tests never skip for it.
    """
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if given:
        missing = [name for name in PACKAGES if not os.access(Path(given) / name, os.X_OK)]
        if missing:
            raise RuntimeError(
                f"KUBEBUILDER_ASSETS={given} has no {' and no '.join(missing)}; unset it to build them"
            )
        return Path(given)
    target = cache_root() / "control-plane" / _build_name()
    with locked(target.with_suffix(".lock")):
        if not target.is_dir():
            _build(target)
    return target


def _build_name() -> str:
    """Names a build by what goes into it: platform, pins and flags."""
    inputs = hashlib.sha256(f"{PACKAGES} {_linker_flags()}".encode())
    for source in (ASSETS / "go.mod", ASSETS / "go.sum"):
        inputs.update(source.read_bytes())
    return f"{sys.platform}-{platform.machine()}-{inputs.hexdigest()[:12]}"


def _build(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as scratch:
        folder = Path(scratch) / "bin"
        for name, package in PACKAGES.items():
            print(f"building {name}, once ...", file=sys.stderr, flush=True)
            output = str(folder / name)
            command = [
                go_for(ASSETS),
                "build",
                "-trimpath",
                "-ldflags",
                _linker_flags(),
                "-o",
                output,
                package,
            ]
            ended = subprocess.run(
                command, cwd=ASSETS, env=go_environment(), capture_output=True, text=True, check=False
            )
            if ended.returncode != 0:
                raise RuntimeError(f"{name} cannot be built in {ASSETS}:\n{ended.stderr[-2000:]}")
        folder.rename(target)  # a build that was interrupted is never taken for a finished one


def _linker_flags() -> str:
    """Strips symbols, and tells Kubernetes' programs their version, which upstream's build scripts would have set."""
    pinned = re.search(r"k8s\.io/kubernetes v(1)\.(\d+)\.(\d+)", (ASSETS / "go.mod").read_text())
    assert pinned, "assets/go.mod requires no k8s.io/kubernetes"
    major, minor, patch = pinned.groups()
    values = {"gitVersion": f"v{major}.{minor}.{patch}", "gitMajor": major, "gitMinor": minor}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    settings = (f"-X {package}.{key}={value}" for package in packages for key, value in values.items())
    return " ".join(["-s", "-w", *settings])


if __name__ == "__main__":
    print(control_plane_binaries())
