"""`ingest/<dataset>`: decode a data set's films once."""

import time

from chex_api.plan import ingest_identity
from chex_api.stage import StageProgress, StageSpec
from chex_jobs.artifacts import FinishedArtifact
from chex_jobs.data.errors import SourceError
from chex_jobs.data.ingest import IngestProgress, ingest
from chex_jobs.data.ray_mapper import RayMapper
from chex_jobs.data.sources import open_source
from chex_jobs.stages.context import StageContext
from chex_jobs.stages.environment import describe_environment


def run(spec: StageSpec, context: StageContext) -> FinishedArtifact:
    """Ingest the data set of `spec`; a killed ingest goes on with the films that were decoded."""
    work = spec.work.ingest
    assert work is not None
    _check_unchanged(spec)
    begun = time.monotonic()

    def tell(progress: IngestProgress) -> None:
        context.raise_if_stopped()
        seconds = max(time.monotonic() - begun, 1e-6)
        rate = progress.films_done / seconds
        left = (progress.films_total - progress.films_done) / rate if rate else None
        context.on_progress(
            StageProgress(
                done=progress.films_done,
                total=progress.films_total,
                committed=progress.films_done,
                unit="films",
                metrics={"films/s": rate, "quarantined": progress.quarantined},
                eta_seconds=left,
            )
        )

    attempt = context.store.stage(spec.kind, spec.name, spec.identity).attempt(context.attempt_id)
    return ingest(
        work.dataset,
        seed=spec.seed,
        attempt=attempt,
        mapper=RayMapper(),
        on_progress=tell,
        environment=describe_environment(context.machine),
    )


def _check_unchanged(spec: StageSpec) -> None:
    """What lies in S3 is still what the stage's identity was made of: a listing tells. Raises `SourceError`.

    Minutes or days may lie between a preflight in a cluster and the ingest. On one machine they follow each other at once, and
    a folder's digest costs reading it whole.
    """
    work = spec.work.ingest
    assert work is not None
    dataset = work.dataset
    _, source = dataset.source.member()
    if not getattr(source, "uri", "").startswith("s3://"):
        return
    if ingest_identity(spec.seed, dataset, open_source(dataset.source).digest()) != spec.identity:
        raise SourceError(
            f"data set {dataset.name!r}: what lies at {source.uri} has changed since this job's preflight looked at it; "
            "`kubectl chex resume` the job: a preflight then looks again, and what depends on it is computed anew"
        )
