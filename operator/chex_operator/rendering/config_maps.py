"""The ConfigMaps of an attempt: what it reads, and what it writes."""

import json

from chex_api.attempt import ATTEMPT_FILE, MANIFEST_FILE, STAGE_FILE, AttemptFile
from chex_operator.kube.resource import Object
from chex_operator.rendering.attempt import Attempt, AttemptReference, Preflight
from chex_operator.rendering.names import ROLE_LABEL, attempt_name, metadata, progress_name, stage_name

PROGRESS_ROLE = "progress"


def stage_config_map(attempt: Attempt) -> Object:
    """The stage spec, and what else the entry point must know of this attempt. Immutable: it was decided once."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(attempt.reference, stage_name(attempt_name(attempt.reference))),
        "immutable": True,
        "data": {STAGE_FILE: attempt.document, ATTEMPT_FILE: _about(attempt.reference)},
    }


def progress_config_map(attempt: AttemptReference) -> Object:
    """Empty: the driver of this attempt patches it, nobody else may."""
    rendered = metadata(attempt, progress_name(attempt_name(attempt)))
    rendered["labels"][ROLE_LABEL] = PROGRESS_ROLE
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": rendered}


def preflight_config_map(preflight: Preflight) -> Object:
    """What a preflight reads and writes, in one object: nothing but its own answer depends on it."""
    rendered = progress_config_map(preflight.reference)
    rendered["data"] = {
        MANIFEST_FILE: json_text(preflight.manifest),
        ATTEMPT_FILE: _about(preflight.reference),
    }
    return rendered


def json_text(plain: object) -> str:
    """The same text for the same data."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _about(attempt: AttemptReference) -> str:
    about = AttemptFile(
        attempt=attempt_name(attempt),
        namespace=attempt.job.namespace,
        progress_config_map=progress_name(attempt_name(attempt)),
    )
    return json_text(about.plain())
