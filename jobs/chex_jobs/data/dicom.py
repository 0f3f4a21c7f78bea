"""From a DICOM object to a grey picture as a reader would see it, in the order of DICOM PS3.3 C.7.6.3 and C.11.

    stored values -> Modality LUT or rescale -> VOI (LUT sequence, else window) -> inversion

Inversion (MONOCHROME1, or Presentation LUT Shape INVERSE) comes last: a window is meant for the values before it.
Without VOI the values are stretched from smallest to largest, pixel padding left out. Padding becomes black.

All of it maps one stored value to one grey value, so it is computed once for each value that a pixel can have and
looked up for every pixel: exact, and as fast as a lookup.
"""

import io
import math
from typing import Any, cast

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import ImplicitVRLittleEndian

from chex_jobs.data.decode import Film, check_pixels, shrink
from chex_jobs.data.faults import FilmError, Reason

Values = npt.NDArray[np.float64]

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_OVERLAY_GROUPS = range(0x6000, 0x6020, 2)
_OVERLAY_BIT_POSITION = 0x0102


def decode_dicom(data: bytes, short_side: int) -> Film:
    """Decode one grey or colour frame and shrink it to `short_side`.

    Raises:
        FilmError: not DICOM, no picture or several, a mode or compression that is no film or has no decoder here,
            truncated or damaged.
    """
    try:
        dataset = pydicom.dcmread(io.BytesIO(data), force=True)
        _check_mode(dataset)
        return shrink(_grey(dataset, _pixels(dataset)), short_side)
    except (FilmError, MemoryError):
        raise
    except Exception as error:  # pydicom and its plugins raise whatever the damaged bytes lead them to
        raise FilmError(_reason(error), f"{type(error).__name__}: {error}"[:500]) from error


def grey_values(dataset: Dataset, stored: npt.NDArray[np.integer]) -> Film:
    """Map stored values [H, W] to grey, 0 black to 255 white, as the object's header says.

    Raises:
        FilmError: a VOI LUT Function that is not defined.
    """
    low = int(stored.min())
    offsets = stored.astype(np.int32) - low
    occurs = np.bincount(offsets.ravel()) > 0
    domain = low + np.arange(len(occurs))
    padding = _is_padding(dataset, domain)
    grey = _voi(dataset, _modality(dataset, domain), occurs & ~padding)
    if _is_inverted(dataset):
        grey = 1.0 - grey
    grey[padding] = 0.0
    table = np.rint(grey * 255.0).astype(np.uint8)
    return table[offsets]


def _grey(dataset: Dataset, pixels: npt.NDArray[np.integer]) -> Film:
    if dataset.PhotometricInterpretation in _GREY:
        return grey_values(dataset, pixels)
    # Secondary captures store grey as RGB; pydicom has already turned YBR into RGB.
    return cast(Film, cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY))


def _reason(error: Exception) -> Reason:
    """Return what an exception of pydicom means. It has no kinds for this; these words are in its messages."""
    message = str(error)
    if isinstance(error, EOFError) or "less than expected" in message or "is too short" in message:
        return Reason.TRUNCATED
    if "missing dependencies" in message or "does not support" in message:
        return Reason.UNSUPPORTED_MODE
    return Reason.UNREADABLE


def _check_mode(dataset: Dataset) -> None:
    needed = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PhotometricInterpretation")
    absent = [name for name in needed if dataset.get(name) is None]
    if "PixelData" not in dataset:
        absent.append("PixelData")
    if absent:
        raise FilmError(Reason.UNREADABLE, f"DICOM without {', '.join(absent)}")
    check_pixels(int(dataset.Rows), int(dataset.Columns))
    frames = int(dataset.get("NumberOfFrames") or 1)
    photometric = str(dataset.PhotometricInterpretation)
    if frames > 1:
        raise FilmError(Reason.UNSUPPORTED_MODE, f"DICOM with {frames} frames")
    if photometric not in _GREY + _COLOUR or (photometric in _COLOUR and dataset.BitsAllocated != 8):
        raise FilmError(
            Reason.UNSUPPORTED_MODE, f"DICOM in {photometric} with {dataset.BitsAllocated} bits allocated"
        )
    if dataset.BitsAllocated not in (8, 16):
        raise FilmError(Reason.UNSUPPORTED_MODE, f"DICOM with {dataset.BitsAllocated} bits allocated")


def _pixels(dataset: Dataset) -> npt.NDArray[np.integer]:
    if not getattr(dataset, "file_meta", None) or "TransferSyntaxUID" not in dataset.file_meta:
        # Objects saved without the file header; implicit little endian is what DICOM assumes then.
        dataset.ensure_file_meta()
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    pixels = dataset.pixel_array
    if pixels.shape[:2] != (dataset.Rows, dataset.Columns):
        raise FilmError(Reason.UNREADABLE, f"pixels of shape {pixels.shape} under another header")
    return _without_overlay_bits(dataset, pixels)


