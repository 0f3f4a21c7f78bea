import asyncio
import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from chex_operator.kube.logs import MAX_EXCEPTION, MAX_MESSAGE, JsonFormatter, configure_logs, job_context

LOG = logging.getLogger("chex_operator.test")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the process' logs go for one test."""
    root = logging.getLogger()
    level = root.level
    written = io.StringIO()
    configure_logs("INFO", written)
    ours = root.handlers[:]
    yield written
    logging.captureWarnings(False)
    for handler in ours:
        root.removeHandler(handler)
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(each) for each in stream.getvalue().splitlines()]


def test_a_line_is_one_object_with_time_level_logger_and_message(stream: io.StringIO) -> None:
    LOG.warning("%d stages wait", 3)
    (only,) = lines(stream)
    assert only.pop("time").endswith("Z")
    assert only == {"level": "WARNING", "logger": "chex_operator.test", "message": "3 stages wait"}


def test_below_the_level_nothing_is_written(stream: io.StringIO) -> None:
    LOG.debug("too much")
    assert lines(stream) == []


def test_lines_name_the_job_that_is_being_worked_on(stream: io.StringIO) -> None:
    with job_context("radiology", "film", 4):
        LOG.info("inside")
    LOG.info("outside")
    inside, outside = lines(stream)
    assert (inside["namespace"], inside["job"], inside["generation"]) == ("radiology", "film", 4)
    assert not {"namespace", "job", "generation"} & outside.keys()


def test_a_generation_that_is_not_known_is_left_out(stream: io.StringIO) -> None:
    with job_context("radiology", "film"):
        LOG.info("inside")
    assert "generation" not in lines(stream)[0]


def test_tasks_that_run_at_once_do_not_mix_their_jobs(stream: io.StringIO) -> None:
    async def work(name: str) -> None:
        with job_context("radiology", name):
            await asyncio.sleep(0)
            LOG.info(name)

    async def story() -> None:
        await asyncio.gather(*(work(name) for name in ("a", "b", "c")))

    asyncio.run(story())
    assert [(line["message"], line["job"]) for line in lines(stream)] == [("a", "a"), ("b", "b"), ("c", "c")]


def test_an_exception_is_one_field_of_its_line(stream: io.StringIO) -> None:
    try:
        raise RuntimeError("first line\nsecond line")
    except RuntimeError:
        LOG.exception("it failed")
    (only,) = lines(stream)
    assert only["message"] == "it failed"
    assert only["exception"].startswith("Traceback")
    assert only["exception"].endswith("RuntimeError: first line\nsecond line")


@pytest.mark.parametrize("text", ["a\nb", "a\r\nb", 'quote " and \\', "a\u2028b", "\x1b[31m", "\ud800", "肺"])
def test_no_text_breaks_a_line(stream: io.StringIO, text: str) -> None:
    LOG.info(text)
    LOG.info("next")
    assert [line["message"] for line in lines(stream)] == [text, "next"]


def test_extra_fields_do_not_come_through(stream: io.StringIO) -> None:
    LOG.info("reading", extra={"patient": "Jane"})
    assert "Jane" not in stream.getvalue()


def test_long_messages_and_exceptions_are_cut(stream: io.StringIO) -> None:
    try:
        raise RuntimeError("x" * 100_000 + " the end")
    except RuntimeError:
        LOG.exception("y" * 100_000)
    (only,) = lines(stream)
    assert len(only["message"]) == MAX_MESSAGE
    assert len(only["exception"]) <= MAX_EXCEPTION
    assert only["exception"].endswith(" the end")


def test_arguments_that_do_not_fit_cost_the_numbers_and_not_the_line() -> None:
    record = logging.makeLogRecord({"msg": "%d stages", "args": ("three",)})
    assert json.loads(JsonFormatter().format(record))["message"] == "%d stages"


def test_warnings_are_lines_too(stream: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("deprecated", stacklevel=1)
        assert lines(stream)[0]["logger"] == "py.warnings"
        logging.captureWarnings(False)
