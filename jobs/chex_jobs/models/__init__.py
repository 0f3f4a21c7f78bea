"""The towers: image encoders, text encoders and their tokenizers, projection heads, and weights by name.

Encoders give features and know nothing of what they are trained for: losses and heads of objectives are in
`chex_jobs.objectives`, group BatchNorm, DeepSpeed and checkpoints in `chex_jobs.training`.

Every parameter made here is contiguous and has at least one dimension: DeepSpeed's first broadcast crashes on
channels_last and on 0-dim parameters (the builders see to it).
"""

from chex_jobs.models.architectures import build_image_encoder, check_image_encoder
from chex_jobs.models.image_encoder import ImageEncoderModule
from chex_jobs.models.text_encoder import TextEncoderModule, build_text_encoder, check_text_encoder
from chex_jobs.models.tokenizer import build_tokenizer

__all__ = [
    "ImageEncoderModule",
    "TextEncoderModule",
    "build_image_encoder",
    "build_text_encoder",
    "build_tokenizer",
    "check_image_encoder",
    "check_text_encoder",
]
