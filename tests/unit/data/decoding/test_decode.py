"""PNG and JPEG to the stored grey picture, and every way in which a file can be no film."""

import struct
import zlib

import cv2
import numpy as np
import pytest
import simplejpeg

from chex_jobs.data.decoding.decode import decode_film
from chex_jobs.data.decoding.faults import FilmError, Reason
from chex_jobs.data.decoding.pixels import MAX_PIXELS, shrink, stored_size
from tests.unit.data.films import drawn_film, jpeg, png

LARGE = 10_000
"""A short side that shrinks nothing."""

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def png_header(width: int, height: int, bits: int = 8, colour: int = 0) -> bytes:
    """A PNG that announces a size and holds no more than one row of it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    rows = zlib.compress(b"\0" * (width * bits // 8 + 1))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def reason_of(data: bytes) -> Reason:
    with pytest.raises(FilmError) as caught:
        decode_film(data, 64)
    return caught.value.fault.reason


def test_an_eight_bit_png_that_is_small_enough_keeps_every_pixel():
    film = drawn_film(1)
    np.testing.assert_array_equal(decode_film(png(film), LARGE), film)


@pytest.mark.parametrize("channels", [3, 4])
def test_grey_written_as_rgb_or_opaque_rgba_keeps_every_pixel(channels: int):
    film = drawn_film(2)
    colour = np.repeat(film[:, :, None], channels, axis=2)
    if channels == 4:
        colour[:, :, 3] = 255
    np.testing.assert_array_equal(decode_film(png(colour), LARGE), film)


def test_transparent_parts_become_black():
    film = np.full((40, 40, 4), 200, np.uint8)
    film[:, :, 3] = 255
    film[:10, :, 3] = 0
    decoded = decode_film(png(film), LARGE)
    assert decoded[:10].max() == 0
    assert decoded[10:].min() == 200


def test_a_palette_png_is_decoded_to_the_grey_of_its_palette(tmp_path):
    from PIL import Image

    film = drawn_film(3)
    image = Image.fromarray(255 - film, mode=None).convert("P")
    image.putpalette([255 - level for level in range(256) for _ in range(3)])
    image.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(decode_film((tmp_path / "palette.png").read_bytes(), LARGE), film)


@pytest.mark.parametrize("full_scale", [4095, 65535])
def test_a_sixteen_bit_png_uses_the_whole_range_whether_it_holds_12_or_16_bits(full_scale: int):
    film = drawn_film(4)
    sixteen = np.rint(film / 255.0 * full_scale).astype(np.uint16)
    decoded = decode_film(png(sixteen), LARGE)
    assert decoded.dtype == np.uint8
    assert np.abs(decoded.astype(int) - film).max() <= 1


def test_a_film_is_shrunk_to_its_short_side_by_areas_and_keeps_its_aspect():
    film = drawn_film(5, height=300, width=200)
    decoded = decode_film(png(film), 50)
    assert decoded.shape == (75, 50)
    np.testing.assert_array_equal(decoded, cv2.resize(film, (50, 75), interpolation=cv2.INTER_AREA))


def test_a_film_is_never_enlarged():
    assert decode_film(png(drawn_film(6, 20, 30)), 512).shape == (20, 30)
    assert stored_size(20, 30, 512) == (20, 30)


@pytest.mark.parametrize(("height", "width"), [(2500, 2000), (1700, 2041), (513, 4000)])
def test_a_jpeg_decoded_at_a_reduced_size_is_the_full_one_shrunk(height: int, width: int):
    data = jpeg(drawn_film(7, height, width), 92)
    reduced = decode_film(data, 256)
    full = shrink(simplejpeg.decode_jpeg(data, "GRAY")[:, :, 0], 256)
    assert reduced.shape == full.shape
    difference = np.abs(reduced.astype(int) - full)
    assert difference.mean() < 1.0
    assert difference.max() <= 6


def test_a_jpeg_in_colour_becomes_its_luma():
    film = drawn_film(8, 64, 64)
    colour = np.repeat(film[:, :, None], 3, axis=2)
    assert np.abs(decode_film(jpeg(colour), LARGE).astype(int) - film).max() <= 6


def test_no_bytes_is_empty():
    assert reason_of(b"") == Reason.EMPTY


def test_a_film_of_one_grey_is_empty():
    assert reason_of(png(np.full((40, 40), 7, np.uint8))) == Reason.EMPTY


def test_a_git_lfs_pointer_is_told_as_such():
    assert reason_of(LFS_POINTER) == Reason.GIT_LFS_POINTER


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("encode", [png, jpeg])
def test_a_file_that_was_cut_off_is_truncated(encode, share: float):
    data = encode(drawn_film(9, 200, 200))
    assert reason_of(data[: int(len(data) * share)]) == Reason.TRUNCATED


def test_a_png_without_its_last_chunk_is_truncated():
    assert reason_of(png(drawn_film(10))[:-12]) == Reason.TRUNCATED


def test_a_png_damaged_inside_is_unreadable():
    data = bytearray(png(drawn_film(11, 200, 200)))
    data[len(data) // 2] ^= 0xFF
    assert reason_of(bytes(data)) == Reason.UNREADABLE


@pytest.mark.parametrize("data", [b"<html>not found</html>", b"GIF89a" + bytes(100)])
def test_another_format_is_unreadable_whatever_its_name(data: bytes):
    assert reason_of(data) == Reason.UNREADABLE


def test_a_png_of_40000_x_40000_pixels_is_refused_before_it_is_decoded():
    assert MAX_PIXELS < 40_000 * 40_000
    assert reason_of(png_header(40_000, 40_000)) == Reason.TOO_MANY_PIXELS


def test_a_jpeg_that_announces_60000_x_60000_pixels_is_refused_before_it_is_decoded():
    data = bytearray(jpeg(drawn_film(12)))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", 60_000, 60_000)
    assert reason_of(bytes(data)) == Reason.TOO_MANY_PIXELS


def test_a_bilevel_png_is_no_film():
    assert reason_of(png_header(64, 64, bits=1)) == Reason.UNSUPPORTED_MODE


def test_a_cmyk_jpeg_is_no_film(tmp_path):
    from PIL import Image

    Image.new("CMYK", (64, 64), (10, 20, 30, 40)).save(tmp_path / "print.jpg")
    assert reason_of((tmp_path / "print.jpg").read_bytes()) == Reason.UNSUPPORTED_MODE


def test_stray_bytes_between_jpeg_markers_do_not_cost_the_film():
    film = drawn_film(13, 64, 64)
    data = jpeg(film)
    stray = data[:-2] + b"\x00\x12\x34\x56" + data[-2:]
    assert np.abs(decode_film(stray, LARGE).astype(int) - film).max() <= 6
