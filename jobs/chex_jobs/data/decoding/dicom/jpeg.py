"""JPEG of more than 8 bits: lossless (process 14), and lossy of 12 bits (JPEG Extended), by GDCM itself.

pydicom's own way to GDCM refuses lossy JPEG of 12 bits, for which it wants a library under the GPL, and tells GDCM the
object's Bits Stored, above which GDCM then clears every bit. Lossy frames come out value for value as libjpeg-turbo 3
decodes them.
"""

import gdcm
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

from chex_jobs.data.decoding.faults import FilmError, Reason

_SYNTAXES = {
    JPEGExtended12Bit: gdcm.TransferSyntax.JPEGExtendedProcess2_4,
    JPEGLossless: gdcm.TransferSyntax.JPEGLosslessProcess14,
    JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
}
_BITS = 16
_END_OF_IMAGE = b"\xff\xd9"


def is_deep_jpeg(dataset: Dataset) -> bool:
    """Tell whether `decode_deep_jpeg` is for this object."""
    is_grey = str(dataset.PhotometricInterpretation).startswith("MONOCHROME")
    return dataset.file_meta.TransferSyntaxUID in _SYNTAXES and dataset.BitsAllocated == _BITS and is_grey


def decode_deep_jpeg(dataset: Dataset) -> npt.NDArray[np.integer]:
    """Return the stored values of a grey object of one frame, of 8 or 16 bits with or without a sign, [H, W].

    Raises:
        FilmError: truncated, damaged, or of another size than its header says.
    """
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    buffer = _image(dataset, frame).GetBuffer()
    if buffer is None:
        cut_off = _END_OF_IMAGE not in frame[-4:]
        raise FilmError(Reason.TRUNCATED if cut_off else Reason.UNREADABLE, "GDCM cannot decode the JPEG")
    data = buffer.encode("utf-8", "surrogateescape")  # GDCM's Python gives bytes as text
    shape = (int(dataset.Rows), int(dataset.Columns))
    itemsize, rest = divmod(len(data), shape[0] * shape[1])
    if rest or itemsize not in (1, 2):
        raise FilmError(Reason.UNREADABLE, f"the JPEG holds {len(data)} bytes under a header of another size")
    kind = "i" if dataset.get("PixelRepresentation") else "u"
    return np.frombuffer(data, f"<{kind}{itemsize}").reshape(shape)


def _image(dataset: Dataset, frame: bytes) -> gdcm.Image:
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((int(dataset.Columns), int(dataset.Rows), 1))
    image.SetDataElement(_element(frame))
    grey = gdcm.PhotometricInterpretation.MONOCHROME2
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    image.SetTransferSyntax(gdcm.TransferSyntax(_SYNTAXES[dataset.file_meta.TransferSyntaxUID]))
    signed = int(dataset.get("PixelRepresentation") or 0)
    image.SetPixelFormat(gdcm.PixelFormat(1, _BITS, _BITS, _BITS - 1, signed))
    return image


def _element(frame: bytes) -> gdcm.DataElement:
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    return element
