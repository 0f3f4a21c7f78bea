"""The checker sees each thing that `restricted` refuses."""

import copy
from typing import Any

import pytest

from tests.chart.pod_security import violations

FINE: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "volumes": [{"name": "scratch", "emptyDir": {}}],
    "containers": [
        {
            "name": "a",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
}
FAULTS: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "hostNetwork": (("hostNetwork",), True),
    "hostPID": (("hostPID",), True),
    "hostIPC": (("hostIPC",), True),
    "volumes node": (("volumes", 0), {"name": "node", "hostPath": {"path": "/"}}),
    "sysctls": (("securityContext", "sysctls"), [{"name": "net.core.somaxconn", "value": "1"}]),
    "privileged": (("containers", 0, "securityContext", "privileged"), True),
    "allowPrivilegeEscalation": (("containers", 0, "securityContext", "allowPrivilegeEscalation"), True),
    "capabilities": (("containers", 0, "securityContext", "capabilities", "add"), ["IPC_LOCK"]),
    "runAsNonRoot": (("containers", 0, "securityContext", "runAsUser"), 0),
    "seccompProfile": (("containers", 0, "securityContext", "seccompProfile"), {"type": "Unconfined"}),
    "procMount": (("containers", 0, "securityContext", "procMount"), "Unmasked"),
    "hostPort": (("containers", 0, "ports"), [{"containerPort": 1, "hostPort": 1}]),
}


def test_a_restricted_pod_passes() -> None:
    assert violations(FINE) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named(fault: str) -> None:
    pod, (path, value) = copy.deepcopy(FINE), FAULTS[fault]
    place: Any = pod
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert violations(pod) == [fault]


@pytest.mark.parametrize("missing", ["allowPrivilegeEscalation", "capabilities"])
def test_what_is_not_said_counts_as_refused(missing: str) -> None:
    pod = copy.deepcopy(FINE)
    del pod["containers"][0]["securityContext"][missing]
    assert violations(pod) == [missing]
