"""Where Ray's files go on machines whose temporary folder Ray cannot use."""

import logging
import os
import shutil
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest

from chex_jobs.artifacts.errors import StorageFull, StorageUnavailable
from chex_jobs.executor import ray_folder as module
from chex_jobs.executor.ray_folder import (
    LONGEST_ROOT_BYTES,
    LONGEST_SOCKET_BYTES,
    RAYS_OWN_BYTES,
    chosen_root,
    ray_folder,
)

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def short() -> Path:
    return Path("/tmp")


@pytest.mark.parametrize(
    "name", ["l" * 60, "Röntgen", "a'b", 'a"b', "a;b", "a%20b", "a&b"], ids=lambda name: name[:8]
)
def test_another_place_is_chosen_and_said_where_ray_could_not_bear_the_name(
    name: str, short: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = Path("/t") / name
    with caplog.at_level(logging.WARNING):
        assert chosen_root(wanted, [Path("/not/there"), short]) == short
    assert f"Ray's files lie in {short}, not in {wanted}" in caplog.text


def test_a_place_that_ray_can_bear_is_kept_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    assert chosen_root(Path("/scratch/my jobs"), [Path("/tmp")]) == Path("/scratch/my jobs")
    assert caplog.text == ""


def test_names_of_sockets_fit_in_the_longest_place(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path("/" + "r" * (LONGEST_ROOT_BYTES - 1))
    assert chosen_root(root, []) == root
    folder = f"{root}/{module.PREFIX}12345678"
    assert len(folder) + RAYS_OWN_BYTES <= LONGEST_SOCKET_BYTES
    with pytest.raises(StorageUnavailable, match=f"set TMPDIR to a folder of at most {LONGEST_ROOT_BYTES}"):
        chosen_root(Path(f"{root}r"), [])


def test_a_folder_is_made_there_and_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: Path
) -> None:
    long = tmp_path / ("l" * 60)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with ray_folder() as folder:
        assert Path(folder).is_dir()
        assert len(os.fsencode(folder)) + RAYS_OWN_BYTES <= LONGEST_SOCKET_BYTES
        assert not folder.startswith(str(long))
    assert not Path(folder).exists()


def test_a_full_disk_is_named_before_ray_hangs_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 4096))
    with pytest.raises(StorageFull, match="no space left in /tmp, where temporary files lie"), ray_folder():
        pass
