"""Image encoders' weights from elsewhere: folders of ours, and folders with timm's names.

ChexDragon  `image_encoder.safetensors`, as stages write it: the names of `ImageEncoderModule`.
Timm        `model.safetensors` and, where it is there, `config.json` with the normalisation constants.
            torchvision's DenseNet has the same names. The first convolution may see three channels; a
            classifier is left out.
"""

import json

import torch

from chex_api.encoder import WeightsFormat
from chex_jobs.models.errors import WeightsError
from chex_jobs.models.folder import ModelFolder
from chex_jobs.models.image_encoder import ImageEncoderModule
from chex_jobs.models.weights import load_weights, read_weights, weights_of

CHEX_FILE = "image_encoder.safetensors"
TIMM_FILE = "model.safetensors"
_CONFIG = "config.json"

# ImageNet's mean and deviation over its three colours, averaged: what nearly all of timm's weights were
# trained with.
_IMAGENET_MEAN, _IMAGENET_STD = 0.449, 0.226

_CLASSIFIERS = ("classifier.", "fc.", "head.fc.", "head.weight", "head.bias", "head_dist.", "last_linear.")


def load_image_encoder(
    encoder: ImageEncoderModule, uri: str, weights_format: WeightsFormat | None = None
) -> None:
    """Load the weights in a folder into the encoder, in place.

    Args:
        encoder: left untouched when the weights do not fit.
        uri: `file:///folder` or `s3://bucket/prefix`.
        weights_format: whose names the tensors bear; None takes what the folder holds, ours first.

    Raises:
        WeightsError: nothing to load in the folder, or weights of another architecture, or pickles.
    """
    folder = ModelFolder(uri)
    file = image_weights_file(folder, weights_format)
    with folder.local_copy([file, _CONFIG]) as local:
        tensors = read_weights(local / file, where=f"{uri}/{file}")
        if file == TIMM_FILE:
            config = local / _CONFIG
            mean, std = _pixel_constants(
                config.read_text() if config.exists() else "{}", where=f"{uri}/{_CONFIG}"
            )
            tensors = from_timm_names(encoder, tensors) | {"pixel_mean": mean, "pixel_std": std}
    load_weights(encoder, tensors, where=f"{uri}/{file}")


def image_weights_file(folder: ModelFolder, weights_format: WeightsFormat | None = None) -> str:
    """The file of a folder that holds an image encoder. Raises `WeightsError` where there is none."""
    wanted = {None: (CHEX_FILE, TIMM_FILE), "ChexDragon": (CHEX_FILE,), "Timm": (TIMM_FILE,)}[weights_format]
    return folder.require(*wanted)


def from_timm_names(encoder: ImageEncoderModule, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Our names for timm's tensors, the first convolution folded to one channel, the classifier left out."""
    own = weights_of(encoder)
    renamed = {f"backbone.{name}": tensor for name, tensor in tensors.items()}
    kept = {
        name: tensor
        for name, tensor in renamed.items()
        if name in own or not name.removeprefix("backbone.").startswith(_CLASSIFIERS)
    }
    return {name: _folded(tensor, own[name]) if name in own else tensor for name, tensor in kept.items()}


def _folded(tensor: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
    """Sum a convolution over three input channels where the encoder has one: in grey they are equal."""
    if tensor.dim() == 4 and tensor.shape[1] == 3 and own.dim() == 4 and own.shape[1] == 1:
        return tensor.sum(dim=1, keepdim=True)
    return tensor


def _pixel_constants(config: str, *, where: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of grey values: timm's `config.json` averaged over colours, else ImageNet's."""
    try:
        settings = json.loads(config)
        pretrained = settings.get("pretrained_cfg", settings)
        means = pretrained.get("mean", [_IMAGENET_MEAN])
        stds = pretrained.get("std", [_IMAGENET_STD])
        return torch.tensor([sum(means) / len(means)]), torch.tensor([sum(stds) / len(stds)])
    except (ValueError, TypeError, AttributeError, ZeroDivisionError) as fault:
        raise WeightsError(f"{where} is not a timm configuration: {fault}") from fault
