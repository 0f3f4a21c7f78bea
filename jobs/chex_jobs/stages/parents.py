"""The finished stages that a stage reads."""

from chex_api.stage import StageReference
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact
from chex_jobs.stages.errors import StageFailed


def finished_parent(store: ArtifactStore, reference: StageReference) -> FinishedArtifact:
    """A parent's finished artifact, of this job or, pinned by its manifest's checksum, of another one.

    Raises `StageFailed` if a stage of this job is not finished, `ArtifactError` for what cannot be read.
    """
    if reference.uri:
        return FinishedArtifact.open(f"{reference.uri.rstrip('/')}/manifest.json", reference.manifest_sha256)
    done = store.stage(reference.kind, reference.name, reference.identity).finished()
    if done is None:
        label = f"{reference.kind}/{reference.name}"
        raise StageFailed(
            label, "is not finished, and another stage needs it; run the job again", by_input=False
        )
    return done
