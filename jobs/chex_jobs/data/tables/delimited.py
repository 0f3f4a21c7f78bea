"""Text tables as people have them: any of four separators, with or without a `sep=` line, in three encodings.

What a file does not say of itself and the manifest does not say of it is refused, never guessed: a wrong separator makes
one column of many, and a wrong encoding changes names without a word.
"""

import codecs
import collections
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from chex_jobs.data.errors import SourceError
from chex_jobs.data.tables.table_format import TableFormat

SEPARATORS = (",", ";", "\t", "|")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "|"}
_SEP_LINE = re.compile(r"\A\s*\"?sep=(.)\"?[ \t]*(?:\r\n|\r|\n|\Z)", re.IGNORECASE)
_UTF16_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF8_CHARACTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HEAD_CHARACTERS = 4096
_PIECE = 1 << 20
_LONGEST_CELL = 1 << 24
"""Characters. Longer is a quote that was never closed."""


def read_rows(file: str, content: bytes, form: TableFormat) -> Iterator[list[str]]:
    """Yield the rows of cells of a text table, the header first. The text is never there as a whole.

    Args:
        file: for messages.
        content: the file's bytes, unpacked.
        form: `separator` and `encoding` are looked at.

    Raises:
        SourceError: bytes that the encoding does not have, or a separator that the file does not tell.
    """
    text = _Text.of(file, content, form.encoding)
    match = _SEP_LINE.match(text.head())
    if match:
        text = replace(text, skipped=match.end())
    said = form.separator or (match[1] if match else "")
    yield from _rows(text, said or _separator_of(text))


@dataclass(frozen=True)
class _Text:
    """A file's text: how its bytes are read, and where its table begins.

    Attributes:
        file: for messages.
        content: its bytes, behind a mark of the encoding.
        codec: of Python, by which all of them can be read.
        skipped: characters before the table.
    """

    file: str
    content: bytes
    codec: str
    skipped: int = 0

    @classmethod
    def of(cls, file: str, content: bytes, encoding: str) -> "_Text":
        """Find out how bytes are to be read. Raises `SourceError` for one that the encoding does not have, with its row."""
        if encoding == "Auto":
            encoding = _told_encoding(content)
        codec, mark = {"Windows1252": ("cp1252", b""), "UTF8": ("utf-8", _UTF8_MARK)}.get(encoding, ("", b""))
        if encoding == "UTF16":
            told = _UTF16_MARKS.get(content[:2], "")
            codec = told or ("utf-16-be" if content[:1] == b"\0" else "utf-16-le")
            mark = content[:2] if told else b""
        _check_decodes(file, content.removeprefix(mark), codec, encoding)
        return cls(file, content.removeprefix(mark), codec)

    def head(self) -> str:
        """The first characters: more than a line that names a separator has, with what stands before it."""
        return io.TextIOWrapper(io.BytesIO(self.content), encoding=self.codec, newline="").read(
            _HEAD_CHARACTERS
        )

    def lines(self, newline: Literal["", "\n"] = "") -> io.TextIOWrapper:
        """The lines of the table; those before its header that hold nothing are none."""
        stream = io.TextIOWrapper(io.BytesIO(self.content), encoding=self.codec, newline=newline)
        stream.read(self.skipped)
        place = stream.tell()
        while stream.read(1) in ("\r", "\n"):
            place = stream.tell()
        stream.seek(place)
        return stream


def _told_encoding(content: bytes) -> str:
    """Return the encoding that the bytes tell: a mark, zeros of two-byte characters, or characters that only UTF-8 writes so."""
    if content[:2] in _UTF16_MARKS or b"\0" in content[:2]:
        return "UTF16"
    if content.startswith(_UTF8_MARK):
        return "UTF8"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "UTF8" if _UTF8_CHARACTER.search(content) else "Windows1252"
    return "UTF8"


def _check_decodes(file: str, content: bytes, codec: str, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        for start in range(0, len(content), _PIECE):
            decoder.decode(content[start : start + _PIECE])
        decoder.decode(b"", final=True)
        return
    except UnicodeDecodeError:
        pass
    try:
        content.decode(codec)  # all at once, so that the error tells where
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(codec, errors="replace")
        row = len(re.findall(r"\r\n|\r|\n", before))
        where = f"row {row} after the header" if row else "the header"
        wrong = content[error.start : error.start + 1].hex()
        raise SourceError(
            f"{file}, {where}: byte 0x{wrong} is no character of {encoding}. Mend that cell, or say "
            "source.table.encoding if the whole file is written in another."
        ) from error


def _separator_of(text: _Text) -> str:
    """Return the one separator that parts the header and gives every row as many cells."""
    header = _header(text)
    candidates = [separator for separator in SEPARATORS if separator in header]
    if len(candidates) <= 1:
        return candidates[0] if candidates else ","
    fitting = [separator for separator in candidates if _fits(text, separator)]
    if not fitting:
        collections.deque(
            _rows(text, max(candidates, key=header.count)), maxlen=0
        )  # raises where a quote is the reason
    if len(fitting) != 1:
        names = " and ".join(_NAMES[separator] for separator in fitting or candidates)
        raise SourceError(
            f"{text.file}: its header holds {names}, {'each' if fitting else 'none'} of which parts every row alike; say "
            "source.table.separator."
        )
    return fitting[0]


def _header(text: _Text) -> str:
    """Return the line that names the columns; several, where a name in quotes holds a line end."""
    lines = text.lines(newline="\n")
    header = lines.readline()
    while header.count('"') % 2 and len(header) < _HEAD_CHARACTERS and (more := lines.readline()):
        header += more
    return header


def _fits(text: _Text, separator: str) -> bool:
    rows = _rows(text, separator)
    try:
        width = _width(next(rows, []))
        return width > 1 and all(len(row) >= width >= _width(row) for row in rows if any(row))
    except SourceError:
        return False


def _width(row: Sequence[str]) -> int:
    """Return the number of cells up to the last that holds anything."""
    return max((index for index, cell in enumerate(row, start=1) if cell.strip()), default=0)


def _rows(text: _Text, separator: str) -> Iterator[list[str]]:
    """Yield all rows. A quote that opens a cell and does not close it is an error: it would swallow the rows after it."""
    before = csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(
        text.lines(), delimiter=separator, strict=True, skipinitialspace=not separator.isspace()
    )
    begun = 1
    try:
        for row in reader:
            yield row
            begun = reader.line_num + 1
    except csv.Error as error:
        raise SourceError(
            f"{text.file}, the row that begins in line {begun} of the table: {error}. A cell that begins with a quote ends with "
            "the next, and quotes within it are written twice."
        ) from error
    finally:
        csv.field_size_limit(before)
