"""Image encoders: the networks, their first weights, and what DeepSpeed asks of them."""

import pytest
import timm
import torch

from chex_api.encoder import ImageEncoder
from chex_jobs.models import build_image_encoder
from chex_jobs.models.errors import UnknownArchitecture, UnsupportedModel

SMALL = ImageEncoder(architecture="chex-densenet-small", size=64)
ARCHITECTURES = [
    "chex-densenet-small",
    "densenet121",
    "resnet18",
    "mobilenetv3_small_050",
    "vit_tiny_patch16_224",
]


def films(num: int = 2, size: int = 64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randint(0, 256, (num, 1, size, size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_encoder_gives_one_feature_vector_for_each_film(architecture: str) -> None:
    encoder = build_image_encoder(ImageEncoder(architecture=architecture, size=64), seed=0).eval()
    with torch.no_grad():
        features = encoder(films())
    assert features.shape == (2, encoder.num_features)
    assert torch.isfinite(features).all()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_deepspeed_can_broadcast_every_parameter(architecture: str) -> None:
    encoder = build_image_encoder(ImageEncoder(architecture=architecture, size=64), seed=0)
    for name, parameter in encoder.named_parameters():
        assert parameter.dim() > 0, name
        assert parameter.is_contiguous(), name
        parameter.data.view(torch.uint8)


def test_a_parameter_without_dimensions_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = torch.nn.Parameter(torch.tensor(1.0))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean(dim=(2, 3)) * self.gain

    monkeypatch.setattr(timm, "create_model", lambda *args, **kwargs: Scaled())
    with pytest.raises(UnsupportedModel, match=r"backbone\.gain"):
        build_image_encoder(ImageEncoder(architecture="resnet18", size=64), seed=0)


def test_densenet121_computes_what_timms_does_with_the_same_weights() -> None:
    encoder = build_image_encoder(ImageEncoder(architecture="densenet121", size=64), seed=0).eval()
    theirs = timm.create_model("densenet121", pretrained=False, in_chans=1, num_classes=0).eval()
    theirs.load_state_dict(encoder.backbone.state_dict(), strict=True)
    normalised = (films().float() / 255 - encoder.pixel_mean) / encoder.pixel_std
    with torch.no_grad():
        torch.testing.assert_close(encoder(films()), theirs(normalised), rtol=1e-5, atol=1e-5)
    assert encoder.num_features == 1024


def test_every_convolution_runs_in_channels_last() -> None:
    encoder = build_image_encoder(SMALL, seed=0)
    layouts: list[bool] = []
    for module in encoder.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(
                lambda _m, _i, maps: layouts.append(maps.is_contiguous(memory_format=torch.channels_last))
            )
    two_views = torch.cat([films(), films()], dim=1)
    encoder(two_views[:, 0:1])
    assert layouts
    assert all(layouts)


def test_bytes_and_shares_of_the_grey_range_give_the_same_features() -> None:
    encoder = build_image_encoder(SMALL, seed=0).eval()
    with torch.no_grad():
        torch.testing.assert_close(encoder(films()), encoder(films().float() / 255))


def test_first_weights_follow_from_the_seed_and_not_from_what_was_drawn_before() -> None:
    torch.manual_seed(1)
    first = build_image_encoder(SMALL, seed=0).state_dict()
    torch.rand(100)
    again = build_image_encoder(SMALL, seed=0).state_dict()
    other = build_image_encoder(SMALL, seed=1).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["backbone.features.conv0.weight"], other["backbone.features.conv0.weight"])


@pytest.mark.parametrize("architecture", ["chex-densenet-small", "resnet18"])
def test_building_leaves_the_global_random_state_as_it_was(architecture: str) -> None:
    before = torch.get_rng_state()
    build_image_encoder(ImageEncoder(architecture=architecture, size=64), seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_a_tag_that_timm_does_not_know_is_answered_with_near_ones() -> None:
    with pytest.raises(UnknownArchitecture, match=r"'resnet18.a1_in2k' .* near matches: resnet18.a1_in1k"):
        build_image_encoder(ImageEncoder(architecture="resnet18.a1_in2k", size=64), seed=0)


def test_an_unknown_architecture_is_answered_with_near_ones() -> None:
    with pytest.raises(UnknownArchitecture, match=r"'densenet12'.*densenet121"):
        build_image_encoder(ImageEncoder(architecture="densenet12", size=64), seed=0)


@pytest.mark.parametrize(
    "name", ["hf-hub:timm/resnet18.a1_in1k", "hf_hub:timm/resnet18", "local-dir:/tmp/model"]
)
def test_names_that_would_make_timm_fetch_something_are_unknown(name: str) -> None:
    with pytest.raises(UnknownArchitecture):
        build_image_encoder(ImageEncoder.model_construct(architecture=name, size=64, init=SMALL.init), seed=0)


def test_a_film_size_that_the_network_cannot_see_is_a_clear_error() -> None:
    with pytest.raises(UnsupportedModel, match="50 pixels"):
        build_image_encoder(ImageEncoder(architecture="coatnet_pico_rw_224", size=50), seed=0)
