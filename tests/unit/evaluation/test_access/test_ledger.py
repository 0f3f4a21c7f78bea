"""The ledger of test openings."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from chex_jobs.data.dataset.fingerprints import Fingerprints
from chex_jobs.evaluation.test_access.ledger import TestLedger, Visit, ledger_lines, summarise

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


class MemoryStorage:
    """The three calls that the ledger uses."""

    def __init__(self):
        self.objects: dict[str, bytes] = {}

    def read_bytes(self, key: str) -> bytes:
        return self.objects[key]

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self.objects.setdefault(key, data) is data

    def sizes(self, folder: str = "") -> dict[str, int]:
        return {key: len(data) for key, data in self.objects.items() if key.startswith(folder + "/")}


def digest(word: str) -> str:
    return word.encode().hex().ljust(64, "0")


def films(*names: str, patients: tuple[str, ...] = ()) -> Fingerprints:
    digests = frozenset(map(digest, names))
    return Fingerprints(digests, digests, frozenset(map(digest, patients)))


NORTH = films("1", "2", "3")


def visit(attempt: str, stage: str = "a" * 64, purpose: str = "evaluate", dataset: str = "north") -> Visit:
    return Visit(dataset, "north", stage, attempt, purpose)


def test_openings_are_numbered_and_kept_in_order():
    ledger = TestLedger(MemoryStorage(), NORTH)
    ledger.record(visit("first"), 250, NOW)
    ledger.record(visit("second"), 250, NOW + timedelta(hours=1))
    assert [(each.sequence, each.attempt) for each in ledger.openings()] == [(1, "first"), (2, "second")]


def test_two_writers_that_saw_the_same_ledger_both_get_a_line():
    storage = MemoryStorage()
    slow, fast = (TestLedger(storage, NORTH) for _ in range(2))
    slow._keys = lambda _: []  # type: ignore[method-assign]  # what it listed before the other wrote
    fast.record(visit("fast"), 250, NOW)
    assert slow.record(visit("slow"), 250, NOW).sequence == 2
    assert [each.attempt for each in fast.openings()] == ["fast", "slow"]


@pytest.mark.parametrize(
    ("later", "why"),
    [
        (films("1", "2", "3"), "renamed, the same films"),
        (films("3", "4", "5"), "split anew: one film is in both test sets"),
        (Fingerprints(files=frozenset({digest("2")})), "stored in another size: only the files are the same"),
        (
            Fingerprints(pictures=frozenset({digest("2")})),
            "saved in another format: only the pictures are the same",
        ),
        (films("7", "8", patients=("p",)), "other films of one of its patients"),
    ],
)
def test_openings_of_test_sets_that_overlap_are_counted_together(later, why):
    storage = MemoryStorage()
    earlier = films("1", "2", "3", patients=("p", "q"))
    TestLedger(storage, earlier).record(visit("first", "a" * 64), 250, NOW)
    ledger = TestLedger(storage, later)
    ledger.record(visit("second", "d" * 64, dataset="renamed"), 250, NOW + timedelta(hours=1))
    found = ledger.openings()
    assert [(each.sequence, each.attempt) for each in found] == [(1, "first"), (2, "second")], why
    assert summarise(found).distinct_evaluations == 2
    assert len(TestLedger(storage, earlier).openings()) == 2


def test_test_sets_that_share_nobody_are_not_counted_together_whatever_they_are_called():
    storage = MemoryStorage()
    TestLedger(storage, films("1", patients=("p",))).record(visit("first"), 250, NOW)
    ledger = TestLedger(storage, films("2", patients=("q",)))
    ledger.record(visit("second"), 250, NOW)
    assert [each.attempt for each in ledger.openings()] == ["second"]


def test_what_two_test_sets_share_with_a_third_is_counted_for_each_of_them_alone():
    storage = MemoryStorage()
    for attempt, test_set in (("a", films("1", "2")), ("b", films("2", "3")), ("c", films("3", "4"))):
        TestLedger(storage, test_set).record(visit(attempt), 2, NOW)
    assert {each.attempt for each in TestLedger(storage, films("3", "4")).openings()} == {"b", "c"}
    assert {each.attempt for each in TestLedger(storage, films("2", "3")).openings()} == {"a", "b", "c"}


def test_repeats_of_an_attempt_count_as_openings_but_not_as_evaluations():
    ledger = TestLedger(MemoryStorage(), NORTH)
    for attempt, stage in (("first", "a" * 64), ("again", "a" * 64), ("other", "d" * 64)):
        ledger.record(visit(attempt, stage), 250, NOW)
    summary = summarise(ledger.openings())
    assert (summary.count, summary.distinct_evaluations) == (3, 2)
    assert ledger_lines(summary.openings).count(b"\n") == 3


def test_times_are_written_in_utc_and_must_have_a_zone():
    ledger = TestLedger(MemoryStorage(), NORTH)
    berlin = datetime(2026, 11, 23, 10, 0, tzinfo=timezone(timedelta(hours=1)))
    assert ledger.record(visit("first"), 250, berlin).opened_at == "2026-11-23T09:00:00Z"
    with pytest.raises(ValueError, match="time zone"):
        ledger.record(visit("first"), 250, datetime(2026, 11, 23))
