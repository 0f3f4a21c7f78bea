"""Batches: what is in them, and that nothing but their address decides it."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from chex_api.pretraining import Augmentation
from chex_jobs.data.loading.augmentation import augment, standard_view
from chex_jobs.data.loading.batch_source import Batch, BatchSource, LoadingError, evaluation_batches
from chex_jobs.data.loading.order import Position
from chex_jobs.data.loading.prefetch import Prefetcher
from chex_jobs.data.reports.report_texts import ReportTexts
from chex_jobs.data.reports.tokens import TokenizedTexts

SIZE = 16
AUGMENTATION = Augmentation()


class FewFilms:
    """Forty films of ten patients, two films in a study, two studies each."""

    def __init__(self) -> None:
        self._films = np.random.default_rng(0).integers(0, 256, (40, 24, 20), dtype=np.uint8)
        self._films.setflags(write=False)
        self.studies = np.arange(40) // 2
        self.patients = np.arange(40) // 4
        self.broken: int | None = None

    def __len__(self) -> int:
        return len(self._films)

    def film(self, i: int) -> np.ndarray:
        if i == self.broken:
            raise OSError("the shard ends early")
        return self._films[i]

    def labels(self, task: str) -> np.ndarray:
        labels = np.arange(40, dtype=np.float32) % (2 if task == "even" else 3)
        labels[7] = np.nan
        return labels


class WordLengths:
    """A tokenizer whose tokens are the lengths of words, between 1 and 2. It notices calls from two threads at once."""

    pad_token_id = 0

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._busy = threading.Lock()

    def __call__(self, text: list[str], *, truncation: bool, max_length: int) -> dict[str, list[list[int]]]:
        assert truncation
        assert self._busy.acquire(blocking=False), "Already borrowed"
        time.sleep(0.001)
        self.seen.extend(text)
        ids = [[1, *(len(word) + 2 for word in one.split()), 2][:max_length] for one in text]
        self._busy.release()
        return {"input_ids": ids}


SENTENCES = ["The lungs are clear.", "Heart is big.", "No effusion is seen here.", "The spine is bent."]


def tokenized(tokenizer: WordLengths | None = None) -> TokenizedTexts:
    reports = [None if i % 5 == 0 else " ".join((SENTENCES * 2)[i % 4 : i % 4 + 3]) for i in range(40)]
    return TokenizedTexts(ReportTexts(reports), tokenizer or WordLengths(), 16)


def source(films: FewFilms | None = None, **arguments: Any) -> BatchSource:
    given: dict[str, Any] = {
        "size": SIZE, "global_batch_size": 8, "seed": 0, "augmentation": AUGMENTATION, "threads": 2, **arguments,
    }  # fmt: skip
    films = films or FewFilms()
    return BatchSource(films, given.pop("ordinals", np.arange(len(films))), **given)


def epoch(number: int = 0, first_step: int = 0, **arguments: Any) -> list[Batch]:
    with source(**arguments) as batches:
        return list(batches.epoch(number, first_step))


def equal(one: Batch, other: Batch) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(one[k].nan_to_num(-9), other[k].nan_to_num(-9)) for k in one
    )


FULL: dict[str, Any] = {"views": 2, "tasks": ("even", "third")}


def test_a_batch_holds_what_was_asked_for_in_its_shapes() -> None:
    batch = epoch(texts=tokenized(), **FULL)[0]
    length = batch["input_ids"].shape[1]
    assert {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in batch.items()} == {
        "images": ((8, 2, SIZE, SIZE), torch.uint8),
        "ordinals": ((8,), torch.int64),
        "labels": ((8, 2), torch.float32),
        "input_ids": ((8, length), torch.int64),
        "attention_mask": ((8, length), torch.int64),
        "text_group": ((8,), torch.int64),
        "study_text_groups": ((8, 3), torch.int64),
    }
    assert set(epoch()[0]) == {"images", "ordinals"}


def test_a_film_comes_with_the_groups_of_all_texts_of_its_study() -> None:
    """Two films of one study, each with a report of its own: what either says is true of both."""
    reports = [f"Number {i} alone. Something that both say." for i in range(40)]
    texts = ReportTexts(reports, studies=FewFilms().studies)
    for batch in epoch(texts=TokenizedTexts(texts, WordLengths(), 16)):
        for row, ordinal in enumerate(batch["ordinals"].tolist()):
            twin = ordinal ^ 1
            said = {int(texts.groups[n]) for film in (ordinal, twin) for n in texts._offered[film]}
            assert set(batch["study_text_groups"][row].tolist()) - {-1} == said
            assert int(batch["text_group"][row]) in said


def test_every_view_is_that_of_its_film_epoch_and_number() -> None:
    films = FewFilms()
    for batch in epoch(number=2, seed=5, **FULL):
        for row, ordinal in enumerate(batch["ordinals"].tolist()):
            for view in range(2):
                expected = augment(films.film(ordinal), SIZE, AUGMENTATION, (5, 2, ordinal, view))
                assert np.array_equal(batch["images"][row, view].numpy(), expected)


def test_labels_follow_their_films_and_unknown_stays_unknown() -> None:
    films = FewFilms()
    for batch in epoch(**FULL):
        expected = np.stack([films.labels("even"), films.labels("third")], axis=1)[batch["ordinals"].numpy()]
        assert np.array_equal(batch["labels"].numpy(), expected, equal_nan=True)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_changes_nothing(threads: int) -> None:
    one, other = (
        epoch(texts=tokenized(), **FULL),
        epoch(texts=tokenized(), threads=threads, batches_ahead=7, **FULL),
    )
    assert len(one) == len(other) == 4
    assert all(map(equal, one, other))


@pytest.mark.parametrize("world_size", [2, 4])
def test_the_ranks_together_hold_the_batch_of_one_rank(world_size: int) -> None:
    whole = epoch(texts=tokenized(), **FULL)
    parts = [epoch(texts=tokenized(), rank=rank, world_size=world_size, **FULL) for rank in range(world_size)]
    for batch, *of_ranks in zip(whole, *parts, strict=True):
        assert equal(batch, {name: torch.cat([part[name] for part in of_ranks]) for name in batch})


def test_a_run_resumed_amid_an_epoch_sees_the_batches_it_would_have_seen() -> None:
    undisturbed = [*epoch(0, **FULL), *epoch(1, **FULL)]
    with source(**FULL) as first:
        taken = [batch for _, batch in zip(range(3), first.epoch(0), strict=False)]
        position = first.position
    assert position == Position(0, 3)
    resumed = [*taken, *epoch(position.epoch, position.step, **FULL), *epoch(1, **FULL)]
    assert all(map(equal, undisturbed, resumed))


def test_an_epoch_is_as_many_passes_as_its_least_number_of_steps_takes() -> None:
    """Five steps a pass: an epoch of at least seven is two passes, and no pass varies a film as another did."""
    with source(min_steps_per_epoch=7) as batches:
        assert batches.steps_per_epoch == 10
        twice = [*batches.epoch(0), *batches.epoch(1)]
    once = [batch for number in range(4) for batch in epoch(number)]
    assert all(equal(one, other) for one, other in zip(twice, once, strict=True))


def test_a_run_resumed_amid_a_later_pass_sees_the_batches_it_would_have_seen() -> None:
    whole, rest = epoch(1, min_steps_per_epoch=7), epoch(1, 6, min_steps_per_epoch=7)
    assert all(equal(one, other) for one, other in zip(whole[6:], rest, strict=True))


@pytest.mark.parametrize("least", [0, 1, 5])
def test_an_epoch_that_is_long_enough_is_one_pass(least: int) -> None:
    assert all(map(equal, epoch(3, min_steps_per_epoch=least), epoch(3)))


def test_the_position_after_the_last_batch_is_the_next_epoch() -> None:
    with source() as batches:
        positions = [batches.position for _ in batches.epoch(4)]
    assert positions == [Position(4, 1), Position(4, 2), Position(4, 3), Position(4, 4), Position(5, 0)]


@pytest.mark.parametrize(("unit", "films_per_unit"), [("Study", 2), ("Patient", 4)])
def test_one_film_of_each_unit_takes_part_in_an_epoch(unit: str, films_per_unit: int) -> None:
    films = torch.cat([batch["ordinals"] for batch in epoch(unit=unit, global_batch_size=5)])
    assert sorted((films // films_per_unit).tolist()) == list(range(40 // films_per_unit))


def test_films_without_text_are_left_out_where_texts_are_asked_for() -> None:
    batches = epoch(texts=tokenized(), global_batch_size=4)
    films = torch.cat([batch["ordinals"] for batch in batches])
    assert len(films) == 32
    assert (films % 5 != 0).all()


def test_only_the_ordinals_given_take_part() -> None:
    chosen = np.array([3, 9, 30, 11, 12])
    films = torch.cat([batch["ordinals"] for batch in epoch(ordinals=chosen, global_batch_size=5)])
    assert set(films.tolist()) == set(chosen.tolist())


def test_equal_groups_are_equal_texts() -> None:
    for batch in epoch(texts=tokenized(), global_batch_size=16):
        texts = [tuple(ids.tolist()) for ids in batch["input_ids"]]
        groups = batch["text_group"].tolist()
        assert len(set(zip(texts, groups, strict=True))) == len(set(groups))
        assert (batch["attention_mask"] == (batch["input_ids"] != 0)).all()


def test_each_distinct_text_is_tokenised_once_over_all_epochs_and_threads() -> None:
    tokenizer = WordLengths()
    with source(texts=tokenized(tokenizer), threads=4) as batches:
        for number in range(5):
            list(batches.epoch(number))
    assert sorted(tokenizer.seen) == sorted(SENTENCES)


def test_long_texts_are_cut_to_the_longest_allowed() -> None:
    texts = TokenizedTexts(ReportTexts(["word " * 50] * 40), WordLengths(), 13)
    assert epoch(texts=texts)[0]["input_ids"].shape[1] == 13


def test_a_film_that_fails_is_named_by_its_number_and_nothing_else() -> None:
    films = FewFilms()
    films.broken = 17
    with (
        source(films) as batches,
        pytest.raises(LoadingError, match=r"epoch 3, step \d: film 17 .*ends early"),
    ):
        list(batches.epoch(3))


def test_batches_before_the_one_that_fails_still_come() -> None:
    good = epoch()
    films = FewFilms()
    films.broken = int(good[2]["ordinals"][0])
    with source(films) as batches:
        coming = batches.epoch(0)
        assert all(map(equal, good[:2], [next(coming), next(coming)]))
        with pytest.raises(LoadingError):
            next(coming)


def test_ranks_that_do_not_divide_the_batch_are_refused() -> None:
    with pytest.raises(ValueError, match="3 ranks do not divide a global batch of 8 films"):
        source(world_size=3)


def test_no_film_is_refused() -> None:
    with pytest.raises(ValueError, match="no film"):
        source(ordinals=np.array([], dtype=np.int64))


def test_closing_ends_every_thread() -> None:
    before = threading.active_count()
    with source(threads=3) as batches:
        next(batches.epoch(0))
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_evaluation_shows_every_film_in_order_in_its_standard_view() -> None:
    films = FewFilms()
    chosen = np.array([5, 2, 39, 2, 0, 8, 21])
    batches = list(evaluation_batches(films, chosen, size=SIZE, batch_size=3, threads=2))
    assert [len(batch["ordinals"]) for batch in batches] == [3, 3, 1]
    assert torch.cat([batch["ordinals"] for batch in batches]).tolist() == chosen.tolist()
    images = torch.cat([batch["images"] for batch in batches])
    assert all(
        np.array_equal(image[0], standard_view(films.film(i), SIZE))
        for image, i in zip(images, chosen, strict=True)
    )


def test_evaluation_of_no_film_gives_no_batch() -> None:
    assert list(evaluation_batches(FewFilms(), np.array([], dtype=int), size=SIZE, batch_size=3)) == []


def test_evaluation_that_is_broken_off_leaves_no_thread() -> None:
    before = threading.active_count()
    batches = evaluation_batches(FewFilms(), np.arange(40), size=SIZE, batch_size=2, threads=3)
    next(batches)
    batches.close()
    assert threading.active_count() == before


def prefetched(
    make: Callable[[int], int], stop: int, *, ahead: int = 2, threads: int = 2
) -> tuple[Prefetcher[int], list[int]]:
    prefetcher: Prefetcher[int] = Prefetcher(threads=threads, ahead=ahead)
    try:
        return prefetcher, list(prefetcher.items(make, 0, stop))
    finally:
        prefetcher.close()


def test_no_more_items_are_made_ahead_than_allowed() -> None:
    started: list[int] = []
    prefetcher: Prefetcher[int] = Prefetcher(threads=4, ahead=3)
    items = prefetcher.items(lambda i: started.append(i) or i, 0, 100)
    for _ in range(10):
        next(items)
    items.close()
    prefetcher.close()
    assert max(started) <= 9 + 3


def test_items_come_in_order_whoever_is_ready_first() -> None:
    release = threading.Event()

    def make(i: int) -> int:
        if i == 0:
            release.wait(5)
        if i == 1:
            release.set()
        return i

    assert prefetched(make, 10)[1] == list(range(10))


def test_waiting_for_data_is_measured() -> None:
    barrier = threading.Event()

    def make(i: int) -> int:
        barrier.wait(0.05)
        return i

    prefetcher, _ = prefetched(make, 1)
    assert prefetcher.wait_seconds == prefetcher.total_wait_seconds >= 0.04
