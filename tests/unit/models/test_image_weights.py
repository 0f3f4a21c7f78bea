"""Image encoders from folders: ours, and timm's with three channels and a classifier."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from chex_api.encoder import ImageEncoder, ImageInit
from chex_jobs.models import build_image_encoder
from chex_jobs.models.errors import WeightsError
from chex_jobs.models.image_weights import CHEX_FILE, TIMM_FILE, load_image_encoder
from chex_jobs.models.weights import save_weights, weights_of
from tests.patience import PATIENCE_SECONDS

SMALL = ImageEncoder(architecture="chex-densenet-small", size=64)
NewFolder = Callable[[str], Path]


def timm_folder(folder: Path, config: dict | None = None) -> Any:
    """A three-channel resnet18 with its classifier, as timm's authors publish them."""
    model = timm.create_model("resnet18", pretrained=False).eval()
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / TIMM_FILE)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return model


def test_our_own_folder_gives_the_same_encoder(new_folder: NewFolder) -> None:
    folder = new_folder("ours")
    source = build_image_encoder(SMALL, seed=3)
    save_weights(source, folder / CHEX_FILE)
    spec = SMALL.model_copy(update={"init": ImageInit(uri=folder.as_uri())})
    loaded = build_image_encoder(spec, seed=0)
    for name, tensor in weights_of(loaded).items():
        assert torch.equal(tensor, weights_of(source)[name]), name


def test_three_channel_weights_see_a_grey_film_as_they_saw_grey_colours(new_folder: NewFolder) -> None:
    folder = new_folder("timm")
    theirs = timm_folder(folder, {"pretrained_cfg": {"mean": [0.4, 0.4, 0.4], "std": [0.2, 0.2, 0.2]}})
    spec = ImageEncoder(architecture="resnet18", size=64, init=ImageInit(uri=folder.as_uri()))
    encoder = build_image_encoder(spec, seed=0).eval()
    shares = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = theirs.forward_head(
            theirs.forward_features((shares.expand(-1, 3, -1, -1) - 0.4) / 0.2), pre_logits=True
        )
        torch.testing.assert_close(encoder(shares), expected, rtol=1e-5, atol=1e-5)


def test_without_a_configuration_imagenets_constants_are_taken(new_folder: NewFolder) -> None:
    folder = new_folder("timm")
    timm_folder(folder)
    encoder = build_image_encoder(ImageEncoder(architecture="resnet18", size=64), seed=0)
    load_image_encoder(encoder, folder.as_uri(), "Timm")
    assert encoder.pixel_mean.item() == pytest.approx((0.485 + 0.456 + 0.406) / 3, abs=1e-3)
    assert encoder.pixel_std.item() == pytest.approx((0.229 + 0.224 + 0.225) / 3, abs=1e-3)


def test_weights_of_another_architecture_are_refused_and_change_nothing(new_folder: NewFolder) -> None:
    folder = new_folder("timm")
    timm_folder(folder)
    encoder = build_image_encoder(SMALL, seed=0)
    before = {name: tensor.clone() for name, tensor in weights_of(encoder).items()}
    with pytest.raises(WeightsError, match="missing"):
        load_image_encoder(encoder, folder.as_uri())
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights_of(encoder).items())


def test_the_declared_format_is_the_one_that_is_looked_for(new_folder: NewFolder) -> None:
    folder = new_folder("timm")
    timm_folder(folder)
    with pytest.raises(WeightsError, match=CHEX_FILE):
        load_image_encoder(build_image_encoder(SMALL, seed=0), folder.as_uri(), "ChexDragon")


def test_an_empty_folder_says_what_it_should_hold(new_folder: NewFolder) -> None:
    with pytest.raises(WeightsError, match=f"{CHEX_FILE} or {TIMM_FILE}"):
        load_image_encoder(build_image_encoder(SMALL, seed=0), new_folder("empty").as_uri())


def test_a_configuration_that_is_not_timms_is_refused(new_folder: NewFolder) -> None:
    folder = new_folder("timm")
    timm_folder(folder, {"pretrained_cfg": {"mean": []}})
    encoder = build_image_encoder(ImageEncoder(architecture="resnet18", size=64), seed=0)
    with pytest.raises(WeightsError, match=r"config\.json"):
        load_image_encoder(encoder, folder.as_uri())


def test_a_pickle_is_refused_with_a_command_that_converts_it(new_folder: NewFolder) -> None:
    folder = new_folder("pickled")
    model = timm.create_model("resnet18", pretrained=False)
    torch.save({"state_dict": model.state_dict()}, folder / "pytorch_model.bin")
    encoder = build_image_encoder(ImageEncoder(architecture="resnet18", size=64), seed=0)
    with pytest.raises(WeightsError) as caught:
        load_image_encoder(encoder, folder.as_uri())
    command = re.search(r'python -c "(.*)"', str(caught.value))
    assert command is not None
    subprocess.run([sys.executable, "-c", command.group(1)], cwd=folder, check=True, timeout=PATIENCE_SECONDS)
    load_image_encoder(encoder, folder.as_uri())
    assert torch.equal(
        weights_of(encoder)["backbone.layer1.0.conv1.weight"], model.state_dict()["layer1.0.conv1.weight"]
    )
