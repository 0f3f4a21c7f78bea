"""What a worker would fail on is found on a CPU, before one is started."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from chex_api.encoder import OWN_ARCHITECTURES, ImageEncoder
from chex_api.job import ChexTrainingJob
from chex_jobs.models import build_image_encoder, check_image_encoder
from chex_jobs.models.architectures import OWN_ARCHITECTURES as SHAPES
from chex_jobs.models.errors import UnsupportedModel
from chex_jobs.preflight import PreflightFailed, run_preflight
from infra.samples.export_minilm import export

OBJECTIVES: dict[str, dict[str, Any]] = {"image": {"moCo": {"queueSize": 32}}, "reports": {"clip": {}}}


def faults(
    folder: Path, *, objective: str = "image", image: Any = None, text: Any = None, **run: Any
) -> dict[str, str]:
    """Messages by field path."""
    encoders = {"image": {"architecture": "chex-densenet-small", "size": 64, **(image or {})}}
    spec = {
        "artifacts": {"uri": (folder / "artifacts").as_uri()},
        "datasets": [
            {
                "name": "films",
                "source": {"phantom": {"patients": 60, "size": 32}},
                "split": {"patients": {"validate": 0, "test": 0}},
            }
        ],
        "encoders": encoders | ({"text": text} if text or objective == "reports" else {}),
        "pretraining": [
            {
                "name": "run",
                "dataset": "films",
                "objective": OBJECTIVES[objective],
                "optimization": {"globalBatchSize": 32},
                **run,
            }
        ],
    }
    plain = {"apiVersion": "chexdragon.dev/v1alpha1", "kind": "ChexTrainingJob", "metadata": {"name": "job"}}
    try:
        run_preflight(ChexTrainingJob.parse({**plain, "spec": spec}))
    except PreflightFailed as failed:
        return {fault.path: fault.message for fault in failed.faults}
    return {}


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("minilm")
    export(folder)
    return folder


def copy_without(folder: Path, target: Path, *left_out: str) -> dict[str, Any]:
    """A text tower whose folder lacks some files."""
    target.mkdir()
    for file in folder.iterdir():
        if file.name not in left_out:
            os.link(file, target / file.name)
    return {"init": {"uri": target.as_uri()}}


def test_a_job_whose_towers_can_be_built_passes(tmp_path: Path, minilm: Path) -> None:
    assert faults(tmp_path) == {}
    assert faults(tmp_path, objective="reports", text={"init": {"uri": minilm.as_uri()}}) == {}


def test_an_architecture_that_nobody_knows_is_answered_with_near_ones(tmp_path: Path) -> None:
    found = faults(tmp_path, image={"architecture": "resnet81"})
    assert "near matches: resnet18" in found["spec.encoders.image.architecture"]


@pytest.mark.parametrize(("architecture", "size"), [("inception_v3", 32), ("levit_128", 100)])
def test_a_size_that_an_architecture_does_not_take_is_told(
    tmp_path: Path, architecture: str, size: int
) -> None:
    found = faults(tmp_path, image={"architecture": architecture, "size": size})
    assert f"does not take one-channel films of {size} pixels" in found["spec.encoders.image.architecture"]


@pytest.mark.parametrize("architecture", ["resnet18", "vit_tiny_patch16_224", "inception_v3", "levit_128"])
@pytest.mark.parametrize("size", [32, 100, 128])
def test_shapes_alone_say_what_building_says(architecture: str, size: int) -> None:
    spec = ImageEncoder(architecture=architecture, size=size)

    def verdict(build: Any) -> str:
        try:
            build()
        except UnsupportedModel:
            return "refused"
        return "taken"

    assert verdict(lambda: check_image_encoder(spec)) == verdict(lambda: build_image_encoder(spec, 0))


def test_a_network_that_reads_numbers_while_it_is_made_is_built_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Reading(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rate = torch.linspace(0, 1, 3)[1].item()
            self.weight = torch.nn.Parameter(torch.ones(2, 1))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean(dim=(2, 3)) @ self.weight.T * self.rate

    monkeypatch.setattr(timm, "create_model", lambda *_, **__: Reading())
    check_image_encoder(ImageEncoder(architecture="resnet18", size=64))


def test_ours_take_every_size_that_the_api_allows() -> None:
    assert set(SHAPES) == set(OWN_ARCHITECTURES)
    for architecture in OWN_ARCHITECTURES:
        for size in (32, 33, 47):
            encoder = build_image_encoder(ImageEncoder(architecture=architecture, size=size), 0).eval()
            with torch.no_grad():
                assert encoder(torch.zeros(1, 1, size, size, dtype=torch.uint8)).shape == (
                    1,
                    encoder.num_features,
                )


@pytest.mark.parametrize(
    ("left_out", "path", "words"),
    [
        (("config.json",), "spec.encoders.text", "holds no config.json"),
        (("model.safetensors",), "spec.encoders.text", "holds no model.safetensors"),
        (("tokenizer.json", "vocab.txt"), "spec.encoders.text.init.uri", "holds no tokenizer.json"),
    ],
)
def test_a_text_tower_without_a_file_is_told_which(
    tmp_path: Path, minilm: Path, left_out: tuple[str, ...], path: str, words: str
) -> None:
    text = copy_without(minilm, tmp_path / "tower", *left_out)
    assert words in faults(tmp_path, objective="reports", text=text)[path]


def test_a_text_tower_that_no_objective_reads_is_not_looked_at(tmp_path: Path, minilm: Path) -> None:
    text = copy_without(minilm, tmp_path / "tower", "model.safetensors")
    assert faults(tmp_path, text=text) == {}


def test_more_tokens_than_a_text_tower_takes_are_told(tmp_path: Path, minilm: Path) -> None:
    text = copy_without(minilm, tmp_path / "tower", "config.json")
    config = json.loads((minilm / "config.json").read_text())
    (tmp_path / "tower" / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 64}))
    assert "takes at most 64 tokens" in faults(tmp_path, objective="reports", text=text)["spec.encoders.text"]


@pytest.mark.parametrize(("weights_format", "wanted"), [("ChexDragon", "image_encoder"), ("Timm", "model")])
def test_first_weights_that_are_not_in_their_folder_are_told(
    tmp_path: Path, weights_format: str, wanted: str
) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "readme.txt").write_text("none here")
    start = {"weights": {"uri": (tmp_path / "weights").as_uri(), "format": weights_format}}
    assert (
        f"holds no {wanted}.safetensors"
        in faults(tmp_path, startFrom=start)["spec.pretraining[0].startFrom.weights"]
    )
    found = faults(tmp_path, image={"init": {"uri": (tmp_path / "weights").as_uri()}})
    assert "holds no image_encoder.safetensors" in found["spec.encoders.image.init.uri"]


def test_the_stage_of_another_job_that_is_not_there_is_told(tmp_path: Path) -> None:
    start = {"manifest": {"uri": (tmp_path / "gone").as_uri(), "sha256": "0" * 64}}
    assert list(faults(tmp_path, startFrom=start)) == ["spec.pretraining[0].startFrom.manifest"]


def test_a_batch_larger_than_the_films_is_told_before_any_training(tmp_path: Path) -> None:
    found = faults(tmp_path, optimization={"globalBatchSize": 1024})
    assert "1024 is more than the" in found["spec.pretraining[0].optimization.globalBatchSize"]


def test_a_queue_longer_than_the_films_is_told_before_any_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(OBJECTIVES, "image", {"moCo": {"queueSize": 3200}})
    found = faults(tmp_path)
    assert "the largest sound value is" in found["spec.pretraining[0].objective.moCo.queueSize"]
