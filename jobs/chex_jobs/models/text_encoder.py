"""The text tower: BERT-family models over reports, one vector for each text."""

import json
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

import chex_api.encoder as api
from chex_jobs.models.errors import UnsupportedModel, WeightsError
from chex_jobs.models.folder import ModelFolder
from chex_jobs.models.seeding import isolated_random
from chex_jobs.models.text_weights import from_published_names
from chex_jobs.models.weights import load_weights, read_weights
from chex_jobs.models.word_tokenizer import WordTokenizer

_CONFIG, _WEIGHTS = "config.json", "model.safetensors"


@dataclass(frozen=True, slots=True)
class _Family:
    """Where a family keeps its parts, as dotted names, and the arguments that leave its unused pooler out.

    A pooler would be parameters without a gradient, which DeepSpeed would still reduce, store and decay.
    """

    layers: str
    arguments: dict[str, bool]


_FAMILIES = {
    "bert": _Family("encoder.layer", {"add_pooling_layer": False}),
    "roberta": _Family("encoder.layer", {"add_pooling_layer": False}),
    "electra": _Family("encoder.layer", {}),
    "distilbert": _Family("transformer.layer", {}),
}

# The tower of `init: {random: {}}`: small enough to train beside `chex-densenet-small` on a laptop.
# No dropout, so that runs on different numbers of workers can be compared number by number.
_TINY: dict[str, Any] = {
    "model_type": "bert",
    "vocab_size": WordTokenizer().vocab_size,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "max_position_embeddings": 512,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}


class TextEncoderModule(nn.Module):
    """Token numbers -> features: the mean of the last hidden states over a text's own tokens.

    Attributes:
        transformer: the `transformers` model.
        num_features: D, its hidden size.
    """

    def __init__(self, transformer: nn.Module, num_features: int) -> None:
        """Args: the model and its hidden size."""
        super().__init__()
        self.transformer = transformer
        self.num_features = num_features

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return features `[B, D]`.

        Args:
            input_ids: int64 `[B, L]`.
            attention_mask: int64 `[B, L]`; 1 for tokens of the text, 0 for padding. Every row has a 1.
        """
        hidden = self.transformer(
            input_ids=input_ids, attention_mask=attention_mask
        ).last_hidden_state  # [B, L, D]
        weights = attention_mask.unsqueeze(-1).to(hidden.dtype)
        # With padding in the mean, a text's vector would depend on the texts beside it in the batch.
        return cast(torch.Tensor, (hidden * weights).sum(dim=1) / weights.sum(dim=1))


def build_text_encoder(spec: api.TextEncoder, seed: int) -> TextEncoderModule:
    """Return the tower with its first weights, on the CPU, in training mode. No hub is asked, no pickle read.

    The uppermost `trainable_layers` layers are trained. Embeddings of a pretrained tower are frozen; those of
    a random one are trained where all of its layers are, for there is nothing in them to keep.

    Args:
        spec: `spec.encoders.text`.
        seed: seed of the manifest; read by a random tower only.

    Raises:
        WeightsError: files are missing in the folder, do not fit its config.json, or are pickles.
        UnsupportedModel: another family than BERT's, or one that cannot take `max_tokens`.
    """
    config = _TINY if spec.init.uri is None else _read_config(spec.init.uri)
    where = spec.init.uri or "encoders.text.init.random"
    with isolated_random(seed, "text encoder"):
        encoder = _unloaded(config, spec.max_tokens, where)
    if spec.init.uri is not None:
        _load(encoder, spec.init.uri)
    _freeze_below(encoder, config["model_type"], spec.trainable_layers, pretrained=spec.init.uri is not None)
    return encoder


def check_text_encoder(spec: api.TextEncoder) -> None:
    """Raise what `build_text_encoder` would raise of the folder's files and settings, without reading the weights."""
    if spec.init.uri is None:
        return
    config = _read_config(spec.init.uri)
    with torch.device("meta"):
        _unloaded(config, spec.max_tokens, spec.init.uri)
    ModelFolder(spec.init.uri).require(_WEIGHTS)


def _read_config(uri: str) -> dict[str, Any]:
    folder = ModelFolder(uri)
    folder.require(_CONFIG)
    with folder.local_copy([_CONFIG]) as local:
        try:
            config = json.loads((local / _CONFIG).read_text())
        except ValueError as fault:
            raise WeightsError(f"{uri}/{_CONFIG} is not JSON: {fault}") from fault
    if not isinstance(config, dict) or config.get("model_type") not in _FAMILIES:
        found = config.get("model_type") if isinstance(config, dict) else None
        raise UnsupportedModel(
            f"{uri}/{_CONFIG}: model_type is {found!r}; supported are {', '.join(_FAMILIES)}"
        )
    return config


def _unloaded(config: dict[str, Any], max_tokens: int, where: str) -> TextEncoderModule:
    from transformers import AutoConfig, AutoModel  # seconds of import, which image-only work does without

    settings = {name: value for name, value in config.items() if name != "model_type"}
    model_config = AutoConfig.for_model(config["model_type"], **settings)
    positions = model_config.max_position_embeddings - (2 if config["model_type"] == "roberta" else 0)
    if max_tokens > positions:
        raise UnsupportedModel(
            f"{where} takes at most {positions} tokens; set encoders.text.maxTokens no higher"
        )
    transformer = AutoModel.from_config(model_config, **_FAMILIES[config["model_type"]].arguments)
    return TextEncoderModule(transformer.train(), model_config.hidden_size)


def _load(encoder: TextEncoderModule, uri: str) -> None:
    folder = ModelFolder(uri)
    file = folder.require(_WEIGHTS)
    with folder.local_copy([file]) as local:
        tensors = from_published_names(encoder, read_weights(local / file, where=f"{uri}/{file}"))
    load_weights(encoder, tensors, where=f"{uri}/{file}")


def _freeze_below(
    encoder: TextEncoderModule, family: str, trainable_layers: int, *, pretrained: bool
) -> None:
    layers = cast(nn.ModuleList, encoder.transformer.get_submodule(_FAMILIES[family].layers))
    if not pretrained and trainable_layers >= len(layers):
        return
    encoder.requires_grad_(False)
    for layer in list(layers)[max(0, len(layers) - trainable_layers) :]:
        layer.requires_grad_(True)
