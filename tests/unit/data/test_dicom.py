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
from pydicom.pixels.processing import apply_modality_lut, apply_windowing
from pydicom.sequence import Sequence

from chex_jobs.data.decode import decode_film
from chex_jobs.data.dicom import grey_values
from chex_jobs.data.faults import FilmError, Reason
from tests.unit.data.films import dicom

LARGE = 10_000
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


def test_a_voi_table_wins_over_a_window_and_extends_its_ends():
    entries = [0, 64, 128, 255]
    film = decoded(VOILUTSequence=lut(entries, first=1000, bits=8), WindowCenter=1.0, WindowWidth=2.0)
    assert film.flat[0] == 0
    assert [film.flat[1000 + step] for step in range(4)] == entries
    assert film.flat[4000] == 255


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


def test_values_above_the_stored_bits_without_an_overlay_are_kept():
    assert decoded(BitsStored=10, HighBit=9).flat[-1] == 255


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
    (tmp_path / "stored.dcm").write_bytes(dicom(RAMP))
    reader = gdcm.ImageReader()
    reader.SetFileName(str(tmp_path / "stored.dcm"))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, process)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(tmp_path / "lossless.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    np.testing.assert_array_equal(
        decode_film((tmp_path / "lossless.dcm").read_bytes(), LARGE), decode_film(dicom(RAMP), LARGE)
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("MR_truncated.dcm", Reason.TRUNCATED),
        ("JPGExtended.dcm", Reason.UNSUPPORTED_MODE),
        ("examples_palette.dcm", Reason.UNSUPPORTED_MODE),
        ("rtdose_1frame.dcm", Reason.UNSUPPORTED_MODE),
        ("badVR.dcm", Reason.UNREADABLE),
        ("rtplan.dcm", Reason.UNREADABLE),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_published_samples_that_are_no_films_are_named_as_what_they_are(name: str, reason: Reason):
    assert reason_of(sample(name)) == reason