def _without_overlay_bits(dataset: Dataset, pixels: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Clear overlays that old devices drew into the unused high bits.

    Only where an overlay says that it lies there: devices that understate BitsStored would lose their brightest
    values.
    """
    positions = [dataset.get((group, _OVERLAY_BIT_POSITION)) for group in _OVERLAY_GROUPS]
    if not any(position is not None and position.value for position in positions):
        return pixels
    unused = int(dataset.BitsAllocated) - int(dataset.BitsStored)
    return (pixels << unused) >> unused


def _is_padding(dataset: Dataset, domain: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    first = dataset.get("PixelPaddingValue")
    if first is None:
        return np.zeros(domain.shape, bool)
    last = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((int(first), int(first if last is None else last)))
    padding = (domain >= low) & (domain <= high)
    # A film that is all "padding" has a header that means something else.
    return np.zeros(domain.shape, bool) if padding.all() else padding


def _modality(dataset: Dataset, stored: npt.NDArray[np.integer]) -> Values:
    """PS3.3 C.11.1: a table where there is one, else slope and intercept."""
    if dataset.get("ModalityLUTSequence"):
        return _looked_up(dataset.ModalityLUTSequence[0], stored, _is_little_endian(dataset))
    slope, intercept = _first(dataset.get("RescaleSlope")), _first(dataset.get("RescaleIntercept"))
    return stored.astype(np.float64) * (1.0 if slope is None else slope) + (intercept or 0.0)


def _voi(dataset: Dataset, values: Values, told: npt.NDArray[np.bool_]) -> Values:
    """Map the modality's values to 0..1; `told` marks those that a pixel has and that are not padding."""
    if dataset.get("VOILUTSequence"):
        item = dataset.VOILUTSequence[0]
        full_scale = 2 ** int(item.LUTDescriptor[2]) - 1
        return np.clip(_looked_up(item, values, _is_little_endian(dataset)) / full_scale, 0.0, 1.0)
    window = _window(dataset)
    if window is not None:
        return _windowed(values, *window)
    low, high = float(values[told].min()), float(values[told].max())
    if low == high:
        return np.zeros(values.shape)
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def _looked_up(item: Dataset, values: npt.NDArray, little_endian: bool) -> Values:
    """PS3.3 C.11.1.1.1: values outside the table take its first or last entry; 0 entries stand for 65,536.

    Written out because pydicom takes 8 and 16 bits of a modality table only; 12 are common.
    """
    num_entries, first, _ = (int(number) for number in item.LUTDescriptor)
    entries: Any = item.LUTData
    if isinstance(entries, bytes):
        entries = np.frombuffer(entries, "<u2" if little_endian else ">u2")
    table = np.asarray(entries, np.float64)[: num_entries or 2**16]
    return table[np.clip(np.rint(values).astype(np.int64) - first, 0, len(table) - 1)]


def _window(dataset: Dataset) -> tuple[float, float, str] | None:
    """Return centre, width and function of the first window, or None if there is none that is legal."""
    centre, width = (_first(dataset.get(name)) for name in ("WindowCenter", "WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise FilmError(Reason.UNSUPPORTED_MODE, f"VOI LUT Function {function}")
    smallest = 1.0 if function == "LINEAR" else 0.0
    if centre is None or width is None or not (math.isfinite(centre) and math.isfinite(width)):
        return None
    return (centre, width, function) if width > smallest else None


def _windowed(values: Values, centre: float, width: float, function: str) -> Values:
    """PS3.3 C.11.2.1.2 and C.11.2.1.3 with an output range of 0..1."""
    if function == "SIGMOID":
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -700.0, 700.0)))
    if function == "LINEAR":  # half a step to the left and one step narrower: the standard's own definition
        centre, width = centre - 0.5, width - 1.0
    return np.clip((values - centre) / width + 0.5, 0.0, 1.0)


def _is_inverted(dataset: Dataset) -> bool:
    """MONOCHROME1 shows its smallest value white; INVERSE says the same of the presentation.

    Both together mean one inversion, not two: a MONOCHROME1 object must carry INVERSE (PS3.3 C.8.11.3.1.2).
    """
    shape = str(dataset.get("PresentationLUTShape") or "").upper()
    return str(dataset.PhotometricInterpretation) == "MONOCHROME1" or shape == "INVERSE"


def _first(value: Any) -> float | None:
    if isinstance(value, MultiValue | list | tuple):
        value = value[0] if value else None
    return None if value is None or value == "" else float(value)


def _is_little_endian(dataset: Dataset) -> bool:
    return bool(dataset.file_meta.TransferSyntaxUID.is_little_endian)
