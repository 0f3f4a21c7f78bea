"""What the operator keeps of the API's objects. Small: a cluster holds ten thousand jobs, and their children.

A job's spec and status are kept as compressed JSON, which takes a tenth of the memory of dicts; they are read when a pass needs
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
from chex_operator.rules.observed import Notes, Run
from chex_operator.rules.outcome import RayJobState, Told
from chex_operator.rules.timestamps import seconds_of

FINALIZER = "chexdragon.dev/checkpoint"
COMPONENT_LABEL = "app.kubernetes.io/component"
MOST_NOTE_BYTES = 16 * 1024
"""Of a driver's progress and outcome; a preflight's result lists every stage and may be longer."""
MOST_PREFLIGHT_BYTES = 900 * 1024


@dataclass(frozen=True, slots=True)
class JobView:
    """A `ChexTrainingJob`.

    Attributes:
        is_at_its_end: its status tells the end of this very generation.
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
class RunView:
    """A RayJob or a Job of ours. `job_name` is its owner's."""

    job_uid: str
    namespace: str
    job_name: str
    run: Run


@dataclass(frozen=True, slots=True)
class ConfigMapView:
    """A ConfigMap that a job is followed by: a plan, or the notes of an attempt."""

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
class RuntimeView:
    """A runtime of either kind."""

    namespace: str
    name: str
    version: str
    spec: bytes

    def plain_spec(self) -> Object:
        """Its spec."""
        return orjson.loads(zlib.decompress(self.spec))


def job_view(item: Object) -> JobView:
    """Of a `ChexTrainingJob`."""
    metadata, spec, status = item["metadata"], part(item, "spec"), part(item, "status")
    reference, generation = part(spec, "runtimeRef"), int(metadata.get("generation") or 0)
    return JobView(
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


def ray_job_view(item: Object) -> RunView:
    """Of a RayJob."""
    status = part(item, "status")
    state = RayJobState(
        job_status=text(status, "jobStatus"),
        deployment_status=text(status, "jobDeploymentStatus"),
        reason=text(status, "reason"),
        message=text(status, "message")[:1024],
    )
    return _run(item, state, is_preflight=False, ended=text(status, "endTime"))


def job_run_view(item: Object) -> RunView:
    """Of a Job, in KubeRay's words."""
    status = part(item, "status")
    true = [each for each in parts(status, "conditions") if each.get("status") == "True"]
    conditions = {text(each, "type"): each for each in true}
    suspended = bool(part(item, "spec").get("suspend"))
    state = RayJobState(deployment_status="Suspended" if suspended else "Running")
    if "Complete" in conditions:
        state = RayJobState("SUCCEEDED", "Complete")
    elif "Failed" in conditions:
        told = conditions["Failed"]
        state = RayJobState("FAILED", "Failed", text(told, "reason"), text(told, "message"))
    ended = text(status, "completionTime") or text(conditions.get("Failed", {}), "lastTransitionTime")
    # The Job controller sets `startTime` anew whenever a queue lets the Job go on.
    return _run(item, state, is_preflight=True, ended=ended, admitted=text(status, "startTime"))


def config_map_view(item: Object) -> ConfigMapView:
    """Of a ConfigMap."""
    metadata, labels = item["metadata"], labels_of(item)
    return ConfigMapView(
        job_uid=labels.get(JOB_UID_LABEL, ""),
        namespace=metadata["namespace"],
        name=metadata["name"],
        role=labels.get(ROLE_LABEL, ""),
        attempt=labels.get(ATTEMPT_LABEL, ""),
        is_preflight=labels.get(COMPONENT_LABEL) == PREFLIGHT,
        uid=metadata["uid"],
        document=_packed(part(item, "data")),
    )


def runtime_view(item: Object) -> RuntimeView:
    """Of a `ClusterChexRuntime` or `ChexRuntime`."""
    metadata = item["metadata"]
    return RuntimeView(
        namespace=text(metadata, "namespace"),
        name=metadata["name"],
        version=metadata["resourceVersion"],
        spec=_packed(part(item, "spec")),
    )


def notes_of(view: ConfigMapView) -> Notes:
    """What driver and operator have written. What cannot be understood is left out: a driver's mistake stops no job."""
    data = view.data()
    failure = _read(StageFailure, data.get(FAILURE), MOST_NOTE_BYTES)
    told = Told(
        failure=failure.message if failure is not None else "",
        by_input=failure.by_input if failure is not None else False,
        stopped=STOPPED in data,
    )
    result, preflight = None, None
    if view.is_preflight:
        preflight = _read(PreflightResult, data.get(RESULT), MOST_PREFLIGHT_BYTES)
    else:
        result = _read(StageResult, data.get(RESULT), MOST_NOTE_BYTES)
    return Notes(
        uid=view.uid,
        is_preflight=view.is_preflight,
        told=told,
        progress=_read(StageProgress, data.get(PROGRESS), MOST_NOTE_BYTES),
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


def _run(item: Object, state: RayJobState, *, is_preflight: bool, ended: str, admitted: str = "") -> RunView:
    metadata = item["metadata"]
    owners = [
        text(each, "name")
        for each in parts(metadata, "ownerReferences")
        if text(each, "kind") == "ChexTrainingJob"
    ]
    return RunView(
        job_uid=labels_of(item).get(JOB_UID_LABEL, ""),
        namespace=metadata["namespace"],
        job_name=owners[0] if owners else "",
        run=Run(
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
        # By the jobs image, which may be of another version: fields that this one does not know are passed over.
        return model.model_validate_json(text, extra="ignore")
    except ValidationError:
        return None


def _packed(plain: object) -> bytes:
    return zlib.compress(orjson.dumps(plain), 3)
