"""Fingerprints tell films and patients by content, and nothing of who they are."""

import hashlib

import pytest

from chex_jobs.artifacts import ArtifactStore
from chex_jobs.data.dataset.fingerprints import (
    Fingerprints,
    TrainedOn,
    key_id,
    keyed_patients,
    patient_key,
)
from chex_jobs.data.errors import DatasetError

A, B, C = (hashlib.sha256(letter).hexdigest() for letter in (b"a", b"b", b"c"))


def test_a_patients_digest_cannot_be_found_by_trying_ids_without_the_key() -> None:
    (digest,) = keyed_patients(["165"], "table:s3://hospital", b"k" * 32)
    guesses = ("165", "table:s3://hospital\0" + "165", "165\n")
    assert digest not in {hashlib.sha256(guess.encode()).hexdigest() for guess in guesses}
    assert {digest} != keyed_patients(["165"], "table:s3://hospital", b"other" * 8)


def test_one_id_in_two_domains_is_two_people() -> None:
    assert not keyed_patients(["165"], "one", b"k") & keyed_patients(["165"], "two", b"k")


def test_a_store_makes_its_key_once_and_keeps_it_in_its_private_folder(tmp_path) -> None:
    first, second = (patient_key(ArtifactStore.open(tmp_path.as_uri()).storage) for _ in range(2))
    assert first == second
    assert len(first) == 32
    assert (tmp_path / "private" / "patient-key").read_bytes() == first
    assert key_id(first) not in first.hex()


def test_a_list_survives_its_journey_as_text() -> None:
    known = TrainedOn(
        Fingerprints(frozenset({A}), frozenset({B}), frozenset({C})), "1c9e", ("films of s3://weights/x",)
    )
    assert TrainedOn.decode(known.encode(), "here") == known
    assert TrainedOn().encode() == TrainedOn.decode(TrainedOn().encode(), "here").encode()


@pytest.mark.parametrize(
    "text",
    [f"{A}  images/1.png\n{B} *x.png\n", f"{A.upper()}\r\n{B}\r\n", f"\ufeff# mine\n\n\\{A}  a\\nb\n{B}"],
)
def test_the_output_of_sha256sum_is_such_a_list(text: str) -> None:
    seen = TrainedOn.decode(text.encode(), "here").seen
    assert seen.files == seen.pictures == {A, B}


def test_a_line_that_is_no_digest_is_named_by_its_number_and_not_quoted() -> None:
    with pytest.raises(DatasetError, match=r"s3://w/trained-on.txt, line 2") as caught:
        TrainedOn.decode(f"{A}\nMuster, Erika\n".encode(), "s3://w/trained-on.txt")
    assert "Erika" not in str(caught.value)


def test_films_are_shared_by_file_or_by_picture() -> None:
    one = Fingerprints(frozenset({A}), frozenset({B}))
    assert one.shared_films(Fingerprints(pictures=frozenset({A}))) == 1
    assert one.shared_films(Fingerprints(files=frozenset({B}))) == 1
    assert not one.overlaps(Fingerprints(frozenset({B}), frozenset({A})))
