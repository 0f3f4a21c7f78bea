"""The contract between the operator and the driver of one attempt: what is mounted, and the keys of the ConfigMap they share.

Both sides import it, since neither may import the other.
"""

from typing import Annotated

from pydantic import Field

from chex_api.base import ApiModel
from chex_api.stage import StageResult

MOST_NOTICES, LONGEST_NOTICE = 16, 512
"""Of a preflight: each becomes an event. Its log holds all there is to say."""

MOUNTED_FOLDER = "/etc/chex"
STAGE_FILE = "stage.json"
"""Holds a `chex_api.stage.StageSpec`."""
MANIFEST_FILE = "manifest.json"
"""Of a preflight, in place of a stage: the plain form of the job."""
ATTEMPT_FILE = "attempt.json"
"""Holds an `AttemptFile`."""

PROGRESS, RESULT, FAILURE, STOPPED = "progress.json", "result.json", "failure.json", "stopped.json"
"""Keys that the driver writes: `StageProgress`, `StageResult` (a preflight: `PreflightResult`), `StageFailure`, and an empty object."""
KMS_KEY_VARIABLE = "CHEX_S3_KMS_KEY_ID"
"""Environment variable with the id or ARN of the KMS key that encrypts whatever is written to S3: the runtime's `storage.kmsKeyID`."""
STOP = "stop"
"""Key that the operator writes: the driver is to stop with a checkpoint."""


class AttemptFile(ApiModel):
    """What a driver must know of its attempt beside the stage."""

    attempt: str = Field(description="Name of the attempt, of its RayJob too.")
    namespace: str = Field(description="Namespace of both.")
    progress_config_map: str = Field(description="Name of the ConfigMap that this attempt alone may patch.")


class StageFailure(ApiModel):
    """Why an attempt failed, in words for people."""

    message: str = Field(max_length=4000, description="What, where, and what to do.")
    user_error: bool = Field(description="The manifest or the data are at fault: no retry mends it.")


class PreflightResult(ApiModel):
    """What a preflight found; stages are named `<kind>/<name>`."""

    digests: dict[str, str] = Field(
        max_length=4096, description="Digest of everything outside the manifest, by the plan's keys."
    )
    identities: dict[str, str] = Field(
        max_length=512, description="Identity of every stage, as the image that runs them computes it."
    )
    finished: dict[str, StageResult] = Field(
        default={}, max_length=512, description="Stages whose manifest is there."
    )
    notices: tuple[Annotated[str, Field(max_length=LONGEST_NOTICE)], ...] = Field(
        default=(),
        max_length=MOST_NOTICES,
        description="What a task will come to, and what else somebody should know before anything is computed.",
    )
