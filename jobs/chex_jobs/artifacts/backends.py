"""The storage that serves a URI."""

from chex_jobs.artifacts.file_storage import FileStorage
from chex_jobs.artifacts.location import Location
from chex_jobs.artifacts.s3_storage import S3Storage
from chex_jobs.artifacts.storage import Storage


def open_storage(uri: str) -> Storage:
    """Open `file:///directory` or `s3://bucket/prefix`, for artifacts, sources and weights alike.

    Nothing is contacted yet; boto3 is imported only at the first request to an S3 URI. Raises
    `InvalidLocation`.
    """
    location = Location.parse(uri)
    if location.scheme == "file":
        return FileStorage(location)
    return S3Storage(location)
