"""From a DICOM object to a grey picture as a reader would see it, in the order of DICOM PS3.3 C.7.6.3 and C.11.

    stored values -> Modality LUT or rescale -> VOI (LUT sequence, else window) -> inversion

Inversion (MONOCHROME1, or Presentation LUT Shape INVERSE) comes last: a window is meant for the values before it.
Without VOI the values are stretched from smallest to largest, pixel padding left out. Padding becomes black.

All of it maps one stored value to one grey value, so it is computed once for each value that a pixel can have and
looked up for every pixel: exact, and as fast as a lookup.
"""

import io
import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_modality_lut
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
        FilmError: not DICOM, no picture or several, a mode that is no film, truncated or damaged pixels.
    """
    dataset = _read(data)
    _check_mode(dataset)
    pixels = _pixels(dataset)
    if dataset.PhotometricInterpretation in _COLOUR:
        # Secondary captures store grey as RGB; pydicom has already turned YBR into RGB.
        return shrink(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY), short_side)
    return shrink(grey_values(dataset, pixels), short_side)


def grey_values(dataset: Dataset, stored: npt.NDArray[np.integer]) -> Film:
    """Map stored values [H, W] to grey, 0 black to 255 white, as the object's header says.

    Raises:
        FilmError: a VOI LUT Function that is not defined.
    """
    low, high = int(stored.min()), int(stored.max())
    domain = np.arange(low, high + 1)
    padding = _is_padding(dataset, domain)
    grey = _voi(dataset, apply_modality_lut(domain, dataset), ~padding)
    if _is_inverted(dataset):
        grey = 1.0 - grey
    grey[padding] = 0.0
    table = np.rint(grey * 255.0).astype(np.uint8)
    return table[stored.astype(np.int64) - low]


def _read(data: bytes) -> Dataset:
    try:
        return pydicom.dcmread(io.BytesIO(data), force=True)
    except EOFError as error:
        raise FilmError(Reason.TRUNCATED, str(error)) from error
    except Exception as error:  # pydicom raises whatever the damaged bytes lead it to
        raise FilmError(Reason.UNREADABLE, f"{type(error).__name__}: {error}") from error


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
    try:
        pixels = dataset.pixel_array
    except MemoryError:
        raise
    except Exception as error:  # decoder plugins raise their own kinds
        short = "less than" in str(error) or "is too short" in str(error) or isinstance(error, EOFError)
        reason = Reason.TRUNCATED if short else Reason.UNREADABLE
        raise FilmError(reason, f"{type(error).__name__}: {error}") from error
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


def _voi(dataset: Dataset, values: npt.NDArray, told: npt.NDArray[np.bool_]) -> Values:
    """Map the modality's values to 0..1; `told` marks those that are not padding."""
    if dataset.get("VOILUTSequence"):
        return _voi_lut(dataset.VOILUTSequence[0], values, _is_little_endian(dataset))
    window = _window(dataset)
    if window is not None:
        return _windowed(values.astype(np.float64), *window)
    low, high = float(values[told].min()), float(values[told].max())
    if low == high:
        return np.zeros(values.shape)
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def _voi_lut(item: Dataset, values: npt.NDArray, little_endian: bool) -> Values:
    """PS3.3 C.11.2.1.1: values outside the table take its first or last entry; 0 entries stand for 65,536."""
    num_entries, first, bits = (int(number) for number in item.LUTDescriptor)
    entries: Any = item.LUTData
    if isinstance(entries, bytes):
        entries = np.frombuffer(entries, "<u2" if little_endian else ">u2")
    table = np.asarray(entries, np.float64)[: num_entries or 2**16]
    index = np.clip(np.rint(values).astype(np.int64) - first, 0, len(table) - 1)
    return np.clip(table[index] / (2**bits - 1), 0.0, 1.0)


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
