"""The real kubectl, as people call it."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.apiserver.binaries import control_plane_binaries
from tests.apiserver.control_plane import ADMIN_TOKEN, ApiClient, write_kubeconfig


@dataclass(frozen=True)
class Kubectl:
    """Calls as an administrator, in one namespace."""

    namespace: str
    environment: dict[str, str]

    def __call__(self, *words: str, given: str | None = None) -> str:
        """What it prints. Raises `AssertionError` with its complaint.

        Args:
            words: the command line.
            given: standard input.
        """
        command = [str(control_plane_binaries() / "kubectl"), f"--namespace={self.namespace}", *words]
        ended = subprocess.run(
            command, input=given, capture_output=True, text=True, check=False, env=self.environment
        )
        assert ended.returncode == 0, f"kubectl {' '.join(words)}: {ended.stderr}"
        return ended.stdout


def kubectl_for(server: ApiClient, folder: Path, namespace: str = "default") -> Kubectl:
    """kubectl for one API server, with its files in `folder`."""
    kubeconfig = write_kubeconfig(folder / "kubectl.kubeconfig", server, ADMIN_TOKEN)
    # HOME holds its cache of what an API server knows.
    return Kubectl(namespace, {**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(folder)})
