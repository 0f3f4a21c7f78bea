"""JSON documents that carry the SHA-256 of their own content: a truncated or edited one shows."""

import json
from typing import Any

from chex_jobs.artifacts.errors import ArtifactError, CorruptArtifact
from chex_jobs.artifacts.hashing import sha256_of

DIGEST = "digest"
"""The member that seals: SHA-256 of the canonical JSON of all others."""


def seal(plain: dict[str, Any]) -> bytes:
    """Indented, sorted JSON with its digest. Raises `ArtifactError` for what JSON cannot hold, as NaN."""
    assert DIGEST not in plain
    as_read = json.loads(json_bytes(plain))  # keys that were numbers are strings now, and sort as such
    return json_bytes(as_read | {DIGEST: _digest_of(as_read)})


def unseal(data: bytes, uri: str) -> dict[str, Any]:
    """The document without its digest. Raises `CorruptArtifact`; `uri` is for the message."""
    try:
        plain = json.loads(data)
    except ValueError as error:
        raise CorruptArtifact(f"{uri} is not JSON ({error}): it was truncated or replaced") from error
    if not isinstance(plain, dict) or DIGEST not in plain:
        raise CorruptArtifact(f"{uri} has no member {DIGEST!r}: it was not written by chex, or replaced")
    promised = plain.pop(DIGEST)
    if promised != _digest_of(plain):
        raise CorruptArtifact(
            f"{uri} does not match its own digest: it was edited or damaged after it was written. "
            "Put the original back, or move the file away to have its work done again"
        )
    return plain


def json_bytes(plain: object) -> bytes:
    """Readable JSON with sorted keys: equal values give equal bytes.

    Raises `ArtifactError` for NaN, infinity and foreign types.
    """
    try:
        return (
            json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
        ).encode()
    except (TypeError, ValueError) as error:
        raise ArtifactError(
            f"cannot be written as JSON: {error}; give plain lists, dicts, strings, finite numbers"
        ) from error


def _digest_of(plain: dict[str, Any]) -> str:
    return sha256_of(json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())
