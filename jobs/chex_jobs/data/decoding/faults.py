"""What can be wrong with one film. Light, because the decoding process imports it."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Reasons of the quarantine table. They are part of the artifact's format: never rename one."""

    MISSING_FILE = "MissingFile"
    """The table names a film that does not lie below the source's URI."""
    EMPTY = "Empty"
    """The file has no bytes, or every pixel of the film has the same value."""
    GIT_LFS_POINTER = "GitLfsPointer"
    """The film, or its report, is the text of a Git LFS pointer: `git lfs pull` was never run."""
    UNREADABLE = "Unreadable"
    """Neither PNG, JPEG nor DICOM, or damaged inside."""
    TRUNCATED = "Truncated"
    """The file ends before its picture does."""
    UNSUPPORTED_MODE = "UnsupportedMode"
    """A picture that is not a grey film: bilevel, CMYK, palette colour DICOM, several frames."""
    TOO_MANY_PIXELS = "TooManyPixels"
    """The header announces more pixels than any film has; nothing was decoded."""
    DECODER_LIMIT = "DecoderLimit"
    """Decoding needed more memory or time than one film may have, or crashed the decoder."""
    DUPLICATE = "Duplicate"
    """The pixels equal those of another film."""
    MISSING_PATIENT = "MissingPatient"
    """The row has no patient id, so it cannot be kept on one side of a split."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a film was set aside. `detail` may hold what the file says, so it goes to the private table only."""

    reason: Reason
    detail: str


class FilmError(Exception):
    """One film cannot be used.

    Attributes:
        fault: what is wrong.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.fault = Fault(reason, detail)


_LFS_POINTER = "version https://git-lfs.github.com/spec/"


def is_git_lfs_pointer(content: bytes | str) -> bool:
    """Tell whether a file's bytes or a report's text is a Git LFS pointer in place of what was meant."""
    start = content[:200]
    if isinstance(start, bytes):
        return start.startswith(_LFS_POINTER.encode())
    return start.lstrip("\ufeff \n\r\t").startswith(_LFS_POINTER)
