"""A stage is published under an identity; what lies in storage by then may be another thing."""

from pathlib import Path
from typing import Any

import pytest

from chex_api.loading import validate_job
from chex_api.plan import make_plan
from chex_api.stage import StageSpec
from chex_jobs.artifacts import ArtifactStore
from chex_jobs.data.errors import SourceError
from chex_jobs.data.ingest.ingest import ingest
from chex_jobs.preflight.looking import look_at
from tests.pipeline.manifest import tiny_job
from tests.unit.data.films import hospital_dataset, write_csv, write_hospital


def stage(root: Path) -> StageSpec:
    """The ingest of the films there, as a preflight plans it that looks at them now."""
    plain: dict[str, Any] = tiny_job((root / "artifacts").as_uri())
    dataset = hospital_dataset(root)
    plain["spec"]["datasets"] = [dataset.plain()]
    plain["spec"]["pretraining"] = []
    hospital = plain["spec"]["hospitals"][0] | {"dataset": "hospital", "tasks": ["icu"]}
    plain["spec"]["hospitals"] = [{**hospital, "startFrom": [{"random": {}}]}]
    loaded = validate_job(plain)
    assert loaded.job is not None, loaded.faults
    return make_plan(loaded.job, look_at(dataset).digests(dataset, ["icu"])).stage("ingest", "hospital")


def run(spec: StageSpec) -> int:
    work = spec.work.ingest
    assert work is not None
    artifact = ArtifactStore.open(spec.artifacts_uri).stage(spec.kind, spec.name, spec.identity)
    done = ingest(
        work.dataset,
        seed=spec.seed,
        attempt=artifact.attempt("first"),
        digest=work.digest,
        labels=work.labels,
    )
    return int(done.summary["films"])


def test_films_that_are_as_the_preflight_saw_them_are_ingested(tmp_path: Path) -> None:
    write_hospital(tmp_path)
    assert run(stage(tmp_path)) == 12


def test_films_that_changed_since_the_preflight_are_not_published_as_those_that_it_saw(
    tmp_path: Path,
) -> None:
    rows = write_hospital(tmp_path)
    spec = stage(tmp_path)
    write_csv(tmp_path / "data.csv", rows[1:])
    with pytest.raises(SourceError, match="has changed since this job's preflight"):
        run(spec)


def test_labels_that_changed_since_the_preflight_are_not_published_as_those_that_it_saw(
    tmp_path: Path,
) -> None:
    rows = write_hospital(tmp_path)
    spec = stage(tmp_path)
    write_csv(tmp_path / "data.csv", [{**row, "icu": "1"} for row in rows])
    with pytest.raises(SourceError, match="task 'icu': its column has changed since"):
        run(spec)
