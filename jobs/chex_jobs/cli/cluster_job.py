"""A job as the API server tells it, for commands to read. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from pydantic import ValidationError

from chex_api.status import Condition, JobStatus, StageStatus
from chex_jobs.cli.kubectl import KubectlFailed

ENDED = ("Complete", "Failed")
ALIVE = ("Running", "Stopping")
"""States of a stage that has Pods."""


@dataclass(frozen=True)
class ClusterJob:
    """What commands need of a ChexTrainingJob.

    An operator newer than this program may tell more: fields that are not known here are passed over.
    """

    namespace: str
    name: str
    created: datetime
    generation: int
    suspended: bool
    artifacts_uri: str
    gpu_hours_budget: str
    status: JobStatus

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Self:
        """From the API server's object. Raises `KubectlFailed` for a status in words that this program does not know."""
        metadata, spec = plain["metadata"], plain.get("spec", {})
        policy = spec.get("runPolicy", {})
        budget = policy.get("budget", {}).get("gpuHours")
        return cls(
            namespace=metadata.get("namespace", ""),
            name=metadata["name"],
            created=moment(metadata["creationTimestamp"]),
            generation=metadata.get("generation", 1),
            suspended=bool(policy.get("suspend", False)),
            artifacts_uri=spec.get("artifacts", {}).get("uri", ""),
            gpu_hours_budget="" if budget is None else f"{budget:g}",
            status=_status(plain),
        )

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type."""
        return next((each for each in self.status.conditions if each.type == kind), None)

    @property
    def ended(self) -> str:
        """`Complete` or `Failed` when it is, else empty. A status of an earlier generation does not count."""
        if (self.status.observed_generation or 0) < self.generation:
            return ""
        held = (
            kind for kind in ENDED if (each := self.condition(kind)) is not None and each.status == "True"
        )
        return next(held, "")

    @property
    def refused(self) -> bool:
        """Whether the operator has refused the newest spec, and nothing of an earlier one still runs."""
        valid = self.condition("Valid")
        return (
            (self.status.observed_generation or 0) >= self.generation
            and valid is not None
            and valid.status == "False"
            and not any(stage.state in ALIVE for stage in self.status.stages)
        )


def moment(timestamp: str) -> datetime:
    """A Kubernetes timestamp."""
    return datetime.fromisoformat(timestamp).astimezone(UTC)


def stage_that_matters(stages: Sequence[StageStatus], leading: str) -> StageStatus | None:
    """The stage whose log people want: one that runs; else the last that failed; else one between two attempts; else the last finished.

    Args:
        stages: in the plan's order.
        leading: the operator's own word for the stage that matters; it decides among several that run.
    """
    begun = [stage for stage in stages if stage.attempt_name]
    for states in (("Running", "Stopping"), ("Failed",), ("Waiting", "Suspended"), ("Finished",)):
        found = [stage for stage in begun if stage.state in states]
        if found:
            return next((stage for stage in found if stage.name == leading), found[-1])
    return None


def _status(plain: dict[str, Any]) -> JobStatus:
    try:
        return JobStatus.model_validate_json(json.dumps(plain.get("status", {})), extra="ignore")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise KubectlFailed(
            f"the operator tells status.{where} in words that this program does not know ({first['input']!r}): upgrade "
            "kubectl chex, or look at it with: -o yaml"
        ) from error
