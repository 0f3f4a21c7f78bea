"""Small towers and batches whose numbers can be checked."""

from collections.abc import Mapping

import torch
from torch import nn

from chex_api.encoder import ImageEncoder, TextEncoder
from chex_jobs.models import ImageEncoderModule, TextEncoderModule, build_image_encoder, build_text_encoder
from chex_jobs.training.batch_norm import use_group_batch_norm

SIZE = 64


class _Flat(nn.Module):
    """Pixels as features through one linear layer: nothing films of a batch could share."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(SIZE * SIZE, 8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.linear(images.flatten(1)).tanh()


def plain_image_encoder(seed: int = 0) -> ImageEncoderModule:
    """An encoder without normalisation over films."""
    torch.manual_seed(seed)
    return ImageEncoderModule(_Flat(), 8)


def grouped_image_encoder(group_size: int) -> ImageEncoderModule:
    """The small DenseNet with group BatchNorm."""
    encoder = build_image_encoder(ImageEncoder(architecture="chex-densenet-small", size=SIZE), seed=0)
    use_group_batch_norm(encoder, group_size)
    return encoder


def text_encoder() -> TextEncoderModule:
    """The random tower."""
    return build_text_encoder(TextEncoder(), seed=0)


def smoothed(module: nn.Module) -> nn.Module:
    """The same network without kinks, in place: GELU for ReLU, mean for max pooling.

    Of a million activations some lie within rounding of a kink, and which ones depends on the processor's order of additions.
    On the other side of it a gradient differs by up to a percent, and so do all steps after. Without kinks what is left is the
    arithmetic of the ranks.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.ReLU):
            setattr(module, name, nn.GELU())
        elif isinstance(child, nn.MaxPool2d):
            setattr(module, name, nn.AvgPool2d(child.kernel_size, child.stride, child.padding))
        else:
            smoothed(child)
    return module


def batch(
    step: int, num_films: int, *, views: int = 2, tasks: int = 3, equal_texts: bool = True
) -> dict[str, torch.Tensor]:
    """The global batch of a step; a third of the labels unknown, and some reports equal to others."""
    generator = torch.Generator().manual_seed(step)
    ids = torch.randint(3, 1000, (num_films, 9), generator=generator)
    groups = torch.arange(num_films) + 100 * step
    if equal_texts:
        for copy, original in ((1, 0), (num_films - 1, 0), (num_films // 2, 2)):
            ids[copy], groups[copy] = ids[original], groups[original]
    # Noise alone looks alike to a network that pools; flat patches alone tie in its max-pooling.
    patches = torch.randint(0, 192, (num_films, views, 4, 4), dtype=torch.uint8, generator=generator)
    noise = torch.randint(0, 64, (num_films, views, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 3, (num_films, tasks), generator=generator).float()
    labels[labels == 2] = torch.nan
    return {
        "images": patches.repeat_interleave(SIZE // 4, -2).repeat_interleave(SIZE // 4, -1) + noise,
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "text_group": groups,
        "labels": labels,
    }


def rows(tensors: Mapping[str, torch.Tensor], chosen: slice | torch.Tensor) -> dict[str, torch.Tensor]:
    """The same rows of every tensor."""
    return {name: tensor[chosen] for name, tensor in tensors.items()}
