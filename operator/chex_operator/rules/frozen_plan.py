"""The frozen plan: accepted once, and executed until the manifest changes.

A newer operator, a changed default of the CRD or an edited runtime never touches it. One ConfigMap holds the index, one more
each stage's spec, since a plan at the declared bounds does not fit into one; all of them are immutable.
"""

from pydantic import Field

from chex_api.base import ApiModel
from chex_api.identity import identity_of
from chex_api.job import JobSpec
from chex_api.plan import Plan
from chex_api.runtime import RuntimeSpec
from chex_api.stage import StageKind, StageSpec
from chex_operator.kube.resource import Object
from chex_operator.rendering import JobReference
from chex_operator.rendering.config_maps import json_text
from chex_operator.rendering.names import ROLE_LABEL, job_labels, owner_reference, plan_name
from chex_operator.rules.placement import placement_of, pool_named

PLAN_ROLE, STAGE_ROLE = "plan", "planned-stage"
PLAN_KEY, SPEC_KEY = "plan.json", "stage.json"


class PlannedStage(ApiModel):
    """One stage, as far as the operator needs to know it."""

    label: str = Field(description="`<kind>/<name>`.")
    kind: StageKind = Field(description="Kind of the stage.")
    name: str = Field(description="Name of the stage.")
    identity: str = Field(description="Identity of the stage.")
    parents: tuple[str, ...] = Field(description="Labels of the stages that must be finished before.")
    pool: str = Field(description="Pool of its workers; empty: the head alone.")
    choices: tuple[int, ...] = Field(description="Numbers of workers, the wanted one first.")
    gpus: int = Field(description="GPUs of one worker.")
    spec: str = Field(description="ConfigMap that holds its spec.")


class FrozenPlan(ApiModel):
    """The index of a plan."""

    name: str = Field(description="ConfigMap that holds it.")
    identity: str = Field(description="What identifies the manifest without its run policy.")
    runtime: RuntimeSpec = Field(description="The runtime as it was.")
    stages: tuple[PlannedStage, ...] = Field(description="In an order in which they can run.")


def plan_identity(spec: JobSpec) -> str:
    """What identifies the plan of a spec: all of it but the run policy, which may change while the plan is executed.

    Defaults are left out: a version of this program that has one more field does not take every job for an edited one.
    """
    plain = spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    plain.pop("runPolicy", None)
    return identity_of(plain)


def freeze(job: JobReference, identity: str, plan: Plan, runtime: RuntimeSpec) -> FrozenPlan:
    """The plan with pools, numbers of workers and names of ConfigMaps. Raises `chex_operator.rules.placement.NoSuchPool`.

    Args:
        job: whose plan it is.
        identity: what identified the manifest when it was accepted; perhaps another version of this program computed it.
        plan: the plan.
        runtime: as it is now.
    """
    # Of the stages' identities too: should a freeze be interrupted and its preflight repeated on changed data, the two
    # plans do not mix. Of the runtime too: the plan that follows its mending is another one.
    named = [identity, identity_of(runtime.plain()), *(stage.identity for stage in plan.stages)]
    name = plan_name(job, identity_of(named))
    stages = tuple(_planned(stage, runtime, f"{name}-{number}") for number, stage in enumerate(plan.stages))
    return FrozenPlan(name=name, identity=identity, runtime=runtime, stages=stages)


def plan_objects(job: JobReference, frozen: FrozenPlan, plan: Plan) -> tuple[Object, ...]:
    """The ConfigMaps; the index last: where it is, all of them are."""
    specs = [
        _config_map(job, planned.spec, STAGE_ROLE, {SPEC_KEY: document_of(stage)})
        for planned, stage in zip(frozen.stages, plan.stages, strict=True)
    ]
    return (*specs, _config_map(job, frozen.name, PLAN_ROLE, {PLAN_KEY: json_text(frozen.plain())}))


def document_of(stage: StageSpec) -> str:
    """The spec of a stage as a plan freezes it, and as its driver reads it."""
    return json_text(stage.plain())


def read_plan(data: dict[str, str]) -> FrozenPlan:
    """The plan that an index holds, perhaps of a newer version of this program, whose further fields are passed over.

    Raises `KeyError` or `pydantic.ValidationError` for what is none.
    """
    return FrozenPlan.model_validate_json(data[PLAN_KEY], extra="ignore")


def frozen_document(data: dict[str, str]) -> str:
    """The spec that a stage's ConfigMap holds, as it was written. Raises `KeyError` for what is none.

    It is handed on as it is: the plan's runtime pins an image that understands what was written then, and nothing newer.
    """
    return data[SPEC_KEY]


def stage_label(stage: StageSpec) -> str:
    """`<kind>/<name>`."""
    return f"{stage.kind}/{stage.name}"


def _planned(stage: StageSpec, runtime: RuntimeSpec, config_map: str) -> PlannedStage:
    placement = placement_of(stage, runtime)
    return PlannedStage(
        label=stage_label(stage),
        kind=stage.kind,
        name=stage.name,
        identity=stage.identity,
        parents=tuple(f"{parent.kind}/{parent.name}" for parent in stage.parents if not parent.uri),
        pool=placement.pool,
        choices=placement.choices,
        gpus=pool_named(runtime, placement.pool).gpus if placement.pool else 0,
        spec=config_map,
    )


def _config_map(job: JobReference, name: str, role: str, data: dict[str, str]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": job.namespace,
            "labels": {**job_labels(job), ROLE_LABEL: role},
            "ownerReferences": [owner_reference(job)],
        },
        "immutable": True,
        "data": data,
    }
