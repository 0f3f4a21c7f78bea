import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chex_jobs.artifacts.errors import ArtifactError, CorruptArtifact
from chex_jobs.artifacts.sealed_json import json_bytes, seal, unseal

plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
documents = st.dictionaries(st.text(max_size=5).filter(lambda key: key != "digest"), plain_json, max_size=4)


@given(documents)
def test_what_was_sealed_is_read_back(document: dict[str, object]) -> None:
    assert unseal(seal(document), "uri") == json.loads(json.dumps(document))


@given(documents, st.data())
def test_a_truncated_document_is_never_taken_for_a_sound_one(
    document: dict[str, object], data: st.DataObject
) -> None:
    sealed = seal(document)
    cut = data.draw(st.integers(0, len(sealed.rstrip()) - 1))
    with pytest.raises(CorruptArtifact, match="uri"):
        unseal(sealed[:cut], "uri")


def test_an_edited_document_is_told_from_a_sound_one() -> None:
    edited = seal({"auroc": 0.81}).replace(b"0.81", b"0.91")
    with pytest.raises(CorruptArtifact, match="does not match its own digest"):
        unseal(edited, "s3://bucket/manifest.json")


def test_numbers_as_keys_are_sealed_as_the_strings_they_become() -> None:
    assert unseal(seal({"fold": {10: 1, 9: 2}}), "uri") == {"fold": {"9": 2, "10": 1}}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), b"bytes"])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ArtifactError, match="cannot be written as JSON"):
        json_bytes({"loss": value})
