"""Telling a full disk from other failures of the operating system."""

import errno

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_full(error: OSError) -> bool:
    """Whether a write failed for want of space: the disk's, the quota's, or a limit on the size of files."""
    return error.errno in _FULL
