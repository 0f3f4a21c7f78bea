"""`status`: what the operator tells. Bounded; numbers are strings, as Kubernetes' conventions ask; trial tables live in S3."""

from typing import Annotated, Any, Literal

from pydantic import Field

from chex_api.base import LONGEST_URI, ApiModel, Name, Text

Phase = Literal[
    "Pending",
    "Preflight",
    "Ingesting",
    "Pretraining",
    "Adapting",
    "Evaluating",
    "Reporting",
    "Complete",
    "Failed",
    "Suspended",
    "Stopping",
]
StageState = Literal["Waiting", "Running", "Finished", "Failed", "Suspended", "Stopping"]
Timestamp = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$", max_length=40)]
Number = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", max_length=24)]


class Condition(ApiModel):
    """A standard `metav1.Condition`."""

    type: str = Field(
        min_length=1, max_length=316, description="Valid, Running, Suspended, Complete or Failed."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    observed_generation: int | None = Field(
        default=None, ge=0, le=9_007_199_254_740_991, description="Generation of the spec that it speaks of."
    )
    last_transition_time: Timestamp = Field(description="When `status` last changed.")
    reason: str = Field(min_length=1, max_length=1024, description="Reason for machines, one CamelCase word.")
    message: str = Field(default="", max_length=32768, description="Reason for people, with what to do.")


class Interruption(ApiModel):
    """What took machines from an attempt that goes on."""

    reason: str = Field(max_length=128, description="Why, for machines: one CamelCase word.")
    message: str = Field(max_length=2048, description="Why, for people: which Pod, and what to do.")


class StageStatus(ApiModel):
    """One stage of the plan, or the preflight that comes before it."""

    name: str = Field(
        min_length=1, max_length=128, description="`<kind>/<name>`, such as `pretrain/ssl`; or `preflight`."
    )
    state: StageState = Field(description="What it is doing.")
    identity: str = Field(default="", max_length=64, description="Identity of the stage.")
    attempt: int = Field(
        default=0, ge=0, le=100_000, description="Number of the attempt that runs or ran last."
    )
    attempt_name: str = Field(
        default="", max_length=63, description="Name of that attempt, and of its RayJob or Job."
    )
    reason: str = Field(default="", max_length=128, description="Why, for machines: one CamelCase word.")
    message: str = Field(default="", max_length=2048, description="Why, for people, with what to do.")
    interruption: Interruption | None = Field(
        default=None,
        description="What took machines from the attempt, until it has all of them again and gets further. Should it end before, this is why.",
    )
    progress_percent: int = Field(default=0, ge=0, le=100, description="How much of it is done.")
    workers: int = Field(default=0, ge=0, le=4096, description="Workers of that attempt, beside the head.")
    gpus: int = Field(default=0, ge=0, le=1_000_000, description="GPUs that the attempt asks for.")
    gpu_seconds: Number = Field(
        default="0", description="GPU-seconds of ended attempts, start-up and idle time included."
    )
    failures: int = Field(
        default=0, ge=0, le=100_000, description="Failed attempts since the last one that got further."
    )
    disruptions: int = Field(
        default=0, ge=0, le=100_000, description="Evictions, preemptions and lost nodes."
    )
    committed: Number = Field(default="0", description="Units of work that no further attempt repeats.")
    launch_time: Timestamp | None = Field(
        default=None, description="When the attempt's RayJob or Job was seen first."
    )
    start_time: Timestamp | None = Field(
        default=None, description="When the attempt's machines were there: its GPU-seconds count from then."
    )
    not_before: Timestamp | None = Field(default=None, description="When the next attempt may begin.")
    manifest_uri: str = Field(
        default="", alias="manifestURI", max_length=LONGEST_URI, description="The finished stage's manifest."
    )
    manifest_sha256: str = Field(default="", max_length=64, description="Its checksum.")


class SupersededAttempt(ApiModel):
    """An attempt that an edited manifest replaced, and that has not ended yet."""

    attempt_name: str = Field(max_length=63, description="Name of the attempt, and of its RayJob.")
    pool: str = Field(default="", max_length=63, description="Pool of its workers.")
    gpus: int = Field(ge=0, le=1_000_000, description="GPUs that it has.")
    start_time: Timestamp = Field(description="When its machines were there.")


class HospitalStatus(ApiModel):
    """What is known for one hospital."""

    name: Name = Field(description="The hospital.")
    recommended: Text = Field(
        default="",
        description="Arm to deploy, `<start>/<strategy>@<label fraction>`: the one that validation chose.",
    )
    verdict: str = Field(
        default="", max_length=64, description="What the test set shows of it: one CamelCase word."
    )
    auroc: Number | None = Field(
        default=None,
        description="AUROC of its weights on test patients; of several tasks the mean, then without an interval.",
    )
    auroc_low: Number | None = Field(default=None, description="Lower end of the interval.")
    auroc_high: Number | None = Field(default=None, description="Upper end of the interval.")


class JobStatus(ApiModel):
    """What the operator tells of a job."""

    observed_generation: int | None = Field(
        default=None,
        ge=0,
        le=9_007_199_254_740_991,
        description="Generation of the spec that this speaks of.",
    )
    phase: Phase = Field(default="Pending", description="For people; machines read conditions.")
    conditions: tuple[Condition, ...] = Field(
        default=(), max_length=16, description="Valid, Running, Suspended, Complete, Failed."
    )
    progress: str = Field(default="", max_length=8, description="Overall progress, such as `71%`.")
    stage: str = Field(default="", max_length=128, description="The stage that matters now.")
    best: Text = Field(default="", description="Best result so far, in words.")
    eta: str = Field(default="", max_length=32, description="Rounded time left, such as `~2h`.")
    gpu_hours: Number = Field(default="0", description="GPU-hours used so far.")
    earlier_gpu_seconds: Number = Field(
        default="0", alias="earlierGPUSeconds", description="GPU-seconds of stages that left the plan."
    )
    superseded: tuple[SupersededAttempt, ...] = Field(
        default=(),
        max_length=256,
        description="Attempts that an edited manifest replaced and that still stop: their GPU-seconds count.",
    )
    active_seconds: int = Field(
        default=0,
        ge=0,
        le=9_007_199_254_740_991,
        description="Seconds run until `activeSince`, suspended time not counted.",
    )
    start_time: Timestamp | None = Field(default=None, description="When the job was first acted on.")
    completion_time: Timestamp | None = Field(default=None, description="When it ended.")
    plan: str = Field(default="", max_length=63, description="ConfigMap that holds the frozen plan.")
    active_since: Timestamp | None = Field(
        default=None, description="Since when the job is running; absent while it is not."
    )
    report_uri: str = Field(
        default="", alias="reportURI", max_length=LONGEST_URI, description="Where the report lies."
    )
    stages: tuple[StageStatus, ...] = Field(default=(), max_length=256, description="The plan's stages.")
    hospitals: tuple[HospitalStatus, ...] = Field(default=(), max_length=64, description="The hospitals.")

    def told(self) -> dict[str, Any]:
        """As it is written: what there is nothing to say of is left out, so that `kubectl describe` stays readable.

        Conditions are written in full, as their readers expect.
        """
        plain = self.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
        return {**plain, "phase": self.phase, "conditions": [each.plain() for each in self.conditions]}
