"""`spec.runPolicy`: how the operator runs a job. Nothing here can change a result."""

from pydantic import Field

from chex_api.base import ApiModel


class Budget(ApiModel):
    """What the job may cost."""

    gpu_hours: float = Field(ge=0.0, le=1e9, description="GPU-hours after which the job stops cleanly.")


class RunPolicy(ApiModel):
    """How the operator runs the job; `chex run` on one machine does not need it."""

    suspend: bool = Field(
        default=False, description="Stop with a checkpoint and free all GPUs; false goes on from there."
    )
    backoff_limit: int = Field(
        default=3,
        ge=0,
        le=100,
        description="Failed attempts of a stage without progress before the job fails.",
    )
    max_disruptions: int = Field(
        default=20, ge=0, le=10_000, description="Evictions, preemptions and lost nodes before the job fails."
    )
    active_deadline_seconds: int | None = Field(
        default=None,
        ge=1,
        le=315_360_000,
        description="Seconds that the job may run, suspended time not counted.",
    )
    pre_running_deadline_seconds: int = Field(
        default=1800, ge=30, le=604_800, description="Seconds that an attempt may wait for its machines."
    )
    parallelism: int = Field(default=4, ge=1, le=256, description="Stages that run at the same time.")
    ttl_seconds_after_finished: int | None = Field(
        default=None,
        ge=0,
        le=315_360_000,
        description="Seconds after the end until the job's objects, not its artifacts, are deleted; absent: kept.",
    )
    queue_name: str = Field(default="", max_length=63, description="Kueue LocalQueue; empty: none.")
    priority_class_name: str = Field(
        default="", max_length=253, description="PriorityClass of the Pods; empty: the cluster's default."
    )
    budget: Budget | None = Field(default=None, description="What the job may cost; absent: no limit.")
