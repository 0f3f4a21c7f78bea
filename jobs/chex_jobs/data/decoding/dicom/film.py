"""From the bytes of a DICOM object to the grey film that a reader would see: its pixels, then `chex_jobs.data.decoding.dicom.grey`.

Stored values are what lies in the object. Bits above Bits Stored belong to them, for many devices understate it, but:

- where High Bit says that pixels lie higher in their words, with nothing or an overlay below them, as old devices wrote
  it (PS3.5 8.1.1), what is below is no part of them;
- an overlay that says that it lies in these bits is cleared, as old devices drew them;
- where signed pixels leave all of them 0, the sign is the highest stored bit, and is extended.
"""

import io
from itertools import product
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from chex_jobs.data.decoding.dicom.aspect import with_square_pixels
from chex_jobs.data.decoding.dicom.codestream import is_unsigned_within_signed
from chex_jobs.data.decoding.dicom.grey import grey_values
from chex_jobs.data.decoding.dicom.jpeg import decode_deep_jpeg, is_deep_jpeg
from chex_jobs.data.decoding.faults import FilmError, Reason
from chex_jobs.data.decoding.pixels import Film, check_pixels, shrink

_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
_FUNCTIONAL_GROUPS = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")
_FRAME_MACROS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
_OVERLAY_GROUPS = range(0x6000, 0x6020, 2)
_OVERLAY_BIT_POSITION = 0x0102
_OVERLAY_DATA = 0x3000


def decode_dicom(data: bytes, short_side: int) -> Film:
    """Decode one grey or colour frame and shrink it to `short_side`.

    Raises:
        FilmError: not DICOM, no picture or several, a mode or compression that is no film or has no decoder here,
            truncated or damaged.
    """
    try:
        dataset = pydicom.dcmread(io.BytesIO(data), force=True)
        _check_mode(dataset)
        film = _grey(dataset, _pixels(dataset))
        return shrink(with_square_pixels(dataset, film), short_side)
    except (FilmError, MemoryError):
        raise
    except Exception as error:  # pydicom and its plugins raise whatever the damaged bytes lead them to
        raise FilmError(_reason(error), f"{type(error).__name__}: {error}"[:500]) from error


def _grey(dataset: Dataset, pixels: npt.NDArray[np.integer]) -> Film:
    if dataset.PhotometricInterpretation in _GREY:
        _take_from_frame(dataset)
        return grey_values(dataset, pixels)
    # Secondary captures store grey as RGB; pydicom has already turned YBR into RGB.
    return cast(Film, cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY))


def _take_from_frame(dataset: Dataset) -> None:
    """Give a dataset what multi-frame objects say of their frame: rescale, and window or table (PS3.3 C.7.6.16)."""
    for groups, macro in product(_FUNCTIONAL_GROUPS, _FRAME_MACROS):
        for item in dataset.get(groups) or ():
            for element in (element for found in item.get(macro) or () for element in found):
                if element.tag not in dataset or dataset[element.tag].is_empty:
                    dataset.add(element)


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
    for name, usual in (("SamplesPerPixel", 1), ("PixelRepresentation", 0)):
        if dataset.get(name) is None:
            setattr(dataset, name, usual)
    if not getattr(dataset, "file_meta", None) or "TransferSyntaxUID" not in dataset.file_meta:
        # Objects saved without the file header: uncompressed, in the byte order in which the rest could be read.
        dataset.ensure_file_meta()
        _, little_endian = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if little_endian else ExplicitVRBigEndian
    pixels = _decoded(dataset)
    if pixels.shape[:2] != (dataset.Rows, dataset.Columns):
        raise FilmError(Reason.UNREADABLE, f"pixels of shape {pixels.shape} under another header")
    return _stored_values(dataset, pixels) if pixels.ndim == 2 else pixels


def _decoded(dataset: Dataset) -> npt.NDArray[np.integer]:
    if is_deep_jpeg(dataset):
        return decode_deep_jpeg(dataset)
    # pydicom would clear the bits above Bits Stored.
    if is_unsigned_within_signed(dataset):
        return pixel_array(dataset, correct_unused_bits=False, pixel_representation=0).astype(np.int16)
    return pixel_array(dataset, correct_unused_bits=False)


def _stored_values(dataset: Dataset, pixels: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Take what is no part of a pixel [H, W] from its word, and extend a sign into the bits above Bits Stored."""
    bits = int(dataset.BitsStored)
    unused = 8 * pixels.dtype.itemsize - bits
    if unused <= 0:
        return pixels
    below = _bits_below(dataset, pixels)
    pixels = pixels >> below
    if _is_without_sign_bits(pixels, bits) or any(place >= below for place in _overlay_places(dataset)):
        return (pixels << unused) >> unused
    return pixels


def _bits_below(dataset: Dataset, pixels: npt.NDArray[np.integer]) -> int:
    """Return the number of bits in the words [H, W] below those of a pixel.

    Bits below that vary without an overlay show that it is Bits Stored which is understated, and not High Bit.
    """
    highest = min(int(dataset.get("HighBit") or 0), 8 * pixels.dtype.itemsize - 1)
    below = highest + 1 - int(dataset.BitsStored)
    if below <= 0 or _keeps_to(pixels, int(dataset.BitsStored)):
        return 0
    is_overlay = any(place < below for place in _overlay_places(dataset))
    return below if is_overlay or not (pixels & ((1 << below) - 1)).any() else 0


def _keeps_to(pixels: npt.NDArray[np.integer], bits: int) -> bool:
    """Tell whether pixels need no more than the lowest bits of their words, those of a sign left out."""
    if pixels.dtype.kind == "u":
        return bool(pixels.max() < 1 << bits)
    has_sign_bits = pixels.min() >= -(1 << (bits - 1)) and pixels.max() < 1 << (bits - 1)
    return bool(has_sign_bits) or _is_without_sign_bits(pixels, bits)


def _is_without_sign_bits(pixels: npt.NDArray[np.integer], bits: int) -> bool:
    return pixels.dtype.kind == "i" and bool(pixels.min() >= 0 and pixels.max() < 1 << bits)


def _overlay_places(dataset: Dataset) -> list[int]:
    """Return the bits of the pixels' words in which overlays say that they lie."""
    return [
        int(place.value or 0)
        for group in _OVERLAY_GROUPS
        if (place := dataset.get((group, _OVERLAY_BIT_POSITION))) is not None
        # An overlay of its own says that it lies in bit 0.
        and (place.value or (group, _OVERLAY_DATA) not in dataset)
    ]
