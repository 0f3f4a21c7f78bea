"""What happens to which attempt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chex_operator.kube.resource import Object
from chex_operator.rendering.names import ATTEMPT_LABEL, DOMAIN
from tests.apiserver.ray_engine.objects import NODE_TYPE_LABEL, RAY_JOB_LABEL

if TYPE_CHECKING:
    from tests.apiserver.ray_engine.driver import Driver

DriverRun = Callable[["Driver"], Awaitable[int]]
"""Plays the program in a container; its answer is the exit code."""
UNSCHEDULABLE = "Unschedulable"


@dataclass(frozen=True)
class Run:
    """An attempt, as the labels of its Pods tell it.

    Attributes:
        kind: Kind of the stage, or `preflight`; the label `app.kubernetes.io/component`.
        stage: Name of the stage.
        number: Of the attempt.
        attempt: Its name.
        namespace: Where it is.
    """

    kind: str
    stage: str
    number: int
    attempt: str
    namespace: str

    @classmethod
    def of(cls, pod: Object) -> Run:
        metadata = pod["metadata"]
        labels = metadata.get("labels", {})
        return cls(
            labels.get("app.kubernetes.io/component", ""),
            labels.get(f"{DOMAIN}/stage", ""),
            int(labels.get(f"{DOMAIN}/attempt", "1")),
            labels.get(ATTEMPT_LABEL, metadata["name"]),
            metadata["namespace"],
        )


def role_of(pod: Object) -> str:
    """`head`, `worker`, `submitter`, or `program` for a Pod that just runs its command."""
    labels = pod["metadata"].get("labels", {})
    return labels.get(NODE_TYPE_LABEL) or ("submitter" if RAY_JOB_LABEL in labels else "program")


@dataclass(frozen=True)
class Trouble:
    """Why Pods of one role never run: the reason and the message that Kubernetes gives."""

    role: str
    reason: str
    message: str


def unschedulable(
    role: str = "worker", message: str = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
) -> Trouble:
    """No node has room."""
    return Trouble(role, UNSCHEDULABLE, message)


def no_image(role: str = "head", reason: str = "ErrImagePull") -> Trouble:
    """The image cannot be pulled."""
    return Trouble(role, reason, 'failed to pull and unpack image "registry.example/chex-jobs:1": not found')


def wrong_configuration(role: str = "head") -> Trouble:
    """The container cannot be made of what the Pod names."""
    return Trouble(role, "CreateContainerConfigError", 'secret "s3-keys" not found')


@dataclass(frozen=True)
class Part:
    """What happens to one attempt: what keeps its Pods from running, else what its driver does."""

    run: DriverRun
    trouble: tuple[Trouble, ...] = ()


class Script:
    """Tells each attempt its part: the one planned last of those that fit."""

    def __init__(self, otherwise: DriverRun) -> None:
        """`otherwise` is the part of whatever nothing was planned for."""
        self._otherwise = Part(otherwise)
        self._planned: list[tuple[Callable[[Run], bool], Part]] = []

    def plan(
        self,
        part: Part | DriverRun,
        *,
        kind: str | None = None,
        stage: str | None = None,
        number: int | None = None,
        namespace: str | None = None,
    ) -> None:
        """Give this part to the attempts that fit; None fits all. Any thread."""
        wanted = {"kind": kind, "stage": stage, "number": number, "namespace": namespace}
        chosen = {name: value for name, value in wanted.items() if value is not None}

        def fits(run: Run) -> bool:
            return all(getattr(run, name) == value for name, value in chosen.items())

        self._planned.append((fits, part if isinstance(part, Part) else Part(part)))

    def part(self, run: Run) -> Part:
        """The part of this attempt."""
        return next((part for fits, part in reversed(self._planned) if fits(run)), self._otherwise)

    def trouble(self, pod: Object) -> Trouble | None:
        """What keeps this Pod from running."""
        role = role_of(pod)
        return next((each for each in self.part(Run.of(pod)).trouble if each.role == role), None)
