"""CUDA devices that a run takes, on machines that are made up here."""

from pathlib import Path

import pytest

from chex_jobs.cli import cuda_devices, machine
from chex_jobs.cli.cuda_devices import visible_devices

UUIDS = [
    "GPU-0a1b2c3d-0000-1111-2222-333344445555",
    "GPU-0a1bffff-0000-1111-2222-333344445555",
    "GPU-99999999-0",
]


@pytest.fixture
def gpus(tmp_path: Path) -> Path:
    folder = tmp_path / "gpus"
    for number, uuid in enumerate(UUIDS):
        (folder / f"0000:{number:02x}:00.0").mkdir(parents=True)
        (folder / f"0000:{number:02x}:00.0" / "information").write_text(
            f"Model: \t\t NVIDIA H200\nIRQ:   \t\t 64\nGPU UUID: \t {uuid}\nDevice Minor: \t {number}\n"
        )
        (tmp_path / "dev").mkdir(exist_ok=True)
        (tmp_path / "dev" / f"nvidia{number}").touch()
    return folder


@pytest.mark.parametrize(
    ("told", "count"),
    [
        pytest.param(None, 3, id="not set"),
        pytest.param("", 0, id="empty"),
        pytest.param("-1", 0, id="-1"),
        pytest.param("NoDevFiles", 0, id="a word"),
        pytest.param("0", 1, id="one"),
        pytest.param("2,0", 2, id="some"),
        pytest.param(" 1 , 2 ", 2, id="blanks"),
        pytest.param("0,1,-1,2", 2, id="what follows a wrong one is hidden"),
        pytest.param("7", 0, id="one that is not there"),
        pytest.param("0,0", 0, id="twice"),
        pytest.param(UUIDS[1], 1, id="a UUID"),
        pytest.param("GPU-0a1b2,GPU-99", 2, id="beginnings of UUIDs"),
        pytest.param("GPU-0a1b", 0, id="a beginning of two"),
        pytest.param("GPU-77777777", 0, id="a UUID of another machine"),
        pytest.param(f"0,{UUIDS[0]}", 0, id="twice, in two ways"),
        pytest.param("MIG-6d2b1c3e-0000-1111-2222-333344445555", 1, id="a slice"),
        pytest.param("MIG-1,MIG-2", 1, id="slices: CUDA shows one"),
        pytest.param("99999999999999999999", 0, id="huge"),
    ],
)
def test_devices_are_those_that_cuda_would_show(
    told: str | None, count: int, gpus: Path, tmp_path: Path
) -> None:
    assert len(visible_devices(told, gpus, tmp_path / "dev")) == count


def test_a_container_without_device_files_has_no_gpu(gpus: Path, tmp_path: Path) -> None:
    assert visible_devices(None, gpus, tmp_path / "nothing") == []
    (tmp_path / "dev" / "nvidia0").unlink()
    assert len(visible_devices(None, gpus, tmp_path / "dev")) == 2


def test_a_driver_that_tells_nothing_of_its_gpus_is_believed_their_number(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / "gpus" / str(number)).mkdir(parents=True)
    assert len(visible_devices(None, tmp_path / "gpus", tmp_path)) == 2
    assert len(visible_devices("GPU-1,GPU-2", tmp_path / "gpus", tmp_path)) == 2


def test_a_machine_without_a_driver_has_none(tmp_path: Path) -> None:
    assert visible_devices(None, tmp_path / "gpus", tmp_path) == []
    assert visible_devices("0,1", tmp_path / "gpus", tmp_path) == []


def test_a_run_takes_the_devices_that_its_environment_leaves_it(
    gpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_devices.visible_devices, "__defaults__", (gpus, tmp_path / "dev"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine.this_machine(1).gpus == 3
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    assert machine.this_machine(1).gpus == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert machine.this_machine(1).gpus == 0
