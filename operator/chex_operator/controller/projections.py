"""What the operator keeps of the API's objects. Small: a cluster holds ten thousand jobs and their children.

A job's spec and status are kept as compressed JSON, which takes a tenth of the memory of dicts; a pass decodes them when it needs
them. Numbers are in `docs/operations.md`.
"""

import zlib
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from chex_api.attempt import FAILURE, PROGRESS, RESULT, STOP, STOPPED, PreflightResult, StageFailure
from chex_api.stage import StageProgress, StageResult
from chex_operator.controller.fields import labels_of, part, parts, text
from chex_operator.kube.resource import Object
from chex_operator.rendering import PREFLIGHT
from chex_operator.rendering.names import ATTEMPT_LABEL, JOB_UID_LABEL, ROLE_LABEL
from chex_operator.rules.observed import AttemptObject, ProgressRecord
from chex_operator.rules.outcome import DriverReport, RayJobState
from chex_operator.rules.timestamps import seconds_of

FINALIZER = "chexdragon.dev/checkpoint"
COMPONENT_LABEL = "app.kubernetes.io/component"
MOST_RECORD_BYTES = 16 * 1024
"""Of a driver's progress and outcome; a preflight's result lists every stage and may be longer."""
MOST_PREFLIGHT_BYTES = 900 * 1024


@dataclass(frozen=True, slots=True)
class JobProjection:
    """A `ChexTrainingJob`.

    Attributes:
        is_at_its_end: its status holds the end of this very generation.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    version: str
    deleting_since: float | None
    finalizers: tuple[str, ...]
    is_at_its_end: bool
    runtime: tuple[str, str]
    document: bytes

    def spec_and_status(self) -> tuple[Object, Object]:
        """Its spec and status, as the API server sent them."""
        plain = orjson.loads(zlib.decompress(self.document))
        return plain["spec"], plain["status"]


@dataclass(frozen=True, slots=True)
class AttemptObjectProjection:
    """A RayJob or a Job of ours. `job_name` is the name of its owner."""

    job_uid: str
    namespace: str
    job_name: str
    attempt_object: AttemptObject


@dataclass(frozen=True, slots=True)
class ConfigMapProjection:
    """A ConfigMap that the operator watches: a plan, or the progress record of an attempt."""

    job_uid: str
    namespace: str
    name: str
    role: str
    attempt: str
    is_preflight: bool
    uid: str
    document: bytes

    def data(self) -> dict[str, str]:
        """Its entries."""
        return orjson.loads(zlib.decompress(self.document))


@dataclass(frozen=True, slots=True)
class RuntimeProjection:
    """A runtime of either kind."""

    namespace: str
    name: str
    version: str
    spec: bytes

    def plain_spec(self) -> Object:
        """Its spec."""
        return orjson.loads(zlib.decompress(self.spec))


def project_job(item: Object) -> JobProjection:
    """Of a `ChexTrainingJob`."""
    metadata, spec, status = item["metadata"], part(item, "spec"), part(item, "status")
    reference, generation = part(spec, "runtimeRef"), int(metadata.get("generation") or 0)
    return JobProjection(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=generation,
        version=metadata["resourceVersion"],
        deleting_since=seconds_of(metadata.get("deletionTimestamp")),
        finalizers=tuple(metadata.get("finalizers") or ()),
        is_at_its_end=bool(status.get("completionTime")) and status.get("observedGeneration") == generation,
        runtime=(text(reference, "kind") or "ClusterChexRuntime", text(reference, "name")),
        document=_packed({"spec": spec, "status": status}),
    )


def project_ray_job(item: Object) -> AttemptObjectProjection:
    """Of a RayJob."""
    status = part(item, "status")
    state = RayJobState(
        job_status=text(status, "jobStatus"),
        deployment_status=text(status, "jobDeploymentStatus"),
        reason=text(status, "reason"),
        message=text(status, "message")[:1024],
    )
    return _run(item, state, is_preflight=False, ended=text(status, "endTime"))


def project_batch_job(item: Object) -> AttemptObjectProjection:
    """Of a Job, in KubeRay's words."""
    status = part(item, "status")
    true = [each for each in parts(status, "conditions") if each.get("status") == "True"]
    conditions = {text(each, "type"): each for each in true}
    suspended = bool(part(item, "spec").get("suspend"))
    state = RayJobState(deployment_status="Suspended" if suspended else "Running")
    if "Complete" in conditions:
        state = RayJobState("SUCCEEDED", "Complete")
    elif "Failed" in conditions:
        failed = conditions["Failed"]
        state = RayJobState("FAILED", "Failed", text(failed, "reason"), text(failed, "message"))
    ended = text(status, "completionTime") or text(conditions.get("Failed", {}), "lastTransitionTime")
    # The Job controller sets `startTime` anew whenever a queue lets the Job go on.
    return _run(item, state, is_preflight=True, ended=ended, admitted=text(status, "startTime"))


