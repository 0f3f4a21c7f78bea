"""Folders with a model in them, local or in S3: which files are there, and copies of them to read from."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from chex_jobs.artifacts.backends import open_storage
from chex_jobs.artifacts.disk import temporary_folder
from chex_jobs.artifacts.errors import ObjectNotFound
from chex_jobs.models.errors import WeightsError

_PICKLES = (
    "pytorch_model.bin",
    "model.bin",
    "model.pt",
    "model.pth",
    "model.ckpt",
    "model.pth.tar",
    "weights.pt",
)


class ModelFolder:
    """The files of one model, by name. Raises `ArtifactError`s of the storage as they are."""

    def __init__(self, uri: str) -> None:
        """Args: `file:///folder` or `s3://bucket/prefix`."""
        self.uri = uri
        self._storage = open_storage(uri)

    def has(self, name: str) -> bool:
        """Whether the folder holds a file of this name."""
        return self._storage.exists(name)

    def require(self, *names: str) -> str:
        """Return the first of `names` that the folder holds.

        Raises:
            WeightsError: it holds none of them. Where there are pickled weights instead, says how to convert
                them.
        """
        for name in names:
            if self.has(name):
                return name
        wanted = " or ".join(names)
        pickle = next((name for name in _PICKLES if self.has(name)), None)
        if pickle is not None:
            raise WeightsError(_how_to_convert(self.uri, pickle, names[-1]))
        raise WeightsError(
            f"{self.uri} holds no {wanted}; the URI must be the folder that holds the model's files"
        )

    @contextmanager
    def local_copy(self, names: Sequence[str]) -> Iterator[Path]:
        """A temporary folder with copies of those named files that exist; gone after the block."""
        with temporary_folder("chex-model-") as folder:
            for name in names:
                try:
                    self._storage.download(name, folder / name)
                except ObjectNotFound:
                    continue
            yield folder


def _how_to_convert(uri: str, pickle: str, target: str) -> str:
    return (
        f"{uri} holds {pickle}, a pickle, which can run code when it is read and is refused here. Convert it "
        "once, on a machine where you trust it, and put the result beside it: "
        'python -c "import torch; from safetensors.torch import save_file; '
        f"w = torch.load('{pickle}', map_location='cpu', weights_only=True); w = w.get('state_dict', w); "
        f"save_file({{k: v.clone().contiguous() for k, v in w.items()}}, '{target}')\""
    )
