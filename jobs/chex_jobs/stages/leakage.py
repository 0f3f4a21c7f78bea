"""Leakage, as far as decoded films tell: no model may meet a validation or test film, or a patient, that it has seen.

Preflight compares tables and files; the same film saved again as another file is only seen here, by its pixels, and what
weights of other jobs were trained on only by the list that lies beside them (`TRAINED_ON`).
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from chex_api.stage import Exposure, StageReference, WeightsFromElsewhere
from chex_jobs.artifacts import FinishedArtifact, ObjectNotFound, open_storage
from chex_jobs.data.dataset.chest_xray_dataset import ChestXrayDataset
from chex_jobs.data.dataset.fingerprints import Fingerprints, TrainedOn, fingerprints, key_id, patient_key
from chex_jobs.data.splits.assignment import TEST, TRAIN
from chex_jobs.handover.context import StageContext
from chex_jobs.handover.files import TRAINED_ON
from chex_jobs.handover.parents import finished_parent
from chex_jobs.stages.errors import StageFailed


def training_part(reference: StageReference, context: StageContext) -> Fingerprints:
    """The training films of an ingested data set."""
    return _part(reference, context, lambda data: data.split == TRAIN)


def held_out_part(reference: StageReference, context: StageContext) -> Fingerprints:
    """The films that validate or test, or belong to no part; with folds all."""
    return _part(reference, context, lambda data: data.split != TRAIN)


def learned_part(reference: StageReference, context: StageContext) -> Fingerprints:
    """The films that a hospital's own models are trained or chosen on; with folds all."""
    return _part(reference, context, lambda data: data.split != TEST)


def trained_on(exposure: Exposure, context: StageContext) -> TrainedOn:
    """All that the weights of a start have seen, as far as anybody said. Raises `ArtifactError`, `DataError`."""
    seen = Fingerprints()
    for reference in exposure.training:
        seen |= training_part(reference, context)
    for reference in exposure.whole:
        seen |= _part(reference, context, lambda data: np.ones(len(data), bool))
    key = patient_key(context.store.storage)
    unknown = list[str]()
    for weights in exposure.elsewhere:
        listed = _list_beside(weights)
        if listed is None or listed == TrainedOn():  # `sha256sum` of no file at all leaves a list too
            unknown += [] if weights.declared else [f"films and patients of {weights.uri}"]
            continue
        comparable = listed.key in ("", key_id(key))
        films = Fingerprints(listed.seen.pictures, listed.seen.files)
        seen |= listed.seen if comparable else films
        unknown += listed.unknown
        told = weights.declared or (comparable and listed.key)
        unknown += [] if told else [f"patients of {weights.uri}"]
    return TrainedOn(seen, key_id(key), tuple(dict.fromkeys(unknown)))


def check_unseen(label: str, what: str, met: Fingerprints, seen: Sequence[tuple[str, Fingerprints]]) -> None:
    """Fail if a film or patient of `met` is among what was seen.

    Args:
        label: the stage, for the message.
        what: what is met, for the message: `test films of hospital 'north'`.
        met: the films that a model is judged on.
        seen: name -> what a model has seen, for each.

    Raises:
        StageFailed: counts only, and what to do.
    """
    for name, known in seen:
        films, patients = met.shared_films(known), met.shared_patients(known)
        if films or patients:
            counted = " and ".join(
                f"{count} {kind}" for count, kind in ((films, "films"), (patients, "patients")) if count
            )
            raise StageFailed(
                label,
                f"{counted} of the {what} are among {name} (told by their content, whatever their files are called); leave "
                "them out of one of the two",
                user_error=True,
            )


def notices(starts: Sequence[tuple[str, TrainedOn]]) -> Iterator[str]:
    """What a reader must know of starts whose training nobody has told, a sentence for each."""
    for start, known in starts:
        for what in known.unknown:
            yield (
                f"Start {start!r}: it is unknown whether test patients were among what its weights were trained on ({what}). "
                "If they were, its results are too good."
            )


def fingerprints_of(
    data: ChestXrayDataset, ordinals: npt.NDArray[np.int64], reference: StageReference, context: StageContext
) -> Fingerprints:
    """The fingerprints of some films of an ingested data set of this job."""
    return fingerprints(data, ordinals, reference.patient_domain, patient_key(context.store.storage))


def _part(
    reference: StageReference,
    context: StageContext,
    chosen: Callable[[ChestXrayDataset], npt.NDArray[np.bool_]],
) -> Fingerprints:
    data = ChestXrayDataset.open(finished_parent(context.store, reference))
    return fingerprints_of(data, np.flatnonzero(chosen(data)), reference, context)


def _list_beside(weights: WeightsFromElsewhere) -> TrainedOn | None:
    """The list that lies beside weights, or None."""
    where = f"{weights.uri.rstrip('/')}/{TRAINED_ON}"
    try:
        if weights.manifest_sha256:
            pinned = FinishedArtifact.open(
                f"{weights.uri.rstrip('/')}/manifest.json", weights.manifest_sha256
            )
            return TrainedOn.decode(pinned.read_bytes(TRAINED_ON), where)
        return TrainedOn.decode(open_storage(weights.uri).read_bytes(TRAINED_ON), where)
    except ObjectNotFound:
        return None
