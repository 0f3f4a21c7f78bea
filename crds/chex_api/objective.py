"""`objective`: what pretraining learns. One class for each objective: its settings, and what training needs to know of it.

A new one is a class here, a member of `Objective` (and of `DaptObjective`, where hospitals may go on with it) and its builder
in `chex_jobs.objectives`: rules, CEL, plan and training read the class attributes and methods of `ObjectiveSettings`.
"""

from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import Field

from chex_api.base import ApiModel, Name, OneOf
from chex_api.faults import Fault


class ObjectiveSettings(ApiModel):
    """Settings of one objective. The class attributes say what it needs; the defaults are those of most.

    Attributes:
        VIEWS: Views of each image in a step.
        READS_REPORTS: Whether it needs reports and a text encoder.
        NEEDS_TASKS: Whether it needs a data set with tasks; its field `tasks` names them.
        PASSES_PER_IMAGE: Forward-equivalents that an image of a step costs; a forward and a backward pass are three.
        LEAST_BATCH_NORM_GROUPS: BatchNorm groups that a global batch is at least divided into.
        WHOLE_BATCHES: Fields that hold a number of images, which must be a multiple of the global batch.
    """

    VIEWS: ClassVar[int] = 1
    READS_REPORTS: ClassVar[bool] = False
    NEEDS_TASKS: ClassVar[bool] = False
    PASSES_PER_IMAGE: ClassVar[int] = 3
    LEAST_BATCH_NORM_GROUPS: ClassVar[int] = 1
    WHOLE_BATCHES: ClassVar[tuple[str, ...]] = ()

    def candidates(self, global_batch_size: int) -> int | None:
        """Among how many candidates the right one is looked for; None where the loss has no such scale."""
        del global_batch_size
        return None

    def shows_whole_reports(self) -> bool:
        """Whether a step sees whole reports; else one sentence of each. Asked of objectives that read reports."""
        return False

    def learned_tasks(self, tasks: tuple[str, ...]) -> tuple[str, ...]:
        """Those of a data set's tasks whose labels it learns."""
        del tasks
        return ()

    def size_faults(self, path: str, global_batch_size: int, num_images: int) -> Iterator[Fault]:
        """What it asks of the number of training images. `path` is its own, such as `spec.pretraining[0].objective.moCo`."""
        del path, global_batch_size, num_images
        yield from ()

    def fitted_to_hospital(self, num_images: int, global_batch_size: int) -> Self:
        """The settings for so few training images as a hospital has."""
        del num_images, global_batch_size
        return self


class MoCo(ObjectiveSettings):
    """Momentum contrast, version 2 (arXiv 2003.04297): two views of a film agree, a queue of earlier keys does not."""

    VIEWS = 2
    PASSES_PER_IMAGE = 4  # the keys are one more forward pass
    LEAST_BATCH_NORM_GROUPS = 2  # keys must be normalised with other images than their queries
    WHOLE_BATCHES = ("queue_size",)

    temperature: float = Field(default=0.2, ge=0.001, le=10.0, description="Softmax temperature.")
    queue_size: int = Field(
        default=24576,
        ge=8,
        le=1_048_576,
        description="Earlier keys kept as negatives; a multiple of the global batch, and no more than there are training films. A film's own earlier keys are never its negatives.",
    )
    momentum: float = Field(
        default=0.999, ge=0.0, le=0.99999, description="Share of the key encoder that is kept in a step."
    )
    projection_dim: int = Field(
        default=128, ge=8, le=4096, description="Dimension in which views are compared."
    )

    def candidates(self, global_batch_size: int) -> int:
        """A key is looked for among the queue and itself."""
        del global_batch_size
        return self.queue_size + 1

    def size_faults(self, path: str, global_batch_size: int, num_images: int) -> Iterator[Fault]:
        """A longer queue than there are images would hold keys of one image twice."""
        if self.queue_size > num_images:
            yield Fault(
                f"{path}.queueSize",
                f"{self.queue_size} keys are more than the {num_images} training films; the largest sound value is "
                f"{num_images // global_batch_size * global_batch_size}, a multiple of the global batch {global_batch_size}",
            )

    def fitted_to_hospital(self, num_images: int, global_batch_size: int) -> Self:
        """The queue no longer than half of the images, in whole batches.

        An image's own earlier keys are no negatives of it, so most of a longer queue would be keys of few images, said
        again and older each time. Archives outgrow a queue; hospitals do not.
        """
        most = max(1, num_images // 2 // global_batch_size) * global_batch_size
        return self.model_copy(update={"queue_size": min(self.queue_size, most)})


class Clip(ObjectiveSettings):
    """Contrastive language-image pretraining (arXiv 2103.00020, 2010.00747): a film agrees with its own report."""

    READS_REPORTS = True

    temperature: float = Field(
        default=0.07,
        ge=0.01,
        le=10.0,
        description="First softmax temperature; it is learned, and never falls below 0.01, where training becomes unstable.",
    )
    projection_dim: int = Field(
        default=128, ge=8, le=4096, description="Dimension in which films and reports are compared."
    )
    text: Literal["Sentence", "Report"] = Field(
        default="Sentence",
        description="What a step sees of a report: one sentence drawn anew in each epoch, or the whole.",
    )

    def candidates(self, global_batch_size: int) -> int:
        """A report is looked for among those of the global batch."""
        return global_batch_size

    def shows_whole_reports(self) -> bool:
        """As `text` says."""
        return self.text == "Report"


class Supervised(ObjectiveSettings):
    """Masked binary cross-entropy over the data set's tasks; unknown labels weigh nothing."""

    NEEDS_TASKS = True

    tasks: tuple[Name, ...] = Field(
        default=(), max_length=32, description="Tasks of the data set; empty: all of them."
    )

    def learned_tasks(self, tasks: tuple[str, ...]) -> tuple[str, ...]:
        """Those that are named; all where none is."""
        return self.tasks or tasks


class AnyObjective(OneOf):
    """What unions of objectives have in common; each member is an `ObjectiveSettings`."""

    @property
    def name(self) -> str:
        """The wire name of the objective that is given: `moCo`."""
        return self.member()[0]

    @property
    def settings(self) -> ObjectiveSettings:
        """The settings of the objective that is given."""
        return self.member()[1]

    def with_settings(self, settings: ObjectiveSettings) -> Self:
        """The same objective with other settings."""
        (field,) = self.model_fields_set
        return self.model_copy(update={field: settings})

    @classmethod
    def members(cls) -> dict[str, type[ObjectiveSettings]]:
        """The class of each member's settings, by wire name."""
        types = cls.member_types()
        return {name: each for name, each in types.items() if issubclass(each, ObjectiveSettings)}


class Objective(AnyObjective):
    """What is learned. Exactly one member."""

    moco: MoCo | None = Field(default=None, alias="moCo", description="Image only: momentum contrast.")
    clip: Clip | None = Field(
        default=None, description="Image + report: contrastive language-image pretraining."
    )
    supervised: Supervised | None = Field(default=None, description="Image + labels.")


class DaptObjective(AnyObjective):
    """What domain-adaptive pretraining learns. Exactly one member."""

    moco: MoCo | None = Field(default=None, alias="moCo", description="Image only: momentum contrast.")
    clip: Clip | None = Field(default=None, description="Image + report, where the hospital has reports.")
