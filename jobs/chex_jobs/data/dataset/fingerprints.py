"""What tells films and patients from others without telling who they are, whatever a data set is called or where it lies.

Films are told by content: the SHA-256 of the file, which outlasts another stored size, and of the stored picture, which
outlasts another file format. Patients are told by a digest of domain and id under a secret key (HMAC-SHA-256). Ids are few
enough to be tried out one by one, so a plain hash of one is the id itself; the key lies in the artifacts' private folder,
beside the ids, so that whoever can undo the digests could read the ids anyway.

    picture 9f2c…    a stored picture          file 03ab…    a film's file
    patient 77d1…    a patient, keyed          key 1c9e…     which key that is
    unknown s3://…   weights of which nobody said what they were trained on
    03ab…  x.png     also a film: lines of `sha256sum`       # a remark
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from chex_jobs.artifacts.errors import ObjectNotFound
from chex_jobs.data.errors import DatasetError

KEY = "private/patient-key"
"""The key of an artifact store, below its root; 32 random bytes, made by whoever needs it first."""

_WORDS = ("picture", "file", "patient")
_LINE = re.compile(r"(?:(picture|file|patient) )?([0-9a-f]{64})(?:\s.*)?")


class KeyStorage(Protocol):
    """What is needed of `chex_jobs.artifacts.Storage` to keep a key."""

    def read_bytes(self, key: str) -> bytes:
        """The whole object. Raises `ObjectNotFound`."""
        ...

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """True if these bytes were stored, False if the key was taken."""
        ...


class FilmContents(Protocol):
    """What is needed of `chex_jobs.data.dataset.chest_xray_dataset.ChestXrayDataset`."""

    patients: npt.NDArray[np.int32]

    @property
    def film_sha256(self) -> npt.NDArray[np.str_]:
        """Digest of the pixels of each film, [N]."""
        ...

    @property
    def file_sha256(self) -> npt.NDArray[np.str_]:
        """Digest of the file of each film, [N]."""
        ...

    def patient_ids(self) -> list[str]:
        """The id of each patient by number, in its normal form."""
        ...


@dataclass(frozen=True)
class Fingerprints:
    """Some films and their patients.

    Attributes:
        pictures: SHA-256 of size and pixels of stored pictures, as hex digits.
        files: SHA-256 of the films' files.
        patients: digests of patients under the key of one artifact store.
    """

    pictures: frozenset[str] = frozenset()
    files: frozenset[str] = frozenset()
    patients: frozenset[str] = frozenset()

    def __or__(self, other: "Fingerprints") -> "Fingerprints":
        return Fingerprints(
            self.pictures | other.pictures, self.files | other.files, self.patients | other.patients
        )

    def shared_films(self, other: "Fingerprints") -> int:
        """The number of films that both are certain to hold; there may be more."""
        return max(len(self.pictures & other.pictures), len(self.files & other.files))

    def shared_patients(self, other: "Fingerprints") -> int:
        """The number of patients that both hold, as far as one key tells."""
        return len(self.patients & other.patients)

    def overlaps(self, other: "Fingerprints") -> bool:
        """Whether any film or patient is in both."""
        return bool(self.shared_films(other) or self.shared_patients(other))

    def encode(self) -> bytes:
        """As text, a line for each; equal sets give equal bytes."""
        return "".join(f"{line}\n" for line in self._lines()).encode()

    @classmethod
    def decode(cls, content: bytes, where: str) -> "Fingerprints":
        """Read what `encode` wrote. Raises `DatasetError`; `where` is named in it."""
        return TrainedOn.decode(content, where).seen

    def _lines(self) -> Iterator[str]:
        for word, digests in zip(_WORDS, (self.pictures, self.files, self.patients), strict=True):
            yield from (f"{word} {digest}" for digest in sorted(digests))


@dataclass(frozen=True)
class TrainedOn:
    """What weights were trained on, as far as it is known.

    Attributes:
        seen: the films and patients that were listed.
        key: `key_id` of the key that the patients' digests were made with; empty if none are listed.
        unknown: weights among their forebears of which nobody said what they were trained on.
    """

    seen: Fingerprints = Fingerprints()
    key: str = ""
    unknown: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """As text; see the head of this module."""
        head = ["# Films and patients that these weights were trained on, by their digests."]
        head += [f"key {self.key}"] if self.key else []
        head += [f"unknown {' '.join(where.split())}" for where in self.unknown]
        return "".join(f"{line}\n" for line in head).encode() + self.seen.encode()

    @classmethod
    def decode(cls, content: bytes, where: str) -> "TrainedOn":
        """Read `encode`'s text, or the output of `sha256sum` over films.

        Raises:
            DatasetError: a line is none of the kinds above; `where` and the line's number are named in it.
        """
        digests: dict[str, set[str]] = {word: set() for word in _WORDS}
        key, unknown = "", list[str]()
        for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
            text = line.strip().removeprefix("\ufeff").removeprefix("\\")
            word, _, rest = text.partition(" ")
            if not text or text.startswith("#"):
                continue
            if word == "key":
                key = rest
            elif word == "unknown":
                unknown.append(rest)
            elif match := _LINE.fullmatch(text if word in _WORDS else word.lower()):
                for kind in [match[1]] if match[1] else ["picture", "file"]:
                    digests[kind].add(match[2])
            else:
                raise DatasetError(
                    f"{where}, line {number}: is no SHA-256 of a film; write one of 64 hex digits on each line, as `sha256sum` does"
                )
        seen = Fingerprints(*(frozenset(digests[word]) for word in _WORDS))
        return cls(seen, key, tuple(unknown))


def patient_key(storage: KeyStorage) -> bytes:
    """The secret key of an artifact store, made if there is none. Raises `ArtifactError`."""
    try:
        return storage.read_bytes(KEY)
    except ObjectNotFound:
        storage.put_if_absent(KEY, secrets.token_bytes(32))
        return storage.read_bytes(KEY)


def key_id(key: bytes) -> str:
    """What tells one key from another and gives nothing of it away."""
    return hashlib.sha256(b"chexdragon.dev/patient-key\0" + key).hexdigest()[:16]


def keyed_patients(ids: Iterable[str], domain: str, key: bytes) -> frozenset[str]:
    """Digests of patients, by ids in their normal form inside a patient domain."""
    return frozenset(hmac.new(key, f"{domain}\0{each}".encode(), hashlib.sha256).hexdigest() for each in ids)


def fingerprints(
    data: FilmContents, ordinals: npt.NDArray[np.int64], domain: str, key: bytes
) -> Fingerprints:
    """The fingerprints of some films of a data set and of their patients. Raises `ArtifactError`."""
    ids = data.patient_ids()
    patients = [ids[number] for number in np.unique(data.patients[ordinals])]
    return Fingerprints(
        frozenset(data.film_sha256[ordinals].tolist()),
        frozenset(data.file_sha256[ordinals].tolist()),
        keyed_patients(patients, domain, key),
    )
