"""A hospital's films as its PACS exports them give the labels, splits and pixels of its clean table with PNG files."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset as DicomDataset
from pydicom.sequence import Sequence
from pydicom.uid import RLELossless

from chex_api.dataset import Dataset
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact
from chex_jobs.data.dataset import index
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.ingest import chunks
from chex_jobs.data.ingest import ingest as ingest_module
from chex_jobs.data.ingest.ingest import ingest
from tests.unit.data.films import (
    dicom,
    drawn_film,
    hospital_dataset,
    label_references,
    opened,
    write_csv,
    write_hospital,
)

FILMS = [
    {"column": "dicom:Modality", "values": ["CR", "DX"]},
    {"column": "dicom:BodyPartExamined", "values": ["CHEST"]},
    {"column": "dicom:PresentationIntentType", "values": ["FOR PRESENTATION"]},
]
VIEW = {"column": "dicom:ViewPosition", "frontal": ["AP", "PA"]}
PADDING = -2000


@pytest.fixture(autouse=True, scope="module")
def one_decoder() -> Iterator[None]:
    """Keep the decoding process from test to test: starting it takes longer than a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest_module, "close_decoder", lambda: None)
        yield
    chunks.close_decoder()


def stretched(grey: np.ndarray, header: dict[str, Any]) -> bytes:
    return dicom(grey * 16, **header)


def monochrome1(grey: np.ndarray, header: dict[str, Any]) -> bytes:
    return dicom((255 - grey) * 16, PhotometricInterpretation="MONOCHROME1", **header)


def voi_table(grey: np.ndarray, header: dict[str, Any]) -> bytes:
    """12 bits under a descriptor of 16, as CR writes them."""
    item = DicomDataset()
    item.add_new("LUTDescriptor", "US", [256, 1000, 16])
    item.add_new("LUTData", "US", [entry * 16 for entry in range(256)])
    return dicom(grey + 1000, VOILUTSequence=Sequence([item]), **header)


def window(grey: np.ndarray, header: dict[str, Any]) -> bytes:
    width = {"WindowCenter": 127.5, "WindowWidth": 255.0, "VOILUTFunction": "LINEAR_EXACT"}
    return dicom(grey * 16, RescaleSlope=1 / 16, RescaleIntercept=0.0, **width, **header)


def understated_bits(grey: np.ndarray, header: dict[str, Any]) -> bytes:
    """Of 12 bits the object tells 10, and is compressed."""
    dataset = pydicom.dcmread(io.BytesIO(dicom(grey * 16, **header)))
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.BitsStored, dataset.HighBit = 10, 9
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def padded(grey: np.ndarray, header: dict[str, Any]) -> bytes:
    """What is black in the film is padding, told without its sign."""
    stored = np.where(grey == 0, PADDING, grey.astype(int) * 16).astype(np.int16)
    width = {"WindowCenter": 127.5 * 16, "WindowWidth": 255.0 * 16, "VOILUTFunction": "LINEAR_EXACT"}
    data = dicom(stored, PixelPaddingValue=PADDING, BitsStored=16, HighBit=15, **width, **header)
    return data.replace(b"\x28\x00\x20\x01SS", b"\x28\x00\x20\x01US")


WAYS: list[Callable[[np.ndarray, dict[str, Any]], bytes]] = [
    stretched,
    monochrome1,
    voi_table,
    window,
    understated_bits,
    padded,
]


def write_pacs(root: Path, rows: list[dict[str, Any]]) -> None:
    """Write the films of a clean table as DICOM objects of every kind, under names that say nothing, among other objects."""
    root.mkdir()
    for number, row in enumerate(rows):
        header: dict[str, Any] = {
            "PatientID": row["patient"],
            "AccessionNumber": f"A{1000 - number}",
            "StudyID": row["study"],
            "Modality": ("CR", "DX")[number % 2],
            "ViewPosition": str(row["view"]).upper(),
            "PatientSex": str(row["sex"]).upper(),
            "PatientState": "intensive care" if row["icu"] else "",
            "BodyPartExamined": "CHEST",
            "PresentationIntentType": "FOR PRESENTATION",
        }
        film = WAYS[number % len(WAYS)](drawn_film(number).astype(np.uint16), header)
        place = root / f"{number * 7919 % 100:08X}"
        place.mkdir()
        (place / "IM000001").write_bytes(film)
        for name, change in (
            ("lateral", {"ViewPosition": "LL"}),
            ("hand", {"BodyPartExamined": "HAND"}),
            ("raw", {"PresentationIntentType": "FOR PROCESSING"}),
        ):
            (place / name).write_bytes(stretched(drawn_film(50 + number).astype(np.uint16), header | change))
    report = Path(str(get_testdata_file("test-SR.dcm", download=False)))
    (root / "SR000001").write_bytes(report.read_bytes())
    (root / "DICOMDIR").write_bytes(Path(str(get_testdata_file("CT_small.dcm", download=False))).read_bytes())
    (root / "viewer.txt").write_text("insert the disc")


def of_folder(root: Path, rows: list[dict[str, Any]]) -> Dataset:
    """No table at all: the label is what the header says of the patient's state."""
    write_pacs(root, rows)
    source = {"uri": root.as_uri(), "studyColumn": "dicom:StudyID", "view": VIEW, "where": FILMS}
    task = {"name": "icu", "column": "dicom:PatientState", "positive": {"present": {}}}
    return hospital_dataset(root, source={"dicomFolder": source}, tasks=[task])


def of_accession_numbers(root: Path, rows: list[dict[str, Any]]) -> Dataset:
    """Labels by examination, in another order than the films."""
    write_pacs(root, rows)
    labels = [{"accession": f"A{1000 - number}", "icu": row["icu"]} for number, row in enumerate(rows)]
    write_csv(root / "labels.csv", labels[::-1])
    table = {
        "uri": root.as_uri(),
        "file": "labels.csv",
        "image": {"column": "accession", "element": "AccessionNumber"},
        "patientColumn": "dicom:PatientID",
        "studyColumn": "dicom:StudyID",
        "view": VIEW,
        "subgroupColumns": ["dicom:PatientSex"],
        "where": FILMS,
    }
    return hospital_dataset(root, source={"table": table})


def of_paths(root: Path, rows: list[dict[str, Any]]) -> Dataset:
    """A table that names every file of the export; the header tells which of them is a film."""
    write_pacs(root, rows)
    named = [
        {"file": f"{number * 7919 % 100:08X}/{name}", "patient": row["patient"], "icu": row["icu"]}
        for number, row in enumerate(rows)
        for name in ("IM000001", "lateral", "hand", "raw")
    ]
    write_csv(root / "files.csv", named)
    table = {
        "uri": root.as_uri(),
        "file": "files.csv",
        "image": {"column": "file"},
        "patientColumn": "patient",
        "studyColumn": "dicom:StudyID",
        "view": VIEW,
        "subgroupColumns": ["dicom:PatientSex"],
        "where": FILMS,
    }
    return hospital_dataset(root, source={"table": table})


def ingested(dataset: Dataset, artifacts: Path) -> tuple[FinishedArtifact, ChestXrayDataset]:
    attempt = ArtifactStore.open(artifacts.as_uri()).stage("ingest", dataset.name, "a" * 64).attempt("first")
    done = ingest(dataset, seed=0, attempt=attempt, labels=label_references(dataset))
    return done, opened(done, dataset)


def by_study(done: FinishedArtifact, data: ChestXrayDataset) -> dict[str, tuple[object, ...]]:
    """Patient, part, label, view, sex and pixels of every film, by its study: what must not depend on the form."""
    studies = index.from_parquet(done.read_bytes(index.FILMS))["study"].to_pylist()
    patients = index.from_parquet(done.read_bytes(index.PATIENTS))["id"].to_pylist()
    metadata = {name: data.metadata[name].to_pylist() for name in ("view", "sex")}
    return {
        study: (
            patients[data.patients[ordinal]],
            data.split[ordinal],
            data.labels("icu")[ordinal],
            metadata["view"][ordinal],
            metadata["sex"][ordinal].upper(),
            data.film(ordinal).tobytes(),
        )
        for ordinal, study in enumerate(studies)
    }


@pytest.mark.parametrize("form", [of_folder, of_accession_numbers, of_paths])
def test_a_pacs_export_gives_the_labels_splits_and_pixels_of_the_clean_form(
    form: Callable[[Path, list[dict[str, Any]]], Dataset], tmp_path: Path
):
    rows = write_hospital(tmp_path / "clean")
    clean = by_study(*ingested(hospital_dataset(tmp_path / "clean"), tmp_path / "clean-artifacts"))
    done, data = ingested(form(tmp_path / "pacs", rows), tmp_path / "pacs-artifacts")
    found = by_study(done, data)
    assert found.keys() == clean.keys()
    for study, told in clean.items():
        assert found[study][:-1] == told[:-1], study
        assert found[study][-1] == told[-1], f"pixels of {study}"
    assert len(clean) == 12
    assert done.manifest.summary["quarantined"] == {}
