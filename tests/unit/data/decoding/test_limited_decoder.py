"""The decoding process: a film that takes memory or time ends its decoder, never the run."""

import os
import signal
import struct
import zlib

import numpy as np
import pytest

from chex_jobs.data.decoding.decode import decode_film
from chex_jobs.data.decoding.faults import FilmError, Reason
from chex_jobs.data.decoding.limited_decoder import LimitedDecoder
from tests.patience import PATIENCE_SECONDS
from tests.unit.data.films import drawn_film, jpeg, png


@pytest.fixture
def decoder():
    with LimitedDecoder() as decoder:
        yield decoder


def reason_of(decoder: LimitedDecoder, data: bytes) -> Reason:
    with pytest.raises(FilmError) as caught:
        decoder.decode(data, 64)
    return caught.value.fault.reason


def large_png(side: int) -> bytes:
    """A sound PNG of zeros with one white pixel: small as a file, side x side bytes as a picture."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = bytearray((side + 1) * side)
    rows[1] = 255
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(rows), 1))
        + chunk(b"IEND", b"")
    )


def test_a_film_comes_back_as_if_it_had_been_decoded_here(decoder: LimitedDecoder):
    for data in (png(drawn_film(1, 300, 200)), jpeg(drawn_film(2, 900, 700))):
        np.testing.assert_array_equal(decoder.decode(data, 64), decode_film(data, 64))


def test_a_fault_comes_back_with_its_reason_and_the_next_film_is_decoded(decoder: LimitedDecoder):
    assert reason_of(decoder, b"") == Reason.EMPTY
    assert reason_of(decoder, b"nonsense, and enough of it") == Reason.UNREADABLE
    assert decoder.decode(png(drawn_film(3)), 512).shape == (48, 40)


def test_a_film_that_needs_too_much_memory_is_set_aside_and_the_next_is_decoded():
    with LimitedDecoder(address_space_bytes=320 << 20) as decoder:
        small = decoder.decode(png(drawn_film(4)), 512)
        assert reason_of(decoder, large_png(8_900)) == Reason.DECODER_LIMIT
        np.testing.assert_array_equal(decoder.decode(png(drawn_film(4)), 512), small)


def test_a_film_that_takes_too_long_is_set_aside_and_the_next_is_decoded(decoder: LimitedDecoder):
    decoder.decode(png(drawn_film(5)), 512)
    process = decoder._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    decoder._seconds_per_film = 0.2
    assert reason_of(decoder, png(drawn_film(5))) == Reason.DECODER_LIMIT
    assert process.poll() is not None
    decoder._seconds_per_film = 60.0
    assert decoder.decode(png(drawn_film(5)), 512).shape == (48, 40)


def test_a_decoder_that_crashed_is_replaced(decoder: LimitedDecoder):
    decoder.decode(png(drawn_film(6)), 512)
    first = decoder._process
    assert first is not None
    first.kill()
    first.wait()
    assert decoder.decode(png(drawn_film(6)), 512).shape == (48, 40)


def test_a_crash_in_the_middle_of_a_film_is_that_films_fault(decoder: LimitedDecoder):
    decoder.decode(png(drawn_film(7)), 512)
    process = decoder._process
    assert process is not None
    assert process.stdout is not None
    os.kill(process.pid, signal.SIGSTOP)
    os.kill(process.pid, signal.SIGKILL)
    process.poll = lambda: None  # the crash comes after the check that it lives
    assert reason_of(decoder, png(drawn_film(7))) == Reason.DECODER_LIMIT


def test_the_decoder_is_given_no_credentials(decoder: LimitedDecoder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    decoder.decode(png(drawn_film(8)), 512)
    assert decoder._process is not None
    with open(f"/proc/{decoder._process.pid}/environ", "rb") as file:  # noqa: PTH123
        assert b"secret" not in file.read()


def test_closing_leaves_no_process(decoder: LimitedDecoder):
    decoder.decode(png(drawn_film(9)), 512)
    process = decoder._process
    assert process is not None
    decoder.close()
    assert process.returncode is not None


def test_the_decoder_ends_when_whoever_started_it_is_gone(decoder: LimitedDecoder):
    decoder.decode(png(drawn_film(10)), 512)
    process = decoder._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=PATIENCE_SECONDS) == 0
