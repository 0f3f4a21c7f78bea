"""Contrastive language-image pretraining (ConVIRT, arXiv 2010.00747, 2020; CLIP, arXiv 2103.00020, 2021).

A film is to find its own report among those of the global batch, and a report its film; the loss is the mean
of both. A text that the film's own study says too is not its negative, whichever sentence of it a step shows:
neither another sentence of one study, shown with another film of it, nor an equal sentence of another report. In
Open-I 58 % of the impressions are exact copies of another report's, so a plain softmax punishes right answers, and
the more so the larger the batch.
"""

import math

import torch
from torch import nn

import chex_api.objective as api
from chex_jobs.models.heads import full_precision, l2_normalize, linear_projection
from chex_jobs.models.image_encoder import ImageEncoderModule
from chex_jobs.models.text_encoder import TextEncoderModule
from chex_jobs.objectives.batch import Batch
from chex_jobs.objectives.contrastive import MAX_LOGITS, info_nce
from chex_jobs.objectives.gather import gather, gather_with_gradient, mean_over_ranks, rank
from chex_jobs.objectives.loss import Loss, with_global_value
from chex_jobs.objectives.parts import Parts

MAX_SCALE = 100.0
"""CLIP's bound of the inverse temperature: larger ones made training unstable (section 2.5 there)."""
MIN_TEMPERATURE = 1.0 / MAX_SCALE


class LogitScale(nn.Module):
    """The learned inverse temperature, exp(logit_scale), at most `MAX_SCALE`.

    The bound must be one that the parameter can leave again. `clamp` alone has no gradient beyond it, so a scale that
    came too far would stay there for good. Here the value is clamped and the gradient passes as if it were not, and
    after each optimizer step (`project`) the parameter itself is put back to the bound, as in CLIP's own code: no
    number of steps against the bound has to be undone before the scale falls.

    A module of its own, so that ZeRO-3 gathers the parameter for its forward and backward pass as it does for
    layers; the parameter is `[1]` and not a scalar, which DeepSpeed 0.19.8 cannot broadcast.
    """

    def __init__(self, temperature: float) -> None:
        """Args: first temperature, >= `MIN_TEMPERATURE`."""
        super().__init__()
        if not temperature >= MIN_TEMPERATURE:
            raise ValueError(f"a first temperature of {temperature:g} is below {MIN_TEMPERATURE:g}")
        self.logit_scale = nn.Parameter(torch.tensor([math.log(1.0 / temperature)]))

    def forward(self) -> torch.Tensor:
        """Return the factor of all similarities, `[1]`."""
        bounded = self.logit_scale.clamp(max=math.log(MAX_SCALE))
        # The value of the clamped one, the gradient of the free one; below the bound they are the same, bit by bit.
        return (bounded.detach() + (self.logit_scale - self.logit_scale.detach())).exp()

    @staticmethod
    @torch.no_grad()
    def project(values: torch.Tensor) -> None:
        """Put values of the parameter, whole or a worker's share of them, back to the bound, in place."""
        values.clamp_(max=math.log(MAX_SCALE))


class Clip(nn.Module):
    """Image + report; one view of each film.

    Attributes:
        image_encoder, text_encoder: the towers.
        image_projection, text_projection: linear maps into the common space.
        temperature: the learned inverse temperature.
    """

    def __init__(
        self,
        image_encoder: ImageEncoderModule,
        text_encoder: TextEncoderModule,
        *,
        temperature: float,
        projection_dim: int,
        seed: int,
        max_logits: int = MAX_LOGITS,
    ) -> None:
        """Build the heads.

        Args:
            image_encoder: with the weights to start from, normalisation already grouped.
            text_encoder: likewise.
            temperature: the first one, 0.07 in CLIP.
            projection_dim: D, dimension in which films and reports are compared.
            seed: seed of the manifest, for the heads.
            max_logits: similarities held at once; the loss does not depend on it.
        """
        super().__init__()
        self.max_logits = max_logits
        self.image_encoder = image_encoder
        self.text_encoder = text_encoder
        self.image_projection = linear_projection(
            image_encoder.num_features, projection_dim, seed=seed, purpose="clip image projection"
        )
        self.text_projection = linear_projection(
            text_encoder.num_features, projection_dim, seed=seed, purpose="clip text projection"
        )
        self.temperature = LogitScale(temperature)

    def forward(self, batch: Batch) -> Loss:
        """Return the loss and metrics.

        `image_top1`, `text_top1`: share of films that find their report, of reports that find their film;
        `logit_scale`: the inverse temperature.

        Args:
            batch: `images` `[B, V, S, S]`, of which the first view is used, `input_ids`, `attention_mask`,
                `text_group` where texts may be equal (without it every text is taken for different), and
                `study_text_groups` where a study has more texts than the one that is shown.
        """
        images = l2_normalize(self.image_projection(self.image_encoder(batch["images"][:, 0:1])))  # [B, D]
        texts = l2_normalize(
            self.text_projection(self.text_encoder(batch["input_ids"], batch["attention_mask"]))
        )  # [B, D]
        scale = full_precision(self.temperature())
        groups = _groups(batch)  # [B]
        true_of_film = batch.get("study_text_groups", groups)  # [B] or [B, G]
        with torch.autocast(images.device.type, enabled=False):
            to_text = info_nce(
                images, texts, gather_with_gradient(texts), scale,
                anchor_groups=true_of_film, candidate_groups=gather(groups), max_logits=self.max_logits,
            )  # fmt: skip
            to_image = info_nce(
                texts, images, gather_with_gradient(images), scale,
                anchor_groups=groups, candidate_groups=gather(true_of_film), max_logits=self.max_logits,
            )  # fmt: skip
        metrics = {
            "image_top1": mean_over_ranks(to_text.top1),
            "text_top1": mean_over_ranks(to_image.top1),
            "logit_scale": scale.detach()[0],
        }
        return Loss(with_global_value((to_text.loss + to_image.loss) / 2), metrics)


def _groups(batch: Batch) -> torch.Tensor:
    """Numbers `[B]` that are equal where texts are, over all ranks."""
    if "text_group" in batch:
        return batch["text_group"]
    num_rows = len(batch["images"])
    first = rank() * num_rows
    return torch.arange(first, first + num_rows, device=batch["images"].device)


def build(settings: api.Clip, parts: Parts) -> Clip:
    """The module of `objective.clip`."""
    assert parts.text_encoder is not None, "the objective reads reports"
    return Clip(
        parts.image_encoder,
        parts.text_encoder,
        temperature=settings.temperature,
        projection_dim=settings.projection_dim,
        seed=parts.seed,
    )
