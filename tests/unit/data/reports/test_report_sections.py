"""Sections of reports as they are written in five languages: what is wanted is kept, and nothing else survives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chex_jobs.data.reports.report_texts import sections, select_sections

WANTED = ("Impression", "Findings")
KEPT = [
    ("FINDINGS", "IMPRESSION"),
    ("Befund", "Beurteilung"),
    ("Résultats", "Impression"),
    ("Hallazgos", "Impresión diagnóstica"),
    ("Achados", "Impressão"),
]
OTHERS = [
    *(
        "INDICATION",
        "Comparison",
        "Technique",
        "Clinical history",
        "Conclusion",
        "Recommendation",
        "Patient name",
    ),
    *("Electronically signed by", "Referring physician", "EXAMINATION", "Fragestellung", "Klinische Angaben"),
    *(
        "Technik",
        "Voraufnahmen",
        "Zuweiser",
        "Antécédents",
        "Motif de l'examen",
        "Médecin",
        "Technique",
        "Indicación",
    ),
    *(
        "Datos clínicos",
        "Técnica",
        "Comparación",
        "Firmado por",
        "Dados clínicos",
        "Técnica",
        "Indicação",
        "Médico",
    ),
    *("Zusammenfassung", "Conclusión", "Recomendações", "Date of birth", "Geburtsdatum"),
]
SECRETS = st.sampled_from(["Quillon Vasquet", "Xylo Brandtmeier", "Orpheus Zebrinski"])
PROSE = st.sampled_from(
    [
        "The lungs are clear.",
        "Kleiner Erguss links. Herz nicht vergrößert.",
        "Lungs: Clear.\nHeart: Not enlarged.",
        "1. Right nodule of 3.5 cm.\n2. No effusion",
        "Pas d'épanchement.",
        "Sin derrame pleural",
        "Sem derrame.",
    ]
)
CASES = st.sampled_from([str, str.upper, str.lower, str.title, str.capitalize])
FORMS = st.sampled_from(
    [
        "{}:",
        "{} :",
        "**{}:**",
        "**{}**:",
        "<b>{}</b>:",
        "__{}__:",
        "## {}",
        "{}：",
        "  {} : ",
        "\n{}\n",
        "**{}**\n",
    ]
)
BREAKS = st.sampled_from(["\n", "\r\n", "\n\n", "<br>", "\\n"])


@st.composite
def section(draw: st.DrawFn, names: list[str], text: str) -> str:
    header = draw(FORMS).format(draw(CASES)(draw(st.sampled_from(names))))
    return (
        f"{header}{draw(st.sampled_from([' ', chr(10), '']))}{text}"
        if header.strip()[-1] in ":*："
        else f"{header}\n{text}"
    )


@st.composite
def reports(draw: st.DrawFn) -> str:
    parts: list[str] = []
    for _ in range(draw(st.integers(1, 6))):
        if draw(st.booleans()):
            parts.append(draw(section([name for pair in KEPT for name in pair], draw(PROSE))))
        else:
            parts.append(draw(section(OTHERS, f"{draw(SECRETS)}, seen today. {draw(SECRETS)}")))
    preamble = draw(st.sampled_from(["", "FINAL REPORT\n", "Quillon Vasquet, born in spring\n"]))
    return preamble + draw(BREAKS).join(parts)


@given(reports())
def test_no_text_of_an_unwanted_section_survives(report: str):
    kept = select_sections(report, WANTED)
    assert not {"Quillon", "Xylo", "Orpheus"} & set(kept.replace(",", " ").split())


@given(st.sampled_from(KEPT), FORMS, CASES, PROSE, st.sampled_from(OTHERS), BREAKS)
def test_wanted_sections_survive_whole(
    pair: tuple[str, str], form: str, case, prose: str, other: str, line: str
):
    lines = "" if form.strip()[-1] in ":：" or form == "**{}:**" else "\n"
    first, second = (form.format(case(name)) + lines for name in pair)
    report = f"{other}: x y z{line}{first} {prose}{line}{second} No change.{line}{other}: x y z"
    kept = select_sections(report, ("Findings", "Impression"))
    assert kept.split() == f"{prose} No change.".split()


@pytest.mark.parametrize(
    ("report", "kept"),
    [
        ("Findings:Clear.\nImpression:Normal.", "Normal.\nClear."),
        ("findings clear as before", ""),
        ("FINDINGS Clear lungs.\nINDICATION Cough of Jane.", "Clear lungs."),
        ("Findings - Clear.\nIndication - Jane.", "Clear."),
        ("Clear of Jane. FINDINGS: Clear. Referring physician: Dr. Who. Impression: Normal.", "Normal.\nClear."),
        ("Findings and Impression: Normal.", "Normal."),
        ("BEFUND/BEURTEILUNG: Unauffällig.\nMit freundlichen Grüßen\nDr. Who", "Unauffällig."),
        ("Befund\nUnauffällig.\n\nDr. med. Who\nFacharzt", "Unauffällig."),
        ("IMPRESSION: Normal.\nElectronically signed by Jane Doe", "Normal."),
        ("Impression (final): Normal.", "Normal."),
        ("Odd label: Jane.\nFindings: Clear.\nOdd label: Jane.", "Clear."),
        ("Findings: Clear at 10:30, 1:2 zoom.", "Clear at 10:30, 1:2 zoom."),
        ("Findings: No acute\nfindings\nabove the diaphragm.", "No acute\nfindings\nabove the diaphragm."),
    ],
)  # fmt: skip
def test_headers_are_told_from_prose(report: str, kept: str):
    assert select_sections(report, WANTED) == kept


@pytest.mark.parametrize(
    "rest",
    [
        "\nJohn Doe, MD",
        "\nJohn Doe, M.D., Ph.D.",
        "\nApproved by John Doe",
        "\nKind regards\nJohn Doe",
        "\nAddendum #1 John Doe called",
        "\nINDICATION JOHN DOE",
        "\nReferring - John Doe",
        "\nMRN 12345 John Doe",
        "\nOA Dr. med. Doe",
        "\nViele Gr\u00fc\u00dfe\nJohn Doe",
        "\nElektronisch freigegeben durch Doe",
        "\ni. A. Doe",
        "\nDr Doe",
        "\nPr Doe",
        "\nValid\u00e9 par Doe",
        "\nBien confraternellement, Doe",
        "\nInformado por Doe",
        "\nSaludos cordiales\nDoe",
        "\nLaudado por Doe CRM 1234",
        ", indication: John Doe",
        ", signed: John Doe",
        "<table><tr><td>Indication</td><td>John Doe</td></tr></table>",
        "&nbsp;<br clear=all>INDICATION:&nbsp;John Doe",
        "\\.br\\Indication: John Doe",
        "\\par Indication: John Doe",
    ],
)
def test_people_who_are_named_after_the_findings_are_not_among_them(rest: str):
    assert (
        select_sections(f"INDICATION: Cough.\nFINDINGS: No effusion.{rest}", ["Findings"]).rstrip(",.")
        == "No effusion"
    )


@pytest.mark.parametrize(
    "line",
    [
        "Patient is rotated.",
        "PATIENT IS ROTATED.",
        "Signe de la silhouette positif.",
        "Drainage in situ.",
        "Proximal line tip.",
        "Priming of vessels.",
        "Regarding the heart, no change.",
        "Elektronisches Implantat links.",
    ],
)
def test_lines_of_findings_that_begin_like_a_signature_are_kept(line: str):
    assert select_sections(f"FINDINGS: No effusion.\n{line}", ["Findings"]) == f"No effusion.\n{line}"


def test_a_section_headed_by_several_names_is_kept_where_all_of_them_are_wanted():
    assert select_sections("Findings and impression: Normal.", ("Impression",)) == ""


def test_a_name_that_only_the_manifest_knows_is_a_header():
    report = "Zeile eins: Jane.\nGesamtschau\nUnauffällig.\nIndication: Jane."
    assert select_sections(report, ("Gesamtschau",)) == "Unauffällig."


def test_the_conclusion_is_not_the_impression():
    assert select_sections("Conclusion: Normal.", ("Impression",)) == ""
    assert select_sections("Zusammenfassung: Normal.", ("Conclusion",)) == "Normal."


def test_findings_of_organs_end_no_section():
    assert list(sections("FINDINGS:\nLUNGS: Clear.\nHeart: Normal.\nIMPRESSION: Normal.")) == [
        "findings",
        "impression",
    ]


def test_headers_are_found_far_into_a_line_and_looked_for_near_their_colon_only():
    report = "Findings: " + "Clear: seen. " * 500 + "Indication: Jane. Impression: Normal."
    assert "Jane" not in select_sections(report, WANTED)
    assert select_sections(report, WANTED).startswith("Normal.\nClear: seen.")
