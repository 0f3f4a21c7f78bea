"""The words of four schools of radiologists: names of findings and the sentences they stand in.

A hospital writes in one style most of the time. Styles share little wording on purpose: a text encoder that has read
one hospital's reports has to adapt to another's.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """One school.

    Attributes:
        names: for each reported finding, its names; the first is the usual one.
        strengths: words for mild, moderate and severe.
        present: sentences with `{what}`, where "what" is strength, side and name.
        absent: sentences with `{what}`, where "what" is one or several names joined by "or".
        uncertain: sentences with `{what}`.
        prior: sentences with `{what}` that compare with an earlier film.
        filler: sentences that say nothing about findings.
        normal: impressions where nothing was found; the first is the standard one.
        headers: headers of findings and impression.
    """

    names: dict[str, tuple[str, ...]]
    strengths: tuple[str, str, str]
    present: tuple[str, ...]
    absent: tuple[str, ...]
    uncertain: tuple[str, ...]
    prior: tuple[str, ...]
    filler: tuple[str, ...]
    normal: tuple[str, ...]
    headers: tuple[str, str]


_ACADEMIC = Style(
    names={
        "Effusion": ("pleural effusion", "pleural fluid"),
        "Cardiomegaly": ("cardiomegaly", "enlargement of the cardiac silhouette"),
        "Pneumothorax": ("pneumothorax",),
        "Consolidation": ("consolidation", "airspace opacity", "focal opacity"),
        "Nodule": ("pulmonary nodule", "nodular opacity"),
        "Edema": ("pulmonary edema", "interstitial edema"),
        "Device": ("support device", "indwelling catheter"),
    },
    strengths=("small", "moderate", "large"),
    present=("There is a {what}.", "{what} is present.", "Findings are consistent with {what}."),
    absent=("There is no {what}.", "No evidence of {what}.", "No {what} is seen."),
    uncertain=("A {what} cannot be excluded.", "Possible {what}.", "Findings may represent {what}."),
    prior=("Compared to the prior study, the {what} is unchanged.", "Interval increase in {what}."),
    filler=(
        "Frontal view of the chest was obtained.",
        "The patient is rotated, which limits evaluation.",
        "Lung volumes are as before.",
        "Findings were discussed with the referring team by telephone.",
        "Comparison is made to the study of ___.",
    ),
    normal=(
        "No acute cardiopulmonary process.",
        "No acute intrathoracic abnormality.",
        "Unremarkable chest radiograph.",
    ),
    headers=("FINDINGS", "IMPRESSION"),
)

_TERSE = Style(
    names={
        "Effusion": ("effusion", "blunted costophrenic angle"),
        "Cardiomegaly": ("enlarged heart", "increased heart size"),
        "Pneumothorax": ("ptx", "pneumothorax"),
        "Consolidation": ("infiltrate", "pneumonic infiltrate"),
        "Nodule": ("nodule", "round density"),
        "Edema": ("vascular congestion", "CHF pattern"),
        "Device": ("line in situ", "tube in situ"),
    },
    strengths=("minimal", "some", "marked"),
    present=("{what} noted.", "Shows {what}.", "{what}, new finding."),
    absent=("No {what}.", "Negative for {what}.", "Clear of {what}."),
    uncertain=("Query {what}.", "{what} not ruled out.", "Suspect {what}, correlate clinically."),
    prior=("{what} stable versus old film.", "{what}, same as last time."),
    filler=(
        "Single view only today.",
        "Limited film quality here.",
        "Suggest follow up film.",
        "Old films not available.",
    ),
    normal=("Normal chest film today.", "Nothing acute seen here.", "Chest is clear today."),
    headers=("FINDINGS", "CONCLUSION"),
)

_FORMAL = Style(
    names={
        "Effusion": ("fluid within the pleural space", "hydrothorax"),
        "Cardiomegaly": ("widened heart shadow", "increased cardiothoracic ratio"),
        "Pneumothorax": ("air within the pleural space", "collapsed lung"),
        "Consolidation": ("confluent shadowing", "inflammatory shadowing"),
        "Nodule": ("rounded lesion", "coin lesion"),
        "Edema": ("pulmonary venous congestion", "fluid overload"),
        "Device": ("implanted foreign material", "catheter material"),
    },
    strengths=("discrete", "distinct", "extensive"),
    present=("Demonstration of {what}.", "The film depicts {what}.", "{what} is demonstrated."),
    absent=("Absence of {what}.", "{what} is not demonstrated.", "Without demonstrable {what}."),
    uncertain=("Suspicion of {what}.", "Differential diagnosis includes {what}.", "{what} is conceivable."),
    prior=("{what} remains constant in the course.", "In comparison, {what} is progressive."),
    filler=(
        "Examination performed in deep inspiration.",
        "Clinical correlation is respectfully advised.",
        "Previous examinations were consulted.",
        "The request concerns the preoperative state.",
    ),
    normal=(
        "Age appropriate thoracic findings.",
        "Inconspicuous heart and lung findings.",
        "No pathological finding demonstrable.",
    ),
    headers=("REPORT", "IMPRESSION"),
)

_BEDSIDE = Style(
    names={
        "Effusion": ("layering effusion", "pleural collection"),
        "Cardiomegaly": ("cardiac enlargement", "prominent cardiac contour"),
        "Pneumothorax": ("pleural air", "apical air collection"),
        "Consolidation": ("basilar opacification", "patchy density"),
        "Nodule": ("nodular density", "focal round opacity"),
        "Edema": ("perihilar haze", "volume overload"),
        "Device": ("central venous line", "endotracheal tube"),
    },
    strengths=("trace", "moderate", "substantial"),
    present=("Again there is {what}.", "{what} as above.", "Portable film with {what}."),
    absent=("No definite {what}.", "No {what} identified.", "Without visible {what}."),
    uncertain=(
        "Question of {what}.",
        "{what} is difficult to exclude on this portable film.",
        "Probable {what}.",
    ),
    prior=("{what} persists since yesterday.", "Improved {what} since the earlier film."),
    filler=(
        "Portable semi-erect technique was used.",
        "Overlying leads obscure detail.",
        "Rotation and low volumes limit the exam.",
        "Attention on follow up is suggested.",
    ),
    normal=(
        "No acute change on portable film.",
        "No new abnormality since prior.",
        "Stable appearance of the chest.",
    ),
    headers=("FINDINGS", "IMPRESSION"),
)

STYLES = (_ACADEMIC, _TERSE, _FORMAL, _BEDSIDE)
