"""What is told of an exception that nobody foresaw, and what is kept of it."""

from pathlib import Path

import pytest

from chex_jobs.stages.unexpected_errors import keep_whole, without_text


def raised(text: str) -> Exception:
    """A failure that came of another one; both quote the data."""
    try:
        try:
            raise KeyError(text)
        except KeyError as cause:
            raise ValueError(f"no row of {text}") from cause
    except ValueError as error:
        return error


def test_an_exception_is_kept_with_its_causes_where_the_sentence_says(tmp_path: Path) -> None:
    told = keep_whole(raised("patient-4711"), tmp_path.as_uri())
    assert told == f"its whole text is in {tmp_path.as_uri()}/failure.txt"
    kept = (tmp_path / "failure.txt").read_text()
    assert "KeyError: 'patient-4711'" in kept
    assert "ValueError: no row of patient-4711" in kept


def test_storage_that_does_not_take_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    told = keep_whole(raised("patient-4711"), f"{tmp_path.as_uri()}/file/attempt")
    assert told.startswith("its whole text could not be stored: cannot write file://")
    assert "4711" not in told


def test_a_traceback_without_texts_has_types_and_places_of_the_exception_and_its_causes() -> None:
    told = without_text(raised("patient-4711"))
    assert "4711" not in told
    assert told.index("KeyError at\n") < told.index("ValueError at\n")
    assert told.count("in raised\n") == 2


def test_a_cause_that_was_hidden_on_purpose_is_not_told() -> None:
    def hide_the_cause() -> None:
        try:
            raise KeyError
        except KeyError:
            raise ValueError from None

    with pytest.raises(ValueError) as caught:
        hide_the_cause()
    assert without_text(caught.value).startswith("ValueError at\n")
