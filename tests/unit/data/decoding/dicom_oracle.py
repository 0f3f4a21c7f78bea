"""What a reader would see of a DICOM object, computed a second time: one value after another, in plain Python, from
the text of DICOM PS3.3 (C.7.6.3.1 pixels, C.7.5.1.1.2 padding, C.11.1 Modality LUT, C.11.2 VOI LUT), and sharing
nothing with the product.

Where objects are known not to keep to the standard it says what is taken instead, and no more than that.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Table:
    """A look-up table as it is meant: `entries[0]` stands for `first` and all that is below."""

    first: int
    entries: tuple[int, ...]

    def __call__(self, value: float) -> int:
        place = round(value) - self.first
        return self.entries[max(0, min(place, len(self.entries) - 1))]


@dataclass(frozen=True)
class Header:
    """All of an object that decides what its pixels look like, as it is meant."""

    bits_allocated: int = 16
    bits_stored: int = 12
    signed: bool = False
    photometric: str = "MONOCHROME2"
    shape: str = ""
    slope: float = 1.0
    intercept: float = 0.0
    modality_table: Table | None = None
    voi_table: Table | None = None
    window: tuple[float, float] | None = None
    function: str = "LINEAR"
    padding: tuple[int, int] | None = None
    """Words, 0..65,535."""


def seen(header: Header, words: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Return grey, 0..255 and not rounded, of the words [H, W] that lie in the object's pixel data."""
    distinct = [int(word) for word in np.unique(words)]
    header = replace(header, bits_stored=_sign_is_in(header, distinct))
    padding = {word for word in distinct if _is_padding(header, word)}
    if len(padding) == len(distinct):
        padding = set()
    values = {word: _modality(header, _number(header, word)) for word in distinct}
    low = min(values[word] for word in distinct if word not in padding)
    high = max(values[word] for word in distinct if word not in padding)
    grey = {
        word: 0.0 if word in padding else 255 * _shown(header, values[word], low, high) for word in distinct
    }
    return np.vectorize(grey.__getitem__, otypes=[float])(words.astype(int))


def after_modality(header: Header, words: npt.NDArray[np.integer]) -> list[float]:
    """Return the values that VOI gets, ascending."""
    distinct = [int(word) for word in np.unique(words)]
    header = replace(header, bits_stored=_sign_is_in(header, distinct))
    return sorted({_modality(header, _number(header, word)) for word in distinct})


def _sign_is_in(header: Header, words: list[int]) -> int:
    """The bits of a pixel: those stored, unless a word shows that they are understated."""
    if header.signed:
        top = 1 << (header.bits_stored - 1)
        whole = 1 << header.bits_allocated
        extended = all(word < top or word >= whole - top for word in words)
        unextended = all(word < 2 * top for word in words)
        return header.bits_stored if extended or unextended else header.bits_allocated
    return header.bits_allocated


def _number(header: Header, word: int) -> int:
    if not header.signed:
        return word
    low = word % (1 << header.bits_stored)
    return low - (1 << header.bits_stored) if low >= 1 << (header.bits_stored - 1) else low


def _is_padding(header: Header, word: int) -> bool:
    if header.padding is None:
        return False
    ends = [_number(header, end % (1 << header.bits_allocated)) for end in header.padding]
    return min(ends) <= _number(header, word) <= max(ends)


def _modality(header: Header, value: int) -> float:
    if header.modality_table is not None:
        return header.modality_table(value)
    return value * header.slope + header.intercept


def _shown(header: Header, value: float, low: float, high: float) -> float:
    share = _voi(header, value, low, high)
    return 1 - share if header.photometric == "MONOCHROME1" or header.shape == "INVERSE" else share


def _voi(header: Header, value: float, low: float, high: float) -> float:
    if header.voi_table is not None:
        darkest, brightest = min(header.voi_table.entries), max(header.voi_table.entries)
        return (header.voi_table(value) - darkest) / (brightest - darkest) if brightest > darkest else 0.0
    if header.window is not None:
        return _windowed(value, *header.window, header.function)
    return (value - low) / (high - low) if high > low else 0.0


def _windowed(x: float, c: float, w: float, function: str) -> float:
    """The pseudo code of C.11.2.1.2.1, and the formulae of C.11.2.1.3, with ymin 0 and ymax 1."""
    if function == "SIGMOID":
        exponent = -4 * (x - c) / w
        return 0.0 if exponent > 700 else 1 / (1 + math.exp(exponent))
    if function == "LINEAR_EXACT":
        return 0.0 if x <= c - w / 2 else 1.0 if x > c + w / 2 else (x - c) / w + 0.5
    if x <= c - 0.5 - (w - 1) / 2:
        return 0.0
    if x > c - 0.5 + (w - 1) / 2:
        return 1.0
    return (x - (c - 0.5)) / (w - 1) + 0.5


def of_dataset(dataset: Any) -> Header:
    """Return the header of an object that keeps to the standard."""

    def first(name: str) -> float | None:
        value = dataset.get(name)
        if value is None or value == "":
            return None
        return float(value[0] if hasattr(value, "__len__") else value)

    slope, centre, width = first("RescaleSlope"), first("WindowCenter"), first("WindowWidth")
    padding = dataset.get("PixelPaddingValue")
    limit = dataset.get("PixelPaddingRangeLimit")
    return Header(
        bits_allocated=int(dataset.BitsAllocated),
        bits_stored=int(dataset.BitsStored),
        signed=bool(dataset.PixelRepresentation),
        photometric=str(dataset.PhotometricInterpretation),
        shape=str(dataset.get("PresentationLUTShape") or ""),
        slope=1.0 if slope is None else slope,
        intercept=first("RescaleIntercept") or 0.0,
        window=None if centre is None or width is None else (centre, width),
        function=str(dataset.get("VOILUTFunction") or "LINEAR"),
        padding=None if padding is None else (padding % 65536, (padding if limit is None else limit) % 65536),
    )
