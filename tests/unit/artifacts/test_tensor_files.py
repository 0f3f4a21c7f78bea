import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from chex_jobs.artifacts.errors import ArtifactError, CorruptArtifact
from chex_jobs.artifacts.tensors import load_metadata, load_tensors, save_tensors


def test_torch_tensors_come_back_bit_equal_with_their_types(tmp_path: Path) -> None:
    tensors = {
        "half": torch.randn(3, 4).bfloat16(),
        "transposed": torch.randn(3, 4).T,
        "scalar": torch.tensor(3),
        "empty": torch.empty(0, 2),
        "gradient": torch.ones(2, requires_grad=True),
    }
    save_tensors(tmp_path / "t", tensors)
    loaded = load_tensors(tmp_path / "t", "torch")
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor.detach())


def test_a_transposed_array_keeps_its_values(tmp_path: Path) -> None:
    array = np.arange(6.0).reshape(2, 3).T
    save_tensors(tmp_path / "t", {"a": array, "scalar": np.array(2.5, np.float32)})
    loaded = load_tensors(tmp_path / "t")
    np.testing.assert_array_equal(loaded["a"], array)
    assert loaded["scalar"].shape == ()


def test_equal_tensors_and_metadata_give_equal_bytes_in_every_process(tmp_path: Path) -> None:
    """The safetensors library writes metadata in the order of a randomly keyed hash map."""
    script = (
        "import sys, numpy as np, pathlib\n"
        "from chex_jobs.artifacts.tensors import save_tensors\n"
        "metadata = {name: name * 2 for name in 'hgfedcba'} | {'ö': '\"'}\n"
        "save_tensors(pathlib.Path(sys.argv[1]), {'b': np.ones(3), 'a': np.zeros(2)}, metadata)\n"
    )
    for run in ("1", "2"):
        subprocess.run([sys.executable, "-c", script, str(tmp_path / run)], check=True, env=dict(os.environ))
    first, second = (hashlib.sha256((tmp_path / run).read_bytes()).hexdigest() for run in ("1", "2"))
    assert first == second
    assert list(load_metadata(tmp_path / "1")) == sorted([*"abcdefgh", "ö"])
    np.testing.assert_array_equal(load_tensors(tmp_path / "1")["b"], np.ones(3))


def test_views_of_one_buffer_that_do_not_overlap_are_written(tmp_path: Path) -> None:
    """ZeRO keeps parameters as views of one flat buffer."""
    flat = torch.arange(6.0)
    save_tensors(tmp_path / "t", {"a": flat[:2], "b": flat[2:]})
    assert load_tensors(tmp_path / "t")["b"].tolist() == [2.0, 3.0, 4.0, 5.0]


def test_tied_weights_are_refused_by_name(tmp_path: Path) -> None:
    weight = torch.ones(2)
    with pytest.raises(ArtifactError, match="embedding"):
        save_tensors(tmp_path / "t", {"embedding": weight, "decoder": weight})


def test_bfloat16_in_numpy_is_refused_with_the_way_out(tmp_path: Path) -> None:
    save_tensors(tmp_path / "t", {"a": torch.ones(2).bfloat16()})
    with pytest.raises(ArtifactError, match="framework='torch'"):
        load_tensors(tmp_path / "t")


def test_a_truncated_tensor_file_is_told_by_its_uri(tmp_path: Path) -> None:
    save_tensors(tmp_path / "t", {"a": np.ones(100)})
    (tmp_path / "t").write_bytes((tmp_path / "t").read_bytes()[:-10])
    with pytest.raises(CorruptArtifact, match="s3://bucket/t"):
        load_tensors(tmp_path / "t", uri="s3://bucket/t")
