"""Every reason that a condition, a stage, an event or a request to stop gives: when it is given, and its message.

A `Reason` is for machines: decisions compare reasons, never messages. An `Explanation` is a reason with the message that people
read, in the situation that its comment describes; several situations may share a reason. Braces are filled by `with_details`.
KubeRay's own reasons are passed on where the operator knows none of its own, so a reason that is read is a plain string.
"""

from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """The reasons that the operator gives, and compares."""

    NONE = ""
    # Condition Valid
    ACCEPTED = "Accepted"
    INVALID_SPEC = "InvalidSpec"
    NOT_ALLOWED_BY_RUNTIME = "NotAllowedByRuntime"
    NO_RUNTIME = "NoRuntime"
    RUNTIME_NOT_FOUND = "RuntimeNotFound"
    RUNTIME_INVALID = "RuntimeInvalid"
    # The other conditions
    RUNNING = "Running"
    BUDGET_NEARLY_USED = "BudgetNearlyUsed"
    STOPPING = "Stopping"
    NOT_VALID = "NotValid"
    SUSPENDED = "Suspended"
    NOT_SUSPENDED = "NotSuspended"
    COMPLETE = "Complete"
    NOT_COMPLETE = "NotComplete"
    NOT_FAILED = "NotFailed"
    PREFLIGHT_FAILED = "PreflightFailed"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    BUDGET_EXCEEDED = "BudgetExceeded"
    # Stages
    STARTING = "Starting"
    QUEUED = "Queued"
    FINISHED = "Finished"
    STOPPED = "Stopped"
    CREATION_REFUSED = "CreationRefused"
    RESULT_UNKNOWN = "ResultUnknown"
    NO_MANIFEST = "NoManifest"
    PLAN_FAILED = "PlanFailed"
    VERSION_MISMATCH = "VersionMismatch"
    # Ends of attempts
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STAGE_FAILED = "StageFailed"
    VALIDATION_FAILED = "ValidationFailed"
    ATTEMPT_DELETED = "RunDeleted"
    PREEMPTED_BY_QUEUE = "PreemptedByQueue"
    PRE_RUNNING_DEADLINE_EXCEEDED = "PreRunningDeadlineExceeded"
    TOO_MANY_DISRUPTIONS = "TooManyDisruptions"
    BACKOFF_LIMIT_EXCEEDED = "BackoffLimitExceeded"
    # KubeRay's, which the operator explains
    SUBMISSION_FAILED = "SubmissionFailed"
    ENTRY_POINT_FAILED = "AppFailed"
    HEAD_UNREACHABLE = "JobStatusCheckTimeoutExceeded"
    # Pods
    EVICTED = "Evicted"
    PREEMPTED = "Preempted"
    NODE_LOST = "NodeLost"
    DISRUPTED = "Disrupted"
    OUT_OF_MEMORY = "OOMKilled"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_PULL = "ImagePull"
    CREATE_CONTAINER_CONFIG_ERROR = "CreateContainerConfigError"
    CREATE_CONTAINER_ERROR = "CreateContainerError"
    RUN_CONTAINER_ERROR = "RunContainerError"
    # Requests to stop
    SUPERSEDED = "Superseded"
    DELETED = "Deleted"
    # Events
    STAGE_STARTED = "StageStarted"
    STAGE_FINISHED = "StageFinished"
    ATTEMPT_FAILED = "AttemptFailed"
    DATA_OUTLOOK = "DataOutlook"
    STILL_RUNNING = "StillRunning"


DISRUPTIONS = frozenset(
    {Reason.EVICTED, Reason.PREEMPTED, Reason.NODE_LOST, Reason.DISRUPTED, Reason.PREEMPTED_BY_QUEUE}
)
"""Nobody's fault, and counted apart from failures."""
SHORT_OF_MACHINES = frozenset({Reason.PRE_RUNNING_DEADLINE_EXCEEDED, Reason.UNSCHEDULABLE})
"""After an attempt that ended so, the next one asks for fewer workers."""


class Explanation(NamedTuple):
    """A reason for machines, and the message that people read."""

    reason: str
    message: str = ""

    def with_details(self, **details: object) -> "Explanation":
        """The explanation with the braces of its message filled."""
        return Explanation(self.reason, self.message.format(**details))


