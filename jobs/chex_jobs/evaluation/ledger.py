"""The ledger of test openings: every time test films are read, a line says who, what and when.

A test set that is looked at many times is a second validation set. The ledger cannot forbid that; it makes it
visible: the report prints the count. An opening is recorded *before* the films are read, so a crash never
hides one.

Object stores cannot append, so each line is an object of its own under ``ledger/<dataset>/``, numbered by
put-if-absent: two writers can never take the same number, and none can be overwritten by the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from chex_jobs.evaluation.results import LedgerSummary, Opening
from chex_jobs.evaluation.results_json import dumps_line, loads

MAX_SHOWN = 100


class LedgerStorage(Protocol):
    """What the ledger needs of ``chex_jobs.artifacts.Storage``."""

    def read_bytes(self, key: str) -> bytes:
        """The whole object."""
        ...

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """True if these bytes were stored, False if the key was taken."""
        ...

    def sizes(self, folder: str = "") -> dict[str, int]:
        """Keys below a folder and their sizes."""
        ...


@dataclass(frozen=True)
class Visit:
    """Who opens which test data for what."""

    dataset: str
    dataset_identity: str
    """Identity of the ingest stage: another split is another test set."""
    hospital: str
    stage_identity: str
    attempt: str
    purpose: str
    """``evaluate`` or ``alsoOn``."""


class TestLedger:
    """All openings of the test data of one ingested data set."""

    __test__ = False

    def __init__(self, storage: LedgerStorage, dataset: str, dataset_identity: str) -> None:
        self._storage = storage
        self._folder = f"ledger/{dataset}-{dataset_identity[:12]}"

    def record(self, visit: Visit, num_films: int, now: datetime) -> Opening:
        """Appends one opening of so many test films and returns it. ``now`` is timezone-aware."""
        sequence = len(self._keys()) + 1
        while True:
            opening = _opening(visit, num_films, sequence, now)
            if self._storage.put_if_absent(self._key(sequence), dumps_line(opening)):
                return opening
            sequence += 1  # Another attempt took the number between our listing and our write.

    def openings(self) -> tuple[Opening, ...]:
        """All openings, oldest first."""
        return tuple(loads(Opening, self._storage.read_bytes(key)) for key in self._keys())

    def _keys(self) -> list[str]:
        return sorted(self._storage.sizes(self._folder))

    def _key(self, sequence: int) -> str:
        return f"{self._folder}/{sequence:08d}.json"


def summarise(openings: Iterable[Opening]) -> LedgerSummary:
    """What the report prints of the openings of one test set."""
    ordered = tuple(sorted(openings, key=lambda each: each.sequence))
    return LedgerSummary(
        count=len(ordered),
        distinct_evaluations=len({(each.stage_identity, each.purpose) for each in ordered}),
        openings=ordered[-MAX_SHOWN:],
    )


def ledger_lines(openings: Iterable[Opening]) -> bytes:
    """``ledger.jsonl``: one opening a line, as kept beside the metrics."""
    return b"".join(dumps_line(each) for each in openings)


def _opening(visit: Visit, num_films: int, sequence: int, now: datetime) -> Opening:
    if now.tzinfo is None:
        raise ValueError("the time of an opening needs a time zone")
    return Opening(
        sequence=sequence,
        opened_at=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        dataset=visit.dataset,
        hospital=visit.hospital,
        stage_identity=visit.stage_identity,
        attempt=visit.attempt,
        purpose=visit.purpose,
        units=num_films,
    )
