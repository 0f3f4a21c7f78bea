"""Weights by name: nothing is loaded that does not fit, and the message says what does not."""

from pathlib import Path

import pytest
import torch
from torch import nn

from chex_jobs.models.errors import WeightsError
from chex_jobs.models.weights import load_weights, read_weights, save_weights, weights_of


def network(width: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def test_saved_weights_come_back_bit_by_bit(tmp_path: Path) -> None:
    source, target = network(), network()
    source(torch.rand(8, 2))  # moves the running statistics
    save_weights(source, tmp_path / "weights.safetensors", {"made": "here"})
    load_weights(target, read_weights(tmp_path / "weights.safetensors", where="test"), where="test")
    expected = weights_of(source)
    assert expected.keys() == {"0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"}
    for name, tensor in weights_of(target).items():
        assert torch.equal(tensor, expected[name]), name


def test_tied_tensors_can_be_saved(tmp_path: Path) -> None:
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    save_weights(tied, tmp_path / "weights.safetensors")
    assert len(read_weights(tmp_path / "weights.safetensors", where="test")) == 4


def test_all_faults_are_named_at_once_and_nothing_is_loaded() -> None:
    module = network()
    before = {name: tensor.clone() for name, tensor in weights_of(module).items()}
    wrong = {name: torch.zeros_like(tensor) for name, tensor in before.items()}
    wrong["0.weigth"] = wrong.pop("0.weight")
    wrong["1.bias"] = torch.zeros(7)
    with pytest.raises(WeightsError) as caught:
        load_weights(module, wrong, where="s3://bucket/model.safetensors")
    message = str(caught.value)
    assert "s3://bucket/model.safetensors" in message
    assert "1 missing (0.weight)" in message
    assert "is 0.weigth meant to be 0.weight?" in message
    assert "1.bias is 7, not 3" in message
    for name, tensor in weights_of(module).items():
        assert torch.equal(tensor, before[name]), name


def test_counters_of_batches_are_neither_missed_nor_unknown() -> None:
    module = network()
    load_weights(module, weights_of(module), where="without")
    load_weights(module, weights_of(module) | {"1.num_batches_tracked": torch.tensor(4)}, where="with")


def test_half_precision_weights_are_converted() -> None:
    module = network()
    halves = {
        name: torch.full_like(tensor, 0.5, dtype=torch.bfloat16)
        for name, tensor in weights_of(module).items()
    }
    load_weights(module, halves, where="test")
    assert all(
        tensor.dtype == torch.float32 and (tensor == 0.5).all() for tensor in weights_of(module).values()
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "git lfs pull"),
        (b"", "cannot be read"),
        (b"\x80\x02}q\x00.", "cannot be read"),
    ],
    ids=["lfs pointer", "empty", "pickle"],
)
def test_what_is_no_safetensors_file_is_a_clear_error(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=said):
        read_weights(path, where="s3://bucket/model.safetensors")


def test_a_file_that_is_cut_off_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_weights(network(), path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(WeightsError, match="cannot be read"):
        read_weights(path, where="model")
