"""Exceptions that nobody foresaw: what may be told of them, and where the rest is kept.

Their text may quote a cell of a table, a report or a patient id (`KeyError: '4711'`). What a cluster tells in status, events and
the logs of Pods is read by many; the artifacts are private.
"""

import traceback
from collections.abc import Iterator

from chex_jobs.artifacts.backends import open_storage
from chex_jobs.artifacts.errors import ArtifactError
from chex_jobs.handover.files import FAILURE


def keep_whole(error: BaseException, folder: str) -> str:
    """Store an exception with its traceback in a folder, given as a URI; the part of a sentence that says where."""
    whole = "".join(traceback.format_exception(error))
    try:
        open_storage(folder).write_bytes(FAILURE, whole.encode(errors="backslashreplace"))
    except ArtifactError as problem:
        return f"its whole text could not be stored: {problem}"
    return f"its whole text is in {folder}/{FAILURE}"


def without_text(error: BaseException) -> str:
    """The traceback of an exception and of its causes, the first cause first: types and lines of code, no texts."""
    return "\n".join(
        f"{type(each).__name__} at\n{''.join(traceback.format_tb(each.__traceback__))}"
        for each in reversed(list(_with_causes(error)))
    )


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
