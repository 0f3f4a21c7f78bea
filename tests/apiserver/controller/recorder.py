"""Every status of a job that was ever written, and what must hold between one and the next."""

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

from chex_operator.kube.resource import JOBS, Object
from tests.apiserver.control_plane import ApiClient
from tests.apiserver.controller.status_history import Event

ENDS = ("Running", "Suspended", "Complete", "Failed")


def versions_of(server: ApiClient, namespace: str, since: str, name: str = "tiny") -> list[Object]:
    """Every version of a job since a resourceVersion, as a watch reports them."""
    query = f"watch=1&timeoutSeconds=3&resourceVersion={since}&fieldSelector=metadata.name={name}"
    answer = server.request("GET", f"{JOBS.path(namespace)}?{query}")
    text = answer.message or json.dumps(answer.body)
    return [json.loads(line)["object"] for line in text.splitlines() if line]


def contradictions(versions: list[Object]) -> list[str]:
    """What statuses say and cannot be true; progress may go back only where the manifest has changed."""
    found = [fault for version in versions for fault in _in_itself(version)]
    for before, after in itertools.pairwise(versions):
        found += _between(before.get("status") or {}, after.get("status") or {})
    return found


def two_at_once(events: list[Event], ended: Callable[[Object], bool]) -> list[str]:
    """Attempts of one stage of which there was something live at the same moment.

    Args:
        events: Of RayJobs, Jobs or Pods that bear our labels; others are passed over.
        ended: Whether an object is done, by its status.
    """
    live: dict[str, dict[str, str]] = {}
    found: list[str] = []
    for event in events:
        metadata = event.object["metadata"]
        labels = metadata.get("labels") or {}
        attempt = labels.get("chexdragon.dev/attempt-name")
        if attempt is None:
            continue
        stage = f"{labels.get('app.kubernetes.io/component')}/{labels.get('chexdragon.dev/stage')}"
        of_stage = live.setdefault(stage, {})
        if event.type == "DELETED" or ended(event.object):
            of_stage.pop(metadata["uid"], None)
            continue
        of_stage[metadata["uid"]] = attempt
        if len(set(of_stage.values())) > 1:
            found.append(f"{event.resource.plural} of {stage} at once: {sorted(set(of_stage.values()))}")
    return found


def _in_itself(version: Object) -> Iterator[str]:
    status = version.get("status") or {}
    held = {each["type"]: each for each in status.get("conditions") or []}
    true = [kind for kind in ENDS if held.get(kind, {}).get("status") == "True"]
    if len(true) > 1:
        yield f"{true} at once"
    if status.get("phase") in ("Complete", "Failed", "Suspended") and true != [status["phase"]]:
        yield f"phase {status['phase']} and conditions {true}"
    if int(status.get("observedGeneration") or 0) > version["metadata"]["generation"]:
        yield "observedGeneration is ahead"
    for stage in status.get("stages") or []:
        if stage["state"] == "Finished" and stage["name"] != "preflight" and not stage.get("manifestURI"):
            yield f"{stage['name']} is finished without a manifest"


def _between(before: Object, after: Object) -> Iterator[str]:
    same = before.get("observedGeneration") == after.get("observedGeneration")
    if same and _percent(before) > _percent(after):
        yield f"progress from {before['progress']} to {after['progress']}"
    old = {stage["name"]: stage for stage in before.get("stages") or []}
    for stage in after.get("stages") or []:
        known: dict[str, Any] = old.get(stage["name"]) or {}
        if known.get("identity") != stage.get("identity") or stage["name"] == "preflight":
            continue
        if known["state"] == "Finished" and stage["state"] != "Finished":
            yield f"{stage['name']} is {stage['state']} after it was finished"
        for counted in ("attempt", "disruptions", "progressPercent"):
            if same and (known.get(counted) or 0) > (stage.get(counted) or 0):
                yield f"{counted} of {stage['name']} from {known[counted]} to {stage.get(counted)}"
    if float(before.get("gpuHours") or 0) > float(after.get("gpuHours") or 0):
        yield f"GPU-hours from {before['gpuHours']} to {after['gpuHours']}"


def _percent(status: Object) -> int:
    return int((status.get("progress") or "0%").rstrip("%"))
