"""The findings a phantom study can show, how they run in patients, and which of them reports know."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding.

    The latent strength of a finding in a study is `frailty_weight` x the patient's frailty, plus a part of the patient
    (`patient_weight`), plus a part of the study that makes up the rest of the variance. A study shows the finding where
    that strength exceeds the threshold which the prevalence sets, so prevalences hold exactly whatever the weights.

    Attributes:
        name: as in labels and settings.
        prevalence: share of studies of the network's average patient.
        frailty_weight: correlation with frailty, which age, bedside films and number of films share.
        patient_weight: how much stays the same between the studies of a patient. The squares of the two weights add
            up to 1 at most.
        sided: whether it lies in one lung (or both).
        reported: whether reports ever mention it. Those that are not are the novel tasks.
    """

    name: str
    prevalence: float
    frailty_weight: float
    patient_weight: float
    sided: bool = True
    reported: bool = True


FINDINGS = (
    Finding(name="Effusion", prevalence=0.22, frailty_weight=0.5, patient_weight=0.5),
    Finding(name="Cardiomegaly", prevalence=0.20, frailty_weight=0.4, patient_weight=0.85, sided=False),
    Finding(name="Pneumothorax", prevalence=0.10, frailty_weight=0.1, patient_weight=0.4),
    Finding(name="Consolidation", prevalence=0.22, frailty_weight=0.3, patient_weight=0.3),
    Finding(name="Nodule", prevalence=0.14, frailty_weight=0.1, patient_weight=0.9),
    Finding(name="Edema", prevalence=0.18, frailty_weight=0.5, patient_weight=0.4, sided=False),
    Finding(name="Device", prevalence=0.25, frailty_weight=0.6, patient_weight=0.4, sided=False),
    Finding(
        name="Scoliosis",
        prevalence=0.15,
        frailty_weight=0.1,
        patient_weight=0.99,
        sided=False,
        reported=False,
    ),
    Finding(name="Fracture", prevalence=0.12, frailty_weight=0.1, patient_weight=0.9, reported=False),
    Finding(
        name="Emphysema", prevalence=0.16, frailty_weight=0.4, patient_weight=0.9, sided=False, reported=False
    ),
)

FINDING_NAMES = tuple(finding.name for finding in FINDINGS)
