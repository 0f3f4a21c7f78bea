"""The S3 server."""

from tests.s3.fixtures import versitygw_server

__all__ = ["versitygw_server"]
