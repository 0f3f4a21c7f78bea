"""Where things are stored: storage URIs taken apart, keys checked. No I/O."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote_to_bytes

from chex_jobs.artifacts.errors import InvalidLocation

STAGING_PREFIX = ".chex-staging-"
"""Names that begin so are files being written; no key may, and no listing shows them."""

MAX_KEY_BYTES = 1024  # the limit of S3, kept for files too, so that a job moves between the two

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ESCAPED_IN_URIS = re.compile(r"[%\s\x00-\x1f\x7f\ud800-\udfff]+")
"""What a `file:` URI may not hold as it is: its own mark, white space, and bytes of names that are no UTF-8."""


@dataclass(frozen=True, slots=True)
class Location:
    """A storage root.

    `bucket` is empty for files; `prefix` has no slash at its end and, in S3, none at its start.
    """

    scheme: Literal["file", "s3"]
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, uri: str) -> "Location":
        """Take `file:///directory` or `s3://bucket/prefix` apart.

        Percent escapes are decoded in `file:` URIs (`%20` is a space, `%25` a percent sign; a percent sign that begins no escape
        stands for itself); S3 keys are taken as they stand.
        Raises `InvalidLocation` for anything else, for `..`, and for credentials in the URI.
        """
        scheme, separator, rest = uri.partition("://")
        host, _, path = rest.partition("/")
        if "@" in host:
            raise InvalidLocation(
                f"a {scheme}:// URI must not hold credentials; use the AWS credential chain"
            )
        if _CONTROL.search(uri):
            raise InvalidLocation(f"{uri!r} holds control characters")
        if not separator or scheme not in ("file", "s3"):
            raise InvalidLocation(f"{uri!r} is no storage URI; write file:///directory or s3://bucket/prefix")
        if scheme == "s3":
            return cls("s3", _checked_bucket(uri, host), _checked_prefix(uri, path))
        if host not in ("", "localhost"):
            raise InvalidLocation(
                f"{uri!r} names a host; a local directory has three slashes: file:///directory"
            )
        # Names on disk are bytes, which need not be UTF-8.
        decoded = os.fsdecode(unquote_to_bytes(os.fsencode(path)))
        if _CONTROL.search(decoded):
            raise InvalidLocation(f"{uri!r} holds control characters")
        return cls("file", "", "/" + _checked_prefix(uri, decoded))

    @property
    def uri(self) -> str:
        """The canonical spelling, without a slash at its end."""
        if self.scheme == "file":
            return "file://" + _quoted(self.prefix)
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def directory(self) -> Path:
        """The local directory of a `file:` location."""
        assert self.scheme == "file", self
        return Path(self.prefix)

    def uri_of(self, key: str) -> str:
        """The URI of an object under this root, as messages and manifests show it."""
        if self.scheme == "file":
            return f"{self.uri.rstrip('/')}/{_quoted(key)}"
        return f"{self.uri}/{key}"


def file_uri(path: Path) -> str:
    """The URI of a local path, which `Location.parse` gives back; letters of all scripts stay readable.

    Relative paths are relative to the working directory. `..` is resolved as the system does, through links.
    """
    whole = str(path.resolve() if ".." in path.parts else path.absolute())
    return "file://" + escaped(whole, _ESCAPED_IN_URIS)


def with_escaped_blanks(uri: str) -> str:
    """A `file:` URI that a person wrote, with its white space escaped; its escapes stay what they are."""
    return escaped(uri, re.compile(r"\s+"))


def escaped(text: str, what: re.Pattern[str]) -> str:
    """Percent escapes in place of what matches."""
    return what.sub(lambda found: quote(os.fsencode(found[0]), safe=""), text)


def checked_key(key: str) -> str:
    """Return `key` if it is legal below a root, else raise `InvalidLocation`.

    Legal: relative, parts separated by single slashes, no part `.` or `..`, no control characters,
    at most 1,024 bytes, no part reserved for files being written.
    """
    parts = key.split("/")
    if key.startswith("/"):
        raise InvalidLocation(f"key {key!r} is absolute; keys are relative to the storage root")
    if any(part in ("", ".", "..") for part in parts):
        raise InvalidLocation(f"key {key!r} has an empty, '.' or '..' part")
    if _CONTROL.search(key):
        raise InvalidLocation(f"key {key!r} holds control characters")
    if any(part.startswith(STAGING_PREFIX) for part in parts):
        raise InvalidLocation(f"key {key!r} uses the reserved name {STAGING_PREFIX}*")
    if len(os.fsencode(key)) > MAX_KEY_BYTES:
        raise InvalidLocation(f"key {key[:60]!r}... is longer than {MAX_KEY_BYTES} bytes")
    return key


def checked_folder(folder: str) -> str:
    """Return a folder key as a prefix: "" for the root, else legal as a key and with one slash at its end."""
    return checked_key(folder.removesuffix("/")) + "/" if folder else ""


def is_legal(key: str) -> bool:
    """Whether a key may stand below a root."""
    try:
        checked_key(key)
    except InvalidLocation:
        return False
    return True


def common_folder(keys: Iterable[str]) -> str:
    """The deepest folder that holds all legal ones of the keys, so that a listing reads no more than it must."""
    folders = {key.rpartition("/")[0] for key in keys if is_legal(key)}
    return os.path.commonpath(folders) if folders and all(folders) else ""


def _checked_bucket(uri: str, bucket: str) -> str:
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise InvalidLocation(
            f"{uri!r} has no legal bucket name: 3 to 63 lower-case letters, digits, dots and hyphens after s3://"
        )
    return bucket


def _checked_prefix(uri: str, path: str) -> str:
    prefix = path.strip("/")
    if any(part in (".", "..") for part in prefix.split("/")):
        raise InvalidLocation(f"{uri!r} has a '.' or '..' part; write the location out")
    if prefix and "" in prefix.split("/"):
        raise InvalidLocation(f"{uri!r} has two slashes in a row; write the location out")
    return prefix


def _quoted(path: str) -> str:
    # Names on disk may hold bytes that are no UTF-8; os.fsencode gives those back as they were.
    return quote(os.fsencode(path))
