"""Momentum contrast: the paper's algorithm step by step, the queue, and the leak through BatchNorm."""

import copy
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chex_jobs.models.heads import l2_normalize
from chex_jobs.objectives import MoCo
from chex_jobs.objectives.moco import shuffle_bn_order
from tests.unit.objectives import paper, towers

BATCH = 8


def moco(**settings: object) -> MoCo:
    defaults = {
        "temperature": 0.2, "queue_size": 16, "momentum": 0.9, "projection_dim": 6,
        "global_batch_size": BATCH, "group_size": None, "seed": 0,
    }  # fmt: skip
    encoder = (
        towers.plain_image_encoder()
        if settings.get("group_size") is None
        else towers.grouped_image_encoder(4)
    )
    return MoCo(encoder, **(defaults | settings)).double()  # type: ignore[arg-type]


def encoded(module: MoCo, images: torch.Tensor, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Embeddings of a plain encoder and its head under given weights, layer by layer."""
    pixels = ((images / 255.0 - module.image_encoder.pixel_mean) / module.image_encoder.pixel_std).flatten(1)
    features = torch.tanh(pixels @ weights["encoder.weight"].T + weights["encoder.bias"])
    hidden = torch.relu(features @ weights["0.weight"].T + weights["0.bias"])
    return l2_normalize(hidden @ weights["2.weight"].T + weights["2.bias"])


def test_four_steps_are_those_of_the_papers_pseudo_code() -> None:
    """f_k starts as f_q; loss, SGD step, momentum update, enqueue, dequeue: algorithm 1 of arXiv 1911.05722."""
    module = moco()
    query = {
        "encoder.weight": module.image_encoder.backbone.linear.weight, "encoder.bias": module.image_encoder.backbone.linear.bias,  # type: ignore[union-attr]
        **dict(module.image_projection.named_parameters()),
    }  # fmt: skip
    query = {name: tensor.detach().clone().requires_grad_() for name, tensor in query.items()}
    key = {name: tensor.detach().clone() for name, tensor in query.items()}
    queue = list(module.queue.clone())
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
    for step in range(4):
        images = towers.batch(step, BATCH)["images"]

        q = encoded(module, images[:, 0], query)
        k = encoded(module, images[:, 1], key)
        negatives = torch.stack(queue)
        expected = paper.info_nce_loss(q.detach().numpy(), k.numpy(), negatives.numpy(), 1 / 0.2)
        logits = torch.cat([(q * k).sum(1, keepdim=True), q @ negatives.T], dim=1) / 0.2
        torch.nn.functional.cross_entropy(logits, torch.zeros(BATCH, dtype=torch.int64)).backward()

        loss = module({"images": images}).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert loss.item() == pytest.approx(expected, rel=1e-10)

        with torch.no_grad():
            for name, weight in query.items():
                assert weight.grad is not None
                weight -= 0.5 * weight.grad
                weight.grad = None
                key[name] = 0.9 * key[name] + 0.1 * weight
        queue = queue[BATCH:] + list(k)

    # The module's queue is a ring: after two laps its first row is its oldest.
    torch.testing.assert_close(module.queue, torch.stack(queue), rtol=1e-9, atol=1e-11)
    assert module.queue_position.tolist() == [0]


def test_the_key_branch_is_in_the_state_and_not_among_the_parameters() -> None:
    module = moco(group_size=4)
    trained = {name for name, _ in module.named_parameters()}
    assert not any(name.startswith(("key_", "queue")) for name in trained)
    state = module.state_dict()
    for name in trained:
        follower = name.replace("image_encoder.", "key_encoder.").replace(
            "image_projection.", "key_projection."
        )
        assert torch.equal(state[follower], state[name]), follower
        assert not state[follower].requires_grad
    assert {"queue", "queue_position"} <= state.keys()


def test_keys_and_queue_carry_no_gradient() -> None:
    module = moco(group_size=4)
    module({"images": towers.batch(0, BATCH)["images"]}).loss.backward()
    assert all(buffer.grad is None and not buffer.requires_grad for buffer in module.buffers())
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_state_put_back_by_name_goes_on_exactly() -> None:
    def steps(module: MoCo, numbers: range) -> list[float]:
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        losses = []
        for number in numbers:
            optimizer.zero_grad()
            loss = module({"images": towers.batch(number, BATCH)["images"]}).loss
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    undisturbed = steps(moco(group_size=4), range(4))
    first = moco(group_size=4)
    begun = steps(first, range(2))
    resumed = moco(group_size=4, seed=99)
    resumed.load_state_dict(copy.deepcopy(first.state_dict()))
    assert begun + steps(resumed, range(2, 4)) == undisturbed


def test_evaluation_moves_neither_key_encoder_nor_queue() -> None:
    module = moco(group_size=4)
    module({"images": towers.batch(0, BATCH)["images"]}).loss.backward()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    module.eval()({"images": towers.batch(1, BATCH)["images"]})
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_keys_overwrite_the_oldest_ones() -> None:
    module = moco(queue_size=24)
    first = module.queue.clone()
    for step in range(2):
        module({"images": towers.batch(step, BATCH)["images"]})
    assert torch.equal(module.queue[16:], first[16:])
    assert (module.queue[:16] != first[:16]).any(dim=1).all()
    assert module.queue_position.tolist() == [16]
    torch.testing.assert_close(module.queue.norm(dim=1), torch.ones(24, dtype=torch.float64))


def test_a_films_own_earlier_keys_are_not_its_negatives() -> None:
    """Three steps on the same films: in the third, each finds two keys of its own among the negatives."""
    module = moco(queue_size=24)
    films = torch.arange(BATCH) + 100
    for step in range(2):
        module({"images": towers.batch(step, BATCH)["images"], "ordinals": films})
    module.eval()
    images = towers.batch(2, BATCH)["images"]
    order = torch.tensor([3, 1, 2, 0, 4, 5, 7, 6])
    queries = l2_normalize(module.image_projection(module.image_encoder(images[:, 0:1]))).detach().numpy()
    keys = l2_normalize(module.key_projection(module.key_encoder(images[:, 1:2]))).numpy()
    own = (films[order][:, None] == module.queue_films[None, :]).numpy()
    assert own.sum(axis=1).tolist() == [2] * BATCH
    expected = paper.info_nce_loss(queries, keys, module.queue.numpy(), 1 / 0.2, own)
    loss = module({"images": images, "ordinals": films[order]}).loss
    assert loss.item() == pytest.approx(expected, rel=1e-10)


def test_the_queue_knows_the_films_of_its_keys() -> None:
    module = moco(queue_size=16)
    assert module.queue_films.tolist() == [-1] * 16
    for step in range(3):
        films = torch.arange(BATCH) + 10 * step
        module({"images": towers.batch(step, BATCH)["images"], "ordinals": films})
    assert module.queue_films.tolist() == [*range(20, 28), *range(10, 18)]


def test_the_first_queue_follows_from_the_seed_alone() -> None:
    torch.manual_seed(5)
    first = moco().queue
    torch.rand(3)
    assert torch.equal(moco().queue, first)
    assert not torch.equal(moco(seed=1).queue, first)


@given(st.integers(1, 8), st.integers(2, 8))
def test_a_key_is_normalised_with_as_few_films_of_its_querys_group_as_can_be(
    group_size: int, num_groups: int
) -> None:
    num_films = group_size * num_groups
    order = shuffle_bn_order(num_films, group_size).numpy()
    assert sorted(order) == list(range(num_films))
    fewest = -(-group_size // num_groups)
    place = np.argsort(order)
    for film in range(num_films):
        query_group = {other for other in range(num_films) if other // group_size == film // group_size}
        key_group = {
            other for other in range(num_films) if place[other] // group_size == place[film] // group_size
        }
        assert film in key_group
        assert len(key_group) == group_size
        assert len(query_group & key_group) <= fewest


def test_a_querys_neighbour_in_its_group_does_not_reach_its_key() -> None:
    """With the same groups in both branches, a film's neighbours would mark its key: the leak of unshuffled BatchNorm."""
    module = moco(group_size=4, global_batch_size=16, queue_size=16)
    images = towers.batch(0, 16)["images"]
    changed = images.clone()
    changed[1] = 255 - changed[1]  # film 1 shares film 0's group of queries
    with torch.no_grad():
        keys, keys_after = module._keys(images[:, 1:2]), module._keys(changed[:, 1:2])
        queries, queries_after = (module.image_encoder(views[:, 0:1]) for views in (images, changed))
    assert not torch.equal(queries[0], queries_after[0])
    assert torch.equal(keys[0], keys_after[0])
    assert not torch.equal(keys[1], keys_after[1])


def test_keys_come_back_in_the_order_of_their_films() -> None:
    module = moco(group_size=4, global_batch_size=16, queue_size=16).eval()
    images = towers.batch(0, 16)["images"][:, 1:2]
    with torch.no_grad():
        expected = l2_normalize(module.key_projection(module.key_encoder(images)))
        torch.testing.assert_close(module._keys(images), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"queue_size": 12}, "queueSize 12 is no multiple of the global batch 8; set it to 16"),
        ({"queue_size": 4}, "set it to 8"),
        ({"group_size": 8}, "two or more whole groups"),
        ({"group_size": 3}, "two or more whole groups"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(settings: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        moco(**settings)


def test_an_incomplete_batch_is_refused_before_it_spoils_the_queue() -> None:
    module = moco()
    before = module.queue.clone()
    with pytest.raises(ValueError, match="incomplete"):
        module({"images": towers.batch(0, 5)["images"]})
    assert torch.equal(module.queue, before)


def test_dtypes_under_autocast_are_those_of_the_state() -> None:
    module = moco(group_size=4).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = module({"images": towers.batch(0, BATCH)["images"]}).loss
    loss.backward()
    assert loss.dtype == module.queue.dtype == torch.float32
    assert all(buffer.dtype != torch.bfloat16 for buffer in module.buffers())
