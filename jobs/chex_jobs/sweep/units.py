"""Units of work: what is computed once, kept as an object of its own in the artifact store, and never computed again.

    dapt ──► features ──► probe ──► trial (rung) ──► trial (next rung) ──► final
                              └────────────────────────────────────────► final (of a linear probe)

A unit's identity covers everything that can change its result, its parents' identities included, and nothing else: not
the name of a start or a strategy, not how many trials an arm has. So arms share units, and a longer sweep keeps those
of a shorter one. `IMPLEMENTATION` is raised with every change that alters a number.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

from chex_api.base import ApiModel
from chex_api.encoder import ImageEncoder, TextEncoder
from chex_api.hospital import Dapt as DaptSpec
from chex_api.hospital import FineTuning
from chex_api.identity import identity_of, relevant
from chex_api.pretraining import Augmentation, BatchNorm
from chex_api.sweep import Metric
from chex_jobs.sweep.draws import LabelSet
from chex_jobs.sweep.space import Configuration

IMPLEMENTATION = 2


@dataclass(frozen=True)
class Site:
    """What the units of a hospital have in common."""

    dataset: str
    """Identity of the ingest stage, which covers films, patients and split."""
    tasks: tuple[str, ...]
    labels: tuple[str, ...]
    """Identity of the labels of each task."""
    seed: int
    """Seed of the job."""
    unit: str
    """`Image`, `Study` or `Patient`: what is scored, and of what one film is seen in an epoch."""
    encoder: ImageEncoder
    augmentation: Augmentation
    batch_norm: BatchNorm
    precision: str
    metric: Metric
    """What validation compares."""


ABOUT_LABELS = ("tasks", "labels", "metric")
"""Of a site: what a unit that reads no label does not depend on."""


class WorkUnit:
    """A piece of work with an identity. The classes below are all there are."""

    kind: ClassVar[str]
    reads_labels: ClassVar[bool] = True

    @cached_property
    def identity(self) -> str:
        """64 hexadecimal digits over the unit and all before it."""
        document = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}  # type: ignore[arg-type]
        if not self.reads_labels:
            document["site"] = {
                name: value for name, value in document["site"].items() if name not in ABOUT_LABELS
            }
        return identity_of({"unit": self.kind, "implementation": IMPLEMENTATION, **document})

    @property
    def draw(self) -> int:
        """Which sample of the labels it reads; 0, the first, for what reads none."""
        labels = getattr(self, "labels", None)
        if isinstance(labels, LabelSet):
            return labels.draw
        return max((parent.draw for parent in self.parents().values()), default=0)

    def parents(self) -> dict[str, "WorkUnit"]:
        """The units whose results this one reads, by field."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return {name: value for name, value in values.items() if isinstance(value, WorkUnit)}


@dataclass(frozen=True)
class Start:
    """First weights of the image encoder (and, where the start has them, of the text encoder)."""

    weights: str
    """Identity of the finished stage, SHA-256 of given weights, or `random`."""


@dataclass(frozen=True)
class TextTower:
    """The text encoder of DAPT where the start brings none of its own."""

    spec: TextEncoder
    digest: str
    """Of the weights and the vocabulary."""


@dataclass(frozen=True)
class DaptUnit(WorkUnit):
    """Pretraining continued on the hospital's training films, all of them, without labels."""

    kind: ClassVar[str] = "dapt"
    reads_labels: ClassVar[bool] = False
    site: Site
    start: Start
    spec: DaptSpec
    learning_rate: float
    text: "TextTower | None"
    """Of an image + report objective."""
    fold: int | None


Encoder = Start | DaptUnit


@dataclass(frozen=True)
class FeaturesUnit(WorkUnit):
    """Features of the training and validation films in their standard view, float32."""

    kind: ClassVar[str] = "features"
    reads_labels: ClassVar[bool] = False
    site: Site
    encoder: Encoder
    fold: int | None


@dataclass(frozen=True)
class ProbeUnit(WorkUnit):
    """A path of logistic regressions on features, one for each C."""

    kind: ClassVar[str] = "probe"
    site: Site
    features: FeaturesUnit
    labels: LabelSet
    c_values: tuple[float, ...]
    """Inverse strengths of the L2 penalty, rising."""


@dataclass(frozen=True)
class Recipe:
    """How an encoder and its head are fine-tuned."""

    settings: FineTuning
    """Of the strategy."""
    configuration: Configuration
    """Parameters of the search, which replace the settings' own."""


@dataclass(frozen=True)
class TrialUnit(WorkUnit):
    """One trial up to one rung; it goes on where its previous rung ended."""

    kind: ClassVar[str] = "trial"
    site: Site
    encoder: Encoder
    fold: int | None
    labels: LabelSet
    recipe: Recipe
    head: ProbeUnit | None
    """Probe whose best head is transplanted; None: a new head."""
    until_epoch: int
    previous: "TrialUnit | None"


@dataclass(frozen=True)
class FinalProbeUnit(WorkUnit):
    """The winner of a linear probe as a model: the encoder with the head of one C. No seed enters a convex problem."""

    kind: ClassVar[str] = "final"
    site: Site
    encoder: Encoder
    probe: ProbeUnit
    c: float


@dataclass(frozen=True)
class FinalFitUnit(WorkUnit):
    """The winner of a fine-tuning, fitted anew on one draw with one seed, up to the epoch that won."""

    kind: ClassVar[str] = "final"
    site: Site
    encoder: Encoder
    fold: int | None
    labels: LabelSet
    recipe: Recipe
    head: ProbeUnit | None
    until_epoch: int
    seed: int
    """Index of the final seed."""


def _plain(value: Any) -> Any:
    """A field's value as canonical JSON can hold it; a unit stands by its identity."""
    if isinstance(value, WorkUnit):
        return value.identity
    if isinstance(value, ApiModel):
        return relevant(value)
    if isinstance(value, Site | Start | TextTower | Recipe | LabelSet):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
