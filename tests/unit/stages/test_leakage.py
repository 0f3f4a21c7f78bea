"""What only decoded films and the lists of other jobs tell: whether a model would meet a film that it has seen."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from chex_api.identity import identity_of
from chex_api.plan import labels_identity
from chex_api.stage import DatasetReference, Exposure, LabelReference, StageReference, WeightsFromElsewhere
from chex_jobs.artifacts import ArtifactStore
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.dataset.fingerprints import Fingerprints, TrainedOn, key_id, patient_key
from chex_jobs.data.dataset.label_objects import ensure_labels
from chex_jobs.data.ingest import chunks
from chex_jobs.data.ingest import ingest as ingest_module
from chex_jobs.data.ingest.ingest import ingest
from chex_jobs.data.sources.contents import labels_digest
from chex_jobs.data.sources.declaration import declare
from chex_jobs.evaluation.test_access.ledger import TestLedger, Visit
from chex_jobs.handover.context import Machine, StageContext
from chex_jobs.stages.errors import StageFailed
from chex_jobs.stages.evaluate import _check_leakage, _opened  # pyright: ignore[reportPrivateUsage]
from chex_jobs.stages.leakage import (
    TRAINED_ON,
    check_unseen,
    held_out_part,
    learned_part,
    notices,
    trained_on,
    training_part,
)
from chex_jobs.stages.parents import finished_parent
from tests.unit.data.films import hospital_dataset, png, write_csv, write_hospital
from tests.unit.evaluation.test_access.test_ledger import NOW


@pytest.fixture(autouse=True, scope="module")
def one_decoder() -> Iterator[None]:
    """Keep the decoding process from test to test: starting it takes longer than a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest_module, "close_decoder", lambda: None)
        yield
    chunks.close_decoder()


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    store = ArtifactStore.open((tmp_path / "artifacts").as_uri())
    return StageContext(store, "first", Machine(cpus=1), lambda _: None)


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    write_hospital(tmp_path / "hospital", num_films=40)
    return tmp_path / "hospital"


def ingested(context: StageContext, folder: Path, seed: int = 0, **changes: Any) -> DatasetReference:
    """A data set, ingested in this process, and the labels of its task."""
    dataset = hospital_dataset(folder, **changes)
    identity = identity_of([seed, dataset.plain()])
    attempt = context.store.stage("ingest", dataset.name, identity).attempt("first")
    ingest(dataset, seed=seed, attempt=attempt)
    films = StageReference(
        kind="ingest", name=dataset.name, identity=identity, patient_domain=dataset.domain()
    )
    declared = declare(dataset)
    digest = labels_digest(declared.table.films, declared.labels["icu"])
    label = LabelReference(task="icu", identity=labels_identity(digest))
    reference = DatasetReference(films=films, declared=dataset, labels=(label,))
    ensure_labels(context.store, reference, "first")
    return reference


