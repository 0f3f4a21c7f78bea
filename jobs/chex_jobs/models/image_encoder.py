"""The image tower: from films as they are stored (uint8) to one feature vector each."""

from typing import cast

import torch
from torch import nn

# Grey values as shares of the full range. Round numbers near those of public sets (0.50 and 0.09 in MoCo-CXR,
# 0.59 and 0.28 in MedCLIP): BatchNorm takes up the rest. Weights from elsewhere bring their own.
PIXEL_MEAN = 0.5
PIXEL_STD = 0.25


class ImageEncoderModule(nn.Module):
    """Films -> features, normalisation of grey values included.

    Attributes:
        backbone: the network, one input channel, pooled features out.
        num_features: D, the length of a feature vector.
        pixel_mean, pixel_std: buffers `[1]`, shares of the full grey range; they travel with the weights.
    """

    pixel_mean: torch.Tensor
    pixel_std: torch.Tensor

    def __init__(self, backbone: nn.Module, num_features: int) -> None:
        """Args: the network and the length of its feature vectors."""
        super().__init__()
        self.backbone = backbone
        self.num_features = num_features
        self.register_buffer("pixel_mean", torch.tensor([PIXEL_MEAN]))
        self.register_buffer("pixel_std", torch.tensor([PIXEL_STD]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return features `[B, D]`.

        Args:
            images: `[B, 1, S, S]`; uint8 0 to 255, or floats that are already shares of the range, 0 to 1.
        """
        shares = images.float() / 255 if images.dtype == torch.uint8 else images
        normalised = (shares - self.pixel_mean) / self.pixel_std
        return cast(torch.Tensor, self.backbone(_channels_last(normalised)))


def _channels_last(images: torch.Tensor) -> torch.Tensor:
    """`[B, 1, S, S]` with the strides of channels_last, which convolutions then keep all the way.

    `images.to(memory_format=torch.channels_last)` does nothing here: with one channel torch takes either
    layout for the other, leaves the strides alone, and every convolution after it runs in the slow layout.
    """
    return images.squeeze(1).unsqueeze(-1).permute(0, 3, 1, 2)
