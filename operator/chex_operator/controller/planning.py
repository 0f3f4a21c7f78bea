"""From a finished preflight to a frozen plan, and from a plan to the stages of a status. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from chex_api.attempt import PreflightResult
from chex_api.job import ChexTrainingJob
from chex_api.plan import Plan, UnresolvedDigest, make_plan
from chex_api.status import StageStatus
from chex_operator.controller.actions import FreezePlan
from chex_operator.controller.admission import Accepted
from chex_operator.controller.frozen_plan import FrozenPlan, freeze, stage_label
from chex_operator.controller.lifecycle import finish
from chex_operator.controller.placement import NoSuchPool
from chex_operator.rendering import PREFLIGHT, JobReference


@dataclass(frozen=True)
class CannotPlan:
    """What preflight found does not fit together with the manifest, in words."""

    reason: str
    message: str


def new_preflight(identity: str) -> StageStatus:
    """The preflight of a manifest, before its first attempt."""
    return StageStatus(name=PREFLIGHT, state="Waiting", identity=identity)


def plan_from(job: JobReference, accepted: Accepted, found: PreflightResult) -> FreezePlan | CannotPlan:
    """The plan that follows from what preflight found."""
    try:
        plan = make_plan(_as_seen(accepted.manifest), found.digests)
        frozen = freeze(job, accepted.manifest.spec, plan, accepted.runtime)
    except (UnresolvedDigest, NoSuchPool) as error:
        return CannotPlan("PlanFailed", str(error))
    strangers = _strangers(plan, found)
    if strangers:
        message = (
            f"the runtime's image computes other identities than this operator for {', '.join(strangers[:4])}: the two are of "
            "different versions; use the jobs image of the operator's release"
        )
        return CannotPlan("VersionMismatch", message)
    return FreezePlan(frozen, plan)


def stages_of(
    plan: FrozenPlan, preflight: StageStatus, before: Sequence[StageStatus], found: PreflightResult
) -> list[StageStatus]:
    """The stages of a new plan. What has the same identity goes on; what is finished is never launched."""
    known = {(stage.name, stage.identity): stage for stage in before}
    stages = [preflight]
    for planned in plan.stages:
        stage = known.get((planned.label, planned.identity)) or StageStatus(
            name=planned.label, state="Waiting", identity=planned.identity
        )
        done = found.finished.get(planned.label)
        if done is not None and stage.state == "Waiting":
            stage = finish(stage, done.manifest_uri, done.manifest_sha256)
        stages.append(stage)
    return stages


def _as_seen(manifest: ChexTrainingJob) -> ChexTrainingJob:
    return manifest.model_copy(update={"status": None})


def _strangers(plan: Plan, found: PreflightResult) -> list[str]:
    return [
        label for stage in plan.stages if found.identities.get(label := stage_label(stage)) != stage.identity
    ]
