"""CPU cores that this process may use: those it is bound to, and no more than its control groups grant in time.

A container of `--cpus=2` on a machine with 64 cores may be bound to all of them; what it may use is a quota of their time:

    cgroup v2   <mount>/<group>/cpu.max              `max 100000`, or quota and period in microseconds
    cgroup v1   <mount>/<group>/cpu.cfs_quota_us     -1, or the quota; cpu.cfs_period_us

Each group above grants no more than its own. Source: Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst of Linux.
"""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PROCESS = Path("/proc/self")


def usable_cores(process: Path = PROCESS) -> int:
    """At least 1; parts of a core are left out."""
    quota = cpu_quota(process)
    return max(1, _bound_cores() if quota is None else min(_bound_cores(), math.floor(quota)))


def _bound_cores() -> int:
    """Not every system can bind a process to some of its cores: macOS has no such call."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(process: Path = PROCESS) -> float | None:
    """Cores that the process's control groups grant, the least of them; None where nothing bounds it."""
    granted = [quota for folder in _cpu_groups(process) if (quota := _quota_of(folder)) is not None]
    return min(granted, default=None)


@dataclass(frozen=True)
class _Mount:
    """Where a hierarchy of groups is seen, and which of its groups is seen there."""

    point: Path
    root: PurePosixPath
    is_v2: bool


def _cpu_groups(process: Path) -> Iterator[Path]:
    """Folders of the groups that bound the CPU time of a process: its own, and those above it."""
    try:
        mounts = list(_mounts((process / "mountinfo").read_text(errors="surrogateescape")))
        groups = (process / "cgroup").read_text(errors="surrogateescape")
    except OSError:  # no Linux, or no /proc
        return
    for line in groups.splitlines():
        number, controllers, group = line.split(":", 2)
        is_v2 = number == "0" and not controllers
        if is_v2 or "cpu" in controllers.split(","):
            for mount in mounts:
                if mount.is_v2 == is_v2:
                    yield from _up_to_the_mount(mount, PurePosixPath(group))


def _mounts(mountinfo: str) -> Iterator[_Mount]:
    """Source of the format: proc_pid_mountinfo(5)."""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) < 5 or len(kind) < 3:
            continue
        is_v2 = kind[0] == "cgroup2"
        if is_v2 or (kind[0] == "cgroup" and "cpu" in kind[2].split(",")):
            yield _Mount(Path(_unescaped(fields[4])), PurePosixPath(_unescaped(fields[3])), is_v2)


def _unescaped(field: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field


def _up_to_the_mount(mount: _Mount, group: PurePosixPath) -> Iterator[Path]:
    """A container may see its own group as the root of the mount while its path is told from the machine's."""
    inside = group.relative_to(mount.root) if group.is_relative_to(mount.root) else PurePosixPath()
    folder = mount.point / inside
    if not folder.is_dir():
        folder = mount.point
    yield folder
    while folder != mount.point:
        folder = folder.parent
        yield folder


def _quota_of(folder: Path) -> float | None:
    with suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else _cores(int(quota), int(period))
    with suppress(OSError, ValueError):
        quota, period = (
            int((folder / f"cpu.cfs_{name}_us").read_text().strip()) for name in ("quota", "period")
        )
        return _cores(quota, period)
    return None


def _cores(quota: int, period: int) -> float | None:
    return quota / period if quota > 0 and period > 0 else None
