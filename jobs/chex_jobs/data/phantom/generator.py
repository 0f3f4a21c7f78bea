"""A generated archive: a table, films and reports, each film made when it is asked for."""

from dataclasses import dataclass

import numpy as np

from chex_jobs.data.keyed_random import Stream, keyed_generator
from chex_jobs.data.phantom.anatomy import build_chest, place
from chex_jobs.data.phantom.drawing import Canvas, Signs, attenuation
from chex_jobs.data.phantom.findings import FINDING_NAMES
from chex_jobs.data.phantom.hospitals import hospital
from chex_jobs.data.phantom.population import draw_population
from chex_jobs.data.phantom.reports import write_report
from chex_jobs.data.phantom.scanner import develop
from chex_jobs.data.phantom.settings import PhantomSettings

# Films this small are drawn at twice their size, or thin lines would be lost.
_DOUBLED_BELOW = 160

_FINDING = {name: number for number, name in enumerate(FINDING_NAMES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomRow:
    """What the archive's table says of one film; nothing here needs the picture.

    Attributes:
        key: name of the film, unique in the archive; keys ascend in the order of films.
        patient: id of the patient.
        study: id of the study, unique in the archive.
        view: "AP" or "PA".
        sex: "F" or "M".
        age: in years.
        device: name of the machine.
        findings: for each of `FINDING_NAMES`, whether the study shows it.
    """

    key: str
    patient: str
    study: str
    view: str
    sex: str
    age: int
    device: str
    findings: dict[str, bool]


class PhantomArchive:
    """The films of one generated hospital, numbered from 0.

    Everything follows from the settings and a film's number alone: films can be made in any order, in any process,
    and an archive of more patients begins with the same films. Ids name hospital and seed, so that two archives share
    patients exactly if they share films.
    """

    def __init__(self, settings: PhantomSettings) -> None:
        """Draw the population, not yet any film.

        Raises:
            ValueError: a finding of `settings.prevalence` does not exist.
        """
        self.settings = settings
        self._hospital = hospital(settings.hospital)
        self._population = draw_population(settings)
        self._prefix = f"h{settings.hospital:02d}-s{settings.seed}"

    def __len__(self) -> int:
        return len(self._population.study_of_film)

    def row(self, index: int) -> PhantomRow:
        """Return what the table says of a film."""
        people = self._population
        study = int(people.study_of_film[index])
        patient = int(people.patient_of_study[study])
        machine = self._hospital.scanners[people.scanner[index]]
        return PhantomRow(
            key=f"{index:08d}.png",
            patient=f"{self._prefix}-p{patient:07d}",
            study=f"{self._prefix}-e{study:08d}",
            view="AP" if machine.bedside else "PA",
            sex="F" if people.female[patient] else "M",
            age=int(people.age[patient]),
            device=machine.device,
            findings=dict(zip(FINDING_NAMES, (people.severity[study] > 0).tolist(), strict=True)),
        )

    def index_of(self, key: str) -> int:
        """Return the number of the film with this key."""
        return int(key.removesuffix(".png"))

    def report(self, index: int) -> str | None:
        """Return the report of the film's study: the same text for each film of it; None where there is none."""
        if not self.settings.reports:
            return None
        study = int(self._population.study_of_film[index])
        return write_report(
            self._population.severity[study],
            self._population.side[study],
            self._hospital,
            self._generator(Stream.PHANTOM_REPORT, study),
        )

    def film(self, index: int) -> np.ndarray:
        """Return a film, uint8 `[H, W]`; its short side is `settings.size`."""
        people = self._population
        study = int(people.study_of_film[index])
        patient = int(people.patient_of_study[study])
        machine = self._hospital.scanners[people.scanner[index]]
        conditions, shape = people.conditions[index], people.shape[patient]
        female = bool(people.female[patient])
        severity = {name: float(people.severity[study, number]) for name, number in _FINDING.items()}
        sided = {name: (severity[name], int(people.side[study, number])) for name, number in _FINDING.items()}
        rng = self._generator(Stream.PHANTOM_DRAWING, index)

        height, width = self._film_shape(float(rng.random()), bedside=machine.bedside)
        fine = 2 if self.settings.size < _DOUBLED_BELOW else 1
        chest = build_chest(
            shape,
            conditions,
            female=female,
            bedside=machine.bedside,
            cardiomegaly=severity["Cardiomegaly"],
            scoliosis=severity["Scoliosis"],
            emphysema=severity["Emphysema"],
            fracture=sided["Fracture"],
        )
        signs = Signs(
            effusion=sided["Effusion"],
            pneumothorax=sided["Pneumothorax"],
            consolidation=sided["Consolidation"],
            nodule=sided["Nodule"],
            edema=severity["Edema"],
            device=severity["Device"],
            emphysema=severity["Emphysema"],
        )
        canvas = Canvas(
            fine * height,
            fine * width,
            place(fine * height, fine * width, conditions, bedside=machine.bedside),
        )
        loss = attenuation(canvas, chest, signs, shape, female=female, bedside=machine.bedside, rng=rng)
        return develop(loss, height, width, machine, conditions, rng)

    def _film_shape(self, uniform: float, *, bedside: bool) -> tuple[int, int]:
        """Return height and width: bedside plates lie across, the others are square or upright."""
        short, ratio = self.settings.size, (1.0, 1.1, 1.2)[int(uniform * 3)]
        long = 2 * round(short * ratio / 2)
        return (short, long) if bedside else (long, short)

    def _generator(self, stream: Stream, number: int) -> np.random.Generator:
        return keyed_generator(stream, self.settings.seed, self.settings.hospital, number)
