"""A full disk: told from other failures, and where temporary files lie by the name of its folder."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chex_jobs.artifacts.errors import StorageFull, StorageUnavailable

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_IN_WORDS = tuple(os.strerror(number) for number in _FULL)
"""Libraries in C++ and Rust tell it in the text of exceptions of their own."""


def is_full(error: BaseException) -> bool:
    """Whether a write failed for want of space: the disk's, the quota's, or a limit on the size of files."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    return any(words in str(error) for words in _FULL_IN_WORDS)


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A folder for a block, in `TMPDIR` or where the system keeps such.

    Raises:
        StorageFull: there was no space for what the block wrote there; the message names the place.
        StorageUnavailable: there is no place for such folders.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    except StorageFull:
        raise
    except FileNotFoundError as error:
        if tempfile.tempdir is not None:  # there is one: another file is what was not found
            raise
        raise StorageUnavailable(
            f"{error.strerror}: free space, or set TMPDIR to a folder that can be written to"
        ) from error
    except Exception as error:
        root = Path(tempfile.gettempdir())
        if not is_full(error) or _lies_elsewhere(error, root):
            raise
        raise no_space_in(root) from error


def _lies_elsewhere(error: Exception, root: Path) -> bool:
    """Whether an error names a file that is not below the place of temporary files. One of a write names none."""
    named = getattr(error, "filename", None)
    return isinstance(named, str | bytes) and not Path(os.fsdecode(named)).is_relative_to(root)


def no_space_in(root: Path) -> StorageFull:
    """What is told where temporary files find no space."""
    return StorageFull(
        f"no space left in {root}, where temporary files lie: free space there, or set TMPDIR to a larger disk, then run the same "
        "command again; what is finished is kept"
    )


def reserve(path: Path) -> None:
    """Take the space of a file that is to be written through memory: where there is none, such a write kills the process.

    Raises `OSError`.
    """
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
