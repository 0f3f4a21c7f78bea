"""Published text weights under the names of the bare encoder."""

import torch
from torch import nn

from chex_jobs.models.weights import weights_of

# What published files hold beside the encoder; `position_ids` is a counter in old ones.
_NOT_OF_THE_ENCODER = (
    "pooler.", "cls.", "lm_head.", "classifier.", "qa_outputs.", "generator_", "discriminator_", "vocab_",
    "embeddings.position_ids", "embeddings.token_type_ids",
)  # fmt: skip
_PREFIXES = ("bert.", "roberta.", "electra.", "distilbert.")
_OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


def from_published_names(encoder: nn.Module, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Our names for those of a hub file; heads are left out, names not understood are kept.

    Files of models with a head prefix the encoder's names by its family (`bert.encoder...`), and those made
    before 2019 call the scale and shift of LayerNorm gamma and beta.
    """
    own = weights_of(encoder)
    renamed: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        plain = _plain(name)
        if f"transformer.{plain}" in own or not plain.startswith(_NOT_OF_THE_ENCODER):
            renamed[f"transformer.{plain}"] = tensor
    return renamed


def _plain(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    for old, new in _OLD_NAMES.items():
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name
