"""What `config.json` and `preprocessing.json` of a deployable model say."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from chex_api.dataset import ScoringUnit
from chex_jobs.evaluation.statistics.platt_scaling import Scaling

FORMAT = "chexdragon.dev/model/v2"
MODEL_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
PREPROCESSING_FILE = "preprocessing.json"
GOLDEN_FILE = "golden.npz"
ONNX_FILE = "model.onnx"
GOLDEN_FILM_FILE = "golden-film.png"
EXAMPLE_FILE = "example.py"
SUMS_FILE = "SHA256SUMS"
FILES = (
    MODEL_FILE,
    CONFIG_FILE,
    PREPROCESSING_FILE,
    GOLDEN_FILE,
    GOLDEN_FILM_FILE,
    ONNX_FILE,
    EXAMPLE_FILE,
)


class BundleError(Exception):
    """A folder is no deployable model, is damaged, or does not compute here what it computed when it was made."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OperatingThreshold(_Document):
    """A threshold that was fixed on validation patients for a wanted specificity: of a unit, from it upwards is positive."""

    wanted_specificity: float
    probability: float


class MemberScaling(_Document):
    """What a member's logit is multiplied by, and what is added, before the mean over members."""

    slope: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    intercept: Annotated[float, Field(allow_inf_nan=False)]


class TaskConfig(_Document):
    """One output of the model."""

    name: str
    scalings: tuple[MemberScaling, ...]
    """One for each member. They calibrate the whole: the sigmoid of the model's output is the probability."""
    calibrated: bool
    """False: validation lacked a class, so nothing was fitted, and the probability is not calibrated."""
    thresholds: tuple[OperatingThreshold, ...] = ()


class BundleConfig(_Document):
    """`config.json`."""

    format: Literal["chexdragon.dev/model/v2"] = FORMAT
    architecture: str
    size: Annotated[int, Field(ge=1)]
    """Side of the square that the model sees, in pixels."""
    members: Annotated[int, Field(ge=1)]
    """Models whose scaled logits are averaged."""
    unit: ScoringUnit
    """What probabilities and thresholds hold for: a film (Image), or the mean of the logits of all films of a study or of
    a patient."""
    tasks: tuple[TaskConfig, ...]
    hospital: str
    arm: str
    provenance: dict[str, Any]
    """Identities of the weights and of the stages that they come from."""
    use: str = "Research use only. Not a medical device."

    def scalings(self) -> list[list[Scaling]]:
        """By member and task.

        Raises BundleError unless each task has one scaling for each member.
        """
        if any(len(task.scalings) != self.members for task in self.tasks):
            raise BundleError(
                f"{CONFIG_FILE}: a task does not have one scaling for each of {self.members} members"
            )
        return [
            [Scaling(task.scalings[member].slope, task.scalings[member].intercept) for task in self.tasks]
            for member in range(self.members)
        ]


class Preprocessing(_Document):
    """`preprocessing.json`."""

    stored_short_side: int
    """Short side in pixels to which a decoded film is reduced first; smaller films stay as they are."""
    size: int
    steps: tuple[str, ...]

    @classmethod
    def of(cls, stored_short_side: int, size: int) -> "Preprocessing":
        """The steps of this version, with their numbers."""
        return cls(
            stored_short_side=stored_short_side,
            size=size,
            steps=(
                "Decode PNG, JPEG or DICOM to one grey channel. DICOM: modality rescale, VOI LUT or window, MONOCHROME1 and "
                "PresentationLUTShape INVERSE inverted last. 16-bit PNG: stretched from its smallest to its largest value.",
                f"Reduce to a short side of {stored_short_side} pixels by averaging areas, the long side rounded to the nearest pixel; "
                "a smaller film stays as it is. Grey values are rounded to whole ones here and after every step below.",
                f"Fit the whole film into a square of {size} pixels: with scale = {size} / long side, both sides are multiplied by it and "
                "rounded, at least 1. First halve, as long as the long side is at least twice as large as wanted, by averaging two by two "
                "pixels, an odd last row or column left out; then average areas. Where a side has to grow, interpolate linearly.",
                f"Centre on a black square of {size} pixels; of an odd rest, the larger part is below and to the right.",
                "Divide by 255 and normalise with the pixel_mean and pixel_std that lie among the weights (both runtimes do it).",
                "example.py in this folder does all of it in plain Python.",
            ),
        )
