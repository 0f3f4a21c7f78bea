"""CUDA devices that a process sees, found without loading torch, which takes seconds.

`CUDA_VISIBLE_DEVICES` lists numbers or (beginnings of) UUIDs. As CUDA reads it, the first entry that names no device ends the list,
an empty list hides all, and a device that is named twice makes the list void. Source: CUDA C++ Programming Guide, "Environment
Variables".
"""

import re
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

GPUS = Path("/proc/driver/nvidia/gpus")
"""One folder for each GPU of the machine; the driver makes it."""
DEVICES = Path("/dev")
MIG = "MIG"
"""A slice of a GPU; the driver's folder does not list them."""
_UUID = re.compile(r"^GPU UUID:\s*(\S+)", re.MULTILINE)
_MINOR = re.compile(r"^Device Minor:\s*([0-9]+)", re.MULTILINE)


@dataclass(frozen=True)
class Gpu:
    """A GPU of the machine, as its driver describes it; empty where that says nothing."""

    uuid: str
    minor: str


def visible_devices(told: str | None, gpus: Path = GPUS, devices: Path = DEVICES) -> list[str]:
    """Devices that CUDA would show, by the words that name them.

    Args:
        told: `CUDA_VISIBLE_DEVICES`; None where it is not set.
        gpus: the driver's folder.
        devices: where device files are. A container sees the driver's folder also when it was given no GPU.
    """
    there = [gpu for gpu in _gpus(gpus) if not gpu.minor or (devices / f"nvidia{gpu.minor}").exists()]
    if told is None:
        return [str(number) for number in range(len(there))]
    named = [word.strip() for word in told.split(",")]
    found = list(takewhile(lambda device: device is not None, (_device(word, there) for word in named)))
    if MIG in found[:1]:
        return named[:1]  # a process sees one slice alone, however many are listed
    return named[: len(found)] if len(set(found)) == len(found) else []


def _gpus(folder: Path) -> list[Gpu]:
    """In the order of the PCI bus. CUDA may number them otherwise; how many there are is the same."""
    if not folder.is_dir():
        return []
    return [_described(each / "information") for each in sorted(folder.iterdir())]


def _described(information: Path) -> Gpu:
    try:
        text = information.read_text(errors="replace")
    except OSError:
        return Gpu("", "")
    uuid, minor = _UUID.search(text), _MINOR.search(text)
    return Gpu(uuid[1] if uuid else "", minor[1] if minor else "")


def _device(word: str, there: list[Gpu]) -> int | str | None:
    """Which GPU a word of the list names; None where it names none, or not one alone."""
    if re.fullmatch(r"[0-9]{1,4}", word):
        return int(word) if int(word) < len(there) else None
    if word.startswith("MIG-"):
        return MIG if there else None
    if not word.startswith("GPU-"):
        return None
    fitting = [number for number, gpu in enumerate(there) if gpu.uuid.startswith(word)]
    if len(fitting) == 1:
        return fitting[0]
    # A driver that tells no UUIDs leaves nothing to compare with.
    return word if not fitting and any(not gpu.uuid for gpu in there) else None
