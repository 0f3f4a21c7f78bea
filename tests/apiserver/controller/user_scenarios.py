"""What people do with a job, from its manifest until nothing of it is left."""

from collections.abc import Callable

from chex_operator.kube.resource import Object
from tests.apiserver.controller.job_scenario import JobScenario
from tests.apiserver.ray_engine.driver_runs import fail, finish, hang, lose

UserScenario = Callable[[JobScenario], None]


def from_manifest_to_report(scenario: JobScenario) -> None:
    """Nobody interferes."""
    scenario.network.plan(finish(summary={"recommended": "ssl/probe@1", "auroc": 0.81}), kind="evaluate")
    scenario.network.plan(finish(summary={"page": "s3://radiology-models/report.html"}), kind="report")
    scenario.network.apply()
    scenario.reaches("Complete")
    scenario.ends()


def suspended_edited_and_cleared(scenario: JobScenario) -> None:
    """Suspended and resumed in pretraining, then edited there, so that pretraining begins anew; cleared away at the end."""
    network = scenario.network
    network.plan(hang(), kind="pretrain")
    network.apply()
    scenario.comes_to("pretrain/ssl", reason="Running")
    scenario.comes_to("ingest/north", state="Finished")
    network.apply(suspend=True)
    scenario.reaches("Suspended")
    network.apply(suspend=False)
    scenario.comes_to("pretrain/ssl", reason="Running")
    network.plan(finish(), kind="pretrain")
    network.apply(change=_more_epochs, ttlSecondsAfterFinished=0)
    scenario.reaches("Complete")
    scenario.leaves_nothing("not everything is cleared away")
    scenario.ends()


def tried_again(scenario: JobScenario) -> None:
    """An attempt fails and is followed by another one; the result of another stage never arrives and is looked up."""
    scenario.network.plan(fail(), kind="ingest", stage="archive", number=1)
    scenario.network.plan(finish(tells=False), kind="adapt")
    scenario.network.apply()
    scenario.reaches("Complete")
    scenario.ends()


def disrupted(scenario: JobScenario) -> None:
    """A worker is evicted, and its Pod replaced at once, in a job that may not fail."""
    scenario.network.plan(lose("worker"), kind="pretrain", number=1)
    scenario.network.apply(backoffLimit=0)
    scenario.reaches("Complete")
    scenario.ends()


def deleted_in_pretraining(scenario: JobScenario) -> None:
    """Deleted while a driver runs, which is asked to stop first."""
    scenario.network.plan(hang(), kind="pretrain")
    scenario.network.apply()
    scenario.comes_to("pretrain/ssl", reason="Running")
    scenario.comes_to("ingest/north", state="Finished")
    scenario.ends()


def _more_epochs(spec: Object) -> None:
    spec["pretraining"][0]["optimization"]["epochs"] = 9


USER_SCENARIOS: tuple[UserScenario, ...] = (
    from_manifest_to_report,
    suspended_edited_and_cleared,
    tried_again,
    deleted_in_pretraining,
)
