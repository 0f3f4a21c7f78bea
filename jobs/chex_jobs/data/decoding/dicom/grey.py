"""From stored values to grey as a reader would see it, in the order of DICOM PS3.3 C.7.6.3 and C.11.

    stored values -> Modality LUT or rescale -> VOI (LUT sequence, else window) -> inversion

Inversion (MONOCHROME1, or Presentation LUT Shape INVERSE) comes last: a window is meant for the values before it.
Without VOI the values are stretched from smallest to largest, pixel padding left out. Padding becomes black.

All of it maps one stored value to one grey value, so it is computed once for each value that a pixel can have and
looked up for every pixel: exact, and as fast as a lookup.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from chex_jobs.data.decoding.dicom.lookup import Values, lookup_table
from chex_jobs.data.decoding.dicom.padding import is_padding
from chex_jobs.data.decoding.faults import FilmError, Reason
from chex_jobs.data.decoding.pixels import Film


def grey_values(dataset: Dataset, stored: npt.NDArray[np.integer]) -> Film:
    """Map stored values [H, W] to grey, 0 black to 255 white, as the object's header says.

    Raises:
        FilmError: a VOI LUT Function that is not defined.
    """
    low = int(stored.min())
    offsets = stored.astype(np.int32) - low
    occurs = np.bincount(offsets.ravel()) > 0
    domain = low + np.arange(len(occurs))
    padding = is_padding(dataset, domain, stored.dtype)
    grey = _voi(dataset, _modality(dataset, domain), occurs & ~padding)
    if _is_inverted(dataset):
        grey = 1.0 - grey
    grey[padding] = 0.0
    table = np.rint(grey * 255.0).astype(np.uint8)
    return table[offsets]


def _modality(dataset: Dataset, stored: npt.NDArray[np.integer]) -> Values:
    """PS3.3 C.11.1: a table where there is one, else slope and intercept."""
    values = stored.astype(np.float64)
    table = lookup_table(dataset.get("ModalityLUTSequence"), little_endian=_is_little_endian(dataset))
    if table is not None:
        return table.look_up(values)
    slope, intercept = _first(dataset.get("RescaleSlope")), _first(dataset.get("RescaleIntercept"))
    # A slope of 0 would leave one value of all: the element is there and means nothing.
    return values * (slope or 1.0) + (intercept or 0.0)


def _voi(dataset: Dataset, values: Values, told: npt.NDArray[np.bool_]) -> Values:
    """Map the modality's values to 0..1; `told` marks those that a pixel has and that are not padding."""
    table = lookup_table(dataset.get("VOILUTSequence"), little_endian=_is_little_endian(dataset))
    if table is not None:
        return table.look_up_share(values)
    window = _window(dataset)
    if window is not None:
        return _windowed(values, *window)
    low, high = float(values[told].min()), float(values[told].max())
    if low == high:
        return np.zeros(values.shape)
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def _window(dataset: Dataset) -> tuple[float, float, str] | None:
    """Return centre, width and function of the first window, or None if there is none that is legal."""
    centre, width = (_first(dataset.get(name)) for name in ("WindowCenter", "WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise FilmError(Reason.UNSUPPORTED_MODE, f"VOI LUT Function {function}")
    if centre is None or width is None:
        return None
    is_legal = width >= 1.0 if function == "LINEAR" else width > 0.0
    return (centre, width, function) if is_legal else None


def _windowed(values: Values, centre: float, width: float, function: str) -> Values:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3 with an output range of 0..1."""
    if function == "SIGMOID":
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -700.0, 700.0)))
    if function == "LINEAR":  # half a step to the left and one step narrower: the standard's own definition
        centre, width = centre - 0.5, width - 1.0
    if width == 0.0:  # a window of one step parts black from white
        return np.where(values > centre, 1.0, 0.0)
    return np.clip((values - centre) / width + 0.5, 0.0, 1.0)


def _is_inverted(dataset: Dataset) -> bool:
    """MONOCHROME1 shows its smallest value white; INVERSE says the same of the presentation.

    Both together mean one inversion, not two: a MONOCHROME1 object must carry INVERSE (PS3.3 C.8.11.3.1.2).
    """
    shape = str(dataset.get("PresentationLUTShape") or "").upper()
    return str(dataset.PhotometricInterpretation) == "MONOCHROME1" or shape == "INVERSE"


def _first(value: Any) -> float | None:
    """Return the first of an element's numbers; None if there is none, or no finite one."""
    if isinstance(value, MultiValue | list | tuple):
        value = value[0] if value else None
    if value is None or value == "":
        return None
    return float(value) if math.isfinite(float(value)) else None


def _is_little_endian(dataset: Dataset) -> bool:
    file_meta = getattr(dataset, "file_meta", None)
    return file_meta is None or bool(file_meta.TransferSyntaxUID.is_little_endian)
