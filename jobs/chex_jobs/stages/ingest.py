"""`ingest/<dataset>`: decode a data set's films once."""

import time

from chex_api.stage import StageProgress, StageSpec
from chex_jobs.artifacts import FinishedArtifact
from chex_jobs.data.ingest.ingest import IngestProgress, ingest
from chex_jobs.data.ingest.ray_mapper import RayMapper
from chex_jobs.handover.context import StageContext
from chex_jobs.stages.environment import describe_environment


def run(spec: StageSpec, context: StageContext) -> FinishedArtifact:
    """Ingest the data set of `spec`; a killed ingest goes on with the films that were decoded."""
    work = spec.work.ingest
    assert work is not None
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

    attempt = context.attempt(spec)
    return ingest(
        work.dataset,
        seed=spec.seed,
        attempt=attempt,
        digest=work.digest,
        labels=work.labels,
        outcomes=work.outcomes,
        mapper=RayMapper(),
        on_progress=tell,
        environment=describe_environment(context.machine),
    )
