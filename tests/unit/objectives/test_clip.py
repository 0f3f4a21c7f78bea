"""Image + report: the paper's loss, equal reports, the learned temperature."""

import math

import numpy as np
import pytest
import torch

from chex_jobs.models.heads import l2_normalize
from chex_jobs.objectives.clip import MAX_SCALE, Clip, LogitScale
from tests.unit.objectives import paper, towers


def clip(**settings: float) -> Clip:
    defaults = {"temperature": 0.1, "projection_dim": 12, "seed": 0}
    return Clip(towers.plain_image_encoder(), towers.text_encoder(), **(defaults | settings)).double()  # type: ignore[arg-type]


def embeddings(module: Clip, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    images = l2_normalize(module.image_projection(module.image_encoder(batch["images"][:, 0:1])))
    texts = l2_normalize(
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


def test_sentences_of_one_study_are_never_each_others_negatives() -> None:
    """Two films of one study show two different sentences of it; a third film has a study of its own."""
    module, batch = clip(), towers.batch(0, 3, equal_texts=False)
    images, texts = (tensor.numpy() for tensor in embeddings(module, batch))
    batch["text_group"] = torch.tensor([4, 5, 6])
    batch["study_text_groups"] = torch.tensor([[4, 5], [4, 5], [6, -1]])
    one = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=bool)  # film i, text j: of one study
    scale = module.temperature().item()
    to_text = paper.info_nce_loss(images, texts, texts, scale, one)
    to_image = paper.info_nce_loss(texts, images, images, scale, one.T)
    assert module(batch).loss.item() == pytest.approx((to_text + to_image) / 2, rel=1e-9)


def test_a_sentence_that_a_films_own_report_holds_too_is_not_its_negative() -> None:
    """The second film shows what the first one's report also says, the first another sentence of it: not the reverse."""
    module, batch = clip(), towers.batch(0, 2, equal_texts=False)
    images, texts = (tensor.numpy() for tensor in embeddings(module, batch))
    batch["text_group"] = torch.tensor([4, 5])
    batch["study_text_groups"] = torch.tensor([[4, 5], [5, -1]])
    excluded = np.array([[1, 1], [0, 1]], dtype=bool)
    scale = module.temperature().item()
    to_text = paper.info_nce_loss(images, texts, texts, scale, excluded)
    to_image = paper.info_nce_loss(texts, images, images, scale, excluded.T)
    assert module(batch).loss.item() == pytest.approx((to_text + to_image) / 2, rel=1e-9)


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


@pytest.mark.parametrize("first", [MAX_SCALE, 1e3, 1e9])
def test_a_gradient_brings_an_inverse_temperature_back_from_its_bound(first: float) -> None:
    scale = LogitScale(0.07)
    with torch.no_grad():
        scale.logit_scale.fill_(math.log(first))
    optimizer = torch.optim.SGD(scale.parameters(), lr=1e-3)
    for _ in range(3):
        optimizer.zero_grad()
        scale().sum().backward()
        assert scale.logit_scale.grad is not None
        assert scale.logit_scale.grad.item() > 0.0
        optimizer.step()
        LogitScale.project(scale.logit_scale)
    assert scale().item() < MAX_SCALE


def test_steps_against_the_bound_need_not_be_undone() -> None:
    scale = LogitScale(0.011)
    optimizer = torch.optim.SGD(scale.parameters(), lr=1e-3)
    for direction in [-1.0] * 50 + [1.0]:
        optimizer.zero_grad()
        (direction * scale()).sum().backward()
        optimizer.step()
        LogitScale.project(scale.logit_scale)
    assert scale().item() < MAX_SCALE


def test_below_its_bound_an_inverse_temperature_and_its_gradient_are_those_of_exp() -> None:
    scale = LogitScale(0.07)
    free = scale.logit_scale.detach().clone().requires_grad_()
    free.exp().sum().backward()
    scale().sum().backward()
    assert torch.equal(scale(), free.exp())
    assert torch.equal(scale.logit_scale.grad, free.grad)  # type: ignore[arg-type]


def test_a_first_temperature_beyond_the_bound_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.005 is below 0\.01"):
        LogitScale(0.005)


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
