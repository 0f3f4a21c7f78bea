"""safetensors files of NumPy arrays and torch tensors; torch is imported only where it is asked for.

The library itself is imported only when a file of tensors is read or written: whoever reads reports and logs needs none.

Equal tensors and metadata give equal bytes. The library itself writes the metadata in an order that differs
from process to process, which would give equal weights different checksums; `_order_metadata` mends that.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from chex_jobs.artifacts.errors import ArtifactError, CorruptArtifact

if TYPE_CHECKING:
    import numpy as np
    import torch

    Tensors = Mapping[str, np.ndarray] | Mapping[str, torch.Tensor]

Framework = Literal["numpy", "torch"]


def save_tensors(path: Path, tensors: "Tensors", metadata: Mapping[str, str] | None = None) -> None:
    """Write arrays or tensors, all of one kind; torch ones as they would be on the CPU, contiguous.

    Raises `ArtifactError` for tensors that overlap in memory: which of them owns the numbers is for the
    caller to say.
    """
    from safetensors import SafetensorError

    try:
        if any(type(tensor).__module__.partition(".")[0] == "torch" for tensor in tensors.values()):
            _save_torch(path, tensors, metadata)
        else:
            _save_numpy(path, tensors, metadata)
    except (RuntimeError, SafetensorError) as error:
        raise ArtifactError(f"tensors cannot be written: {error}") from error
    _order_metadata(path)


def load_tensors(path: Path, framework: Framework = "numpy", uri: str = "") -> dict[str, Any]:
    """Read a safetensors file into `numpy` arrays or CPU `torch` tensors. `uri` is for messages.

    bfloat16 has no NumPy type: such files need framework="torch". Raises `CorruptArtifact`.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt" if framework == "torch" else "np") as file:
            names = list(file.keys())
            # Other packages teach NumPy bfloat16 when they are imported; what is refused must not depend on that.
            if framework == "numpy" and any(file.get_slice(name).get_dtype() == "BF16" for name in names):
                raise TypeError("bfloat16")
            return {name: file.get_tensor(name) for name in names}
    except TypeError as error:
        raise ArtifactError(
            f"{uri or path.name} holds a type that NumPy lacks; read it with framework='torch'"
        ) from error
    except SafetensorError as error:
        raise CorruptArtifact(f"{uri or path.name} is no sound safetensors file: {error}") from error


def load_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; empty if it has none."""
    return _read_header(path)[1].get("__metadata__", {})


def _save_numpy(path: Path, tensors: Any, metadata: Mapping[str, str] | None) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    # The library writes the memory as it lies: a transposed view would come back with its values shuffled.
    contiguous = {
        name: np.ascontiguousarray(array).reshape(np.shape(array)) for name, array in tensors.items()
    }
    save_file(contiguous, path, dict(metadata or {}))


def _save_torch(path: Path, tensors: Any, metadata: Mapping[str, str] | None) -> None:
    from safetensors.torch import save_file

    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    save_file(on_cpu, path, dict(metadata or {}))


def _read_header(path: Path) -> tuple[int, dict[str, Any]]:
    """Length in bytes of the header, and its content.

    A file is: that length as little-endian u64, the JSON header, the numbers.
    """
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return length, json.loads(file.read(length))


def _order_metadata(path: Path) -> None:
    length, header = _read_header(path)
    metadata = header.get("__metadata__")
    if not metadata:
        return
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    assert len(text) <= length, "the ordered header is longer than the one written"
    with path.open("r+b") as file:
        file.seek(8)
        file.write(text.ljust(length))