def project_config_map(item: Object) -> ConfigMapProjection:
    """Of a ConfigMap."""
    metadata, labels = item["metadata"], labels_of(item)
    return ConfigMapProjection(
        job_uid=labels.get(JOB_UID_LABEL, ""),
        namespace=metadata["namespace"],
        name=metadata["name"],
        role=labels.get(ROLE_LABEL, ""),
        attempt=labels.get(ATTEMPT_LABEL, ""),
        is_preflight=labels.get(COMPONENT_LABEL) == PREFLIGHT,
        uid=metadata["uid"],
        document=_packed(part(item, "data")),
    )


def project_runtime(item: Object) -> RuntimeProjection:
    """Of a `ClusterChexRuntime` or `ChexRuntime`."""
    metadata = item["metadata"]
    return RuntimeProjection(
        namespace=text(metadata, "namespace"),
        name=metadata["name"],
        version=metadata["resourceVersion"],
        spec=_packed(part(item, "spec")),
    )


def progress_record_of(projection: ConfigMapProjection) -> ProgressRecord:
    """What driver and operator have written. Entries that cannot be parsed are left out: a driver's mistake stops no job."""
    data = projection.data()
    failure = _read(StageFailure, data.get(FAILURE), MOST_RECORD_BYTES)
    report = DriverReport(
        failure=failure.message if failure is not None else "",
        user_error=failure.user_error if failure is not None else False,
        stopped=STOPPED in data,
    )
    result, preflight = None, None
    if projection.is_preflight:
        preflight = _read(PreflightResult, data.get(RESULT), MOST_PREFLIGHT_BYTES)
    else:
        result = _read(StageResult, data.get(RESULT), MOST_RECORD_BYTES)
    return ProgressRecord(
        uid=projection.uid,
        is_preflight=projection.is_preflight,
        driver_report=report,
        progress=_read(StageProgress, data.get(PROGRESS), MOST_RECORD_BYTES),
        result=result,
        preflight=preflight,
        stop_since=stop_since(data),
    )


def stop_text(why: str, moment: str) -> str:
    """What the operator writes to ask for a stop: when, and why."""
    return f"{moment} {why}"


def stop_since(data: dict[str, str]) -> float | None:
    """Since when a stop is asked for."""
    if STOP not in data:
        return None
    try:
        return seconds_of(data[STOP].partition(" ")[0]) or 0.0
    except ValueError:
        return 0.0


def _run(
    item: Object, state: RayJobState, *, is_preflight: bool, ended: str, admitted: str = ""
) -> AttemptObjectProjection:
    metadata = item["metadata"]
    owners = [
        text(each, "name")
        for each in parts(metadata, "ownerReferences")
        if text(each, "kind") == "ChexTrainingJob"
    ]
    return AttemptObjectProjection(
        job_uid=labels_of(item).get(JOB_UID_LABEL, ""),
        namespace=metadata["namespace"],
        job_name=owners[0] if owners else "",
        attempt_object=AttemptObject(
            name=metadata["name"],
            uid=metadata["uid"],
            is_preflight=is_preflight,
            state=state,
            deleting=bool(metadata.get("deletionTimestamp")),
            admitted_at=seconds_of(admitted),
            ended_at=seconds_of(ended),
        ),
    )


def _read(model: type[Any], text: str | None, most_bytes: int) -> Any:
    if text is None or len(text.encode()) > most_bytes:
        return None
    try:
        # Written by the jobs image, which may be of another version: unknown fields are ignored.
        return model.model_validate_json(text, extra="ignore")
    except ValidationError:
        return None


def _packed(plain: object) -> bytes:
    return zlib.compress(orjson.dumps(plain), 3)
