"""Grey values equal those of an independent computation, over published objects and generated ones of every kind."""

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset as DicomDataset
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.utils import pixel_array
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGExtended12Bit,
)

from chex_jobs.data.decoding.dicom import decode_dicom
from chex_jobs.data.decoding.dicom.jpeg import decode_deep_jpeg
from tests.unit.data.decoding.dicom_oracle import Header, Table, after_modality, of_dataset, seen

LARGE = 10_000
ROUNDING = 0.5 + 1e-6
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
TABLE_FORMS = ["words", "one entry a byte", "shorter than told", "bits overstated", "other sign"]
NO_FILMS = (
    "MR_truncated.dcm",
    "JPEG2000-embedded-sequence-delimiter.dcm",  # no decoder reads it
    "chrJapMulti.dcm",  # these three have no pixel data
    "chrJapMultiExplicitIR6.dcm",
    "chrKoreanMulti.dcm",
)
PADDING_VRS = ["US", "SS"]


@dataclass(frozen=True)
class Written:
    """A table, and how it is written into an object."""

    table: Table
    form: str = "words"
    vr: str = "US"


def table_item(written: Written, little_endian: bool) -> DicomDataset:
    """The item of a LUT sequence that means `written.table`, in the form asked for."""
    entries = written.table.entries
    first = written.table.first % 65536
    told, bits = len(entries), max(max(entries).bit_length(), 8)
    if written.form == "shorter than told":
        told += 5000
    if written.form == "bits overstated":
        bits = 16
    words = np.array(entries, np.uint16)
    if written.form == "one entry a byte":
        assert max(entries) < 256
        packed = bytes(entries) + bytes(len(entries) % 2)
        words = np.frombuffer(packed, "<u2")
    sign = "SS" if first >= 32768 else "US"
    if written.form == "other sign":
        sign = "US"
    item = DicomDataset()
    if sign == "SS" and told < 32768:
        item.add_new("LUTDescriptor", "SS", [told, first - 65536, bits])
    else:
        item.add_new("LUTDescriptor", "US", [told % 65536, first, bits])
    if written.vr == "US":
        item.add_new("LUTData", "US", words.tolist())
    else:
        item.add_new("LUTData", "OW", words.astype("<u2" if little_endian else ">u2").tobytes())
    return item


def encoded(
    header: Header,
    words: np.ndarray,
    *,
    syntax: UID = ExplicitVRLittleEndian,
    modality: Written | None = None,
    voi: Written | None = None,
    padding_vr: str = "US",
) -> bytes:
    """An object whose pixel data are `words` and whose header means `header`."""
    little_endian = syntax != ExplicitVRBigEndian
    dataset = DicomDataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID, dataset.SOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.1.1"), UID("1.2.3")
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.Rows, dataset.Columns = words.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, header.photometric
    dataset.BitsAllocated, dataset.BitsStored = header.bits_allocated, header.bits_stored
    dataset.HighBit, dataset.PixelRepresentation = header.bits_stored - 1, int(header.signed)
    if header.shape:
        dataset.PresentationLUTShape = header.shape
    if (header.slope, header.intercept) != (1.0, 0.0):
        dataset.RescaleSlope, dataset.RescaleIntercept = header.slope, header.intercept
    if header.window:
        dataset.WindowCenter, dataset.WindowWidth = header.window
    if header.function != "LINEAR":
        dataset.VOILUTFunction = header.function
    if header.padding:
        for name, word in zip(("PixelPaddingValue", "PixelPaddingRangeLimit"), header.padding, strict=True):
            dataset.add_new(name, padding_vr, _as_vr(word, padding_vr))
    if modality:
        dataset.ModalityLUTSequence = Sequence([table_item(modality, little_endian)])
        dataset.ModalityLUTSequence[0].ModalityLUTType = "US"
    if voi:
        dataset.VOILUTSequence = Sequence([table_item(voi, little_endian)])
    order = "<" if little_endian else ">"
    data = words.astype(f"{order}u{header.bits_allocated // 8}").tobytes()
    dataset.add_new("PixelData", "OW" if header.bits_allocated == 16 else "OB", data + bytes(len(data) % 2))
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=little_endian)
    return file.getvalue()


def _as_vr(word: int, vr: str) -> int:
    return word - 65536 if vr == "SS" and word >= 32768 else word


@st.composite
def tables(draw: st.DrawFn, values: list[float]) -> Written:
    """A table that one of the values at least lies in."""
    form = draw(st.sampled_from(TABLE_FORMS))
    top = 255 if form == "one entry a byte" else draw(st.sampled_from([300, 4095, 65535]))
    length = draw(st.sampled_from([2, 7, 256, 4096]))
    # Some entries drawn, the rest between them: shrinks well, and looks like a table of a device.
    known = draw(st.lists(st.integers(0, top), min_size=2, max_size=6))
    entries = np.interp(np.linspace(0, 1, length), np.linspace(0, 1, len(known)), known).astype(int)
    if form != "one entry a byte":
        entries[-1] = max(entries[-1], 256)  # one that no byte holds
    met = int(draw(st.sampled_from(values)))
    lowest, highest = (-32768, 32767) if min(values) < 0 else (0, 65535)
    first = min(max(met - draw(st.integers(0, length - 1)), lowest), highest)
    return Written(Table(first, tuple(entries.tolist())), form, draw(st.sampled_from(["US", "OW"])))


