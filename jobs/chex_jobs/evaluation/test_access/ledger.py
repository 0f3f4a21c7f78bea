"""The ledger of test openings: every time test films are read, a line says who, what and when.

A test set that is looked at many times is a second validation set. The ledger cannot forbid that; it makes it
visible: the report prints the count. An opening is recorded *before* the films are read, so a crash never
hides one.

A test set is its patients and films, told by content (``chex_jobs.data.dataset.fingerprints``): a data set that is renamed,
moved, split anew or ingested again is counted on, as far as its test patients or films are those of an earlier opening.
Openings of any test set that shares a patient or a film with this one are openings of this one.

Object stores cannot append, so each line is an object of its own, numbered by put-if-absent: two writers can never take
the same number, and none can be overwritten by the other::

    ledger/<digest of the test set>/test-set.txt          fingerprints of its films and patients
    ledger/<digest of the test set>/openings/00000001.json
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

from chex_jobs.data.dataset.fingerprints import Fingerprints
from chex_jobs.evaluation.results.results_json import dumps_line, loads
from chex_jobs.evaluation.results.schema import LedgerSummary, Opening

MAX_SHOWN = 100

_ROOT = "ledger"
_TEST_SET = "test-set.txt"


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
    hospital: str
    stage_identity: str
    attempt: str
    purpose: str
    """``evaluate`` or ``alsoOn``."""


class TestLedger:
    """All openings of test data that share a patient or a film with one test set."""

    __test__ = False

    def __init__(self, storage: LedgerStorage, test_set: Fingerprints) -> None:
        self._storage = storage
        self._test_set = test_set
        self._members = test_set.encode()
        self._folder = f"{_ROOT}/{hashlib.sha256(self._members).hexdigest()[:32]}"

    def record(self, visit: Visit, num_films: int, now: datetime) -> Opening:
        """Appends one opening of so many test films and returns it. ``now`` is timezone-aware."""
        self._storage.put_if_absent(f"{self._folder}/{_TEST_SET}", self._members)
        sequence = len(self._keys(self._folder)) + 1
        while True:
            opening = _opening(visit, num_films, sequence, now)
            if self._storage.put_if_absent(self._key(sequence), dumps_line(opening)):
                return opening
            sequence += 1  # Another attempt took the number between our listing and our write.

    def openings(self) -> tuple[Opening, ...]:
        """All openings of this test set or of one that overlaps it, oldest first and numbered in that order."""
        found = [
            (opening.opened_at, folder, opening)
            for folder in self._overlapping()
            for opening in (loads(Opening, self._storage.read_bytes(key)) for key in self._keys(folder))
        ]
        ordered = sorted(found, key=lambda each: (each[0], each[1], each[2].sequence))
        return tuple(replace(opening, sequence=number) for number, (*_, opening) in enumerate(ordered, 1))

    def _overlapping(self) -> list[str]:
        """The folders of this test set and of those that share a film or a patient with it."""
        sets = [key for key in self._storage.sizes(_ROOT) if key.endswith(f"/{_TEST_SET}")]
        folders = {key: key.rpartition("/")[0] for key in sets}
        return [
            folder
            for key, folder in folders.items()
            if folder == self._folder
            or self._test_set.overlaps(Fingerprints.decode(self._storage.read_bytes(key), key))
        ]

    def _keys(self, folder: str) -> list[str]:
        return sorted(self._storage.sizes(f"{folder}/openings"))

    def _key(self, sequence: int) -> str:
        return f"{self._folder}/openings/{sequence:08d}.json"


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
