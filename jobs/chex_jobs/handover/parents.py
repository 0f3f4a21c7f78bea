"""The finished stages that a stage reads."""

from chex_api.stage import StageReference
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact


class MissingParent(RuntimeError):
    """Something that a stage or a unit of work reads is not finished. Names it and says what to do."""


def finished_parent(store: ArtifactStore, reference: StageReference) -> FinishedArtifact:
    """A parent's finished artifact, of this job or, pinned by its manifest's checksum, of another one.

    Raises `MissingParent` if a stage of this job is not finished, `ArtifactError` for what cannot be read.
    """
    if reference.uri:
        return FinishedArtifact.open(f"{reference.uri.rstrip('/')}/manifest.json", reference.manifest_sha256)
    done = store.stage(reference.kind, reference.name, reference.identity).finished()
    if done is None:
        raise MissingParent(
            f"{reference.label} is not finished, and this stage reads it; run the job again to make it"
        )
    return done
