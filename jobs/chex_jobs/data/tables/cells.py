"""Columns of text: as many cells as an archive has films, in little more memory than their letters.

A Python string takes 49 bytes beside its letters and 8 for each place that holds it. Of an archive of 400,000 films with a dozen
columns that is the memory of a laptop, so cells lie in Arrow arrays and become strings when they are asked for.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar, cast, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

AT_ONCE = 8192
"""Cells that are strings at the same time while a column is gone through."""

T = TypeVar("T")
C = TypeVar("C", str, str | None, covariant=True)


class Cells(Sequence[C], Generic[C]):
    """A column of text, of which a cell may be None. Equal to every sequence of equal cells; cannot be changed."""

    __slots__ = ("_array",)

    def __init__(self, array: pa.ChunkedArray) -> None:
        """`array`: of type large_binary, UTF-8; what a name on disk holds that is no UTF-8 is a surrogate, as in Python."""
        self._array = array

    @classmethod
    def of(cls, cells: Iterable[C]) -> "Cells[C]":
        """Gather cells, a few thousand at a time."""
        if isinstance(cells, Cells):
            return cells
        return cls(chunked(map(encoded, in_parts(cells))))

    @property
    def text(self) -> pa.ChunkedArray:
        """The cells as Arrow strings. Raises `pa.ArrowInvalid` where a cell holds a surrogate."""
        return self._array.cast(pa.large_string()).cast(pa.string())

    def __len__(self) -> int:
        return len(self._array)

    @overload
    def __getitem__(self, place: int) -> C: ...
    @overload
    def __getitem__(self, place: slice) -> "Cells[C]": ...
    def __getitem__(self, place: int | slice) -> "C | Cells[C]":
        if isinstance(place, slice):
            return self.select(range(len(self))[place])
        return cast(C, _text(self._array[place].as_py()))

    def __iter__(self) -> Iterator[C]:
        for start in range(0, len(self._array), AT_ONCE):
            for cell in self._array.slice(start, AT_ONCE).to_pylist():
                yield cast(C, _text(cell))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Cells):
            return self._array.equals(other._array)
        if isinstance(other, Sequence) and not isinstance(other, str):
            return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))
        return NotImplemented

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        return f"Cells({list(self)!r})"

    def select(self, rows: Sequence[int] | npt.NDArray[np.integer]) -> "Cells[C]":
        """The cells of some rows, in the order given."""
        return Cells(self._array.take(pa.array(np.asarray(rows, np.int64))))

    def numbered(self) -> "tuple[npt.NDArray[np.int32], Cells[C]]":
        """Number cells in order of first appearance: the number of each, and the different cells by number."""
        numbered = self._array.combine_chunks().dictionary_encode()
        return numbered.indices.to_numpy().astype(np.int32), Cells(chunked([numbered.dictionary]))


def encoded(cells: Iterable[str | None]) -> pa.Array:
    """A few cells as a part of a column."""
    plain = [None if cell is None else cell.encode("utf-8", "surrogatepass") for cell in cells]
    return pa.array(plain, pa.large_binary())


def chunked(parts: Iterable[pa.Array]) -> pa.ChunkedArray:
    """A column of its parts."""
    return pa.chunked_array(list(parts), pa.large_binary())


def in_parts(items: Iterable[T]) -> Iterator[list[T]]:
    """Items, a few thousand at a time."""
    rest = iter(items)
    while part := list(itertools.islice(rest, AT_ONCE)):
        yield part


def _text(cell: bytes | None) -> str | None:
    return None if cell is None else cell.decode("utf-8", "surrogatepass")
