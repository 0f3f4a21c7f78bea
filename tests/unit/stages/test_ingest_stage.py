"""A stage is published under an identity; what lies in storage by then may be another thing."""

from typing import Any

import pytest

from chex_api.loading import validate_job
from chex_api.plan import ingest_identity, make_plan
from chex_api.stage import StageSpec
from chex_jobs.data.errors import SourceError
from chex_jobs.stages import ingest
from tests.pipeline.manifest import tiny_job

URI = "s3://radiology-data/archive/"
SEEN, NOW = "1" * 64, "2" * 64


class Source:
    def __init__(self, digest: str) -> None:
        self._digest = digest

    def digest(self) -> str:
        return self._digest


def stage(uri: str) -> StageSpec:
    """The ingest of films that lie there, as a preflight planned it that saw digest `SEEN`."""
    plain: dict[str, Any] = tiny_job("s3://radiology-models/tiny")
    archive = plain["spec"]["datasets"][0]
    archive["source"] = {"nihChestXray14": {"uri": uri}}
    archive["tasks"] = [{"name": "effusion", "column": "Effusion", "positive": {"values": ["1"]}}]
    loaded = validate_job(plain)
    assert loaded.job is not None, loaded.faults
    return make_plan(loaded.job, {f"datasets/{archive['name']}": SEEN}).stage("ingest", archive["name"])


def check(spec: StageSpec, digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "open_source", lambda _: Source(digest))
    ingest._check_unchanged(spec)  # pyright: ignore[reportPrivateUsage]


def test_films_that_changed_since_the_preflight_are_not_published_as_those_that_it_saw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SourceError, match="has changed since this job's preflight"):
        check(stage(URI), NOW, monkeypatch)


def test_films_that_are_as_the_preflight_saw_them_are_ingested(monkeypatch: pytest.MonkeyPatch) -> None:
    check(stage(URI), SEEN, monkeypatch)


def test_a_folder_is_not_read_twice_for_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    check(stage("file:///data/archive"), NOW, monkeypatch)


def test_the_identity_is_the_one_that_a_plan_gives() -> None:
    spec = stage(URI)
    assert spec.work.ingest is not None
    assert ingest_identity(spec.seed, spec.work.ingest.dataset, SEEN) == spec.identity