@st.composite
def objects(draw: st.DrawFn) -> tuple[Header, np.ndarray, dict[str, Any]]:
    """A header, its pixel data and how both are written."""
    header, words = draw(pixels())
    how: dict[str, Any] = {"syntax": draw(st.sampled_from(SYNTAXES))}
    header, how["padding_vr"] = draw(padded(header, words)), draw(st.sampled_from(PADDING_VRS))
    modality = draw(st.sampled_from(["none", "rescale", "table"]))
    if modality == "rescale":
        slope, intercept = draw(st.sampled_from([0.5, 1.0, 2.0, -1.0])), float(draw(st.integers(-1024, 1024)))
        header = replace(header, slope=slope, intercept=intercept)
    if modality == "table":
        how["modality"] = draw(tables(after_modality(header, words)))
        header = replace(header, modality_table=how["modality"].table)
    voi = draw(st.sampled_from(["none", "window", "table"]))
    values = after_modality(header, words)
    if voi == "window":
        centre = draw(st.sampled_from(values)) + draw(st.sampled_from([0.0, 0.5, 30.0]))
        width = draw(st.sampled_from([1.0, 2.0, 37.5, 400.0, 4096.0, 70000.0]))
        function = draw(st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]))
        header = replace(header, window=(centre, width), function=function)
    if voi == "table":
        how["voi"] = draw(tables(values))
        header = replace(header, voi_table=how["voi"].table)
    return header, words, how


@st.composite
def pixels(draw: st.DrawFn) -> tuple[Header, np.ndarray]:
    """Words of 3 x 4 pixels, and a header that tells or understates their bits."""
    allocated, stored = draw(st.sampled_from([(8, 8), *((16, bits) for bits in range(10, 17))]))
    signed = draw(st.booleans())
    used = draw(st.sampled_from([stored, allocated]))
    low = -(1 << (used - 1)) if signed else 0
    values = np.array(draw(st.lists(st.integers(low, low + (1 << used) - 1), min_size=12, max_size=12)))
    is_sign_extended = used == allocated or draw(st.booleans())
    words = values % (1 << (allocated if is_sign_extended else stored))
    header = Header(
        bits_allocated=allocated,
        bits_stored=stored,
        signed=signed,
        photometric=draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2"])),
        shape=draw(st.sampled_from(["", "IDENTITY", "INVERSE"])),
    )
    return header, words.reshape(3, 4)


@st.composite
def padded(draw: st.DrawFn, header: Header, words: np.ndarray) -> Header:
    """The header with padding that occurs: none, a value, or a range."""
    ends = draw(st.lists(st.sampled_from(words.ravel().tolist()), min_size=0, max_size=2))
    if not ends:
        return header
    if header.signed and header.bits_allocated == 8:  # the element has 16 bits
        ends = [end + 0xFF00 if end >= 0x80 else end for end in ends]
    return replace(header, padding=(ends[0], ends[-1]))


@settings(max_examples=600, deadline=None)
@given(objects())
def test_grey_values_of_generated_objects_are_those_of_an_independent_computation(
    generated: tuple[Header, np.ndarray, dict[str, Any]],
):
    header, words, how = generated
    film = decode_dicom(encoded(header, words, **how), LARGE)
    np.testing.assert_allclose(film, seen(header, words), atol=ROUNDING)


@pytest.mark.parametrize("width", [1.0, 1.5, 2.0, 37.5, 400.0, 70000.0])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_every_window_of_every_depth_is_that_of_the_standard(function: str, width: float):
    rng = np.random.default_rng(0)
    for bits, signed, photometric in product(range(10, 17), (False, True), ("MONOCHROME1", "MONOCHROME2")):
        low = -(1 << (bits - 1)) if signed else 0
        values = rng.integers(low, low + (1 << bits), (8, 8))
        header = Header(
            bits_stored=bits,
            signed=signed,
            photometric=photometric,
            slope=0.5,
            intercept=-100.0,
            window=(float(np.median(values)) / 2 - 100, width),
            function=function,
        )
        words = values % 65536
        film = decode_dicom(encoded(header, words), LARGE)
        np.testing.assert_allclose(film, seen(header, words), atol=ROUNDING)


def published() -> Iterator[Path]:
    """Every grey picture that pydicom ships whole."""
    for path in sorted((Path(pydicom.__file__).parent / "data").rglob("*")):
        if path.is_file() and path.suffix in (".dcm", ""):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            if (
                header.get("BitsAllocated") in (8, 16)
                and path.name not in NO_FILMS
                and "MONOCHROME" in str(header.get("PhotometricInterpretation"))
            ):
                yield path


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", list(published()), ids=lambda path: path.name)
def test_grey_values_of_published_objects_are_those_of_an_independent_computation(path: Path):
    dataset = pydicom.dcmread(path, force=True)
    film = decode_dicom(path.read_bytes(), LARGE)
    np.testing.assert_allclose(film, seen(of_dataset(dataset), words_of(dataset)), atol=ROUNDING)


def words_of(dataset: pydicom.Dataset) -> np.ndarray:
    """The words in an object's pixel data: its bytes, or what a decoder makes of them."""
    shape, size = (dataset.Rows, dataset.Columns), dataset.BitsAllocated // 8
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        order = "<" if syntax.is_little_endian else ">"
        count = dataset.Rows * dataset.Columns
        return np.frombuffer(dataset.PixelData, f"{order}u{size}", count).reshape(shape)
    if syntax == JPEGExtended12Bit:
        return decode_deep_jpeg(dataset)
    return pixel_array(dataset, correct_unused_bits=False).view(f"u{size}")
