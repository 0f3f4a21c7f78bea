"""Reports to texts."""

import numpy as np
import pytest

from chex_jobs.data.reports.report_texts import (
    ReportTexts,
    equality_key,
    sections,
    select_sections,
    sentences,
)

REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  Cough. Rule out pneumonia.

 FINDINGS:

 The lungs are clear. There is a 3.5 cm nodule on the right.  Heart size
 is normal.

 IMPRESSION:

 1. Right nodule of 3.5 cm.
 2. No pleural effusion.
"""


def test_sections_are_found_by_their_headers() -> None:
    found = sections(REPORT)
    assert list(found) == ["", "examination", "indication", "findings", "impression"]
    assert found["impression"].startswith("1. Right nodule")


def test_headers_within_a_line_are_headers_too() -> None:
    found = sections("FINDINGS: Lungs are clear. IMPRESSION: No acute process.")
    assert found == {"findings": "Lungs are clear.", "impression": "No acute process."}


def test_an_addendum_adds_to_its_section() -> None:
    assert sections("IMPRESSION: One.\nIMPRESSION: Two.") == {"impression": "One.\nTwo."}


def test_a_time_or_ratio_is_not_a_header() -> None:
    assert list(sections("Discussed at 10:30 AM with Dr. Who.\nAP VIEW")) == [""]


@pytest.mark.parametrize(
    ("report", "wanted", "expected"),
    [
        ("FINDINGS: A.\nIMPRESSION: B.", ("Impression", "Findings"), "B.\nA."),
        ("FINDINGS: A.\nIMPRESSION: B.", ("Impression",), "B."),
        ("FINDINGS: A.\nIMPRESSION:", ("Impression", "Findings"), "A."),
        ("INDICATION: Cough.\nWET READ: No change.", ("Impression",), ""),
        ("The lungs are clear.", ("Impression",), ""),
        ("FINDINGS: A.", (), "FINDINGS: A."),
        ("", ("Impression",), ""),
    ],
    ids=["order wanted", "one of two", "empty section", "none wanted", "no header", "all", "blank"],
)
def test_sections_are_selected(report: str, wanted: tuple[str, ...], expected: str) -> None:
    assert select_sections(report, wanted) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The lungs are clear. The heart is big.", ["The lungs are clear.", "The heart is big."]),
        ("1. The lungs are clear. 2. The heart is big", ["The lungs are clear.", "The heart is big"]),
        ("A nodule of 3.5 cm is seen.", ["A nodule of 3.5 cm is seen."]),
        ("The lungs\n are\n clear.", ["The lungs are clear."]),
        ("Stable. No change seen here.", ["No change seen here."]),
        ("XXXX XXXX ___ is seen. No change seen here.", ["No change seen here."]),
        ("Dated 12 May the film is fine.", ["Dated 12 May the film is fine."]),
        ("", []),
    ],
    ids=["stops", "list numbers", "decimals", "line breaks", "short ones", "removed words", "a date", "blank"],
)  # fmt: skip
def test_texts_are_split_into_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_equal_texts_are_known_whatever_their_case_and_punctuation() -> None:
    assert equality_key("No acute  process.") == equality_key("NO ACUTE PROCESS")
    assert equality_key("No acute process") != equality_key("An acute process")


def test_groups_tell_equal_texts() -> None:
    texts = ReportTexts(["No acute process.", "No acute process", "Heart is very big.", "NO ACUTE PROCESS."])
    assert len(texts.texts) == 4
    assert texts.groups.tolist() == [0, 0, 1, 0]


def test_a_text_is_held_once_however_many_films_share_it() -> None:
    texts = ReportTexts(["The lungs are clear. No acute process."] * 100)
    assert texts.texts == ["The lungs are clear.", "No acute process."]


def test_films_without_words_are_not_usable() -> None:
    texts = ReportTexts([None, "", "Stable.", "The lungs are clear."])
    assert texts.usable.tolist() == [False, False, False, True]


def test_the_choice_depends_on_seed_epoch_and_film_and_on_nothing_else() -> None:
    report = " ".join(
        f"The finding number {word} is seen." for word in ("one", "two", "three", "four", "five")
    )
    texts, again = ReportTexts([report] * 50), ReportTexts([report] * 50)
    choices = np.array([[texts.choose(0, epoch, film) for film in range(50)] for epoch in range(20)])
    assert choices.tolist() == [[again.choose(0, epoch, film) for film in range(50)] for epoch in range(20)]
    assert set(choices[:, 0]) == set(range(5)), "every sentence has its turn"
    assert len(set(choices[0])) > 1, "films of one report see different sentences"
    assert [texts.choose(1, 0, film) for film in range(50)] != choices[0].tolist()


def test_a_whole_report_is_one_text() -> None:
    texts = ReportTexts(["The lungs\nare clear. No acute process.", "Stable."], whole=True)
    assert texts.texts == ["The lungs are clear. No acute process."]
    assert texts.usable.tolist() == [True, False]


def test_what_is_true_of_a_film_is_every_text_of_its_study():
    reports = [
        "The heart is large. Lungs are clear now.",
        None,
        "Lungs are clear now.",
        "A new drain is seen. The heart is large!",
    ]
    texts = ReportTexts(reports, studies=[7, 7, 8, 9])
    groups = [set(texts.groups_of_study(i).tolist()) for i in range(4)]
    assert groups[0] == groups[1], "a film without a report of its own has its study's"
    assert groups[2] < groups[0]
    assert len(groups[0] & groups[3]) == 1, "equal texts are one, whatever their study"


def test_without_studies_every_film_is_one():
    texts = ReportTexts(["The heart is large. Lungs are clear now.", "A new drain is seen."])
    assert [len(texts.groups_of_study(i)) for i in range(2)] == [2, 1]
