"""SHA-256 of bytes and files, and the check of stored bytes against what was committed."""

import hashlib
import threading
from pathlib import Path

from chex_jobs.artifacts.errors import CorruptArtifact

_verified: dict[tuple[str, str], tuple[int, int, int]] = {}
_verified_lock = threading.Lock()


def sha256_of(data: bytes) -> str:
    """64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_file(path: Path) -> str:
    """64 lower-case hex digits; reads the file in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_bytes(data: bytes, size: int, sha256: str, uri: str) -> None:
    """Raise `CorruptArtifact` unless these are the promised bytes. `uri` is for the message."""
    _check_size(len(data), size, uri)
    _check_digest(sha256_of(data), sha256, uri)


def check_file(path: Path, size: int, sha256: str, uri: str) -> None:
    """Raise `CorruptArtifact` unless the file holds the promised bytes.

    A file is read once for each process: an unchanged one (inode, size, modification time) is not read again.
    """
    status = path.stat()
    _check_size(status.st_size, size, uri)
    question, unchanged = (str(path), sha256), (status.st_ino, status.st_size, status.st_mtime_ns)
    with _verified_lock:
        if _verified.get(question) == unchanged:
            return
    _check_digest(sha256_of_file(path), sha256, uri)
    with _verified_lock:
        _verified[question] = unchanged


def _check_size(found: int, promised: int, uri: str) -> None:
    if found != promised:
        raise CorruptArtifact(
            f"{uri} has {found} bytes where {promised} were committed: it was truncated or replaced"
        )


def _check_digest(found: str, promised: str, uri: str) -> None:
    if found != promised:
        raise CorruptArtifact(
            f"{uri} has SHA-256 {found[:12]}... where {promised[:12]}... was committed: changed or damaged"
        )
