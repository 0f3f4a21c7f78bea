"""Pixel padding (PS3.3 C.7.5.1.1.2): stored values that are no picture, one or a range of them.

Padding is compared with stored values as bits. Its VR, US or SS, is to follow Pixel Representation, and in half of the
objects that have it does not: 63,536 may be -2,000, and the other way round.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

_WORD_BITS = 16


def is_padding(
    dataset: Dataset, domain: npt.NDArray[np.integer], stored: npt.DTypeLike
) -> npt.NDArray[np.bool_]:
    """Tell which values of `domain` [N], ascending and all that pixels can have, are padding.

    Args:
        dataset: the object's header.
        domain: from the smallest stored value to the largest.
        stored: type of the stored values.
    """
    ends = [_bits(dataset.get(name)) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    first, last = (
        None if bits is None else _as_stored(bits, dataset, domain, np.dtype(stored)) for bits in ends
    )
    if first is None:
        return np.zeros(domain.shape, bool)
    low, high = sorted((first, first if last is None else last))
    padding = (domain >= low) & (domain <= high)
    # A film that is all "padding" has a header that means something else.
    return np.zeros(domain.shape, bool) if padding.all() else padding


def _bits(value: Any) -> int | None:
    """Return an element's value as the word that it is in the object, whatever VR it was read by."""
    if isinstance(value, MultiValue | list):
        value = value[0] if value else None
    if value is None or value == "" or value == b"":
        return None
    number = int.from_bytes(value, "little") if isinstance(value, bytes) else int(value)
    return number % (1 << _WORD_BITS)


def _as_stored(bits: int, dataset: Dataset, domain: npt.NDArray[np.integer], stored: np.dtype) -> int | None:
    """Read a word as pixels are read; None for one that no pixel can have."""
    allocated = 8 * stored.itemsize
    number = _with_sign(bits, _WORD_BITS)
    if not -(1 << (allocated - 1)) <= number < 1 << allocated:
        return None
    if stored.kind == "u":
        return number % (1 << allocated)
    extended = _with_sign(number, allocated)
    # Where all pixels keep to the stored bits, a sign may stand in the highest of these alone.
    in_stored = int(dataset.get("BitsStored") or allocated)
    keeps = -(1 << (in_stored - 1)) <= domain[0] and domain[-1] < 1 << (in_stored - 1)
    return _with_sign(extended, in_stored) if keeps and 0 <= extended < 1 << in_stored else extended


def _with_sign(number: int, bits: int) -> int:
    """Read the lowest bits of a number as one with a sign."""
    low = number % (1 << bits)
    return low - (1 << bits) if low >> (bits - 1) else low
