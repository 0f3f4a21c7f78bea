"""Text tables as people have them: any of four separators, with or without a `sep=` line, in three encodings.

What a file does not say of itself and the manifest does not say of it is refused, never guessed: a wrong separator makes
one column of many, and a wrong encoding changes names without a word.
"""

import csv
import io
import re
from collections.abc import Sequence

from chex_jobs.data.errors import SourceError
from chex_jobs.data.tables import TableFormat

SEPARATORS = (",", ";", "\t", "|")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "|"}
_SEP_LINE = re.compile(r"\A\s*\"?sep=(.)\"?[ \t]*(?:\r\n|\r|\n|\Z)", re.IGNORECASE)
_UTF16_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_UTF8_MARK = b"\xef\xbb\xbf"
_UTF8_CHARACTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_LONGEST_CELL = 1 << 24
"""Characters. Longer is a quote that was never closed."""


def read_rows(file: str, content: bytes, form: TableFormat) -> list[list[str]]:
    """Return the rows of cells of a text table, the header first.

    Args:
        file: for messages.
        content: the file's bytes, unpacked.
        form: `separator` and `encoding` are looked at.

    Raises:
        SourceError: bytes that the encoding does not have, or a separator that the file does not tell.
    """
    text = decoded(file, content, form.encoding)
    match = _SEP_LINE.match(text)
    if match:
        text = text[match.end() :]
    said = form.separator or (match[1] if match else "")
    return _rows(file, text, said) if said else _rows_by_header(file, text)


def decoded(file: str, content: bytes, encoding: str) -> str:
    """Return a file's text.

    Raises:
        SourceError: a byte that the encoding does not have, with its row.
    """
    if encoding == "Auto":
        encoding = _told_encoding(content)
    if encoding == "UTF16":
        mark = _UTF16_MARKS.get(content[:2], "")
        codec = mark or ("utf-16-be" if content[:1] == b"\0" else "utf-16-le")
        return _decode(file, content[2:] if mark else content, codec, "UTF16")
    if encoding == "Windows1252":
        return _decode(file, content, "cp1252", encoding)
    return _decode(file, content.removeprefix(_UTF8_MARK), "utf-8", "UTF8")


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


def _decode(file: str, content: bytes, codec: str, encoding: str) -> str:
    try:
        return content.decode(codec)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(codec, errors="replace")
        row = len(re.findall(r"\r\n|\r|\n", before))
        where = f"row {row} after the header" if row else "the header"
        wrong = content[error.start : error.start + 1].hex()
        raise SourceError(
            f"{file}, {where}: byte 0x{wrong} is no character of {encoding}. Mend that cell, or say "
            "source.table.encoding if the whole file is written in another."
        ) from error


def _rows_by_header(file: str, text: str) -> list[list[str]]:
    """Read with the one separator that parts the header and gives every row as many cells."""
    header = text.lstrip("\r\n").partition("\n")[0]
    candidates = [separator for separator in SEPARATORS if separator in header]
    if len(candidates) <= 1:
        return _rows(file, text, candidates[0] if candidates else ",")
    fitting = [separator for separator in candidates if _fits(file, text, separator)]
    if len(fitting) != 1:
        names = " and ".join(_NAMES[separator] for separator in fitting or candidates)
        raise SourceError(
            f"{file}: its header holds {names}, {'each' if fitting else 'none'} of which parts every row alike; say "
            "source.table.separator."
        )
    return _rows(file, text, fitting[0])


def _fits(file: str, text: str, separator: str) -> bool:
    try:
        header, *rows = _rows(file, text, separator)
    except SourceError:
        return False
    width = _width(header)
    return width > 1 and all(len(row) >= width >= _width(row) for row in rows if any(row))


def _width(row: Sequence[str]) -> int:
    """Return the number of cells up to the last that holds anything."""
    return max((index for index, cell in enumerate(row, start=1) if cell.strip()), default=0)


def _rows(file: str, text: str, separator: str) -> list[list[str]]:
    """Return all rows; lines before the header that hold nothing are none."""
    before = csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=separator)
    try:
        return list(reader)
    except csv.Error as error:
        raise SourceError(f"{file}, line {reader.line_num}: {error}.") from error
    finally:
        csv.field_size_limit(before)
