"""The head: from features to one logit for each task; and the file that holds a whole model, encoder and head."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from chex_jobs.artifacts import FinishedArtifact
from chex_jobs.models import ImageEncoderModule
from chex_jobs.models.weights import load_weights, weights_of

MODEL_FILE = "model.safetensors"


@dataclass(frozen=True)
class Head:
    """A linear head: logits = features @ weight.T + bias."""

    weight: NDArray[np.float32]
    """[T, D]"""
    bias: NDArray[np.float32]
    """[T]"""

    def put_into(self, layer: nn.Linear) -> None:
        """Copy the head into a layer, in place. Raises ValueError for another shape."""
        if tuple(layer.weight.shape) != self.weight.shape:
            raise ValueError(
                f"a head of shape {self.weight.shape} does not fit a layer of shape {tuple(layer.weight.shape)}"
            )
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(self.weight))
            layer.bias.copy_(torch.from_numpy(self.bias))


class Classifier(nn.Module):
    """Films -> logits: what is evaluated and deployed. Tensors are named `image_encoder.*` and `head.*`."""

    def __init__(self, image_encoder: ImageEncoderModule, head: nn.Linear) -> None:
        """Both are shared, not copied."""
        super().__init__()
        self.image_encoder = image_encoder
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, T] of images [B, 1, S, S], uint8 or shares of the grey range."""
        return self.head(self.image_encoder(images))


def model_tensors(classifier: Classifier) -> dict[str, Tensor]:
    """The content of `model.safetensors`."""
    return {name: tensor.clone() for name, tensor in weights_of(classifier).items()}


def load_classifier(done: FinishedArtifact, image_encoder: ImageEncoderModule, num_tasks: int) -> Classifier:
    """The model that a `final` unit left, in evaluation mode. The encoder's own weights are replaced.

    Raises `WeightsError` when it is a model of another shape, `ArtifactError` when the file is damaged.
    """
    classifier = Classifier(image_encoder, nn.Linear(image_encoder.num_features, num_tasks))
    load_weights(classifier, done.read_safetensors(MODEL_FILE, framework="torch"), where=done.uri)
    return classifier.eval()
