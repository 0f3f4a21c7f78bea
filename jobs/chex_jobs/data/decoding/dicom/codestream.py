"""What a frame of JPEG 2000 or JPEG-LS says of its own pixels; it decides where the header says otherwise (PS3.5 8.2)."""

from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.utils import get_j2k_parameters
from pydicom.uid import JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes

_JPEG_LS_FRAME = b"\xff\xf7"
_PRECISION = 4  # bytes from the marker to the precision


def is_unsigned_within_signed(dataset: Dataset) -> bool:
    """Tell whether a frame is without a sign, and of fewer bits than its header, which has one, tells.

    Its values are positive then: were there negative ones, it would need all bits of the header. Encoders that take as
    many bits as a film needs write this. In frames of as many bits or more the highest one is the sign.
    """
    if not dataset.get("PixelRepresentation"):
        return False
    precision = _unsigned_precision(dataset)
    return precision is not None and precision < int(dataset.BitsStored)


def _unsigned_precision(dataset: Dataset) -> int | None:
    """Return the bits of a pixel in a frame that has no sign; None for other frames, and other compressions."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in (*JPEG2000TransferSyntaxes, *JPEGLSTransferSyntaxes):
        return None
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    if syntax in JPEG2000TransferSyntaxes:
        told = get_j2k_parameters(frame)
        return None if told.get("is_signed", True) else told["precision"]
    start = frame.find(_JPEG_LS_FRAME)
    return frame[start + _PRECISION] if 0 <= start < len(frame) - _PRECISION else None
