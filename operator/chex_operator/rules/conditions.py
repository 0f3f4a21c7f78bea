"""Conditions as `metav1` has them: machines wait for these. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from chex_api.status import Condition
from chex_operator.rules.timestamps import timestamp

Truth = Literal["True", "False", "Unknown"]
ORDER = ("Valid", "Running", "Suspended", "Complete", "Failed")
MOST_CHARACTERS = 4096


@dataclass(frozen=True)
class Claim:
    """What a condition says now."""

    type: str
    status: Truth
    reason: str
    message: str = ""


def updated(
    before: Iterable[Condition], claims: Sequence[Claim], generation: int, now: float
) -> tuple[Condition, ...]:
    """The conditions with these claims. `lastTransitionTime` moves when the status does, and at no other time."""
    held = {condition.type: condition for condition in before}
    for claim in claims:
        old = held.get(claim.type)
        same = old is not None and old.status == claim.status
        held[claim.type] = Condition(
            type=claim.type,
            status=claim.status,
            observed_generation=generation,
            last_transition_time=old.last_transition_time if old is not None and same else timestamp(now),
            reason=claim.reason,
            message=claim.message[:MOST_CHARACTERS],
        )
    return tuple(held[kind] for kind in ORDER if kind in held)