def saved_again(folder: Path, target: Path) -> Path:
    """The same pictures under other names and of other patients, in files of other bytes."""
    rows = write_hospital(target, num_films=40)
    for number, row in enumerate(rows):
        picture = cv2.imread(str(folder / "films" / str(row["file"])), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        (target / "films" / str(row["file"])).unlink()
        row["file"], row["patient"] = f"copy-{number}.png", f"somebody-{number // 2}"
        fast = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
        (target / "films" / str(row["file"])).write_bytes(fast)
    write_csv(target / "data.csv", rows)
    return target


def evaluation_of(hospital: str, dataset: DatasetReference) -> tuple[Any, Any]:
    """As much of a stage's spec, and of its work, as the check for leakage reads."""
    spec = SimpleNamespace(label=f"evaluate/{hospital}")
    return spec, SimpleNamespace(hospital=SimpleNamespace(name=hospital), dataset=dataset)


def openings(context: StageContext, *references: DatasetReference) -> list[int]:
    """Opens each test set in turn; the count that each evaluation sees."""
    counts = []
    for number, reference in enumerate(references):
        ledger = TestLedger(context.store.storage, _opened(reference, context, ("icu",)).test_set)
        ledger.record(Visit(reference.films.name, "north", f"{number:064d}", "first", "evaluate"), 1, NOW)
        counts.append(len(ledger.openings()))
    return counts


def test_openings_are_counted_on_whatever_is_edited_in_a_data_set(
    context: StageContext, hospital: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(hospital, moved)
    references = (
        ingested(context, hospital),
        ingested(context, hospital, name="renamed"),
        ingested(context, hospital, storedShortSide=40),
        ingested(context, hospital, unit="Patient"),
        ingested(context, moved),
        ingested(context, moved, name="renamed", storedShortSide=36, split={"patients": {"test": 0.5, "validate": 0.1}}),
        ingested(context, hospital, split={"groupedFolds": 4}),
        ingested(context, saved_again(hospital, tmp_path / "again")),
    )  # fmt: skip
    assert openings(context, *references[:7]) == [1, 2, 3, 4, 5, 6, 7]
    (count,) = openings(context, references[7])
    assert count > 1, "equal pictures in files of other bytes"


def test_the_ledger_holds_no_patient_id_and_no_name_of_a_film(context: StageContext, hospital: Path) -> None:
    openings(context, ingested(context, hospital))
    root = Path(context.store.storage.location.directory) / "ledger"
    text = b"".join(path.read_bytes() for path in root.rglob("*") if path.is_file())
    data = ChestXrayDataset.open(finished_parent(context.store, ingested(context, hospital).films))
    assert b"film-" not in text
    for patient in data.patient_ids():
        assert patient.encode() not in text
        assert hashlib.sha256(patient.encode()).hexdigest().encode() not in text


def test_films_that_were_saved_again_are_found_among_what_a_start_has_seen(
    context: StageContext, hospital: Path, tmp_path: Path
) -> None:
    everyone_trains = {"patients": {"validate": 0.0, "test": 0.0}}
    again = saved_again(hospital, tmp_path / "again")
    archive = ingested(context, again, name="archive", split=everyone_trains)
    north = ingested(context, hospital)
    seen = trained_on(Exposure(start="ssl", training=(archive.films,)), context)
    with pytest.raises(
        StageFailed, match=r"^adapt/north: \d+ films of the validation or test films .* start 'ssl'"
    ) as caught:
        check_unseen(
            "adapt/north",
            "validation or test films",
            held_out_part(north.films, context),
            [("start 'ssl'", seen.seen)],
        )
    assert caught.value.user_error


def test_other_hospitals_test_films_are_found_among_a_hospitals_own_training_films(
    context: StageContext, hospital: Path, tmp_path: Path
) -> None:
    north = ingested(context, hospital)
    south = ingested(
        context, saved_again(hospital, tmp_path / "again"), name="south", split={"groupedFolds": 3}
    )
    opened = {name: _opened(each, context, ("icu",)) for name, each in (("north", north), ("south", south))}
    spec, work = evaluation_of("north", north)
    with pytest.raises(StageFailed, match=r"hospital 'south' \(evaluation.alsoOn\) are among the training"):
        _check_leakage(spec, work, opened["north"], {"south": opened["south"]}, [], context)
    assert not list(context.store.storage.sizes("ledger")), "nothing was opened"


def test_one_test_set_at_two_hospitals_is_nothing_that_either_has_learned(
    context: StageContext, hospital: Path
) -> None:
    north = ingested(context, hospital)
    check_unseen(
        "evaluate/x",
        "test films",
        _opened(north, context, ("icu",)).test_set,
        [("x", learned_part(north.films, context))],
    )


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    return folder


def from_folder(folder: Path, **told: Any) -> Exposure:
    return Exposure(start="weights", elsewhere=(WeightsFromElsewhere(uri=folder.as_uri(), **told),))


def test_weights_of_which_nobody_said_what_they_have_seen_get_a_notice(
    context: StageContext, weights: Path
) -> None:
    known = trained_on(from_folder(weights), context)
    (notice,) = notices([("weights", known)])
    assert "'weights'" in notice
    assert "unknown" in notice
    assert weights.as_uri() in notice


@pytest.mark.parametrize("content", ["", "\n", "# sha256sum images/*\n"])
def test_a_list_without_a_film_says_as_little_as_none(
    context: StageContext, weights: Path, content: str
) -> None:
    (weights / TRAINED_ON).write_text(content)
    assert trained_on(from_folder(weights), context).unknown == (f"films and patients of {weights.as_uri()}",)


def test_weights_whose_data_sets_the_manifest_names_get_none(
    context: StageContext, weights: Path, hospital: Path
) -> None:
    seen = ingested(context, hospital)
    exposure = from_folder(weights, declared=True).model_copy(update={"whole": (seen.films,)})
    known = trained_on(exposure, context)
    assert list(notices([("weights", known)])) == []
    assert (
        known.seen.shared_films(training_part(seen.films, context) | held_out_part(seen.films, context)) == 40
    )


def test_films_listed_beside_weights_are_found_and_patients_are_said_to_be_unknown(
    context: StageContext, weights: Path, hospital: Path
) -> None:
    listed = [
        hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((hospital / "films").iterdir())
    ]
    (weights / TRAINED_ON).write_text("".join(f"{digest}  film.png\n" for digest in listed))
    known = trained_on(from_folder(weights), context)
    north = ingested(context, hospital)
    with pytest.raises(StageFailed, match="films of the test films"):
        check_unseen(
            "adapt/north", "test films", held_out_part(north.films, context), [("weights", known.seen)]
        )
    (notice,) = notices([("weights", known)])
    assert "patients of" in notice


def test_patients_that_another_run_of_this_store_has_seen_are_found_in_other_films(
    context: StageContext, weights: Path, hospital: Path, tmp_path: Path
) -> None:
    seen = ingested(context, hospital, patientDomain="network")
    key = key_id(patient_key(context.store.storage))
    whole = training_part(seen.films, context) | held_out_part(seen.films, context)
    (weights / TRAINED_ON).write_bytes(TrainedOn(whole, key).encode())
    later = tmp_path / "later"
    rows = write_hospital(later, num_films=40)
    rng = np.random.default_rng(1)
    for row in rows:
        (later / "films" / str(row["file"])).write_bytes(png(rng.integers(0, 255, (48, 40), np.uint8)))
    north = ingested(context, later, name="later", patientDomain="network")
    known = trained_on(from_folder(weights), context)
    assert known.unknown == ()
    with pytest.raises(StageFailed, match=r"^adapt/north: \d+ patients of"):
        check_unseen(
            "adapt/north", "test films", held_out_part(north.films, context), [("weights", known.seen)]
        )


def test_patients_listed_under_another_stores_key_are_not_compared_and_that_is_said(
    context: StageContext, weights: Path
) -> None:
    (weights / TRAINED_ON).write_bytes(
        TrainedOn(Fingerprints(patients=frozenset({"a" * 64})), "another").encode()
    )
    known = trained_on(from_folder(weights), context)
    assert known.seen.patients == frozenset()
    assert known.unknown == (f"patients of {weights.as_uri()}",)


def test_what_is_unknown_of_weights_stays_unknown_of_what_was_trained_from_them(
    context: StageContext, weights: Path
) -> None:
    (weights / TRAINED_ON).write_bytes(
        TrainedOn(key=key_id(patient_key(context.store.storage)), unknown=("films of s3://first",)).encode()
    )
    assert trained_on(from_folder(weights), context).unknown == ("films of s3://first",)
