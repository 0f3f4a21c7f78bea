"""Image + report: the paper's loss, equal reports, the learned temperature."""

import math

import pytest
import torch

from chex_jobs.models.heads import unit_rows
from chex_jobs.objectives.clip import MAX_SCALE, Clip, LogitScale
from tests.unit.objectives import paper, towers


def clip(**settings: float) -> Clip:
    defaults = {"temperature": 0.1, "projection_dim": 12, "seed": 0}
    return Clip(towers.plain_image_encoder(), towers.text_encoder(), **(defaults | settings)).double()  # type: ignore[arg-type]


def embeddings(module: Clip, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    images = unit_rows(module.image_projection(module.image_encoder(batch["images"][:, 0:1])))
    texts = unit_rows(
        module.text_projection(module.text_encoder(batch["input_ids"], batch["attention_mask"]))
    )
    return images.detach(), texts.detach()


@pytest.mark.parametrize("grouped", [True, False])
def test_the_loss_is_the_papers_with_equal_reports_left_out(grouped: bool) -> None:
    module, batch = clip(), towers.batch(0, 8)
    groups = batch["text_group"].numpy()
    if not grouped:
        del batch["text_group"]
    images, texts = embeddings(module, batch)
    scale = module.temperature().item()
    assert scale == pytest.approx(10.0)
    expected = paper.clip_loss(images.numpy(), texts.numpy(), scale, groups if grouped else None)
    assert module(batch).loss.item() == pytest.approx(expected, rel=1e-12)


def test_equal_reports_are_not_pushed_away_from_each_others_films() -> None:
    """With two films and one text, nothing is a negative: no loss, no gradient."""
    module, batch = clip(), towers.batch(0, 2, equal_texts=False)
    batch["input_ids"][1] = batch["input_ids"][0]
    different = module(batch).loss
    batch["text_group"][1] = batch["text_group"][0]
    equal = module(batch).loss
    equal.backward()
    assert different.item() > 0.1
    assert equal.item() == pytest.approx(0.0, abs=1e-12)
    assert all(p.grad is None or p.grad.abs().max() < 1e-12 for p in module.parameters())


def test_text_groups_only_matter_by_being_equal() -> None:
    module, batch = clip(), towers.batch(0, 8)
    renamed = batch | {"text_group": 10**12 - 7 * batch["text_group"]}
    assert module(batch).loss.item() == module(renamed).loss.item()


def test_the_order_of_films_does_not_matter() -> None:
    module, batch = clip(), towers.batch(0, 8)
    shuffled = towers.rows(batch, torch.tensor([5, 2, 7, 0, 1, 3, 6, 4]))
    assert module(shuffled).loss.item() == pytest.approx(module(batch).loss.item(), rel=1e-12)


def test_blocks_give_the_same_loss_and_gradients() -> None:
    batch = towers.batch(0, 8)
    whole, blocked = clip(), clip(max_logits=11)
    for module in (whole, blocked):
        module(batch).loss.backward()
    for (name, expected), found in zip(whole.named_parameters(), blocked.parameters(), strict=True):
        assert expected.grad is not None, name
        assert found.grad is not None, name
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-9, atol=1e-13, msg=name)


def test_swapping_the_towers_swaps_the_directions() -> None:
    """Both directions weigh the same: the loss is symmetric in films and reports."""
    module, batch = clip(), towers.batch(0, 6)
    images, texts = (tensor.numpy() for tensor in embeddings(module, batch))
    swapped = paper.clip_loss(texts, images, module.temperature().item(), batch["text_group"].numpy())
    assert module(batch).loss.item() == pytest.approx(swapped, rel=1e-12)


def test_the_temperature_is_learned_from_its_first_value() -> None:
    module = clip(temperature=0.07)
    loss, metrics = module(towers.batch(0, 8))
    loss.backward()
    assert metrics["logit_scale"].item() == pytest.approx(1 / 0.07)
    assert module.temperature.logit_scale.shape == (1,)
    assert module.temperature.logit_scale.grad is not None
    assert module.temperature.logit_scale.grad.item() != 0.0


def test_the_inverse_temperature_stays_below_its_bound() -> None:
    scale = LogitScale(0.07)
    with torch.no_grad():
        scale.logit_scale.fill_(50.0)
    assert scale().item() == pytest.approx(MAX_SCALE, rel=1e-6)
    with torch.no_grad():
        scale.logit_scale.fill_(math.log(20.0))
    assert scale().item() == pytest.approx(20.0, rel=1e-6)


def test_similarities_are_computed_in_float32_under_autocast() -> None:
    module, batch = clip().float(), towers.batch(0, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = module(batch)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(module(batch).loss.item(), rel=0.05)


def test_every_trained_parameter_has_a_gradient() -> None:
    module = clip()
    module(towers.batch(0, 4)).loss.backward()
    assert [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None] == []
