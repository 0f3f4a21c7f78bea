"""Logs for machines: one JSON object a line, with the job that is being worked on.

Objects are never logged: what users write goes no further than the names of their jobs, and what an exception quotes.
"""

import json
import logging
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

MAX_MESSAGE = 4_000
MAX_EXCEPTION = 16_000
"""Characters; collectors of logs cut or split longer lines, and JSON that is cut is lost."""


@dataclass(frozen=True)
class _Job:
    namespace: str
    name: str
    generation: int | None


_current_job: ContextVar[_Job | None] = ContextVar("current_job", default=None)


@contextmanager
def job_context(namespace: str, name: str, generation: int | None = None) -> Generator[None]:
    """Every line from here on, in this task and in those that it starts, names the job."""
    token = _current_job.set(_Job(namespace, name, generation))
    try:
        yield
    finally:
        _current_job.reset(token)


class JsonFormatter(logging.Formatter):
    """Fields: time, level, logger, message; namespace, job, generation where known; exception where there is one.

    `extra` is left out on purpose: no field can slip in that nobody thought of.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, str | int] = {
            "time": _time_of(record),
            "level": record.levelname,
            "logger": record.name,
            "message": _cut(_message_of(record), MAX_MESSAGE),
        }
        job = _current_job.get()
        if job is not None:
            fields |= {"namespace": job.namespace, "job": job.name}
            if job.generation is not None:
                fields["generation"] = job.generation
        if record.exc_info and record.exc_info[1] is not None:
            text = "".join(traceback.format_exception(*record.exc_info))
            fields["exception"] = _cut_middle(text.rstrip("\n"), MAX_EXCEPTION)
        return json.dumps(fields)  # ASCII: no character that some reader takes for the end of a line


def configure_logs(level: int | str, stream: TextIO) -> None:
    """Have all loggers of the process, and Python's warnings, write such lines to a stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)


def _time_of(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # arguments that do not fit: the line is worth more than its numbers
        return str(record.msg)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _cut_middle(text: str, longest: int) -> str:
    """Keep both ends: where it began, and the exception itself, which stands last."""
    if len(text) <= longest:
        return text
    half = (longest - 3) // 2
    return f"{text[:half]}\n…\n{text[-half:]}"