NO_REASON = Explanation(Reason.NONE)
"""There is nothing to explain: a stage that waits for its first attempt, for its parents, or again after an edit."""

# Condition Valid.

ACCEPTED = Explanation(Reason.ACCEPTED, "the manifest can be run on its runtime")
"""The manifest passed all checks."""
INVALID_SPEC = Explanation(Reason.INVALID_SPEC, "{faults}")
"""The spec itself is wrong, whatever the runtime."""
NOT_ALLOWED_BY_RUNTIME = Explanation(Reason.NOT_ALLOWED_BY_RUNTIME, "{faults}")
"""The spec is valid, and asks for a pool, queue, priority or location that its runtime does not offer."""
NO_RUNTIME = Explanation(
    Reason.NO_RUNTIME,
    "spec.runtimeRef is required in a cluster; name a runtime: kubectl get clusterchexruntimes,chexruntimes",
)
"""The manifest names no runtime."""
RUNTIME_NOT_FOUND = Explanation(
    Reason.RUNTIME_NOT_FOUND, "spec.runtimeRef: there is no {kind} {name!r}{where}"
)
"""The runtime that the manifest names does not exist."""
RUNTIME_NOT_SERVED = Explanation(
    Reason.RUNTIME_NOT_FOUND,
    "spec.runtimeRef: there is no {kind} {name!r}; this operator serves one namespace and knows ChexRuntimes only",
)
"""The manifest names a cluster runtime, and a namespaced operator cannot read those."""
RUNTIME_INVALID = Explanation(Reason.RUNTIME_INVALID, "{kind} {name!r}: {faults}")
"""The runtime was admitted by a CRD that knows fewer rules than this operator."""

# Condition Running.

RUNNING = Explanation(Reason.RUNNING)
"""Attempts run or wait to run, and nothing is wrong. Of a stage: its driver has reported."""
STAGE_IN_TROUBLE = "{stage}: {message}"
"""The message while a stage has a problem; the reason is the stage's."""
BUDGET_NEARLY_USED = Explanation(
    Reason.BUDGET_NEARLY_USED, "{used:.1f} of {budget:g} GPU-hours of spec.runPolicy.budget are used"
)
"""Most of the budget is used, and nothing is wrong."""
STOPPING = Explanation(Reason.STOPPING, "{why}")
"""Attempts are about to stop, for the reason of the stop."""
NOT_VALID = Explanation(Reason.NOT_VALID, "see condition Valid")
"""The manifest is refused and nothing runs."""

# Conditions Suspended, Complete and Failed.

IS_SUSPENDED = Explanation(Reason.SUSPENDED)
"""The job is suspended, and its attempts have stopped."""
NOT_SUSPENDED = Explanation(Reason.NOT_SUSPENDED)
"""The job is not suspended, or its attempts have not stopped yet."""
COMPLETE = Explanation(Reason.COMPLETE)
"""Every stage is finished; also of condition Running."""
NOT_COMPLETE = Explanation(Reason.NOT_COMPLETE)
"""Some stage is not finished."""
NOT_FAILED = Explanation(Reason.NOT_FAILED)
"""The job has not failed, or its attempts have not stopped yet."""

# Why a job stops.

JOB_FAILED = "{stage}: {message}"
"""The message after a stage has failed for good; the reason is the stage's, `PreflightFailed` for a preflight."""
DEADLINE_EXCEEDED = Explanation(
    Reason.DEADLINE_EXCEEDED,
    "has run for spec.runPolicy.activeDeadlineSeconds ({deadline} s); raise it to go on. Unfinished: {unfinished}",
)
"""The job has been active for as long as its run policy allows."""
BUDGET_EXCEEDED = Explanation(
    Reason.BUDGET_EXCEEDED,
    "has used spec.runPolicy.budget.gpuHours ({budget:g}); raise it to go on. Unfinished: {unfinished}",
)
"""The job has used the GPU-hours that its run policy allows."""
SUSPENDED = Explanation(Reason.SUSPENDED, "spec.runPolicy.suspend is true; set it to false to go on")
"""The job wants to be suspended."""
STOPS_WITH_CHECKPOINT = "stops with a checkpoint"
"""The message of a stage that stops; the reason is that of the stop."""

# Stages without a problem.

