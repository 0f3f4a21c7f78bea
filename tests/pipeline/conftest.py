"""An S3 server for whole jobs."""

from tests.s3.fixtures import versitygw_server

__all__ = ["versitygw_server"]
