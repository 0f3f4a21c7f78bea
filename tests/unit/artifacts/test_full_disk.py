"""A temporary disk that is full is told as such, by its path, whichever library met it."""

import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from chex_jobs.artifacts.disk import is_full, reserve, temporary_folder
from chex_jobs.artifacts.errors import StorageFull, StorageUnavailable


class SafetensorError(Exception):
    """As the library of this name raises it: no `OSError`."""


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        OSError(errno.EFBIG, os.strerror(errno.EFBIG)),
        SafetensorError('Error while serializing: I/O error: "No space left on device (os error 28)"'),
        RuntimeError("PytorchStreamWriter failed writing file data/3: No space left on device"),
    ],
    ids=["disk", "quota", "limit", "safetensors", "torch"],
)
def test_a_full_temporary_disk_is_told_by_its_path(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(StorageFull) as told, temporary_folder("chex-test-"):
        raise error
    assert f"no space left in {tmp_path}, where temporary files lie" in str(told.value)
    assert "set TMPDIR" in str(told.value)


@pytest.mark.parametrize("error", [ValueError("no"), OSError(errno.EIO, "I/O"), FileNotFoundError("x")])
def test_other_errors_stay_what_they_are(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(type(error)) as raised, temporary_folder("chex-test-"):
        raise error
    assert raised.value is error


def test_a_full_place_of_artifacts_is_not_told_as_a_full_temporary_disk() -> None:
    with pytest.raises(StorageFull, match="elsewhere"), temporary_folder("chex-test-"):
        raise StorageFull("no space left elsewhere")


def test_a_full_disk_that_holds_another_file_is_not_told_as_the_temporary_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    elsewhere = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "artifacts" / "weights"))
    with pytest.raises(OSError, match="artifacts") as raised, temporary_folder("chex-test-"):
        raise elsewhere
    assert raised.value is elsewhere


def test_a_machine_without_a_place_for_temporary_files_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_is_usable() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "gettempdir", none_is_usable)
    with pytest.raises(StorageUnavailable, match="set TMPDIR"), temporary_folder("chex-test-"):
        pass


def test_space_for_a_mapped_file_is_taken_before_it_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "views.npy"
    views = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(64, 1024, 1024))
    assert path.stat().st_blocks * 512 < 1 << 20
    reserve(path)
    assert path.stat().st_blocks * 512 >= views.nbytes


def test_text_that_only_mentions_space_is_no_full_disk() -> None:
    assert not is_full(ValueError("no space for more workers"))
    assert not is_full(OSError("No such file"))
