"""What a radiologist of a hospital writes about a study: true on the whole, complete never."""

import numpy as np

from chex_jobs.data.phantom.findings import FINDINGS
from chex_jobs.data.phantom.hospitals import Hospital
from chex_jobs.data.phantom.wording import STYLES, Style

_OTHER_STYLE = 0.1  # of sentences: readers move between hospitals
_NEGATED = 0.35  # of absent findings are named as absent
_COMPARED = 0.2  # of findings present are worded as a comparison with an earlier film
_FALSE_DOUBT = 0.03  # of absent findings are hedged about all the same
_SIDE_NAMES = {-1: "right", 0: "bilateral", 1: "left"}


def write_report(
    severity: np.ndarray, side: np.ndarray, place: Hospital, rng: np.random.Generator
) -> str | None:
    """Return the report of one study, or None where the hospital has none.

    Args:
        severity: of each of `FINDINGS`, 0 absent. Only those with `reported` reach the text.
        side: of each of `FINDINGS`: -1 right, 1 left, 0 both or none.
        place: whose words and habits.
        rng: for this report alone.
    """
    if rng.random() < place.missing_report:
        return None
    style = STYLES[place.style]
    statements: list[str] = []
    absent: list[str] = []
    worst: tuple[float, str] = (0.0, "")
    for number, finding in enumerate(FINDINGS):
        if not finding.reported:
            continue
        words = STYLES[int(rng.integers(len(STYLES)))] if rng.random() < _OTHER_STYLE else style
        strength = float(severity[number])
        name = _pick(words.names[finding.name], rng)
        if strength == 0:
            if rng.random() < _NEGATED:
                absent.append(name)
            elif rng.random() < _FALSE_DOUBT:
                statements.append(_sentence(_pick(words.uncertain, rng), name))
            continue
        if rng.random() < place.omission * (1.5 - strength):
            continue
        what = _described(name, strength, int(side[number]), finding.sided, words, rng)
        statements.append(_statement(what, strength, place.hedging, words, rng))
        worst = max(worst, (strength, what))
    if absent:
        statements.append(_sentence(_pick(style.absent, rng), _listed(absent)))
    statements.extend(_pick(style.filler, rng) for _ in range(int(rng.integers(0, 2))))
    order = rng.permutation(len(statements))
    return _assembled([statements[i] for i in order], _impression(worst[1], style, rng), style, rng)


def _described(
    name: str, strength: float, side: int, sided: bool, words: Style, rng: np.random.Generator
) -> str:
    parts = [name]
    if sided and rng.random() < 0.85:
        parts.insert(0, _SIDE_NAMES[side])
    if rng.random() < 0.7:
        parts.insert(0, words.strengths[min(2, int(strength * 3))])
    return " ".join(parts)


def _statement(what: str, strength: float, hedging: float, words: Style, rng: np.random.Generator) -> str:
    # The mild is hedged about twice as often as the severe.
    if rng.random() < hedging * (1.4 - 0.8 * strength):
        return _sentence(_pick(words.uncertain, rng), what)
    return _sentence(_pick(words.prior if rng.random() < _COMPARED else words.present, rng), what)


def _impression(worst: str, style: Style, rng: np.random.Generator) -> str:
    if worst:
        return _sentence(_pick(style.present, rng), worst)
    # The standard sentence makes up most normal impressions, as in real archives: equal texts are the rule.
    return style.normal[0] if rng.random() < 0.6 else _pick(style.normal, rng)


def _assembled(statements: list[str], impression: str, style: Style, rng: np.random.Generator) -> str:
    findings, conclusion = style.headers
    if not statements or rng.random() < 0.15:
        return f"{conclusion}: {impression}"
    if rng.random() < 0.3:
        statements = [f"{number}. {statement}" for number, statement in enumerate(statements, start=1)]
    return f"{findings}: {' '.join(statements)}\n{conclusion}: {impression}"


def _sentence(pattern: str, what: str) -> str:
    text = pattern.format(what=what)
    return text[0].upper() + text[1:]


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _pick(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
