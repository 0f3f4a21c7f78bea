"""What generated reports say and leave out."""

import re

import numpy as np
import pytest

from chex_jobs.data.keyed_random import Stream, keyed_generator
from chex_jobs.data.phantom.findings import FINDING_NAMES, FINDINGS
from chex_jobs.data.phantom.hospitals import hospital
from chex_jobs.data.phantom.reports import write_report
from chex_jobs.data.phantom.wording import STYLES
from chex_jobs.data.reports.report_texts import ReportTexts, sections, select_sections

REPORTED = [finding.name for finding in FINDINGS if finding.reported]
NEGATION = re.compile(r"\b(no|without|absence|negative for|clear of|not demonstrated)\b", re.IGNORECASE)


def reports(present: dict[str, float], *, number: int = 0, count: int = 300) -> list[str]:
    severity = np.array([present.get(name, 0.0) for name in FINDING_NAMES])
    side = np.array([-1 if finding.sided else 0 for finding in FINDINGS])
    texts = [
        write_report(severity, side, hospital(number), keyed_generator(Stream.PHANTOM_REPORT, i))
        for i in range(count)
    ]
    return [text for text in texts if text is not None]


def mentions(text: str, finding: str) -> bool:
    return any(name.lower() in text.lower() for style in STYLES for name in style.names[finding])


@pytest.mark.parametrize("style", STYLES)
def test_every_style_names_every_reported_finding_and_no_other(style: object) -> None:
    assert list(style.names) == REPORTED  # type: ignore[attr-defined]


@pytest.mark.parametrize("finding", [finding.name for finding in FINDINGS if not finding.reported])
def test_findings_that_reports_do_not_know_change_no_report(finding: str) -> None:
    assert reports({finding: 1.0}) == reports({})


@pytest.mark.parametrize("finding", REPORTED)
def test_a_severe_finding_is_mostly_reported_and_sometimes_left_out(finding: str) -> None:
    share = np.mean([mentions(text, finding) for text in reports({finding: 0.9})])
    assert 0.8 < share < 1.0


def test_a_mild_finding_is_left_out_more_often() -> None:
    mild, severe = (
        np.mean([mentions(text, "Nodule") for text in reports({"Nodule": s}, number=2)]) for s in (0.1, 0.95)
    )
    assert mild < severe - 0.1


def test_an_absent_finding_is_mentioned_as_absent() -> None:
    sentences = [
        part
        for text in reports({})
        for part in re.split(r"(?<=\.)\s+", text)
        if mentions(part, "Pneumothorax")
    ]
    negated = np.mean([bool(NEGATION.search(sentence)) for sentence in sentences])
    assert len(sentences) > 50
    assert 0.8 < negated < 1.0, "nearly all are denials, a few are doubts"


def test_sides_are_named() -> None:
    texts = reports({"Effusion": 0.9})
    named = [bool(re.search(r"\bright\b", text)) for text in texts if mentions(text, "Effusion")]
    assert 0.6 < np.mean(named) < 1.0
    assert not any(re.search(r"\bleft\b", text) for text in texts)


def test_hospitals_use_their_own_words() -> None:
    words = [
        set(" ".join(reports({"Effusion": 0.8, "Edema": 0.8}, number=n)).lower().split()) for n in range(4)
    ]
    for one in range(4):
        for other in range(one):
            assert len(words[one] & words[other]) < 0.85 * len(words[one] | words[other])
    usual = [
        np.mean(["pleural effusion" in text.lower() for text in reports({"Effusion": 0.9}, number=n)])
        for n in (0, 1)
    ]
    assert usual[0] > 4 * usual[1]


def test_many_normal_reports_say_the_same() -> None:
    impressions = [select_sections(text, ("Impression",)) for text in reports({})]
    assert max(impressions.count(text) for text in set(impressions)) > 0.5 * len(impressions)


@pytest.mark.parametrize("number", range(4))
def test_our_own_parser_finds_sections_and_sentences(number: int) -> None:
    texts = reports({"Effusion": 0.5, "Nodule": 0.9}, number=number)
    assert all("" not in sections(text) for text in texts)
    assert (
        ReportTexts(
            [select_sections(text, ("Impression", "Conclusion", "Findings", "Report")) for text in texts]
        ).usable.mean()
        > 0.85
    )


def test_some_studies_have_no_report() -> None:
    assert 0.8 < len(reports({}, number=2, count=400)) / 400 < 0.97
