"""Where Ray keeps its sockets and logs on this machine: a place whose name it can bear, with some space.

Seen with Ray 2.60: names of sockets may have 107 bytes on Linux and 103 on macOS, of which Ray takes 64 for its own part; a path with
letters beyond ASCII ends in a `UnicodeEncodeError` of its core, one with a quote in a time-out of its start.
"""

import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chex_jobs.artifacts.disk import is_full, no_space_in
from chex_jobs.artifacts.errors import StorageUnavailable

log = logging.getLogger(__name__)

PREFIX = "chex-ray-"
LONGEST_SOCKET_BYTES = 107 if sys.platform == "linux" else 103
RAYS_OWN_BYTES = len("/session_2026-01-31_23-59-59_123456_1234567/sockets/plasma_store")
OUR_OWN_BYTES = len(f"/{PREFIX}12345678")
LONGEST_ROOT_BYTES = LONGEST_SOCKET_BYTES - RAYS_OWN_BYTES - OUR_OWN_BYTES
LEAST_FREE_BYTES = 64 * 1024**2
"""Ray's logs of a short run; without space for them it ends in a time-out that says nothing of it."""
OTHER_ROOTS = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108 - each gets a folder of a random name
_BEARABLE = re.compile(r"[A-Za-z0-9/._ -]+")


@contextmanager
def ray_folder() -> Iterator[str]:
    """A folder for one Ray, gone after the block.

    Raises:
        StorageFull: no space for it.
        StorageUnavailable: no place that Ray can use.
    """
    root = chosen_root(Path(tempfile.gettempdir()), OTHER_ROOTS)
    if shutil.disk_usage(root).free < LEAST_FREE_BYTES:
        raise no_space_in(root)
    try:
        # Not mended by what the block raises: that may be about any disk.
        folder = tempfile.TemporaryDirectory(prefix=PREFIX, dir=root, ignore_cleanup_errors=True)
    except OSError as error:
        raise (
            no_space_in(root)
            if is_full(error)
            else StorageUnavailable(f"cannot write to {root} ({error.strerror})")
        ) from error
    with folder as name:
        yield name


def chosen_root(wanted: Path, others: Iterable[Path]) -> Path:
    """Where temporary files go anyway, or, where Ray could not bear that, the first other place; which is said then."""
    why = unbearable(wanted)
    if not why:
        return wanted
    for root in others:
        if not unbearable(root) and root.is_dir() and os.access(root, os.W_OK | os.X_OK):
            log.warning("Ray's files lie in %s, not in %s: %s", root, wanted, why)
            return root
    raise StorageUnavailable(
        f"{why}: set TMPDIR to a folder of at most {LONGEST_ROOT_BYTES} plain characters"
    )


def unbearable(root: Path) -> str:
    """Why Ray's sockets cannot lie there; empty where they can."""
    if len(os.fsencode(root)) > LONGEST_ROOT_BYTES:
        return f"{root} is longer than the {LONGEST_ROOT_BYTES} bytes that names of sockets leave for it"
    if not _BEARABLE.fullmatch(str(root)):
        return f"{root} holds characters that Ray cannot handle"
    return ""
