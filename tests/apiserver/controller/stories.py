"""What people do with a job, from its manifest until nothing of it is left."""

from collections.abc import Callable

from chex_operator.kube.resource import Object
from tests.apiserver.controller.lives import Life
from tests.apiserver.ray_engine.drives import fail, finish, hang, lose

Story = Callable[[Life], None]


def from_manifest_to_report(life: Life) -> None:
    """Nobody interferes."""
    life.network.plan(finish(summary={"recommended": "ssl/probe@1", "auroc": 0.81}), kind="evaluate")
    life.network.plan(finish(summary={"page": "s3://radiology-models/report.html"}), kind="report")
    life.network.apply()
    life.reaches("Complete")
    life.ends()


def suspended_edited_and_cleared(life: Life) -> None:
    """Suspended and resumed in pretraining, then edited there, so that pretraining begins anew; cleared away at the end."""
    network = life.network
    network.plan(hang(), kind="pretrain")
    network.apply()
    life.comes_to("pretrain/ssl", reason="Running")
    life.comes_to("ingest/north", state="Finished")
    network.apply(suspend=True)
    life.reaches("Suspended")
    network.apply(suspend=False)
    life.comes_to("pretrain/ssl", reason="Running")
    network.plan(finish(), kind="pretrain")
    network.apply(change=_more_epochs, ttlSecondsAfterFinished=0)
    life.reaches("Complete")
    life.leaves_nothing("not everything is cleared away")
    life.ends()


def tried_again(life: Life) -> None:
    """An attempt fails and is followed by another one; the result of another stage never arrives and is looked up."""
    life.network.plan(fail(), kind="ingest", stage="archive", number=1)
    life.network.plan(finish(tells=False), kind="adapt")
    life.network.apply()
    life.reaches("Complete")
    life.ends()


def disrupted(life: Life) -> None:
    """A worker is evicted, and its Pod replaced at once, in a job that may not fail."""
    life.network.plan(lose("worker"), kind="pretrain", number=1)
    life.network.apply(backoffLimit=0)
    life.reaches("Complete")
    life.ends()


def deleted_in_pretraining(life: Life) -> None:
    """Deleted while a driver runs, which is asked to stop first."""
    life.network.plan(hang(), kind="pretrain")
    life.network.apply()
    life.comes_to("pretrain/ssl", reason="Running")
    life.comes_to("ingest/north", state="Finished")
    life.ends()


def _more_epochs(spec: Object) -> None:
    spec["pretraining"][0]["optimization"]["epochs"] = 9


STORIES: tuple[Story, ...] = (
    from_manifest_to_report,
    suspended_edited_and_cleared,
    tried_again,
    deleted_in_pretraining,
)
