"""The ledger of test openings."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from chex_jobs.evaluation.ledger import TestLedger, Visit, ledger_lines, summarise

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


def visit(attempt: str, stage: str = "a" * 64, purpose: str = "evaluate") -> Visit:
    return Visit("north", "b" * 64, "north", stage, attempt, purpose)


def test_openings_are_numbered_and_kept_in_order():
    ledger = TestLedger(MemoryStorage(), "north", "b" * 64)
    ledger.record(visit("first"), 250, NOW)
    ledger.record(visit("second"), 250, NOW + timedelta(hours=1))
    assert [(each.sequence, each.attempt) for each in ledger.openings()] == [(1, "first"), (2, "second")]


def test_two_writers_that_saw_the_same_ledger_both_get_a_line():
    storage = MemoryStorage()
    slow, fast = (TestLedger(storage, "north", "b" * 64) for _ in range(2))
    slow._keys = list  # type: ignore[method-assign]  # what it listed before the other wrote
    fast.record(visit("fast"), 250, NOW)
    assert slow.record(visit("slow"), 250, NOW).sequence == 2
    assert [each.attempt for each in fast.openings()] == ["fast", "slow"]


def test_another_split_is_another_test_set_with_its_own_ledger():
    storage = MemoryStorage()
    TestLedger(storage, "north", "b" * 64).record(visit("first"), 250, NOW)
    assert TestLedger(storage, "north", "c" * 64).openings() == ()


def test_repeats_of_an_attempt_count_as_openings_but_not_as_evaluations():
    ledger = TestLedger(MemoryStorage(), "north", "b" * 64)
    for attempt, stage in (("first", "a" * 64), ("again", "a" * 64), ("other", "d" * 64)):
        ledger.record(visit(attempt, stage), 250, NOW)
    summary = summarise(ledger.openings())
    assert (summary.count, summary.distinct_evaluations) == (3, 2)
    assert ledger_lines(summary.openings).count(b"\n") == 3


def test_times_are_written_in_utc_and_must_have_a_zone():
    ledger = TestLedger(MemoryStorage(), "north", "b" * 64)
    berlin = datetime(2026, 11, 23, 10, 0, tzinfo=timezone(timedelta(hours=1)))
    assert ledger.record(visit("first"), 250, berlin).opened_at == "2026-11-23T09:00:00Z"
    with pytest.raises(ValueError, match="time zone"):
        ledger.record(visit("first"), 250, datetime(2026, 11, 23))
