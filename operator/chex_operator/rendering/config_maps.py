"""The two ConfigMaps of an attempt: what it reads, and what it writes."""

import json

from chex_api.attempt import ATTEMPT_FILE, STAGE_FILE, AttemptFile
from chex_operator.rendering.attempt import Attempt
from chex_operator.rendering.names import attempt_name, metadata
from chex_operator.runtime.resource import Object


def stage_config_map(attempt: Attempt) -> Object:
    """The stage spec, and what else the entry point must know of this attempt. Immutable: it was decided once."""
    about = AttemptFile(
        attempt=attempt_name(attempt),
        namespace=attempt.job.namespace,
        progress_config_map=progress_name(attempt),
    )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(attempt, stage_name(attempt)),
        "immutable": True,
        "data": {STAGE_FILE: _text(attempt.stage.plain()), ATTEMPT_FILE: _text(about.plain())},
    }


def progress_config_map(attempt: Attempt) -> Object:
    """Empty: the driver of this attempt patches it, nobody else may."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(attempt, progress_name(attempt))}


def stage_name(attempt: Attempt) -> str:
    """Name of the ConfigMap that is mounted."""
    return f"{attempt_name(attempt)}-stage"


def progress_name(attempt: Attempt) -> str:
    """Name of the ConfigMap that the driver patches."""
    return f"{attempt_name(attempt)}-progress"


def _text(plain: object) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
