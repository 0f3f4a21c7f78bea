"""DenseNet-BC (Huang et al. 2017, arXiv 1608.06993) for one-channel films.

One implementation for `densenet121` and for the small one of demonstrations. Module names are those of
torchvision and timm (`features.denseblock1.denselayer1.norm1.weight`), so that published weights load by
name. It is written here, and not taken from timm, because every normalisation stays a plain `nn.BatchNorm2d`
followed by its own ReLU: timm fuses both into one module, and code that swaps BatchNorm for another
normalisation would lose the ReLU without a word.
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class DenseNetShape:
    """The numbers that tell one DenseNet from another.

    Attributes:
        growth_rate: feature maps that each layer adds.
        block_layers: layers of each dense block.
        num_init_features: feature maps of the stem.
        bottleneck: width of a layer's 1x1 convolution, in multiples of the growth rate.
    """

    growth_rate: int
    block_layers: tuple[int, ...]
    num_init_features: int
    bottleneck: int = 4


DENSENET_121 = DenseNetShape(growth_rate=32, block_layers=(6, 12, 24, 16), num_init_features=64)
CHEX_DENSENET_SMALL = DenseNetShape(growth_rate=8, block_layers=(2, 4, 6, 4), num_init_features=16)


class _DenseLayer(nn.Module):
    """norm-ReLU-1x1-norm-ReLU-3x3; returns only the new feature maps."""

    def __init__(self, num_inputs: int, shape: DenseNetShape) -> None:
        super().__init__()
        width = shape.bottleneck * shape.growth_rate
        self.norm1 = nn.BatchNorm2d(num_inputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(num_inputs, width, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, shape.growth_rate, kernel_size=3, padding=1, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        narrow = self.conv1(self.relu1(self.norm1(features)))
        return self.conv2(self.relu2(self.norm2(narrow)))


class _DenseBlock(nn.Module):
    """Layers that each see the feature maps of all before them."""

    def __init__(self, num_layers: int, num_inputs: int, shape: DenseNetShape) -> None:
        super().__init__()
        for index in range(num_layers):
            layer = _DenseLayer(num_inputs + index * shape.growth_rate, shape)
            self.add_module(f"denselayer{index + 1}", layer)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        for layer in self.children():
            features = torch.cat((features, layer(features)), dim=1)
        return features


def _transition(num_inputs: int) -> nn.Sequential:
    """Halves the number of feature maps and both sides."""
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(num_inputs),
            relu=nn.ReLU(inplace=True),
            conv=nn.Conv2d(num_inputs, num_inputs // 2, kernel_size=1, bias=False),
            pool=nn.AvgPool2d(kernel_size=2, stride=2),
        )
    )


class DenseNet(nn.Module):
    """Feature extractor: `[B, 1, S, S]` floats -> `[B, num_features]`, a mean over the last map. S >= 32."""

    def __init__(self, shape: DenseNetShape) -> None:
        """First weights as in the paper's code: He-normal convolutions, unit scales, zero shifts."""
        super().__init__()
        width = shape.num_init_features
        self.features = nn.Sequential(
            OrderedDict(
                conv0=nn.Conv2d(1, width, kernel_size=7, stride=2, padding=3, bias=False),
                norm0=nn.BatchNorm2d(width),
                relu0=nn.ReLU(inplace=True),
                pool0=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            )
        )
        for number, num_layers in enumerate(shape.block_layers, start=1):
            self.features.add_module(f"denseblock{number}", _DenseBlock(num_layers, width, shape))
            width += num_layers * shape.growth_rate
            if number < len(shape.block_layers):
                self.features.add_module(f"transition{number}", _transition(width))
                width //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(width))
        self.num_features = width
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = torch.relu(self.features(images))  # [B, D, S/32, S/32]
        return maps.mean(dim=(2, 3))
