"""Tokenizers: the demonstration's own, and those of published towers."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chex_api.encoder import TextEncoder, TextInit
from chex_jobs.models import build_tokenizer
from chex_jobs.models.errors import WeightsError
from chex_jobs.models.vocabulary import WORDS
from chex_jobs.models.word_tokenizer import WordTokenizer

TOKENIZER = WordTokenizer()


def encoded(text: str) -> list[int]:
    return TOKENIZER([text])["input_ids"][0]


@given(st.text(max_size=200), st.integers(min_value=2, max_value=40))
def test_every_text_has_tokens_within_the_vocabulary_and_the_length(text: str, longest: int) -> None:
    ids = TOKENIZER([text], truncation=True, max_length=longest)["input_ids"][0]
    assert 2 <= len(ids) <= longest
    assert all(0 < number < TOKENIZER.vocab_size for number in ids)
    assert (ids[0], ids[-1]) == (1, 2)


def test_every_word_of_the_vocabulary_is_one_token_of_its_own() -> None:
    numbers = [encoded(word) for word in WORDS]
    assert all(len(ids) == 3 for ids in numbers)
    assert len({ids[1] for ids in numbers}) == len(WORDS)


def test_case_and_spacing_make_no_difference_and_order_does() -> None:
    assert encoded("No  Pleural\neffusion.") == encoded("no pleural effusion .")
    assert encoded("effusion no") != encoded("no effusion")


def test_numbers_are_those_that_stored_weights_were_trained_with() -> None:
    assert encoded("No pleural effusion, qwertz") == [1, 27, 322, 406, 585, 1045, 2]


def test_unknown_words_differ_from_known_ones_and_mostly_from_each_other() -> None:
    unknown = {encoded(word)[1] for word in ("qwertz", "azerty", "colemak", "dvorak", "neo")}
    known = {encoded(word)[1] for word in WORDS}
    assert len(unknown) >= 4
    assert not unknown & known


def test_the_words_of_generated_reports_are_known_by_name() -> None:
    sentences = [
        "There is no pleural effusion, pneumothorax or focal consolidation.",
        "Findings are consistent with interstitial edema; the cardiac silhouette is enlarged.",
        "Differential diagnosis includes fluid overload, progressive in comparison.",
        "Portable film with layering effusion; attention on follow up is suggested.",
        "Endotracheal tube in situ, ptx not ruled out.",
    ]
    known = {encoded(word)[1] for word in WORDS}
    for sentence in sentences:
        assert set(encoded(sentence)[1:-1]) <= known, sentence


def test_mask_and_lists_have_one_length() -> None:
    batch = TOKENIZER(["no", "no pleural effusion"])
    assert [len(row) for row in batch["attention_mask"]] == [len(row) for row in batch["input_ids"]] == [3, 5]


def test_a_published_tokenizer_is_read_from_its_folder(minilm: str) -> None:
    tokenizer = build_tokenizer(TextEncoder(init=TextInit(uri=minilm)))
    ids = tokenizer(["No acute disease.", ""], truncation=True, max_length=5)["input_ids"]
    assert list(ids[0]) == [101, 2053, 11325, 4295, 102]
    assert list(ids[1]) == [101, 102]
    assert tokenizer.pad_token_id == 0


def test_a_folder_without_a_tokenizer_says_what_it_lacks(new_folder: Callable[[str], Path]) -> None:
    with pytest.raises(WeightsError, match=r"tokenizer\.json"):
        build_tokenizer(TextEncoder(init=TextInit(uri=new_folder("empty").as_uri())))


def test_a_tokenizer_that_cannot_be_read_is_a_clear_error(new_folder: Callable[[str], Path]) -> None:
    folder = new_folder("broken")
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(WeightsError, match="cannot be read"):
        build_tokenizer(TextEncoder(init=TextInit(uri=folder.as_uri())))
