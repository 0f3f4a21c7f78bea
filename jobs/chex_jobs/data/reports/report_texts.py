"""From a report to the text that a training step sees.

Facts about real reports that shape this (Open-I and MIMIC-CXR): sentences
end in a full stop or are numbered "1. ... 2. ..."; 58 % of Open-I's impressions are exact copies of another report's,
so equal texts must be known as equal or a contrastive loss punishes them for being so; `XXXX` and `___` stand for words
that were removed.
"""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from chex_jobs.data.keyed_random import Stream, keyed_generator
from chex_jobs.data.reports.headings import headers, kinds, plain_report

# A sentence of fewer words ("Stable.", "None.") says nothing about its film. MGCA's floor.
MIN_WORDS = 3

# White space after the stop keeps "3.5 cm" whole; a list number needs its stop, white space and a capital.
_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|(?:(?<=\s)|^)\d{1,2}[.)]\s+(?=[A-Z])")
_WORD = re.compile(r"[^\W\d_]{2,}")
_REMOVED = re.compile(r"\b[xX]{3,}\b|_{2,}")
_SPACE = re.compile(r"\s+")
_NOT_WORD = re.compile(r"[^\w]+")


def sections(report: str, wanted: Sequence[str] = (), first: str = "") -> dict[str, str]:
    """Return the text below each header, keyed by the header in lower case; what precedes the first is keyed `first`.

    A header that occurs twice (an addendum) collects both texts.

    Args:
        report: as written.
        wanted: names that are headers although `chex_jobs.data.reports.headings` does not know them.
        first: header, in lower case, of what stands before any header of the report's own.
    """
    text = plain_report(report)
    found: dict[str, str] = {}
    label, start = first, 0
    for header in headers(text, _kinds_of(wanted)):
        _collect(found, label, text[start : header.start])
        label, start = header.label, header.end
    _collect(found, label, text[start:])
    return found


def _collect(found: dict[str, str], header: str, text: str) -> None:
    text = text.strip()
    if text:
        found[header] = f"{found[header]}\n{text}" if header in found else text


def _kinds_of(names: Sequence[str]) -> frozenset[str]:
    return frozenset().union(*map(kinds, names))


def select_sections(report: str, wanted: Sequence[str]) -> str:
    """Return the wanted sections in the order wanted, joined by a line break; empty where none of them is found.

    Args:
        report: a report with or without headers.
        wanted: names in any case and in any of the five languages, e.g. `("Impression", "Findings")`; empty selects the
            whole report.

    Nothing else is ever returned: neither a report without headers nor another section, for either may name the patient.
    A section headed by several names, such as `Findings and impression`, is returned where all of them are wanted.
    """
    return _selected(sections(report, wanted), wanted) if wanted else report.strip()


def select_from_columns(cells: Mapping[str, str], wanted: Sequence[str]) -> str:
    """Return what `select_sections` does of a report whose sections stand in columns, each named as its section.

    Args:
        cells: text by name of the column; a text may have headers of its own.
        wanted: names of sections; empty selects all that the columns hold, in their order.
    """
    if not wanted:
        return "\n".join(cell.strip() for cell in cells.values())
    found: dict[str, str] = {}
    for name, cell in cells.items():
        for label, text in sections(cell, wanted, name.lower()).items():
            _collect(found, label, text)
    return _selected(found, wanted)


def _selected(found: Mapping[str, str], wanted: Sequence[str]) -> str:
    allowed = _kinds_of(wanted)
    chosen = dict.fromkeys(
        label
        for name in wanted
        for label in found
        if label and kinds(label) <= allowed and kinds(label) & kinds(name)
    )
    return "\n".join(found[label] for label in chosen)


def sentences(text: str, min_words: int = MIN_WORDS) -> list[str]:
    """Return the sentences of a text that have at least `min_words` words, in order.

    Words are runs of two or more letters; the marks of removed words do not count.
    """
    parts = _SENTENCE_END.split(_SPACE.sub(" ", text.strip()))
    return [part.strip() for part in parts if _num_words(part) >= min_words]


def _num_words(text: str) -> int:
    return len(_WORD.findall(_REMOVED.sub(" ", text)))


def equality_key(text: str) -> str:
    """Return what two texts have in common when they say the same: case, punctuation and spacing are left out."""
    return _NOT_WORD.sub(" ", text.casefold()).strip()


class ReportTexts:
    """The texts that a data set's reports offer, each held once, and the choice among them.

    Attributes:
        texts: every distinct text, `[M]`, by number in order of first occurrence.
        groups: int64 `[M]`; equal numbers mean that the texts say the same (`equality_key`).
        usable: bool `[N]`; whether the film's report offers any text.
    """

    def __init__(
        self,
        reports: Sequence[str | None],
        *,
        whole: bool = False,
        min_words: int = MIN_WORDS,
        studies: Sequence[int] | np.ndarray | None = None,
    ) -> None:
        """Split and number the texts.

        Args:
            reports: the report of each film, `[N]`; None or blank where there is none.
            whole: offer the report as one text, not sentence by sentence.
            min_words: texts with fewer words are not offered.
            studies: number of each film's study, `[N]`; None: every film is a study.
        """
        self.texts: list[str] = []
        numbers: dict[str, int] = {}
        of_report: dict[str, np.ndarray] = {}
        nothing = np.empty(0, dtype=np.int64)
        self._offered: list[np.ndarray] = []
        for report in reports:
            if report is None:
                self._offered.append(nothing)
                continue
            if report not in of_report:
                offered = _offered_texts(report, whole, min_words)
                of_report[report] = np.array(
                    [self._number(text, numbers) for text in offered], dtype=np.int64
                )
            self._offered.append(of_report[report])
        self.usable = np.array([offered.size > 0 for offered in self._offered], dtype=bool)
        self.groups = _numbered_by_equality(self.texts)
        self._studies = np.arange(len(self._offered)) if studies is None else np.asarray(studies)
        self._of_study = self._groups_by_study()

    def _groups_by_study(self) -> dict[int, np.ndarray]:
        found: dict[int, list[np.ndarray]] = {}
        for study, offered in zip(self._studies.tolist(), self._offered, strict=True):
            found.setdefault(study, []).append(offered)
        return {study: np.unique(self.groups[np.concatenate(texts)]) for study, texts in found.items()}

    def _number(self, text: str, numbers: dict[str, int]) -> int:
        if text not in numbers:
            numbers[text] = len(self.texts)
            self.texts.append(text)
        return numbers[text]

    def groups_of_study(self, ordinal: int) -> np.ndarray:
        """Return the groups of all texts of a film's study, int64 `[G]`: what is true of the film, shown or not."""
        return self._of_study[int(self._studies[ordinal])]

    def choose(self, seed: int, epoch: int, ordinal: int) -> int:
        """Return the number of the text that this film shows in this epoch; the film must be `usable`."""
        offered = self._offered[ordinal]
        if offered.size <= 1:
            return int(offered[0])
        return int(offered[keyed_generator(Stream.SENTENCE, seed, epoch, ordinal).integers(offered.size)])


def _offered_texts(report: str, whole: bool, min_words: int) -> list[str]:
    if not whole:
        return sentences(report, min_words)
    text = _SPACE.sub(" ", report.strip())
    return [text] if _num_words(text) >= min_words else []


def _numbered_by_equality(texts: Sequence[str]) -> np.ndarray:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(equality_key(text), len(numbers)) for text in texts], dtype=np.int64)
