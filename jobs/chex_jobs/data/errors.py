"""The exceptions of this package that reach people.

    DataError
    ├── SourceError          a source is not laid out as the manifest declares it
    │   └── ColumnError      a column is missing, or cannot answer what is asked of it
    ├── SplitError           a split cannot be made, or would leak
    ├── QuarantineError      too many films are unusable
    ├── DatasetError         an ingested data set was asked for what it does not have
    ├── ShardError           a shard is not what its index says
    └── TasksFailed          machines, not data: Ray tasks died more often than they are retried

What is wrong with a single film is a `FilmError` (`chex_jobs.data.decoding.faults`) and ends in the quarantine table. Messages
hold counts, columns, tables and the manifest's own words; never a patient id, a report, or the name of a film, save that of
two files of a published set that have one name.
"""


class DataError(Exception):
    """Base of all failures of ingest and of ingested data."""


class SourceError(DataError):
    """A source is not laid out as the manifest declares it. Nothing was ingested."""


class ColumnError(SourceError):
    """A column is missing, or cannot answer what is asked of it."""


class SplitError(DataError):
    """A split cannot be made, or would leak."""


class QuarantineError(DataError):
    """Too many films of a data set are unusable."""


class DatasetError(DataError):
    """An ingested data set was asked for what it does not have."""


class ShardError(DataError):
    """A shard is not what its index says."""


class TasksFailed(DataError):
    """Ray tasks died more often than they are retried."""
