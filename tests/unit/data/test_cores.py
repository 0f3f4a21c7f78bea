"""Cores that a process may use, on machines whose control groups are made up here."""

import os
from pathlib import Path

import pytest

from chex_jobs.cli.machine import this_machine
from chex_jobs.data import cores
from chex_jobs.data.cores import cpu_quota, usable_cores
from chex_jobs.data.loading.batch_source import default_threads


def machine(folder: Path, group: str, mounts: list[str], files: dict[str, str]) -> Path:
    """The folder that stands for `/proc/self`; `{}` in mounts is where the groups lie."""
    process, groups = folder / "self", folder / "sys fs" / "cgroup"
    process.mkdir()
    groups.mkdir(parents=True)
    (process / "cgroup").write_text(group)
    place = str(groups).replace(" ", "\\040")
    (process / "mountinfo").write_text("".join(f"{line.replace('{}', place)}\n" for line in mounts))
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(text)
    return process


V2 = ["30 23 0:26 / {} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"]
V1 = [
    "31 23 0:28 / {} rw,relatime - tmpfs tmpfs rw,mode=755",
    "33 31 0:30 / {}/cpuset rw,relatime - cgroup cgroup rw,cpuset",
    "32 31 0:29 / {}/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct",
]


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        pytest.param({"a/b/cpu.max": "150000 100000\n"}, 1.5, id="its own group"),
        pytest.param({"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000"}, 3.0, id="a group above"),
        pytest.param({"a/b/cpu.max": "400000 100000", "a/cpu.max": "200000 100000"}, 2.0, id="the least"),
        pytest.param({"a/b/cpu.max": "max 100000"}, None, id="no bound"),
        pytest.param({"a/b/cpu.max": "nonsense"}, None, id="nonsense"),
        pytest.param({}, None, id="no controller"),
    ],
)
def test_quotas_of_version_2(files: dict[str, str], quota: float | None, tmp_path: Path) -> None:
    assert cpu_quota(machine(tmp_path, "0::/a/b\n", V2, {"a/b/x": "", **files})) == quota


def test_a_container_of_version_2_sees_its_group_as_the_root(tmp_path: Path) -> None:
    assert cpu_quota(machine(tmp_path, "0::/\n", V2, {"cpu.max": "250000 100000"})) == 2.5


@pytest.mark.parametrize(("quota", "expected"), [("50000", 0.5), ("800000", 8.0), ("-1", None), ("0", None)])
def test_quotas_of_version_1(quota: str, expected: float | None, tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/docker/c1/cpu.cfs_quota_us": quota,
        "cpu,cpuacct/docker/c1/cpu.cfs_period_us": "100000",
    }
    group = "3:cpuset:/\n2:cpu,cpuacct:/docker/c1\n1:name=systemd:/docker/c1\n"
    assert cpu_quota(machine(tmp_path, group, V1, files)) == expected


def test_a_container_of_version_1_is_told_a_path_that_it_does_not_see(tmp_path: Path) -> None:
    files = {"cpu,cpuacct/cpu.cfs_quota_us": "200000", "cpu,cpuacct/cpu.cfs_period_us": "100000"}
    mounts = [*V1[:2], V1[2].replace(" / ", " /docker/c1 ")]
    assert cpu_quota(machine(tmp_path, "2:cpu,cpuacct:/docker/c1\n", mounts, files)) == 2.0


@pytest.mark.parametrize(
    ("quota", "bound", "expected"),
    [("150000", 64, 1), ("50000", 64, 1), ("400000", 64, 4), ("400000", 2, 2), ("max", 6, 6)],
)
def test_usable_cores_are_whole_and_no_more_than_bound_or_granted(
    quota: str, bound: int, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(bound)), raising=False)
    assert usable_cores(machine(tmp_path, "0::/\n", V2, {"cpu.max": f"{quota} 100000"})) == expected


def test_a_run_takes_no_more_cores_and_threads_than_it_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = machine(tmp_path, "0::/\n", V2, {"cpu.max": "300000 100000"})
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(cores.cpu_quota, "__defaults__", (process,))
    monkeypatch.setattr(cores.usable_cores, "__defaults__", (process,))
    assert this_machine(None).cpus == 3
    assert this_machine(2).cpus == 2
    assert this_machine(4000).cpus == 3
    assert default_threads() == 2


def test_a_system_that_binds_no_process_and_has_no_proc_has_its_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    assert usable_cores(tmp_path / "nothing") == 10
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores(tmp_path / "nothing") == 1
