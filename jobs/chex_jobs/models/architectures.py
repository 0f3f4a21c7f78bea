"""Which image encoders there are, by the name that a manifest gives."""

import difflib
from typing import Any

import torch
from torch import nn

import chex_api.encoder as api
from chex_jobs.models.densenet import CHEX_DENSENET_SMALL, DENSENET_121, DenseNet, DenseNetShape
from chex_jobs.models.errors import UnknownArchitecture, UnsupportedModel
from chex_jobs.models.image_encoder import ImageEncoderModule
from chex_jobs.models.image_weights import load_image_encoder
from chex_jobs.models.seeding import isolated_random

OWN_ARCHITECTURES: dict[str, DenseNetShape] = {
    "chex-densenet-small": CHEX_DENSENET_SMALL,
    "densenet121": DENSENET_121,
}


def build_image_encoder(spec: api.ImageEncoder, seed: int) -> ImageEncoderModule:
    """Return the encoder with its first weights, on the CPU, in training mode. No hub is ever asked.

    Args:
        spec: `spec.encoders.image`.
        seed: seed of the manifest. Random weights follow from it, the architecture and nothing else.

    Raises:
        UnknownArchitecture: no encoder of that name.
        UnsupportedModel: the model cannot see films of that size, or cannot be trained here.
        WeightsError: the weights at `init.uri` are absent or do not fit.
    """
    with isolated_random(seed, "image encoder", spec.architecture):
        encoder = _own_encoder(spec) if spec.architecture in OWN_ARCHITECTURES else _timm_encoder(spec)
    _make_trainable_by_deepspeed(encoder, spec.architecture)
    if spec.init.uri is not None:
        load_image_encoder(encoder, spec.init.uri)
    return encoder


def check_image_encoder(spec: api.ImageEncoder) -> None:
    """Raise what `build_image_encoder` would raise of the architecture and the size; its weights are not looked at.

    Nothing is computed and no memory taken: the network is made of shapes alone, so that a small machine without GPU
    can refuse what a large one could not use.
    """
    if spec.architecture in OWN_ARCHITECTURES:
        return
    try:
        with torch.device("meta"):
            encoder = _timm_encoder(spec)
    except UnsupportedModel as fault:
        if not _needs_values(fault.__cause__):
            raise
        encoder = _timm_encoder(spec)
    _make_trainable_by_deepspeed(encoder, spec.architecture)


def _needs_values(fault: BaseException | None) -> bool:
    """Whether a network cannot be made of shapes alone, as one that reads a number from a tensor while it is made."""
    return isinstance(fault, NotImplementedError) or "meta" in str(fault)


def _own_encoder(spec: api.ImageEncoder) -> ImageEncoderModule:
    backbone = DenseNet(OWN_ARCHITECTURES[spec.architecture])
    return ImageEncoderModule(backbone, backbone.num_features)


def _timm_encoder(spec: api.ImageEncoder) -> ImageEncoderModule:
    import timm  # a second of import that the encoders of our own do without

    name = spec.architecture
    # Also keeps out `hf-hub:...` and `local-dir:...`, which would make timm fetch a configuration.
    if not timm.is_model(name):
        raise UnknownArchitecture(_unknown(name, [*OWN_ARCHITECTURES, *timm.list_models()]))
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as fault:  # a name of timm with a tag behind its point that it does not know
        tagged = timm.list_models(f"{name.partition('.')[0]}.*", pretrained=True)
        raise UnknownArchitecture(_unknown(name, [name.partition(".")[0], *tagged])) from fault
    sized: dict[str, Any] = {"img_size": spec.size} if config is not None and config.fixed_input_size else {}
    try:
        backbone = timm.create_model(name, pretrained=False, in_chans=1, num_classes=0, **sized)
        num_features = _probed_num_features(backbone, spec.size)
    except Exception as fault:  # models of timm raise whatever an unfit size leads them to
        raise UnsupportedModel(
            f"encoders.image: timm's {name!r} does not take one-channel films of {spec.size} pixels ({fault}); "
            "choose another size or another architecture"
        ) from fault
    return ImageEncoderModule(backbone, num_features)


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=5, cutoff=0.6)
    hint = f"near matches: {', '.join(near)}" if near else "`timm.list_models()` shows all names"
    own = ", ".join(OWN_ARCHITECTURES)
    return f"encoders.image.architecture: {name!r} is neither one of ours ({own}) nor a timm model; {hint}"


@torch.no_grad()
def _probed_num_features(backbone: nn.Module, size: int) -> int:
    """Ask the network itself: `num_features` of some timm models is not the length of what they return."""
    training = backbone.training
    features = backbone.eval()(torch.zeros(1, 1, size, size))
    backbone.train(training)
    if features.dim() != 2:
        raise ValueError(
            f"it returns features of shape {tuple(features.shape)}, not one vector for each film"
        )
    return int(features.shape[1])


def _make_trainable_by_deepspeed(encoder: nn.Module, architecture: str) -> None:
    """Parameters contiguous and none 0-dimensional: DeepSpeed 0.19.8 broadcasts them as views of bytes."""
    for name, parameter in encoder.named_parameters():
        if parameter.dim() == 0:
            raise UnsupportedModel(
                f"encoders.image: {architecture!r} has the 0-dimensional parameter {name!r}, on which DeepSpeed "
                "0.19.8 fails; choose another architecture"
            )
        parameter.data = parameter.data.contiguous()
