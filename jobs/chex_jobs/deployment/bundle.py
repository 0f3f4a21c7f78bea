"""What `config.json` and `preprocessing.json` of a deployable model say."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FORMAT = "chexdragon.dev/model/v1"
MODEL_FILE = "model.safetensors"
CONFIG_FILE = "config.json"
PREPROCESSING_FILE = "preprocessing.json"
GOLDEN_FILE = "golden.npz"
ONNX_FILE = "model.onnx"
SUMS_FILE = "SHA256SUMS"
FILES = (MODEL_FILE, CONFIG_FILE, PREPROCESSING_FILE, GOLDEN_FILE, ONNX_FILE)


class BundleError(Exception):
    """A folder is no deployable model, is damaged, or does not compute here what it computed when it was made."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OperatingThreshold(_Document):
    """A threshold that was fixed on validation patients for a wanted specificity."""

    wanted_specificity: float
    probability: float


class TaskConfig(_Document):
    """One output of the model."""

    name: str
    temperature: float | None
    """Divide the logit by this before the sigmoid; None: it could not be fitted, and the probability is not calibrated."""
    thresholds: tuple[OperatingThreshold, ...] = ()


class BundleConfig(_Document):
    """`config.json`."""

    format: Literal["chexdragon.dev/model/v1"] = FORMAT
    architecture: str
    size: Annotated[int, Field(ge=1)]
    """Side of the square that the model sees, in pixels."""
    members: Annotated[int, Field(ge=1)]
    """Models whose logits are averaged."""
    tasks: tuple[TaskConfig, ...]
    hospital: str
    arm: str
    provenance: dict[str, Any]
    """Identities of the weights and of the stages that they come from."""
    use: str = "Research use only. Not a medical device."


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
                f"Reduce to a short side of at most {stored_short_side} pixels by area averaging, aspect kept, never enlarged; uint8.",
                f"Fit the whole film into a square of {size} pixels, aspect kept, centred on black; uint8.",
                "Divide by 255 and normalise with the pixel_mean and pixel_std that lie among the weights (both runtimes do it).",
            ),
        )