STARTING = Explanation(Reason.STARTING)
"""The attempt is written down, and its driver has not reported yet."""
QUEUED = Explanation(Reason.QUEUED, "waits for its turn in the queue")
"""A queue such as Kueue's holds the RayJob or Job back."""
FINISHED = Explanation(Reason.FINISHED)
"""The stage's manifest exists."""
STOPPED = Explanation(Reason.STOPPED, "stopped; it goes on from its last checkpoint")
"""The attempt was asked to stop, and has ended."""
STOPPED_BEFORE_START = Explanation(Reason.STOPPED, "it had not begun")
"""The attempt was to stop before its object was created."""

# Stages that cannot start.

CREATION_FORBIDDEN = Explanation(Reason.CREATION_REFUSED, "Kubernetes refuses {what}: {error}")
"""Quota, admission or permissions refuse an object of the attempt or the plan; it is tried again."""
CREATION_IMPOSSIBLE = Explanation(Reason.CREATION_REFUSED, "{what} cannot be created at present: {answer}")
"""Another error keeps an object from being created, a webhook that is down perhaps; it is tried again.

The message has no details, which may differ each time: each time would be a write of the status. They are in the log.
"""

# Results that are not there.

RESULT_NOT_REPORTED = Explanation(
    Reason.RESULT_UNKNOWN, "it ended well and told no result; a preflight looks what is there"
)
"""A stage's attempt succeeded and reported no result."""
LOOKS_FOR_RESULTS = Explanation(Reason.RESULT_UNKNOWN, "looks what finished stages left")
"""The preflight is repeated to look up the results of such stages."""
PREFLIGHT_RESULT_GONE = Explanation(Reason.RESULT_UNKNOWN, "its result is gone; it looks again")
"""The ConfigMap with a preflight's result was deleted before its plan was frozen."""
NO_PREFLIGHT_RESULT = Explanation(
    Reason.RESULT_UNKNOWN,
    "it ended well and left no result that this operator can read; use the jobs image of the operator's release",
)
"""A preflight succeeded without a readable result."""
NO_MANIFEST = Explanation(Reason.NO_MANIFEST, "it ended well, and left no manifest")
"""A stage's attempt succeeded, and a preflight found no manifest of it."""

# Plans that cannot be made.

PLAN_FAILED = Explanation(Reason.PLAN_FAILED, "{error}")
"""What preflight found does not fit the manifest, or a pool is gone from the runtime."""
VERSION_MISMATCH = Explanation(
    Reason.VERSION_MISMATCH,
    "the runtime's image computes other identities than this operator for {stages}: the two are of "
    "different versions; use the jobs image of the operator's release",
)
"""Preflight computed other identities of stages than the operator."""

# How attempts end.

SUCCEEDED = Explanation(Reason.SUCCEEDED)
"""The entry point ended well."""
STOPPED_ON_REQUEST = Explanation(Reason.STOPPED)
"""The driver says that it stopped, or KubeRay does."""
RAY_JOB_REFUSED = Explanation(Reason.VALIDATION_FAILED, "KubeRay refuses the RayJob: {why}")
"""KubeRay's own validation refuses the RayJob; another attempt would be refused too."""
DRIVER_FAILED = Explanation(Reason.STAGE_FAILED, "{failure}")
"""The driver reported why the stage failed."""
ATTEMPT_DELETED = Explanation(Reason.ATTEMPT_DELETED, "its RayJob was deleted by somebody else")
"""A RayJob that was observed before is gone from the API server."""
PREEMPTED_BY_QUEUE = Explanation(Reason.PREEMPTED_BY_QUEUE, "the queue took its machines back")
"""A queue suspended an attempt that had its machines. It is counted as a disruption at once, and continues when admitted again."""
PREFLIGHT_NOT_STARTED = Explanation(
    Reason.PRE_RUNNING_DEADLINE_EXCEEDED,
    "it had not begun after runPolicy.preRunningDeadlineSeconds ({seconds} s){problem}",
)
"""A preflight's Pod did not run in time."""
TOO_MANY_DISRUPTIONS = Explanation(
    Reason.TOO_MANY_DISRUPTIONS,
    "disrupted {disruptions} times, and runPolicy.maxDisruptions allows {allowed}; the last: {last}",
)
"""A stage fails since it was disrupted more often than its run policy allows."""
BACKOFF_LIMIT_EXCEEDED = Explanation(
    Reason.BACKOFF_LIMIT_EXCEEDED,
    "failed {failures} times without progress, and runPolicy.backoffLimit allows {allowed}; the last: {last}",
)
"""A stage fails since its attempts failed more often without progress than its run policy allows."""

