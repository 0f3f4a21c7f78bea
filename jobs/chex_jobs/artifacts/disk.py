"""Telling a full disk from other failures of the operating system."""

import errno

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_full(error: OSError) -> bool:
    """Whether a write failed for want of space: the disk's, the quota's, or the limit on the size of a file."""
    return error.errno in _FULL
