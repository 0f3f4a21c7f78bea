import hashlib
import os
from pathlib import Path

import pytest

from chex_jobs.artifacts.errors import CorruptArtifact
from chex_jobs.artifacts.hashing import check_bytes, check_file, sha256_of

URI = "s3://bucket/weights"
SHA256 = hashlib.sha256(b"weights").hexdigest()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    (tmp_path / "weights").write_bytes(b"weights")
    return tmp_path / "weights"


def test_promised_content_passes(weights: Path) -> None:
    check_bytes(b"weights", 7, SHA256, URI)
    check_file(weights, 7, SHA256, URI)


def test_a_file_that_changes_after_it_was_checked_is_checked_again(weights: Path) -> None:
    check_file(weights, 7, SHA256, URI)
    weights.write_bytes(b"Weights")
    os.utime(weights, (1, 1))
    with pytest.raises(CorruptArtifact, match=f"{URI} has SHA-256 {sha256_of(b'Weights')[:12]}"):
        check_file(weights, 7, SHA256, URI)


def test_a_file_that_did_not_change_is_read_once(weights: Path) -> None:
    """Shards are asked for by every epoch; reading a gigabyte each time would be felt."""
    check_file(weights, 7, SHA256, URI)
    status = weights.stat()
    weights.write_bytes(b"Weights")
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    check_file(weights, 7, SHA256, URI)


def test_a_shortened_file_is_told_by_its_size(weights: Path) -> None:
    with pytest.raises(CorruptArtifact, match="has 7 bytes where 8 were committed"):
        check_file(weights, 8, SHA256, URI)
    with pytest.raises(CorruptArtifact, match="has 3 bytes where 7 were committed"):
        check_bytes(b"wei", 7, SHA256, URI)
