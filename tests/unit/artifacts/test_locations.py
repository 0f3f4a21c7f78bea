import pytest
from hypothesis import given
from hypothesis import strategies as st

from chex_jobs.artifacts.errors import ArtifactError, InvalidLocation
from chex_jobs.artifacts.location import Location, checked_folder, checked_key


@pytest.mark.parametrize(
    ("uri", "canonical"),
    [
        ("file:///tmp/runs/", "file:///tmp/runs"),
        ("file:///tmp/two%20words", "file:///tmp/two%20words"),
        ("file://localhost/tmp/runs", "file:///tmp/runs"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
    ],
)
def test_a_legal_uri_has_one_canonical_spelling(uri: str, canonical: str) -> None:
    location = Location.parse(uri)
    assert location.uri == canonical
    assert Location.parse(location.uri) == location


@pytest.mark.parametrize(
    ("uri", "complaint"),
    [
        ("/tmp/runs", "no storage URI"),
        ("gs://bucket/a", "no storage URI"),
        ("", "no storage URI"),
        ("file://host/tmp", "names a host"),
        ("file:///tmp/../etc", "'..' part"),
        ("file:///tmp/%2e%2e/etc", "'..' part"),
        ("s3://bucket/a/../b", "'..' part"),
        ("s3://bucket/a//b", "two slashes"),
        ("s3://Bucket/a", "bucket name"),
        ("s3:///a", "bucket name"),
        ("s3://bucket/a\nb", "control characters"),
    ],
)
def test_an_illegal_uri_is_refused_with_its_fault(uri: str, complaint: str) -> None:
    with pytest.raises(InvalidLocation, match=complaint):
        Location.parse(uri)


def test_credentials_in_a_uri_are_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidLocation) as refusal:
        Location.parse("s3://AKIA123:geheim@bucket/a")
    assert "geheim" not in str(refusal.value)


@pytest.mark.parametrize(
    "key", ["", "/a", "a/../b", "..", "./a", "a//b", "a/", "a\x00b", ".chex-staging-1", "a" * 1025]
)
def test_a_key_that_could_leave_its_root_or_clash_is_refused(key: str) -> None:
    with pytest.raises(InvalidLocation):
        checked_key(key)


@given(st.text(max_size=40))
def test_a_key_that_is_accepted_stays_below_its_root(key: str) -> None:
    try:
        checked_key(key)
    except ArtifactError:
        return
    root = Location.parse("file:///root/of/all")
    assert root.directory in (root.directory / key).parents
    assert ".." not in key.split("/")


def test_a_folder_may_end_in_a_slash_or_be_the_root() -> None:
    assert checked_folder("") == ""
    assert checked_folder("a/b") == checked_folder("a/b/") == "a/b/"
