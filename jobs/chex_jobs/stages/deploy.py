"""From a hospital's recommendation to its deployable model."""

from pathlib import Path

from chex_api.dataset import Dataset
from chex_api.encoder import ImageEncoder
from chex_jobs.adaptation.head import Classifier, load_classifier
from chex_jobs.artifacts import ArtifactStore, ObjectNotFound
from chex_jobs.deployment.bundle import (
    BundleConfig,
    MemberScaling,
    OperatingThreshold,
    Preprocessing,
    TaskConfig,
)
from chex_jobs.deployment.ensemble import Ensemble
from chex_jobs.deployment.write import write_bundle
from chex_jobs.evaluation.results.schema import HospitalResults
from chex_jobs.models import build_image_encoder


def bundle_of(
    hospital: HospitalResults, dataset: Dataset, encoder: ImageEncoder, store: ArtifactStore, folder: Path
) -> None:
    """Write the model that validation chose: the members that were evaluated, with their scalings.

    Only where validation could choose (`Recommendation.deploy`).
    """
    arm = hospital.recommendation.deploy
    assert arm is not None
    tasks = tuple(task.task for task in hospital.tasks)
    members: list[Classifier] = []
    for deployed in hospital.recommendation.deployed:
        done = store.object("final", deployed.object_identity).finished()
        if done is None:
            raise ObjectNotFound(
                f"the final model {deployed.object_identity[:12]} is gone from the artifacts; delete the adaptation's manifest to have it fitted again"
            )
        members.append(load_classifier(done, build_image_encoder(encoder, 0), len(tasks)))
    config = BundleConfig(
        architecture=encoder.architecture,
        size=encoder.size,
        members=len(members),
        unit=dataset.unit,
        tasks=tuple(_task(hospital, place, task) for place, task in enumerate(tasks)),
        hospital=hospital.hospital,
        arm=arm.label,
        provenance={
            "models": [deployed.object_identity for deployed in hospital.recommendation.deployed],
            "stages": dict(hospital.identities),
        },
    )
    ensemble = Ensemble(members, config.scalings()).eval()
    write_bundle(folder, ensemble, config, Preprocessing.of(dataset.stored_short_side, encoder.size))


def _task(hospital: HospitalResults, place: int, task: str) -> TaskConfig:
    """The task's scalings and thresholds, as the evaluation fixed them on validation patients."""
    advice = hospital.recommendation
    performance = next(each for each in advice.deployed_performance if each.task == task)
    calibration = next(
        (each for each in hospital.calibrations if each.task == task and each.arm == advice.deploy), None
    )
    points = calibration.operating_points if calibration is not None else ()
    thresholds = tuple(
        OperatingThreshold(wanted_specificity=point.wanted_specificity, probability=point.threshold)
        for point in points
        if point.threshold is not None
    )
    scalings = (deployed.scalings[place] for deployed in advice.deployed)
    return TaskConfig(
        name=task,
        scalings=tuple(MemberScaling(slope=each.slope, intercept=each.intercept) for each in scalings),
        calibrated=performance.calibrated,
        thresholds=thresholds,
    )
