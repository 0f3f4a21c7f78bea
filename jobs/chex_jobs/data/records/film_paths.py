"""From a cell of a table to the path of a film, and from a path that is not there to the nearest that is."""

import unicodedata
import urllib.parse
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches

from chex_api.dataset import TableImage

_EXTENSIONS = (
    "png",
    "jpg",
    "jpeg",
    "dcm",
    "dicom",
    "dic",
    "ima",
    "tif",
    "tiff",
    "bmp",
    "webp",
    "jp2",
    "j2k",
    "gif",
    "nii.gz",
    "nii",
)
"""That film files have. The last part of a DICOM UID is none of them."""
_MOST_COMPARED = 5000
"""Names that a missing one is compared with letter by letter, when nothing simpler explains it."""


def film_path(image: TableImage, cell: str) -> str:
    """Return the path below the source's URI that a cell of the film column names."""
    value = "/".join(_without_prefix(_parts(cell), image.strip_prefixes))
    if image.extension:
        value = _without_extension(value) + image.extension
    return "/".join(_parts(image.path.replace("{}", value)))


def _parts(path: str) -> list[str]:
    """Return the folders and the name of a path; backslashes are slashes, and `.` and nothing are no folder."""
    return [part for part in path.strip().replace("\\", "/").split("/") if part not in ("", ".")]


def _without_prefix(parts: list[str], prefixes: Iterable[str]) -> list[str]:
    """Take off the longest prefix that fits. Windows compares without case, and its paths are told here most often."""
    folded = [part.casefold() for part in parts]
    given = sorted((_parts(prefix.casefold()) for prefix in prefixes), key=len, reverse=True)
    return next((parts[len(prefix) :] for prefix in given if folded[: len(prefix)] == prefix), parts)


def _without_extension(path: str) -> str:
    return next(
        (path[: -len(extension) - 1] for extension in _EXTENSIONS if path.lower().endswith(f".{extension}")),
        path,
    )


def nearest_films(missing: Sequence[str], existing: Collection[str]) -> dict[str, tuple[str, str]]:
    """Return, for each missing path, what is different about the nearest that exists, and that path.

    Looked for in this order: another Unicode form, characters as a URL writes them, another letter case, another extension, another folder, a name that
    resembles it; the last for the first missing path only. A path that nothing explains has no entry.
    """
    by_view = [(words, view, _grouped(existing, view)) for words, view in _VIEWS]
    found: dict[str, tuple[str, str]] = {}
    for path in missing:
        for words, view, there in by_view:
            if view(path) in there:
                found[path] = (words, there[view(path)])
                break
    if missing and missing[0] not in found and len(existing) <= _MOST_COMPARED:
        for near in get_close_matches(missing[0], existing, n=1):
            found[missing[0]] = ("under another name", near)
    return found


def _grouped(existing: Iterable[str], view) -> Mapping[str, str]:
    return {view(path): path for path in sorted(existing, reverse=True)}


def _composed(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _as_in_a_url(path: str) -> str:
    return _composed(urllib.parse.unquote(path))


def _caseless(path: str) -> str:
    return _composed(path).casefold()


def _stem(path: str) -> str:
    return _without_extension(_caseless(path))


def _name(path: str) -> str:
    return _caseless(path).rpartition("/")[2]


def _name_stem(path: str) -> str:
    return _stem(path).rpartition("/")[2]


_VIEWS = (
    ("in another Unicode form", _composed),
    ("with characters as in a URL, or without", _as_in_a_url),
    ("in another letter case", _caseless),
    ("with another extension", _stem),
    ("in another folder", _name),
    ("in another folder with another extension", _name_stem),
)
