"""DICOM as a reader would see it: rescale, then VOI, then inversion, with padding left out."""

import io
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset as DicomDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.processing import apply_modality_lut, apply_windowing
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLSLossless,
)

from chex_jobs.data.decoding.decode import decode_film
from chex_jobs.data.decoding.dicom import grey_values
from chex_jobs.data.decoding.dicom.jpeg import decode_deep_jpeg
from chex_jobs.data.decoding.faults import FilmError, Reason
from tests.unit.data.films import dicom

LARGE = 10_000
TURBO_SUM = 3767007
"""Of the stored values of `JPGExtended.dcm`, as libjpeg-turbo 3.1.3 decodes them."""
EIGHT_BITS: dict[str, Any] = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
"""Every stored value of 12 bits once."""


def decoded(stored: np.ndarray = RAMP, /, **attributes: Any) -> np.ndarray:
    return decode_film(dicom(stored, **attributes), LARGE)


def reason_of(data: bytes) -> Reason:
    with pytest.raises(FilmError) as caught:
        decode_film(data, 64)
    return caught.value.fault.reason


def sample(name: str) -> bytes:
    """A film that pydicom ships for tests."""
    return Path(str(get_testdata_file(name, download=False))).read_bytes()


def lut(entries: list[int], first: int, bits: int) -> Sequence:
    item = DicomDataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return Sequence([item])


