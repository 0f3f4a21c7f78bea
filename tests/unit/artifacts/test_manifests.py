from dataclasses import replace

import pytest

from chex_jobs.artifacts.errors import CorruptArtifact, IdentityMismatch
from chex_jobs.artifacts.manifest import MANIFEST_SCHEMA, Manifest, record_of
from chex_jobs.artifacts.sealed_json import seal, unseal

URI = "s3://bucket/stages/x/manifest.json"
MANIFEST = Manifest(
    schema=MANIFEST_SCHEMA,
    kind="pretrain",
    name="ssl",
    identity="ab" * 32,
    attempt="uid-1",
    committed_at="2026-11-23T08:00:00+00:00",
    parents={"ingest/archive": "cd" * 32},
    files=(record_of("weights.safetensors", "uid-1", b"weights"),),
    summary={"loss": 0.5},
    environment={"torch": "2.15.0"},
)


def test_a_manifest_is_read_back_as_it_was_written() -> None:
    assert Manifest.decode(MANIFEST.encode(), URI) == MANIFEST


def test_a_member_of_a_later_version_does_not_stop_this_one() -> None:
    later = unseal(MANIFEST.encode(), URI) | {"signedBy": "a later version"}
    assert Manifest.decode(seal(later), URI) == MANIFEST


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema": "chexdragon.dev/artifact-manifest/v2"}, "schema"),
        ({"identity": "short"}, "identity"),
        ({"files": [{"path": "../x", "attempt": "a", "size": 1, "sha256": "0" * 64}]}, "'..' part"),
        ({"files": [{"path": "x", "attempt": "../a", "size": 1, "sha256": "0" * 64}]}, "attempt"),
        ({"files": [{"path": "x", "attempt": "a", "size": -1, "sha256": "0" * 64}]}, "size"),
        ({"files": [{"path": "x", "attempt": "a", "size": 1, "sha256": "0" * 64}] * 2}, "lists a file twice"),
        ({"summary": None}, "summary"),
    ],
)
def test_a_sealed_manifest_of_the_wrong_shape_is_refused_with_its_fault(
    change: dict[str, object], complaint: str
) -> None:
    with pytest.raises(CorruptArtifact, match=complaint) as refusal:
        Manifest.decode(seal(unseal(MANIFEST.encode(), URI) | change), URI)
    assert URI in str(refusal.value)


@pytest.mark.parametrize("member", ["identity", "kind", "name"])
def test_a_manifest_of_other_work_is_refused(member: str) -> None:
    wanted = {"identity": MANIFEST.identity, "kind": MANIFEST.kind, "name": MANIFEST.name}
    MANIFEST.check_is(**wanted, uri=URI)
    other = replace(MANIFEST, **{member: "ee" * 32})
    with pytest.raises(IdentityMismatch, match=member):
        other.check_is(**wanted, uri=URI)