# How attempts end, as KubeRay reports it.

KUBERAY_REASONS = {
    each.reason: each
    for each in (
        Explanation(Reason.SUBMISSION_FAILED, "the head was lost, or never took the entry point"),
        Explanation(
            Reason.PRE_RUNNING_DEADLINE_EXCEEDED,
            "its machines were not ready within runPolicy.preRunningDeadlineSeconds",
        ),
        Explanation(
            Reason.ENTRY_POINT_FAILED,
            "the entry point ended without a word; its logs lie beside its artifacts",
        ),
        Explanation(Reason.HEAD_UNREACHABLE, "KubeRay could not reach the head for minutes"),
    )
}
"""What KubeRay's reasons mean, where neither the driver nor a Pod explains the failure."""
WITH_KUBERAYS_MESSAGE = "{meaning} (KubeRay: {message})"
"""The message where KubeRay says more than its reason."""
FAILED_SILENTLY = Explanation(
    Reason.FAILED, "the attempt failed and said nothing; its logs lie beside its artifacts"
)
"""Neither the driver, a Pod nor KubeRay explains the failure."""

# Pods.

TAKEN_AWAY = "was taken away"
"""The message of a disruption (`Evicted`, `Preempted`, `NodeLost`, `Disrupted`)."""
OUT_OF_MEMORY = Explanation(
    Reason.OUT_OF_MEMORY,
    "Pod {pod} ran out of memory; give its pool (or the head) more in the runtime, or lower the batch",
)
"""The kernel killed a container of the attempt."""
OUT_OF_MEMORY_WITH_REPORT = "{problem}; the driver says: {failure}"
"""The message where the driver reported a failure too."""
UNSCHEDULABLE = Explanation(Reason.UNSCHEDULABLE, "finds no node")
"""The scheduler finds no node for a Pod."""
IMAGE_PULL = Explanation(
    Reason.IMAGE_PULL,
    "the image cannot be pulled; check spec.image of the runtime and the registry's credentials",
)
"""The kubelet cannot pull the image."""
INVALID_IMAGE_NAME = Explanation(
    Reason.IMAGE_PULL, "the image's name is wrong; mend spec.image of the runtime"
)
"""The kubelet cannot parse the image's name."""
CREATE_CONTAINER_CONFIG_ERROR = Explanation(
    Reason.CREATE_CONTAINER_CONFIG_ERROR,
    "something that its container names is missing; create it in the job's namespace",
)
"""A Secret or ConfigMap that the container names is missing."""
CREATE_CONTAINER_ERROR = Explanation(
    Reason.CREATE_CONTAINER_ERROR, "its container cannot be made; ask whoever runs the nodes"
)
"""The container runtime cannot create the container."""
RUN_CONTAINER_ERROR = Explanation(
    Reason.RUN_CONTAINER_ERROR, "its container cannot be started; ask whoever runs the nodes"
)
"""The container runtime cannot start the container."""

# Events. Those of conditions have the condition's reason and message.

JOB_COMPLETED = Explanation(Reason.COMPLETE, "every stage is finished")
"""The job is complete."""
STAGE_STARTED = Explanation(Reason.STAGE_STARTED, "{stage}: attempt {attempt}")
"""An attempt is written down."""
STAGE_FINISHED = Explanation(Reason.STAGE_FINISHED, "{stage} is finished")
"""A stage is finished."""
STAGE_FAILED = Explanation(Reason.STAGE_FAILED, "{stage}: {why}")
"""A stage has failed for good."""
ATTEMPT_FAILED = Explanation(Reason.ATTEMPT_FAILED, "{stage}: {why}")
"""An attempt failed, and another one follows."""
DATA_OUTLOOK = Explanation(Reason.DATA_OUTLOOK, "{notice}")
"""Preflight foresees that the data will not suffice for a result."""
STILL_RUNNING = Explanation(
    Reason.STILL_RUNNING,
    "its attempts did not end within {seconds:g} s; look for Pods of this job that are left",
)
"""A deleted job's finalizer is removed while attempts may still run."""
