"""`spec.encoders`: the two towers."""

from typing import Annotated, Literal

from pydantic import Field

from chex_api.base import OUTSIDE_IDENTITY, ApiModel, Empty, OneOf, Uri

OWN_ARCHITECTURES = ("chex-densenet-small", "densenet121")
"""Image encoders that are ours. They take films of every size that the API allows."""


class ImageInit(OneOf):
    """Where the image encoder's first weights come from. Exactly one member."""

    random: Empty | None = Field(default=None, description="Random weights, fixed by `spec.seed`.")
    uri: Annotated[Uri | None, OUTSIDE_IDENTITY] = Field(
        default=None,
        description="Folder with image_encoder.safetensors (ours) or model.safetensors (timm's names).",
    )


class TextInit(OneOf):
    """Where the text encoder's first weights come from. Exactly one member."""

    random: Empty | None = Field(
        default=None, description="A tiny random BERT with a vocabulary of its own, for demonstrations."
    )
    uri: Annotated[Uri | None, OUTSIDE_IDENTITY] = Field(
        default=None,
        description="A BERT-family folder: config.json, model.safetensors and the tokenizer's files.",
    )


class ImageEncoder(ApiModel):
    """The image tower."""

    architecture: str = Field(
        default="densenet121",
        min_length=1,
        max_length=128,
        pattern=r"^[a-z0-9][a-z0-9_.-]*$",
        description="`densenet121`, any other timm model, or `chex-densenet-small` for demonstrations.",
    )
    size: int = Field(
        default=320, ge=32, le=1024, description="Side of the square that the encoder sees, in pixels."
    )
    init: ImageInit = Field(
        default=ImageInit(random=Empty()), description="Where the image encoder's first weights come from."
    )


class TextEncoder(ApiModel):
    """The text tower."""

    init: TextInit = Field(
        default=TextInit(random=Empty()), description="Where the text encoder's first weights come from."
    )
    max_tokens: int = Field(default=97, ge=8, le=512, description="Tokens kept of a report.")
    trainable_layers: int = Field(
        default=6,
        ge=0,
        le=48,
        description="Upper transformer layers that are trained; the rest is frozen. 0: the whole tower is frozen.",
    )


class Encoders(ApiModel):
    """The image and the text tower."""

    image: ImageEncoder = Field(default=ImageEncoder(), description="The image tower.")
    text: TextEncoder | None = Field(
        default=None, description="The text tower; needed by image + report objectives."
    )


WeightsFormat = Literal["ChexDragon", "Timm"]
