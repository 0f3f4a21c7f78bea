"""Text towers: the tiny random one, a small real one, and the families that are supported."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from chex_api.base import Empty
from chex_api.encoder import TextEncoder, TextInit
from chex_jobs.models import build_text_encoder, build_tokenizer
from chex_jobs.models.errors import UnsupportedModel, WeightsError

NewFolder = Callable[[str], Path]
RANDOM = TextEncoder()

TINY = {
    "vocab_size": 40,
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 34,
}
FAMILIES = {
    "bert": TINY,
    "roberta": TINY,
    "electra": TINY | {"embedding_size": 8},
    "distilbert": {
        "vocab_size": 40,
        "dim": 8,
        "n_layers": 2,
        "n_heads": 2,
        "hidden_dim": 16,
        "max_position_embeddings": 34,
    },
}


def pretrained(uri: str, **settings: int) -> TextEncoder:
    return TextEncoder(init=TextInit(uri=uri), **settings)


def tokens(num: int = 2, length: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(5, 40, (num, length), generator=torch.Generator().manual_seed(0))
    return ids, torch.ones_like(ids)


def published(folder: Path, family: str, *, head: bool = False) -> Any:
    """A random model of a family, saved as transformers saves it; returns the bare encoder."""
    from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM

    config = AutoConfig.for_model(family, **FAMILIES[family])
    model = (AutoModelForMaskedLM if head else AutoModel).from_config(config).eval()
    model.save_pretrained(folder)
    return getattr(model, family) if head else model


def test_features_are_the_mean_over_a_texts_own_tokens() -> None:
    encoder = build_text_encoder(RANDOM, seed=0).eval()
    ids, mask = tokens()
    mask[0, 4:] = 0
    with torch.no_grad():
        hidden = encoder.transformer(input_ids=ids, attention_mask=mask).last_hidden_state
        features = encoder(ids, mask)
    torch.testing.assert_close(features[0], hidden[0, :4].mean(dim=0))
    torch.testing.assert_close(features[1], hidden[1].mean(dim=0))
    assert features.shape == (2, encoder.num_features)


def test_padding_does_not_change_a_texts_features() -> None:
    encoder = build_text_encoder(RANDOM, seed=0).eval()
    ids, mask = tokens()
    padding = torch.zeros(2, 5, dtype=torch.int64)
    with torch.no_grad():
        alone = encoder(ids, mask)
        padded = encoder(torch.cat([ids, padding], dim=1), torch.cat([mask, padding], dim=1))
    torch.testing.assert_close(alone, padded, rtol=1e-5, atol=1e-6)


def test_a_random_tower_follows_from_the_seed_alone_and_leaves_the_global_state() -> None:
    before = torch.get_rng_state()
    first, again, other = (build_text_encoder(RANDOM, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_the_random_tower_trains_every_parameter_it_has_and_uses_all_of_them() -> None:
    encoder = build_text_encoder(RANDOM, seed=0)
    encoder(*tokens()).square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@pytest.mark.parametrize(
    ("trainable", "trained"), [(0, set()), (1, {"layer.1"}), (2, {"layer.0", "layer.1"})]
)
def test_of_a_pretrained_tower_only_the_upper_layers_are_trained(
    new_folder: NewFolder, trainable: int, trained: set[str]
) -> None:
    folder = new_folder("bert")
    published(folder, "bert")
    encoder = build_text_encoder(
        pretrained(folder.as_uri(), max_tokens=32, trainable_layers=trainable), seed=0
    )
    names = [name for name, parameter in encoder.named_parameters() if parameter.requires_grad]
    assert {".".join(name.split(".")[2:4]) for name in names} == trained


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("head", [False, True], ids=["bare", "with head"])
def test_a_published_model_of_each_family_gives_its_own_hidden_states(
    new_folder: NewFolder, family: str, head: bool
) -> None:
    folder = new_folder(family)
    model = published(folder, family, head=head)
    encoder = build_text_encoder(pretrained(folder.as_uri(), max_tokens=32), seed=0).eval()
    ids, mask = tokens()
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask).last_hidden_state.mean(dim=1)
        torch.testing.assert_close(encoder(ids, mask), expected)


def test_names_of_old_files_are_understood(new_folder: NewFolder) -> None:
    folder = new_folder("old")
    model = published(folder, "bert")
    old = {
        "bert."
        + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    save_file(old | {"bert.embeddings.position_ids": torch.arange(34)[None]}, folder / "model.safetensors")
    encoder = build_text_encoder(pretrained(folder.as_uri(), max_tokens=32), seed=0)
    assert torch.equal(
        encoder.transformer.get_parameter("embeddings.LayerNorm.weight"), model.embeddings.LayerNorm.weight
    )


def test_the_real_tower_agrees_with_its_authors_example(minilm: str) -> None:
    """Cosine similarities of sentence pairs rank as their meaning does: weights and tokens belong together."""
    spec = pretrained(minilm, max_tokens=64, trainable_layers=2)
    encoder, tokenizer = build_text_encoder(spec, seed=0).eval(), build_tokenizer(spec)
    texts = [
        "No pleural effusion.",
        "There is no fluid in the pleural space.",
        "The pacemaker leads are unchanged.",
    ]
    vectors = []
    for text in texts:
        encoded = tokenizer([text], truncation=True, max_length=64)
        with torch.no_grad():
            vectors.append(
                encoder(torch.tensor(encoded["input_ids"]), torch.tensor(encoded["attention_mask"]))[0]
            )
    similar = torch.cosine_similarity(vectors[0], vectors[1], dim=0)
    other = torch.cosine_similarity(vectors[0], vectors[2], dim=0)
    assert similar > other + 0.2


def test_a_tower_that_is_a_pickle_is_refused(new_folder: NewFolder) -> None:
    folder = new_folder("pickled")
    model = published(folder, "bert")
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin, a pickle.*save_file"):
        build_text_encoder(pretrained(folder.as_uri(), max_tokens=32), seed=0)


@pytest.mark.parametrize(
    ("config", "said"),
    [({"model_type": "gpt2"}, "'gpt2'.*bert"), ([], "model_type is None"), ({}, "model_type is None")],
    ids=["other family", "a list", "nothing"],
)
def test_a_model_of_another_family_is_refused(new_folder: NewFolder, config: object, said: str) -> None:
    folder = new_folder("other")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnsupportedModel, match=said):
        build_text_encoder(pretrained(folder.as_uri()), seed=0)


def test_weights_that_do_not_fit_the_configuration_are_refused(new_folder: NewFolder) -> None:
    folder = new_folder("bert")
    published(folder, "bert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 24}))
    with pytest.raises(WeightsError, match="of another shape"):
        build_text_encoder(pretrained(folder.as_uri(), max_tokens=32), seed=0)


@pytest.mark.parametrize(("family", "most"), [("bert", 34), ("roberta", 32)])
def test_more_tokens_than_positions_are_refused_with_the_limit(
    new_folder: NewFolder, family: str, most: int
) -> None:
    folder = new_folder(family)
    published(folder, family)
    build_text_encoder(pretrained(folder.as_uri(), max_tokens=most), seed=0)
    with pytest.raises(UnsupportedModel, match=f"at most {most} tokens"):
        build_text_encoder(pretrained(folder.as_uri(), max_tokens=most + 1), seed=0)


def test_a_random_tower_takes_the_longest_texts_that_a_manifest_may_ask_for() -> None:
    encoder = build_text_encoder(TextEncoder(init=TextInit(random=Empty()), max_tokens=512), seed=0).eval()
    ids = torch.ones(1, 512, dtype=torch.int64)
    assert encoder(ids, torch.ones_like(ids)).shape == (1, encoder.num_features)
