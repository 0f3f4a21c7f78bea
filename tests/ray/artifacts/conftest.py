"""Artifacts over real storage: the S3 servers, and short names for a piece of work."""

import pytest

from chex_jobs.artifacts import Artifact, ArtifactStore
from tests.s3.fixtures import faulty_s3, moto_server, s3_uri, storage_uri, versitygw_server

__all__ = ["faulty_s3", "moto_server", "s3_uri", "storage_uri", "versitygw_server"]

IDENTITY = "0123456789ab" + "c" * 52


@pytest.fixture
def artifact(storage_uri: str) -> Artifact:
    """A stage that nobody has begun."""
    return ArtifactStore.open(storage_uri).stage("pretrain", "ssl", IDENTITY)
