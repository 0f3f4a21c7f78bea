"""Labels beside the films: written once, found by what the table answers, read late without touching a film."""

from pathlib import Path

import pytest

from chex_api.stage import DatasetReference, LabelReference, StageReference
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact
from chex_jobs.data.dataset import label_objects
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.dataset.label_objects import ensure_labels, finished_labels
from chex_jobs.data.errors import SourceError
from chex_jobs.data.ingest.ingest import ingest
from tests.unit.data.films import hospital_dataset, label_references, write_csv, write_hospital

ICU = {"name": "icu", "column": "icu", "positive": {"present": {}}}
FEMALE = {"name": "female", "column": "sex", "positive": {"values": ["f"]}}


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore.open((tmp_path / "artifacts").as_uri())


def ingested(store: ArtifactStore, root: Path, labels: tuple[LabelReference, ...] = ()) -> FinishedArtifact:
    dataset = hospital_dataset(root, tasks=[ICU])
    attempt = store.stage("ingest", "hospital", "b" * 64).attempt("first")
    return ingest(dataset, seed=0, attempt=attempt, labels=labels)


def reference(root: Path, labels: tuple[LabelReference, ...]) -> DatasetReference:
    films = StageReference(kind="ingest", name="hospital", identity="b" * 64)
    return DatasetReference(films=films, declared=hospital_dataset(root, tasks=[ICU, FEMALE]), labels=labels)


def test_a_task_added_after_the_films_were_ingested_is_answered_without_touching_them(
    tmp_path: Path, store: ArtifactStore
):
    write_hospital(tmp_path / "hospital")
    done = ingested(store, tmp_path / "hospital")
    asked = reference(
        tmp_path / "hospital", label_references(hospital_dataset(tmp_path / "hospital", tasks=[FEMALE]))
    )
    ensure_labels(store, asked, "later")
    data = ChestXrayDataset.open(done, finished_labels(store, asked.labels))
    assert data.labels("female").tolist() == [1, 1, 0, 0] * 3


def test_labels_that_are_there_are_not_read_from_the_table_again(
    tmp_path: Path, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
):
    write_hospital(tmp_path / "hospital")
    labels = label_references(hospital_dataset(tmp_path / "hospital", tasks=[ICU]))
    ingested(store, tmp_path / "hospital", labels)
    monkeypatch.setattr(label_objects, "declare", lambda _: pytest.fail("the table was read"))
    ensure_labels(store, reference(tmp_path / "hospital", labels), "later")


def test_a_table_that_answers_otherwise_than_preflight_saw_is_refused(tmp_path: Path, store: ArtifactStore):
    rows = write_hospital(tmp_path / "hospital")
    labels = label_references(hospital_dataset(tmp_path / "hospital", tasks=[ICU]))
    write_csv(tmp_path / "hospital" / "data.csv", [{**row, "icu": "1"} for row in rows])
    with pytest.raises(SourceError, match="task 'icu': its column has changed since"):
        ensure_labels(store, reference(tmp_path / "hospital", labels), "later")


def test_films_set_aside_when_they_were_decoded_keep_no_label(tmp_path: Path, store: ArtifactStore):
    write_hospital(tmp_path / "hospital")
    (tmp_path / "hospital" / "films" / "film-001.png").write_bytes(b"")
    dataset = hospital_dataset(tmp_path / "hospital", tasks=[ICU], quarantine={"maxShare": 0.5})
    labels = label_references(dataset)
    attempt = store.stage("ingest", "hospital", "b" * 64).attempt("first")
    done = ingest(dataset, seed=0, attempt=attempt, labels=labels)
    data = ChestXrayDataset.open(done, finished_labels(store, labels))
    assert data.labels("icu").tolist() == [0, 1, 1, *([0, 0, 1, 1] * 2)]
