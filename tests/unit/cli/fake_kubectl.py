"""A kubectl that knows one job and its Pods, for commands that ask one."""

import json
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """#!/bin/sh
case "$*" in
  *--watch*) cat {folder}/event.json; exec sleep 60 ;;
  "get pods"*) cat {folder}/pods.json ;;
  *) cat {folder}/job.json ;;
esac
"""


def give_kubectl(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    pods: list[dict[str, Any]] | None = None,
    artifacts: str = "s3://models/network",
    **status: Any,
) -> None:
    """Let commands call a kubectl whose cluster has the job `network` with this status."""
    job = {
        "metadata": {
            "name": "network",
            "namespace": "radiology",
            "creationTimestamp": "2026-10-01T14:59:00Z",
            "generation": 2,
        },
        "spec": {"artifacts": {"uri": artifacts}},
        "status": {"observedGeneration": 2, **status},
    }
    (folder / "job.json").write_text(json.dumps(job))
    (folder / "pods.json").write_text(json.dumps({"items": pods or []}))
    (folder / "event.json").write_text(json.dumps({"type": "ADDED", "object": job}))
    program = folder / "kubectl"
    program.write_text(SCRIPT.format(folder=folder))
    program.chmod(0o755)
    monkeypatch.setenv("KUBECTL", str(program))