def compressed(data: bytes, syntax: str, folder: Path) -> bytes:
    """The object in another transfer syntax of GDCM."""
    (folder / "stored.dcm").write_bytes(data)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(folder / "stored.dcm"))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(folder / "compressed.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return (folder / "compressed.dcm").read_bytes()


def with_padding_vr(data: bytes, vr: str) -> bytes:
    """The object with another VR written before the same two bytes of its padding."""
    tag = b"\x28\x00\x20\x01"
    start = data.index(tag)
    word = data[start + 8 : start + 10]
    length = b"\0\0\2\0\0\0" if vr == "UN" else b"\2\0"
    return data[:start] + tag + vr.encode() + length + word + data[start + 10 :]


def test_without_voi_the_values_are_stretched_from_smallest_to_largest():
    stored = (RAMP // 4 + 1000).astype(np.uint16)
    film = decoded(stored)
    assert (film.flat[0], film.flat[-1]) == (0, 255)
    assert (np.diff(film.ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize(
    "attributes", [{"PhotometricInterpretation": "MONOCHROME1"}, {"PresentationLUTShape": "INVERSE"}]
)
def test_monochrome1_and_the_inverse_presentation_turn_the_film_over(attributes: dict[str, Any]):
    np.testing.assert_array_equal(decoded(**attributes), 255 - decoded())


def test_monochrome1_with_the_inverse_presentation_is_turned_over_once():
    both = decoded(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE")
    np.testing.assert_array_equal(both, 255 - decoded())


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (2.0, -1024.0)])
def test_a_window_does_what_pydicom_does(function: str, slope: float, intercept: float):
    header: dict[str, Any] = {
        "WindowCenter": 1500.0,
        "WindowWidth": 1200.0,
        "VOILUTFunction": function,
        "RescaleSlope": slope,
        "RescaleIntercept": intercept,
    }
    dataset = DicomDataset()
    dataset.PhotometricInterpretation, dataset.BitsStored, dataset.PixelRepresentation = "MONOCHROME2", 12, 0
    for name, value in header.items():
        setattr(dataset, name, value)
    theirs = apply_windowing(apply_modality_lut(RAMP, dataset), dataset)
    low, high = intercept, 4095 * slope + intercept
    expected = (theirs - low) / (high - low) * 255
    np.testing.assert_allclose(decoded(**header), expected, atol=0.501)


def test_a_window_is_applied_before_the_film_is_turned_over():
    window: dict[str, Any] = {"WindowCenter": 600.0, "WindowWidth": 400.0}
    inverted = decoded(PhotometricInterpretation="MONOCHROME1", **window)
    np.testing.assert_array_equal(inverted, 255 - decoded(**window))
    assert inverted.flat[0] == 255
    assert inverted.flat[1000] == 0


def test_the_first_of_several_windows_counts():
    both = decoded(WindowCenter=[600.0, 3000.0], WindowWidth=[400.0, 100.0])
    np.testing.assert_array_equal(both, decoded(WindowCenter=600.0, WindowWidth=400.0))


def test_a_window_without_width_is_no_window():
    np.testing.assert_array_equal(decoded(WindowCenter=600.0, WindowWidth=0.0), decoded())


def test_a_linear_window_of_width_one_parts_black_from_white():
    film = decoded(WindowCenter=600.5, WindowWidth=1.0)
    np.testing.assert_array_equal(film.ravel(), np.where(RAMP.ravel() > 600, 255, 0))


def test_a_voi_table_wins_over_a_window_and_extends_its_ends():
    entries = [0, 64, 128, 255]
    film = decoded(VOILUTSequence=lut(entries, first=1000, bits=8), WindowCenter=1.0, WindowWidth=2.0)
    assert film.flat[0] == 0
    assert [film.flat[1000 + step] for step in range(4)] == entries
    assert film.flat[4000] == 255


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_voi_table_of_12_bits_under_a_descriptor_of_16_uses_the_whole_range(photometric: str):
    item = lut(list(range(4096)), first=0, bits=16)
    film = decoded(VOILUTSequence=item, PhotometricInterpretation=photometric)
    np.testing.assert_array_equal(film, decoded(PhotometricInterpretation=photometric))


@pytest.mark.parametrize("vr", ["US", "OW"])
def test_a_voi_table_of_8_bits_may_be_packed_one_entry_a_byte(vr: str):
    entries = [value * value // 256 for value in range(256)]
    words = np.frombuffer(bytes(entries), "<u2")
    packed = lut([0] * 256, first=1000, bits=8)
    packed[0].add_new("LUTData", vr, words.tolist() if vr == "US" else words.tobytes())
    expected = decoded(VOILUTSequence=lut(entries, first=1000, bits=8))
    np.testing.assert_array_equal(decoded(VOILUTSequence=packed), expected)


def test_a_packed_table_of_an_odd_number_of_entries_ends_with_its_last_entry_and_not_with_the_byte_that_fills_up():
    packed = lut([0] * 3, first=1000, bits=8)
    packed[0].add_new("LUTData", "OW", bytes([0, 100, 255, 0]))
    film = decoded(VOILUTSequence=packed)
    assert [film.flat[place] for place in (999, 1001, 1002, 4000)] == [0, 100, 255, 255]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("told", [4096, 9, 8, 7, 5])
def test_a_table_shorter_than_told_is_as_long_as_it_is(bits: int, told: int):
    entries = [0, 64, 128, 255]
    short = lut(entries, first=1000, bits=bits)
    short[0].LUTDescriptor = [told, 1000, bits]
    np.testing.assert_array_equal(
        decoded(VOILUTSequence=short), decoded(VOILUTSequence=lut(entries, first=1000, bits=bits))
    )


def test_a_packed_table_shorter_than_told_is_as_long_as_it_is():
    packed = lut([0] * 256, first=1000, bits=8)
    packed[0].add_new("LUTData", "OW", bytes([0, 64, 128, 255]))
    expected = decoded(VOILUTSequence=lut([0, 64, 128, 255], first=1000, bits=8))
    np.testing.assert_array_equal(decoded(VOILUTSequence=packed), expected)


def test_a_table_without_entries_is_no_table():
    empty = lut([0], first=0, bits=16)
    empty[0].add_new("LUTData", "OW", b"")
    window: dict[str, Any] = {"WindowCenter": 600.0, "WindowWidth": 400.0}
    np.testing.assert_array_equal(decoded(VOILUTSequence=empty, **window), decoded(**window))


@pytest.mark.parametrize("missing", ["LUTDescriptor", "LUTData"])
@pytest.mark.parametrize("kind", ["VOILUTSequence", "ModalityLUTSequence"])
def test_a_table_without_its_elements_is_no_table(kind: str, missing: str):
    broken = lut([0, 5, 9], first=0, bits=16)
    del broken[0][missing]
    window: dict[str, Any] = {"WindowCenter": 600.0, "WindowWidth": 400.0}
    np.testing.assert_array_equal(decoded(**{kind: broken}, **window), decoded(**window))


def test_the_descriptor_of_a_table_may_have_any_vr():
    told = np.array([3, 100, 16], "<u2").tobytes()
    table = lut([0, 40, 90], first=100, bits=16)
    expected = decoded(VOILUTSequence=table)
    table[0].add_new("LUTDescriptor", "OW", told)
    np.testing.assert_array_equal(decoded(VOILUTSequence=table), expected)


def test_of_several_padding_values_the_first_counts():
    stored = RAMP.copy()
    stored[:8] = 4000
    dataset = pydicom.dcmread(io.BytesIO(dicom(stored)))
    dataset.add_new("PixelPaddingValue", "US", [4000, 17])
    file = io.BytesIO()
    dataset.save_as(file)
    np.testing.assert_array_equal(
        decode_film(file.getvalue(), LARGE), decoded(stored, PixelPaddingValue=4000)
    )


def test_the_first_value_of_a_table_is_read_with_the_sign_that_meets_the_pixels():
    entries = list(range(0, 4096, 2))
    told_unsigned = lut(entries, first=65536 - 1024, bits=12)
    signed = (RAMP.astype(np.int32) - 2048).astype(np.int16)
    expected = np.clip((signed.astype(int) + 1024) * 2, 0, 4094) / 4094 * 255
    np.testing.assert_allclose(decoded(signed, VOILUTSequence=told_unsigned), expected, atol=0.501)
    above_zero = np.maximum(signed, 0)
    expected = np.clip((above_zero.astype(int) + 1024) * 2, 0, 4094) / 4094 * 255
    np.testing.assert_allclose(decoded(above_zero, VOILUTSequence=told_unsigned), expected, atol=0.501)


def test_a_modality_table_is_applied_before_the_window():
    item = lut([4095 - value for value in range(4096)], first=0, bits=12)
    item[0].ModalityLUTType = "US"
    np.testing.assert_array_equal(decoded(ModalityLUTSequence=item), 255 - decoded())


def test_padding_is_black_and_does_not_set_the_range():
    stored = (RAMP // 8 + 1000).astype(np.uint16)
    stored[:8] = 4095
    film = decoded(stored, PixelPaddingValue=4095)
    assert film[:8].max() == 0
    assert film[8:].max() == 255
    turned = decoded(stored, PixelPaddingValue=4095, PhotometricInterpretation="MONOCHROME1")
    assert turned[:8].max() == 0


def test_a_range_of_padding_is_all_padding():
    stored = (RAMP // 8 + 1000).astype(np.uint16)
    stored[0], stored[1] = 4000, 4095
    film = decoded(stored, PixelPaddingValue=4000, PixelPaddingRangeLimit=4095)
    assert film[:2].max() == 0
    assert film[2:].max() == 255


@pytest.mark.parametrize("vr", ["US", "SS", "UN"])
@pytest.mark.parametrize("stored_type", [np.int16, np.uint16])
def test_padding_is_compared_as_bits_whatever_its_vr_and_sign(vr: str, stored_type: type):
    stored = (RAMP // 8 + 1000).astype(stored_type)
    stored[:8] = np.uint16(63536).astype(stored_type)
    data = dicom(
        stored, BitsStored=16, HighBit=15, PixelPaddingValue=-2000 if stored.dtype == np.int16 else 63536
    )
    film = decode_film(with_padding_vr(data, vr), LARGE)
    assert film[:8].max() == 0
    np.testing.assert_array_equal(film[8:], decoded(stored[8:]))


@pytest.mark.parametrize("vr", ["US", "SS"])
@pytest.mark.parametrize("stored_type", [np.int16, np.uint16])
def test_a_range_of_padding_is_compared_as_bits_too(vr: str, stored_type: type):
    stored = (RAMP // 8 + 1000).astype(stored_type)
    stored[0], stored[1] = (np.uint16(word).astype(stored_type) for word in (63000, 63536))
    ends = (63536, 63000)
    dataset = pydicom.dcmread(io.BytesIO(dicom(stored, BitsStored=16, HighBit=15)))
    for name, word in zip(("PixelPaddingValue", "PixelPaddingRangeLimit"), ends, strict=True):
        dataset.add_new(name, vr, word - 65536 if vr == "SS" else word)
    file = io.BytesIO()
    dataset.save_as(file)
    film = decode_film(file.getvalue(), LARGE)
    assert film[:2].max() == 0
    np.testing.assert_array_equal(film[2:], decoded(stored[2:]))


def test_padding_of_8_bits_has_its_sign_in_the_lowest_byte():
    stored = np.arange(64, dtype=np.int8).reshape(8, 8)
    stored[0] = -5
    film = decoded(stored, PixelPaddingValue=-5, PixelRepresentation=1, **EIGHT_BITS)
    assert film[0].max() == 0
    np.testing.assert_array_equal(film[1:], decoded(stored[1:], PixelRepresentation=1, **EIGHT_BITS))


def test_a_sign_that_nobody_extended_is_the_highest_stored_bit():
    signed = RAMP.astype(np.int32) - 2048
    unextended = (signed % 4096).astype(np.int16)
    np.testing.assert_array_equal(decoded(unextended), decoded(signed.astype(np.int16)))


def test_signed_values_keep_their_order():
    film = decoded((RAMP.astype(np.int32) - 2048).astype(np.int16))
    np.testing.assert_array_equal(film, decoded())


def test_overlay_bits_above_the_stored_ones_are_cleared_where_an_overlay_says_so():
    with_overlay = RAMP.copy()
    with_overlay[::2] |= 1 << 13
    dataset = pydicom.dcmread(io.BytesIO(dicom(with_overlay)))
    dataset.add_new(0x60000102, "US", 13)
    file = io.BytesIO()
    dataset.save_as(file)
    np.testing.assert_array_equal(decode_film(file.getvalue(), LARGE), decoded())


@pytest.mark.parametrize("bits", [10, 11])
@pytest.mark.parametrize("offset", [0, -2048])
def test_values_above_the_stored_bits_without_an_overlay_are_kept(bits: int, offset: int):
    stored = (RAMP.astype(np.int32) + offset).astype(np.int16 if offset else np.uint16)
    understated = decoded(stored, BitsStored=bits, HighBit=bits - 1)
    np.testing.assert_array_equal(understated, decoded(stored))


@pytest.mark.parametrize(
    "syntax",
    ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless", "RLELossless"],
)
@pytest.mark.parametrize("stored_type", [np.int16, np.uint16])
def test_values_above_the_stored_bits_are_kept_in_every_compression(
    syntax: str, stored_type: type, tmp_path: Path
):
    stored = (RAMP * 16).view(stored_type)
    whole = compressed(dicom(stored, BitsStored=16, HighBit=15), syntax, tmp_path)
    dataset = pydicom.dcmread(io.BytesIO(whole))
    dataset.BitsStored, dataset.HighBit = 12, 11
    file = io.BytesIO()
    dataset.save_as(file)
    np.testing.assert_array_equal(
        decode_film(file.getvalue(), LARGE), decoded(stored, BitsStored=16, HighBit=15)
    )


@pytest.mark.parametrize("high_bit", [13, 15])
@pytest.mark.parametrize("stored_type", [np.uint16, np.int16])
def test_pixels_below_a_higher_high_bit_lie_that_much_higher(high_bit: int, stored_type: type):
    window: dict[str, Any] = {"WindowCenter": 1000, "WindowWidth": 900}
    stored = RAMP.astype(stored_type) - (2048 if stored_type == np.int16 else 0)
    film = decoded(stored << (high_bit - 11), HighBit=high_bit, **window)
    np.testing.assert_array_equal(film, decoded(stored, **window))


@pytest.mark.parametrize("position", [0, 1, 3])
def test_an_overlay_below_the_pixels_of_a_higher_high_bit_is_taken_out(position: int):
    window: dict[str, Any] = {"WindowCenter": 1000, "WindowWidth": 900}
    drawn = (RAMP << 4) | (RAMP % 2 << position)
    dataset = pydicom.dcmread(io.BytesIO(dicom(drawn, HighBit=15, **window)))
    dataset.add_new(0x60000102, "US", position)
    file = io.BytesIO()
    dataset.save_as(file)
    np.testing.assert_array_equal(decode_film(file.getvalue(), LARGE), decoded(RAMP, **window))


@pytest.mark.parametrize(("bits", "high_bit"), [(10, 11), (12, 15), (12, 7)])
def test_a_high_bit_that_the_pixels_contradict_moves_nothing(bits: int, high_bit: int):
    window: dict[str, Any] = {"WindowCenter": 1000, "WindowWidth": 900}
    film = decoded(RAMP, BitsStored=bits, HighBit=high_bit, **window)
    np.testing.assert_array_equal(film, decoded(RAMP, **window))


@pytest.mark.parametrize("groups", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"])
def test_a_multi_frame_object_of_one_frame_has_the_window_and_rescale_of_its_frame(groups: str):
    frame, voi, values = DicomDataset(), DicomDataset(), DicomDataset()
    voi.WindowCenter, voi.WindowWidth, voi.VOILUTFunction = [300, 1], [200, 1], "SIGMOID"
    values.RescaleSlope, values.RescaleIntercept = 0.5, -10
    frame.FrameVOILUTSequence = Sequence([voi])
    frame.PixelValueTransformationSequence = Sequence([values])
    film = decoded(NumberOfFrames=1, **{groups: Sequence([frame])})
    plain = {"RescaleSlope": 0.5, "RescaleIntercept": -10, "VOILUTFunction": "SIGMOID"}
    np.testing.assert_array_equal(film, decoded(WindowCenter=300, WindowWidth=200, **plain))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("first", ["SpecificCharacterSet", "ImageType", "StudyDate", "SOPClassUID"])
def test_an_object_without_a_file_header_is_dicom_whatever_its_first_element(syntax: UID, first: str):
    dataset = pydicom.dcmread(io.BytesIO(dicom(RAMP)))
    values = {"SpecificCharacterSet": "ISO_IR 100", "ImageType": "ORIGINAL", "StudyDate": "20200101"}
    if first in values:
        setattr(dataset, first, values[first])
    little_endian = syntax != ExplicitVRBigEndian
    pixels = RAMP if little_endian else RAMP.byteswap()
    dataset.PixelData = pixels.tobytes()
    del dataset.file_meta
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=little_endian)
    np.testing.assert_array_equal(decode_film(file.getvalue(), LARGE), decoded())


def test_an_object_without_a_preamble_may_lack_the_length_of_its_file_header():
    data = dicom(RAMP)[132:]
    assert data.startswith(b"\x02\0\0\0")
    np.testing.assert_array_equal(decode_film(data, LARGE), decoded())
    np.testing.assert_array_equal(decode_film(data[12:], LARGE), decoded())


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("bits", [8, 12])
def test_a_frame_without_a_sign_and_of_fewer_bits_than_told_has_no_negative_values(syntax: UID, bits: int):
    stored = RAMP >> (12 - bits)
    dataset = pydicom.dcmread(io.BytesIO(dicom(stored, BitsStored=bits, HighBit=bits - 1)))
    dataset.compress(syntax)
    dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = 1, 16, 15
    file = io.BytesIO()
    dataset.save_as(file)
    np.testing.assert_array_equal(decode_film(file.getvalue(), LARGE), decoded(stored))


@pytest.mark.parametrize("name", ["PixelAspectRatio", "NominalScannedPixelSpacing", "ImagerPixelSpacing"])
@pytest.mark.parametrize(("told", "shape"), [([2, 1], (64, 32)), ([1, 2], (32, 64)), ([1, 1], (64, 64))])
def test_a_film_of_pixels_that_are_not_square_keeps_the_proportions_of_the_body(
    name: str, told: list[int], shape: tuple[int, int]
):
    smooth = (np.add.outer(np.arange(64), np.arange(64)) * 32).astype(np.uint16)
    film = decoded(smooth, **{name: told})
    assert film.shape == shape
    across = np.corrcoef(
        film.ravel(), np.add.outer(np.arange(shape[0]) / shape[0], np.arange(shape[1]) / shape[1]).ravel()
    )
    assert across[0, 1] > 0.999


@pytest.mark.parametrize("told", [[0.143, 0.1432], [0, 1], 0.143, [float("nan"), 1]])
def test_spacings_that_say_nothing_else_mean_square_pixels(told: Any):
    np.testing.assert_array_equal(decoded(ImagerPixelSpacing=told), decoded())


@pytest.mark.parametrize("name", ["SamplesPerPixel", "PixelRepresentation"])
def test_a_grey_object_that_does_not_say_so_has_one_sample_without_a_sign(name: str):
    np.testing.assert_array_equal(decoded(**{name: None}), decoded())


def test_an_unknown_voi_function_is_no_film_rather_than_a_guess():
    assert (
        reason_of(dicom(RAMP, WindowCenter=1.0, WindowWidth=9.0, VOILUTFunction="CUBIC"))
        == Reason.UNSUPPORTED_MODE
    )


def test_palette_colour_is_no_film():
    assert reason_of(dicom(RAMP, PhotometricInterpretation="PALETTE COLOR")) == Reason.UNSUPPORTED_MODE


def test_several_frames_are_no_film():
    stored = np.concatenate([RAMP, RAMP])
    assert reason_of(dicom(stored, Rows=64, NumberOfFrames=2)) == Reason.UNSUPPORTED_MODE


def test_a_header_of_too_many_pixels_is_refused_before_its_pixels_are_touched():
    assert reason_of(dicom(RAMP, Rows=40_000, Columns=40_000)) == Reason.TOO_MANY_PIXELS


def test_an_object_without_pixels_is_unreadable():
    dataset = pydicom.dcmread(io.BytesIO(dicom(RAMP)))
    del dataset.PixelData
    file = io.BytesIO()
    dataset.save_as(file)
    assert reason_of(file.getvalue()) == Reason.UNREADABLE


@pytest.mark.parametrize("share", [0.3, 0.8, 0.99])
def test_an_object_that_was_cut_off_is_truncated(share: float):
    data = dicom(RAMP)
    assert reason_of(data[: int(len(data) * share)]) == Reason.TRUNCATED


def test_grey_values_look_up_what_they_would_compute():
    dataset = DicomDataset()
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset.RescaleSlope, dataset.RescaleIntercept = 0.5, 10.0
    dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = 500.0, 800.0, "LINEAR_EXACT"
    values = RAMP * 0.5 + 10.0
    expected = 255 * (1 - np.clip((values - 500.0) / 800.0 + 0.5, 0, 1))
    np.testing.assert_array_equal(grey_values(dataset, RAMP), np.rint(expected).astype(np.uint8))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("CT_small.dcm", (128, 128)),
        ("MR_small.dcm", (64, 64)),
        ("MR_small_RLE.dcm", (64, 64)),
        ("JPEG2000.dcm", (1024, 256)),
        ("MR_small_bigendian.dcm", (64, 64)),
        ("MR_small_jpeg_ls_lossless.dcm", (64, 64)),
        ("JPGExtended.dcm", (1024, 256)),
        ("SC_rgb_jpeg_dcmtk.dcm", (100, 100)),
        ("SC_rgb_jpeg_gdcm.dcm", (100, 100)),
    ],
)
def test_the_compressions_of_published_samples_are_decoded(name: str, shape: tuple[int, int]):
    film = decode_film(sample(name), LARGE)
    assert film.shape == shape
    assert film.dtype == np.uint8
    assert int(film.max()) - int(film.min()) > 100


@pytest.mark.parametrize("process", ["JPEGLosslessProcess14", "JPEGLosslessProcess14_1"])
def test_jpeg_lossless_films_keep_every_stored_value(process: str, tmp_path: Path):
    data = compressed(dicom(RAMP), process, tmp_path)
    np.testing.assert_array_equal(decode_film(data, LARGE), decode_film(dicom(RAMP), LARGE))


def test_lossy_jpeg_of_12_bits_is_decoded(tmp_path: Path):
    smooth = (np.add.outer(np.arange(64), np.arange(64)) * 32).astype(np.uint16)
    data = compressed(dicom(smooth), "JPEGExtendedProcess2_4", tmp_path)
    assert pydicom.dcmread(io.BytesIO(data)).file_meta.TransferSyntaxUID == JPEGExtended12Bit
    np.testing.assert_allclose(decode_film(data, LARGE).astype(int), decoded(smooth).astype(int), atol=2)


def test_a_published_film_in_lossy_jpeg_of_12_bits_has_the_values_that_libjpeg_turbo_decodes():
    stored = decode_deep_jpeg(pydicom.dcmread(io.BytesIO(sample("JPGExtended.dcm"))))
    assert (stored.min(), stored.max(), int(stored.sum(dtype=np.int64))) == (0, 264, TURBO_SUM)


def test_lossy_jpeg_of_12_bits_that_was_cut_off_is_truncated(tmp_path: Path):
    dataset = pydicom.dcmread(io.BytesIO(compressed(dicom(RAMP), "JPEGExtendedProcess2_4", tmp_path)))
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame[: len(frame) // 2]])
    file = io.BytesIO()
    dataset.save_as(file)
    assert reason_of(file.getvalue()) == Reason.TRUNCATED


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("MR_truncated.dcm", Reason.TRUNCATED),
        ("examples_palette.dcm", Reason.UNSUPPORTED_MODE),
        ("rtdose_1frame.dcm", Reason.UNSUPPORTED_MODE),
        ("badVR.dcm", Reason.UNREADABLE),
        ("rtplan.dcm", Reason.UNREADABLE),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_published_samples_that_are_no_films_are_named_as_what_they_are(name: str, reason: Reason):
    assert reason_of(sample(name)) == reason
