"""Look-up tables of DICOM (PS3.3 C.11.1.1.1 and C.11.2.1.1), as devices write them.

A descriptor tells the number of entries, the value that the first one stands for, and the bits of an entry. What it
tells is often not so, and then the table itself decides:

- Entries of 12 bits under a descriptor of 16 are common in CR: the output's range is that of the entries.
- Entries of 8 bits lie in a word each, or packed, two in a word, the first in its low byte.
- A table may have fewer entries than told; its last one stands for all values above, as that of a full table does.
- The first value's VR says whether it has a sign, and is as often wrong as right: 64,512 may be -1,024. Its bits are
  read the way that meets the values that are looked up.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

Values = npt.NDArray[np.float64]

_WORD = 1 << 16
_ELEMENTS = ("LUTDescriptor", "LUTData")


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A table as it lies in an object.

    Attributes:
        first: bits of the value that the first entry stands for, 0..65,535.
        entries: float64 [N], N > 0.
    """

    first: int
    entries: Values

    def look_up(self, values: Values) -> Values:
        """Return the entry of each value, any shape; values outside the table take its first or last entry."""
        places = np.rint(values).astype(np.int64) - self._first_value(values)
        return self.entries[np.clip(places, 0, len(self.entries) - 1)]

    def look_up_share(self, values: Values) -> Values:
        """Return the entry of each value on a scale of 0, the table's smallest entry, to 1, its largest."""
        low, high = self.entries.min(), self.entries.max()
        if low == high:
            return np.zeros(values.shape)
        return (self.look_up(values) - low) / (high - low)

    def _first_value(self, values: Values) -> int:
        with_sign = self.first - _WORD if self.first >= _WORD // 2 else self.first
        likely, other = (with_sign, self.first) if values.min() < 0 else (self.first, with_sign)
        return other if self._meets(other, values) and not self._meets(likely, values) else likely

    def _meets(self, first: int, values: Values) -> bool:
        return bool(((values >= first) & (values < first + len(self.entries))).any())


def lookup_table(items: Any, *, little_endian: bool) -> LookupTable | None:
    """Return the first table of a Modality or VOI LUT Sequence; None if there is none, or one without entries."""
    if not items or any(name not in items[0] or items[0][name].is_empty for name in _ELEMENTS):
        return None
    descriptor = items[0].LUTDescriptor
    if isinstance(descriptor, bytes):  # of VR UN or OW
        descriptor = _words(descriptor, little_endian=little_endian)
    told, first, bits = (int(number) for number in descriptor)
    entries = _entries(items[0], told % _WORD or _WORD, bits, little_endian=little_endian)
    return LookupTable(first % _WORD, entries.astype(np.float64)) if len(entries) else None


def _entries(item: Dataset, told: int, bits: int, *, little_endian: bool) -> npt.NDArray[np.integer]:
    words = _words(item.LUTData, little_endian=little_endian)
    # Of a packed table with more than two entries a word holds more than 255, unless every second entry is 0.
    if bits <= 8 and len(words) < told and (told <= 2 or words.max(initial=0) > 255):
        return np.frombuffer(words.astype("<u2").tobytes(), np.uint8)[:told]
    return words[:told]


def _words(data: Any, *, little_endian: bool) -> npt.NDArray[np.integer]:
    """Return LUT Data, which is bytes (OW) or numbers (US), as words of 16 bits."""
    if isinstance(data, bytes):
        return np.frombuffer(data + bytes(len(data) % 2), "<u2" if little_endian else ">u2")
    return np.atleast_1d(np.asarray(data, np.int64)) % _WORD
