"""Weights by name: safetensors files, and loading that says which tensor does not fit.

A module's weights are its parameters and persistent buffers, named as in `state_dict()`. No pickle is read.
"""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from chex_jobs.models.errors import WeightsError

# Counters that nn.BatchNorm keeps for cumulative averages only; other normalisations have none, and nothing
# reads them.
_IGNORED_SUFFIX = "num_batches_tracked"
_NAMES_SHOWN = 5


def weights_of(module: nn.Module) -> dict[str, torch.Tensor]:
    """Name -> tensor on the CPU, contiguous and detached, counters left out. Copies only what it must.

    Under ZeRO-3 parameters are pieces: gather them before.
    """
    return {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in module.state_dict().items()
        if _counts(name)
    }


def save_weights(module: nn.Module, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a module's weights as a safetensors file."""
    # Tied tensors share storage, which safetensors refuses; a clone of each gives the file its own bytes.
    tensors = {name: tensor.clone() for name, tensor in weights_of(module).items()}
    save_file(tensors, path, metadata=dict(metadata or {}))


def read_weights(path: Path, *, where: str) -> dict[str, torch.Tensor]:
    """Read a safetensors file whole.

    Args:
        path: local file.
        where: how messages name it; a temporary copy's path tells nobody anything.

    Raises:
        WeightsError: the file is no safetensors file, or it is cut off.
    """
    try:
        return load_file(path)
    except (safetensors.SafetensorError, OSError) as fault:
        hint = (
            "; it is a Git LFS pointer: run `git lfs pull` where it was copied from"
            if _is_lfs_pointer(path)
            else ""
        )
        raise WeightsError(f"{where} cannot be read as safetensors ({fault}){hint}") from fault


def load_weights(module: nn.Module, tensors: Mapping[str, torch.Tensor], *, where: str) -> None:
    """Copy tensors into the module's parameters and buffers of the same name, in place.

    All names must be there, none beside them, all shapes equal; dtypes are converted to the module's.

    Args:
        module: what is loaded into; left untouched when anything does not fit.
        tensors: name -> tensor.
        where: where the tensors come from, for messages.

    Raises:
        WeightsError: names missing, names unknown, shapes that differ: all at once.
    """
    own = {name: tensor for name, tensor in module.state_dict().items() if _counts(name)}
    given = {name: tensor for name, tensor in tensors.items() if _counts(name)}
    faults = _faults(own, given)
    if faults:
        raise WeightsError(
            f"the weights in {where} are not those of this {type(module).__name__}: {'; '.join(faults)}"
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(given[name])


def _faults(own: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]) -> list[str]:
    missing, unknown = own.keys() - given.keys(), given.keys() - own.keys()
    shapes = [
        f"{name} is {_shape(given[name])}, not {_shape(own[name])}"
        for name in own.keys() & given.keys()
        if own[name].shape != given[name].shape
    ]
    faults = []
    if missing:
        faults.append(f"{len(missing)} missing ({_some(missing)})")
    if unknown:
        near = difflib.get_close_matches(min(unknown), missing, n=1, cutoff=0.5)
        hint = f"; is {min(unknown)} meant to be {near[0]}?" if near else ""
        faults.append(f"{len(unknown)} unknown ({_some(unknown)}{hint})")
    if shapes:
        faults.append(f"{len(shapes)} of another shape ({_some(shapes)})")
    return faults


def _counts(name: str) -> bool:
    return not name.endswith(_IGNORED_SUFFIX)


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"


def _some(items: Iterable[str]) -> str:
    ordered = sorted(items)
    return ", ".join(ordered[:_NAMES_SHOWN]) + (", ..." if len(ordered) > _NAMES_SHOWN else "")


def _is_lfs_pointer(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(64).startswith(b"version https://git-lfs")
    except OSError:
        return False
