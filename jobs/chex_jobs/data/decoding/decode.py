"""From the bytes of a film to the uint8 grey picture that is stored: decoded once, shrunk, never enlarged.

What a film may be is told by its first bytes, never by its name. The header's pixel count is checked before anything
is decoded, because a picture of 40,000 x 40,000 pixels is a file of some hundred kilobytes. Grey values:

- 8 bits: as they are; colour to luma (BT.601), which leaves grey written as RGB untouched; transparency onto black.
- 16-bit PNG: stretched from its smallest to its largest value after shrinking. Sets differ in whether 12 or 16 bits
  are used and none says so; a fixed shift would turn the 12-bit ones black.
- DICOM: see `chex_jobs.data.decoding.dicom.grey`.

EXIF orientation is not applied: in archives it comes from viewers that had already turned the picture.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

from chex_jobs.data.decoding.faults import FilmError, Reason, is_git_lfs_pointer
from chex_jobs.data.decoding.pixels import Film, check_pixels, shrink, stored_size, stretched

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_DICOM_OFFSET = 128
# The first element of group 2 or 8 in either byte order: with its VR, or of group 8 with a length below 65,536 instead.
_DICOM_WITHOUT_PREAMBLE = re.compile(
    rb"(?:[\x02\x08]\0..|\0[\x02\x08]..)(?:AE|CS|DA|DT|IS|LO|LT|OB|PN|SH|SQ|ST|TM|UI|UL|UN|US)"
    rb"|\x08\0[\0-\x20]\0..\0\0|\0\x08\0[\0-\x20]\0\0..|\x02\0\0\0",
    re.DOTALL,
)
# Warnings of libjpeg about bytes between markers; the picture is whole, and some archives are full of them.
_HARMLESS_JPEG_FAULTS = ("extraneous bytes before marker",)


def decode_film(data: bytes, short_side: int) -> Film:
    """Decode PNG, JPEG or DICOM and shrink it to `short_side` pixels on its short side; smaller films stay as they are.

    Raises:
        FilmError: the file cannot be used; carries the quarantine reason.
    """
    film = _decoded(data, short_side)
    if film.min() == film.max():
        raise FilmError(Reason.EMPTY, f"all {film.size} pixels have the value {film.flat[0]}")
    return film


def is_dicom(data: bytes) -> bool:
    """Tell whether a file, or its beginning, is a DICOM object."""
    has_preamble = data[_DICOM_OFFSET : _DICOM_OFFSET + 4] == b"DICM"
    return has_preamble or bool(_DICOM_WITHOUT_PREAMBLE.match(data))


def _decoded(data: bytes, short_side: int) -> Film:
    if not data:
        raise FilmError(Reason.EMPTY, "the file has no bytes")
    if is_git_lfs_pointer(data):
        raise FilmError(Reason.GIT_LFS_POINTER, "run `git lfs pull` where the films come from")
    if data.startswith(_PNG):
        return _decode_png(data, short_side)
    if data.startswith(_JPEG):
        return _decode_jpeg(data, short_side)
    if is_dicom(data):
        from chex_jobs.data.decoding.dicom import (
            decode_dicom,  # pydicom takes longer to import than a film to decode
        )

        return decode_dicom(data, short_side)
    if len(data) < len(_PNG) or _PNG.startswith(data[: len(_PNG)]):
        raise FilmError(Reason.TRUNCATED, f"the file has {len(data)} bytes only")
    raise FilmError(Reason.UNREADABLE, f"neither PNG, JPEG nor DICOM; begins with {data[:8].hex()}")


def _decode_png(data: bytes, short_side: int) -> Film:
    _check_png(data)
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise FilmError(Reason.UNREADABLE, "libpng cannot decode it")
    grey = shrink(_grey(picture), short_side)
    return grey if grey.dtype == np.uint8 else stretched(grey)


def _grey(picture: npt.NDArray) -> npt.NDArray:
    """Turn what OpenCV decodes, [H, W] or BGR(A) [H, W, 3 | 4], into [H, W] of the same type."""
    if picture.ndim == 2:
        return picture
    if picture.shape[2] == 3:
        return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    grey = cv2.cvtColor(picture, cv2.COLOR_BGRA2GRAY)
    opaque = np.iinfo(picture.dtype).max
    alpha = picture[:, :, 3]
    if alpha.min() == opaque:
        return grey
    return np.rint(grey.astype(np.float32) * (alpha.astype(np.float32) / opaque)).astype(picture.dtype)


def _check_png(data: bytes) -> None:
    """Check header and structure. OpenCV returns the part of a truncated file that it could read, without a word."""
    if len(data) < 33:
        raise FilmError(Reason.TRUNCATED, f"the file has {len(data)} bytes only")
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    check_pixels(height, width)
    if bits < 8:
        raise FilmError(Reason.UNSUPPORTED_MODE, f"PNG with {bits} bits a pixel, colour type {colour}")
    kinds = [kind for kind, sound in _png_chunks(data) if _or_corrupt(sound, kind)]
    if b"IEND" not in kinds:
        raise FilmError(Reason.TRUNCATED, "the PNG has no IEND chunk")
    if b"IDAT" not in kinds:
        raise FilmError(Reason.UNREADABLE, "the PNG has no picture in it")


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bool]]:
    """Yield the type of each chunk that is there as a whole, and whether its checksum is right; ends after IEND."""
    view = memoryview(data)
    start = len(_PNG)
    while start + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, start)
        end = start + 8 + length
        if end + 4 > len(data):
            return
        kind = data[start + 4 : start + 8]
        (checksum,) = struct.unpack_from(">I", data, end)
        yield kind, zlib.crc32(view[start + 4 : end]) == checksum
        if kind == b"IEND":
            return
        start = end + 4


def _or_corrupt(sound: bool, kind: bytes) -> bool:
    if not sound:
        raise FilmError(Reason.UNREADABLE, f"the checksum of PNG chunk {kind.decode('latin-1')} is wrong")
    return True


def _decode_jpeg(data: bytes, short_side: int) -> Film:
    """Decode a JPEG straight at a reduced size where libjpeg can, without going below the size that is stored.

    Reduction by 2, 4 or 8 happens in the transform itself: it skips most of the work of decoding, and what it drops
    are the frequencies that averaging areas would drop.
    """
    height, width = _jpeg_size(data)
    target_height, target_width = stored_size(height, width, short_side)
    factor = 1
    while factor < 8 and height // (2 * factor) >= target_height and width // (2 * factor) >= target_width:
        factor *= 2
    film = _jpeg_pixels(data, -(-height // factor), -(-width // factor))
    if film.shape == (target_height, target_width):
        return film
    # The size is that of the full picture shrunk; the reduced one's may round to another.
    shrunk = cv2.resize(film, (target_width, target_height), interpolation=cv2.INTER_AREA)
    return cast(Film, shrunk)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data, strict=False)
    except ValueError as error:
        raise FilmError(_jpeg_fault(data, str(error)), str(error)) from error
    check_pixels(int(height), int(width))
    if colours in ("CMYK", "YCCK"):
        raise FilmError(Reason.UNSUPPORTED_MODE, f"JPEG in {colours}")
    return int(height), int(width)


def _jpeg_pixels(data: bytes, min_height: int, min_width: int) -> Film:
    def pixels(*, strict: bool) -> Film:
        return simplejpeg.decode_jpeg(data, "GRAY", min_height=min_height, min_width=min_width, strict=strict)

    try:
        return pixels(strict=True)[:, :, 0]
    except ValueError as error:
        if not any(fault in str(error) for fault in _HARMLESS_JPEG_FAULTS):
            raise FilmError(_jpeg_fault(data, str(error)), str(error)) from error
    return pixels(strict=False)[:, :, 0]


def _jpeg_fault(data: bytes, message: str) -> Reason:
    """Tell a file that was cut off from one that is damaged inside: only a whole one ends with the end marker."""
    cut_off = "premature end" in message.lower() or not data.rstrip(b"\0").endswith(b"\xff\xd9")
    return Reason.TRUNCATED if cut_off else Reason.UNREADABLE
