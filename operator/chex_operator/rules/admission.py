"""Whether a manifest can be run on a runtime, and if not, what to do about it. Pure.

The API server has checked the schema and CEL rules; it knows neither the runtime nor that a cluster has no `file://`. The same
rules are checked here again, since an object may be older than they are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chex_api.base import Uri
from chex_api.faults import Fault
from chex_api.job import ChexTrainingJob, JobSpec
from chex_api.plan import field_path, locations
from chex_api.run_policy import RunPolicy
from chex_api.runtime import RuntimeSpec
from chex_operator.rules import reasons
from chex_operator.rules.placement import NoSuchPool, pool_named

MOST_FAULTS_SHOWN = 8


@dataclass(frozen=True)
class Accepted:
    """A manifest that can be run.

    Attributes:
        policy: its run policy.
        runtime: what it runs on.
        identity: see `frozen_plan.plan_identity`.
        manifest: reads the job, without status. Few passes need it, and it is large: a judgement that is kept does not keep it.
    """

    policy: RunPolicy
    runtime: RuntimeSpec
    identity: str
    manifest: Callable[[], ChexTrainingJob]


@dataclass(frozen=True)
class Refused:
    """A manifest that cannot be run, and why. `policy` is its run policy where that can be read."""

    reason: str
    message: str
    policy: RunPolicy | None = None


Judgement = Accepted | Refused


def refusal_of_faults(faults: tuple[Fault, ...]) -> Refused:
    """The spec itself is wrong."""
    return Refused(*reasons.INVALID_SPEC.with_details(faults=_listed(list(faults))))


def judge(
    job: ChexTrainingJob,
    runtime: RuntimeSpec,
    identity: str,
    namespace: str,
    manifest: Callable[[], ChexTrainingJob],
) -> Judgement:
    """Whether a valid job may be run on this runtime. `manifest` reads it again; for the others see `Accepted`."""
    faults = list(_faults(job.spec, runtime, namespace))
    if faults:
        return Refused(
            *reasons.NOT_ALLOWED_BY_RUNTIME.with_details(faults=_listed(faults)), job.spec.run_policy
        )
    return Accepted(job.spec.run_policy, runtime, identity, manifest)


def _faults(spec: JobSpec, runtime: RuntimeSpec, namespace: str) -> Iterator[Fault]:
    yield from _scheduling_faults(spec.run_policy, runtime)
    yield from _location_faults(spec, runtime, namespace)
    yield from _pool_faults(spec, runtime)


def _scheduling_faults(policy: RunPolicy, runtime: RuntimeSpec) -> Iterator[Fault]:
    asked = (
        ("queueName", policy.queue_name, runtime.scheduling.queue_names),
        ("priorityClassName", policy.priority_class_name, runtime.scheduling.priority_class_names),
    )
    for field, value, allowed in asked:
        if value and value not in allowed:
            known = ", ".join(allowed) or "none"
            yield Fault(
                f"spec.runPolicy.{field}", f"{value!r} is not offered by the runtime; it offers: {known}"
            )


def _location_faults(spec: JobSpec, runtime: RuntimeSpec, namespace: str) -> Iterator[Fault]:
    storage = runtime.storage
    yield from _outside(
        "spec.artifacts.uri", spec.artifacts.uri, storage.write_prefixes, namespace, "written to"
    )
    for location in locations(spec):
        yield from _outside(
            field_path(spec, location),
            location.uri,
            storage.read_prefixes + storage.write_prefixes,
            namespace,
            "read",
        )
    for path, uri in _shared_manifests(spec):
        yield from _outside(path, uri, storage.read_prefixes + storage.write_prefixes, namespace, "read")


def _shared_manifests(spec: JobSpec) -> Iterator[tuple[str, str]]:
    for index, run in enumerate(spec.pretraining):
        if run.start_from.manifest is not None:
            yield f"spec.pretraining[{index}].startFrom.manifest.uri", run.start_from.manifest.uri
    for index, hospital in enumerate(spec.hospitals):
        for number, start in enumerate(hospital.start_from):
            if start.manifest is not None:
                path = f"spec.hospitals[{index}].startFrom[{number}].manifest.uri"
                yield path, start.manifest.uri


def _outside(path: str, uri: Uri, prefixes: tuple[str, ...], namespace: str, what: str) -> Iterator[Fault]:
    if not uri.startswith("s3://"):
        yield Fault(path, f"{uri} cannot be {what} in a cluster; use s3:// (file:// is for `chex run`)")
        return
    if any(part in (".", "..") for part in uri.split("/")):
        yield Fault(path, f"{uri} must not hold `.` or `..`")
        return
    folder = uri.rstrip("/") + "/"
    allowed = list(dict.fromkeys(prefix.replace("{namespace}", namespace) for prefix in prefixes))
    if not any(folder.startswith(prefix) for prefix in allowed):
        yield Fault(path, f"{uri} may not be {what} with this runtime; allowed: {', '.join(allowed)}")


def _pool_faults(spec: JobSpec, runtime: RuntimeSpec) -> Iterator[Fault]:
    asked = [("pretraining", index, run.workers) for index, run in enumerate(spec.pretraining)]
    asked += [("hospitals", index, hospital.workers) for index, hospital in enumerate(spec.hospitals)]
    for kind, index, workers in asked:
        path = f"spec.{kind}[{index}].workers"
        try:
            pool = pool_named(runtime, workers.pool)
        except NoSuchPool as error:
            yield Fault(f"{path}.pool", str(error))
            continue
        if workers.count > pool.max_workers:
            yield Fault(
                f"{path}.count",
                f"{workers.count} are asked for, and pool {pool.name!r} allows {pool.max_workers}",
            )


def _listed(faults: list[Fault]) -> str:
    shown = "; ".join(str(fault) for fault in faults[:MOST_FAULTS_SHOWN])
    more = len(faults) - MOST_FAULTS_SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown
