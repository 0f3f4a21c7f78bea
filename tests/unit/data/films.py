"""Films, tables and DICOM objects for the tests of this folder, drawn, never a patient's."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
from pydicom.dataset import Dataset as DicomDataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from chex_api.dataset import Dataset
from chex_api.plan import labels_identity
from chex_api.stage import LabelReference
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.dataset.label_objects import finished_labels
from chex_jobs.data.sources.contents import labels_digest
from chex_jobs.data.sources.declaration import declare


def drawn_film(number: int, height: int = 48, width: int = 40) -> np.ndarray:
    """A smooth uint8 picture, another one for each number, that uses the whole range of grey."""
    rng = np.random.default_rng(number)
    coarse = rng.random((6, 5), dtype=np.float32)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    low, high = picture.min(), picture.max()
    return np.rint((picture - low) * (255 / (high - low))).astype(np.uint8)


def png(picture: np.ndarray) -> bytes:
    """Encode [H, W] or BGR(A) of 8 or 16 bits."""
    return cv2.imencode(".png", picture)[1].tobytes()


def jpeg(picture: np.ndarray, quality: int = 95) -> bytes:
    """Encode [H, W] or BGR of 8 bits."""
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def dicom(stored: np.ndarray, **attributes: Any) -> bytes:
    """Encode stored values [H, W], uint16 or int16, as an uncompressed object; attributes override its header."""
    dataset = DicomDataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.1.1"), UID("1.2.3")
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.Rows, dataset.Columns = stored.shape[:2]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = int(stored.dtype == np.int16)
    for name, value in attributes.items():
        setattr(dataset, name, value)
    dataset.PixelData = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def write_csv(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows that share their columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_hospital(root: Path, num_films: int = 12, films_per_patient: int = 2) -> list[dict[str, object]]:
    """Write a table and its films below `root`; return the table's rows, which the caller may change and write again."""
    rows: list[dict[str, object]] = []
    for number in range(num_films):
        name = f"film-{number:03d}.png"
        path = root / "films" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(drawn_film(number)))
        rows.append(
            {
                "file": name,
                "patient": f"patient-{number // films_per_patient}",
                "study": f"study-{number}",
                "view": ("ap", "pa")[number % 2],
                "sex": ("f", "m")[number // films_per_patient % 2],
                "icu": ("", "3.0")[number // films_per_patient % 2],
                "report": f"Film number {number} is drawn.",
            }
        )
    write_csv(root / "data.csv", rows)
    return rows


def hospital_dataset(root: Path, **changes: Any) -> Dataset:
    """The manifest's data set for `write_hospital`."""
    plain: dict[str, Any] = {
        "name": "hospital",
        "source": {
            "table": {
                "uri": root.as_uri(),
                "file": "data.csv",
                "image": {"column": "file", "path": "films/{}"},
                "patientColumn": "patient",
                "studyColumn": "study",
                "reportColumn": "report",
                "view": {"column": "view", "frontal": ["ap", "pa"]},
                "subgroupColumns": ["sex"],
            }
        },
        "split": {"patients": {"validate": 0.25, "test": 0.25}},
        "storedShortSide": 32,
        "tasks": [{"name": "icu", "column": "icu", "positive": {"present": {}}}],
    }
    return Dataset.parse(plain | changes)


def label_references(dataset: Dataset) -> tuple[LabelReference, ...]:
    """References to the labels of every task, as a plan gives them of tables."""
    declaration = declare(dataset)
    return tuple(
        LabelReference(task=task, identity=labels_identity(labels_digest(declaration.table.films, values)))
        for task, values in declaration.labels.items()
    )


def opened(done: FinishedArtifact, dataset: Dataset) -> ChestXrayDataset:
    """An ingested data set with the labels of every task."""
    return ChestXrayDataset.open(
        done, finished_labels(ArtifactStore(done.storage), label_references(dataset))
    )
