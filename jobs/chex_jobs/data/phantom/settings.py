"""What can be chosen about a generated archive: the fields of `source: {phantom: {...}}`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingPrevalence:
    """Share of studies that show one finding.

    Attributes:
        finding: name of a finding as in `chex_jobs.data.phantom.findings.FINDINGS`, e.g. "Effusion".
        prevalence: probability in (0, 1) that a study of the average patient shows it.
    """

    finding: str
    prevalence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomSettings:
    """A generated archive of one hospital.

    Attributes:
        patients: number of patients. A larger number keeps the earlier patients as they are.
        films_per_patient: mean number of films of a patient, >= 1. The distribution has a long tail, and the sick
            have more films, as in real archives.
        size: short side of a film in pixels, 32 to 1024; the long side is up to 1.2 times that.
        hospital: number of the hospital, 0 to 63: scanner, wording, omissions and prevalence follow from it. 0 to 3
            are made by hand (see `hospitals`), the others are drawn from their number.
        reports: whether studies have reports. False stands for the hospital that has none.
        seed: two archives of one hospital with different seeds hold different people.
        prevalence: replaces the hospital's prevalence of the findings named.
    """

    patients: int = 400
    films_per_patient: float = 1.5
    size: int = 64
    hospital: int = 0
    reports: bool = True
    seed: int = 0
    prevalence: tuple[FindingPrevalence, ...] = ()
