"""`kubectl chex` as people call it: the real kubectl, which finds the plugin on PATH and carries its calls."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.apiserver.binaries import control_plane_binaries
from tests.apiserver.control_plane import ADMIN_TOKEN, ApiClient, write_kubeconfig
from tests.patience import PATIENCE_SECONDS


@dataclass(frozen=True)
class Plugin:
    """Calls, as an administrator of one API server."""

    kubectl: Path
    environment: dict[str, str]
    api_server: ApiClient

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """A call that goes on."""
        return subprocess.Popen(
            [str(self.kubectl), "chex", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def __call__(
        self, *words: str, text: str | None = None, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """A call to its end.

        Args:
            words: the command line.
            text: standard input.
            environment: variables beside the usual ones.
        """
        return subprocess.run(
            [str(self.kubectl), "chex", *words],
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
            env=self.environment | environment,
        )


def plugin_for(api_server: ApiClient, folder: Path) -> Plugin:
    """The plugin of this Python's environment, with its files in `folder`."""
    kubectl = control_plane_binaries() / "kubectl"
    environment = {
        **os.environ,
        "KUBECONFIG": str(write_kubeconfig(folder / "kubeconfig", api_server, ADMIN_TOKEN)),
        "KUBECTL": str(kubectl),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),  # kubectl's cache of what an API server knows
        "COLUMNS": "120",
    }
    return Plugin(kubectl, environment, api_server)
