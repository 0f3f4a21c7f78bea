"""Towers and first weights, looked at on a CPU before a worker with a GPU is started for them.

Whatever of them a worker would fail on, and that can be seen without its memory, is found here: an architecture that
nobody knows, a size that it does not take, folders without weights, a text tower of another family, a tokenizer that
cannot be read, the manifest of another job that is not the one it was.
"""

from collections.abc import Callable, Iterator

from chex_api.encoder import OWN_ARCHITECTURES, ImageEncoder
from chex_api.faults import Fault
from chex_api.job import JobSpec
from chex_api.pretraining import ManifestReference, StartFrom
from chex_jobs.artifacts import ArtifactError, FinishedArtifact


def architecture_faults(spec: JobSpec) -> list[Fault]:
    """What is wrong with the image encoder by its name and size alone. Loads torch and timm for encoders of timm only."""
    return [
        Fault(path, str(error)) for path, look in _architecture(spec.encoders.image) for error in _error(look)
    ]


def tower_errors(spec: JobSpec) -> Iterator[tuple[str, Exception]]:
    """Everything that is wrong with towers and first weights: field path and error."""
    for path, look in _looks(spec):
        for error in _error(look):
            yield path, error


Look = Callable[[], object]


def _error(look: Look) -> Iterator[Exception]:
    from chex_jobs.models.errors import ModelError  # its package loads torch

    try:
        look()
    except (ModelError, ArtifactError) as error:
        yield error


def _looks(spec: JobSpec) -> Iterator[tuple[str, Look]]:
    yield from _architecture(spec.encoders.image)
    if (image_uri := spec.encoders.image.init.uri) is not None:
        yield "spec.encoders.image.init.uri", lambda: _image_weights(image_uri, None)
    if _reads_reports(spec):
        yield from _text_tower(spec)
    for path, start in _starts(spec):
        if start.weights is not None:
            given = start.weights
            yield f"{path}.weights", lambda given=given: _image_weights(given.uri, given.format)
        if start.manifest is not None:
            reference = start.manifest
            yield f"{path}.manifest", lambda reference=reference: _shared_stage(reference)


def _architecture(image: ImageEncoder) -> Iterator[tuple[str, Look]]:
    if image.architecture not in OWN_ARCHITECTURES:
        yield "spec.encoders.image.architecture", lambda: _check_image_encoder(image)


def _check_image_encoder(image: ImageEncoder) -> None:
    from chex_jobs.models import check_image_encoder

    check_image_encoder(image)


def _text_tower(spec: JobSpec) -> Iterator[tuple[str, Look]]:
    text = spec.encoders.text
    if text is None or text.init.uri is None:
        return
    from chex_jobs.models import build_tokenizer, check_text_encoder

    yield "spec.encoders.text", lambda: check_text_encoder(text)
    yield "spec.encoders.text.init.uri", lambda: build_tokenizer(text)


def _reads_reports(spec: JobSpec) -> bool:
    strategies = [strategy for hospital in spec.hospitals for strategy in hospital.strategies]
    return any(run.objective.settings.READS_REPORTS for run in spec.pretraining) or any(
        strategy.reads_reports for strategy in strategies
    )


def _starts(spec: JobSpec) -> Iterator[tuple[str, StartFrom]]:
    for index, run in enumerate(spec.pretraining):
        yield f"spec.pretraining[{index}].startFrom", run.start_from
    for index, hospital in enumerate(spec.hospitals):
        for position, start in enumerate(hospital.start_from):
            yield f"spec.hospitals[{index}].startFrom[{position}]", start


def _image_weights(uri: str, weights_format: str | None) -> None:
    from chex_jobs.models.folder import ModelFolder
    from chex_jobs.models.image_weights import image_weights_file

    image_weights_file(
        ModelFolder(uri),
        None if weights_format is None else "Timm" if weights_format == "Timm" else "ChexDragon",
    )


def _shared_stage(reference: ManifestReference) -> None:
    from chex_jobs.handover.files import IMAGE_ENCODER
    from chex_jobs.models.errors import WeightsError

    done = FinishedArtifact.open(f"{reference.uri.rstrip('/')}/manifest.json", reference.sha256)
    if IMAGE_ENCODER not in done.files:
        raise WeightsError(
            f"{reference.uri} holds no {IMAGE_ENCODER}; it must be a pretraining that is finished"
        )
