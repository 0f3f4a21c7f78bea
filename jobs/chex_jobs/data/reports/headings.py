"""Where the sections of a radiology report begin, in English, German, French, Spanish and Portuguese.

Reports write their headers in any case, bold or not, with or without a colon, on a line of their own or within one. What is
not known to be wanted must not be kept, for indications and signatures name people. So a label that nobody knows still ends
the section before it where it stands as a header does (at the start of a line, of few words, with a colon); only names of
organs and devices, by which structured reports divide their findings, do not.

A name means the same in every language (`Befund` is `Findings`), but no two names of one language mean the same: who wants
the impression does not get the conclusion.
"""

import functools
import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_SPELLINGS = {
    "findings": "findings|finding|befund|befunde|befundung|radiologischer befund|resultats|resultat|constatations|hallazgos|hallazgo|achados|achado|achados radiograficos",
    "impression": "impression|impressions|beurteilung|zusammenfassende beurteilung|abschliessende beurteilung|impression diagnostique|impresion|impresiones|impresion diagnostica|impressao|impressoes|impressao diagnostica",
    "conclusion": "conclusion|conclusions|zusammenfassung|fazit|schlussfolgerung|conclusiones|conclusao|conclusoes",
    "opinion": "opinion|interpretation|stellungnahme|interpretacion|interpretacao|parecer|avis",
    "indication": "indication|indications|reason for exam|reason for examination|reason for study|indikation|rechtfertigende indikation|fragestellung|motif|motif de l'examen|motivo|motivo del estudio|motivo de consulta|indicacion|indicaciones|motivo do exame|indicacao|indicacao clinica|indicacion clinica|indication clinique|clinical indication|klinische fragestellung|clinical question|question|klinische fragestellung und rechtfertigende indikation|fragestellung und klinische angaben",
    "history": "history|clinical history|patient history|medical history|clinical information|clinical data|clinical details|clinical context|anamnese|klinische angaben|klinik|klinische informationen|vorgeschichte|diagnosen|antecedents|renseignements cliniques|contexte clinique|contexte|antecedentes|historia|historia clinica|datos clinicos|informacion clinica|historico|historia clinica do paciente|dados clinicos|informacao clinica|informacoes clinicas",
    "technique": "technique|procedure|protocol|technik|untersuchungstechnik|methode|methodik|tecnica|metodo|protocolo|protocole",
    "comparison": "comparison|comparisons|compared to|prior studies|prior study|prior exams|vergleich|voraufnahmen|voraufnahme|voruntersuchung|voruntersuchungen|vorbefund|comparaison|comparatif|comparacion|comparativo|estudios previos|comparacao|exames anteriores",
    "examination": "examination|exam|study|type of exam|exam type|untersuchung|art der untersuchung|examen|type d'examen|exploracion|estudio|tipo de estudio|exame|estudo",
    "recommendation": "recommendation|recommendations|follow up|follow-up|plan|empfehlung|empfehlungen|procedere|prozedere|recommandation|recommandations|conduite a tenir|recomendacion|recomendaciones|recomendacao|recomendacoes|conduta",
    "addendum": "addendum|nachtrag|ergaenzung|erganzung|addenda|adenda|additif",
    "notification": "notification|communication|critical result|critical results|mitteilung|notificacion|comunicacion|notificacao|comunicacao|wet read|preliminary report|provisional findings impression|pfi",
    "title": "report|radiology report|bericht|befundbericht|rontgenbefund|compte rendu|compte-rendu|informe|informe radiologico|laudo|relatorio|relatorio medico|radiograph|chest radiograph|rontgen thorax|rontgen-thorax",
    "date": "date|date of exam|exam date|date of study|time|datum|untersuchungsdatum|date de l'examen|fecha|data|data do exame|accession|accession number|order number|auftragsnummer",
    "patient": "patient|patient name|name|patient id|id|mrn|medical record number|date of birth|dob|birth date|age|sex|gender|address|phone|insurance|patientin|patientenname|nachname|vorname|geburtsdatum|geb|geb.|geboren|geboren am|alter|geschlecht|adresse|anschrift|telefon|fallnummer|nom|nom du patient|prenom|date de naissance|age du patient|sexe|adresse|paciente|nombre|nombre del paciente|apellidos|fecha de nacimiento|edad|sexo|direccion|nome|nome do paciente|data de nascimento|idade|endereco",
    "signature": "signed|signed by|electronically signed|electronically signed by|dictated by|dictated|transcribed by|reported by|read by|reviewed by|verified by|attending|attending physician|attending radiologist|radiologist|resident|physician|referring physician|referring doctor|referring|referred by|referrer|requesting physician|requested by|ordering|ordered by|dictating|ordering physician|ordering provider|doctor|dr|dr.|cc|arzt|arztin|radiologe|radiologin|facharzt|oberarzt|chefarzt|zuweiser|uberweiser|uberweisender arzt|befunder|befundet von|diktiert von|freigegeben von|unterschrift|gez|gez.|medecin|medecin prescripteur|prescripteur|radiologue|signe par|signature|dicte par|medico|medico solicitante|medico remitente|radiologo|firmado|firmado por|firma|fdo|fdo.|medico responsavel|radiologista|assinado por|assinatura|solicitante|kopie an|copy to|copie a|copia a",
}  # fmt: skip
"""What each kind of section is called: lower case, without accents."""

_WITHIN_FINDINGS = frozenset(
    ["lung", "lungs", "right lung", "left lung", "lungs and pleura", "lungs and airways", "airways", "airway", "trachea", "pleura", "pleural spaces", "pleural space", "heart", "heart size", "cardiac", "cardiac silhouette", "heart and mediastinum", "cardiomediastinal silhouette", "mediastinum", "mediastinum and hila", "hila", "hilum", "diaphragm", "bones", "bone", "osseous structures", "bones and soft tissues", "soft tissues", "chest wall", "abdomen", "upper abdomen", "spine", "vessels", "vasculature", "pulmonary vasculature", "lines", "tubes", "lines and tubes", "tubes and lines", "support devices", "devices", "catheters", "hardware", "other", "others", "pneumothorax", "effusion", "pleural effusion", "consolidation", "nodules", "right", "left", "view", "views", "lunge", "lungen", "rechte lunge", "linke lunge", "lungenparenchym", "atemwege", "herz", "herzgrosse", "herz und mediastinum", "zwerchfell", "knochen", "skelett", "weichteile", "thoraxwand", "wirbelsaule", "gefasse", "fremdmaterial", "katheter", "sonstiges", "rechts", "links", "pleuraraum", "erguss", "pneumonie", "poumon", "poumons", "parenchyme pulmonaire", "plevre", "coeur", "silhouette cardiaque", "mediastin", "hiles", "diaphragme", "os", "cadre osseux", "parties molles", "rachis", "materiel", "autres", "droite", "gauche", "pulmon", "pulmones", "parenquima pulmonar", "vias aereas", "corazon", "silueta cardiaca", "mediastino", "hilios", "diafragma", "huesos", "partes blandas", "columna", "dispositivos", "otros", "derecha", "izquierda", "pulmao", "pulmoes", "coracao", "silhueta cardiaca", "area cardiaca", "hilos", "ossos", "arcabouco osseo", "partes moles", "coluna", "outros", "direita", "esquerda"]
)  # fmt: skip
"""Labels by which structured reports divide their findings; they end no section."""

_TELLS_OF_PEOPLE = frozenset({"indication", "history", "signature"})
_NAMES_PEOPLE = _TELLS_OF_PEOPLE | {"patient"}
_KIND_OF = {name: kind for kind, names in _SPELLINGS.items() for name in names.split("|")}
_MOST_WORDS = 6
_MOST_WORDS_UNKNOWN = 4
_LONGEST_LABEL = 120
"""Characters that are looked back from a colon, so that a page without line breaks takes no longer than one with them."""

_LINE_ENDS = re.compile(
    r"\r\n?|[\x0b\x0c\x85\u2028\u2029]|<br\b[^>]*>|</?(?:p|div|h[1-6]|li|[ou]l|d[ltd]|t[rdh]|table|tbody|thead|hr|pre|section)\b[^>]*>"
    r"|\\r\\n|\\n|\\\.br\\|\\(?:par|line)\b",
    re.IGNORECASE,
)
_MARKS = re.compile(
    r"</?(?:b|strong|u|i|em|span|font)\b[^>]*>|\*+|(?<!_)__(?!_)|^[ \t]*#+[ \t]+",
    re.IGNORECASE | re.MULTILINE,
)
_MARKED_LINE = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]+|\*{1,3}|__|<(?:b|strong|u|em|i)>)[ \t]*([^\n:*#<>_]{1,70}?)[ \t]*"
    r"(?:(?:\*{1,3}|__|#+|</(?:b|strong|u|em|i)>)[ \t]*)?$",
    re.IGNORECASE | re.MULTILINE,
)
_AND = re.compile(r"\s*(?:[/&+,]|\b(?:and|und|et|y|e)\b)\s*")
_PARENTHESIS = re.compile(r"\s*[(\[][^)\]]*[)\]]\s*")
_LINE = re.compile(
    r"^[ \t\xa0]*(?P<bullet>(?:\d{1,2}[.)]|[-–—•>·])[ \t\xa0]*)?(?P<rest>\S[^\n]*)$", re.MULTILINE
)
_LABEL = re.compile(r"(?P<label>[^\W\d_][^:：\n]{0,70}?)[ \t\xa0_]*(?P<stop>[:：]|[ \xa0][-–—](?=[ \xa0])|$)")
_COLON = re.compile(r"[:：]")
_WORD = re.compile(r"\S+")
_SENTENCE_WITHIN = re.compile(r"(?<!\b[Dd]r)(?<!\b[Pp]rof)[.!?;]\s")
_SENTENCE_END = (".", "!", "?", ";", ":", "：", "\n", "|")
_SIGNATURE_LINE = re.compile(
    r"(?:electronically signed|signed|dictated|dictating|transcribed|(?:reported|approved|verified|reviewed|read|interpreted|prepared|finali[sz]ed) by|"
    r"reading (?:radiologist|physician)|sincerely|(?:kind |best |warm )?regards|thank you|addendum (?:#? ?\d|by)|(?:mrn|dob|crm|colegiado)\b|"
    r"mit (?:freundlich|kollegial|beste)|(?:viele|beste|freundliche|kollegiale) gru|vielen dank|mfg\b|hochachtungsvoll|gez\b|i\. ?a\.|i\. ?v\. |z\. ?hd\b|"
    r"elektronisch (?:unter|frei|sign|vid)|(?:erstellt|diktiert|befundet|freigegeben|vidiert) (?:von|durch)|radiolog(?:e|in)\b|facharzt|oberarzt|chefarzt|"
    r"(?:(?:oa|fa|ca|aa|ltd|leitender|univ|priv|hr|fr)\b\W*)*(?:dr|dra|drs|prof|pd dr|docteur|doctor|doctora|doutor|doutora)\b|"
    r"pr\.? [^\W\d]|(?:bien )?(?:cordialement|confraternellement)|(?:valide|signe|redige|dicte|compte[- ]rendu redige) (?:par|elec)|"
    r"atentamente|(?:un )?(?:cordial )?saludo|informado por|fdo\b|firmado|medico\b|medica\b|"
    r"assinado|laudado|atenciosamente|"
    r"[^\W\d][^\n:;!?]{1,60}, ?(?:m\.?d|ph\.?d|frcr|frcpc|mbbs|facr|ffrrcsi)\b)"
)


@dataclass(frozen=True, slots=True)
class Header:
    """A header in a report: `label` as written, in lower case; its text begins at `end`."""

    start: int
    end: int
    label: str


def plain_report(report: str) -> str:
    """Return a report with line breaks as such and without the marks of bold print; a line in bold print gets a colon."""
    text = _LINE_ENDS.sub("\n", unicodedata.normalize("NFC", html.unescape(report)))
    return _MARKS.sub("", _MARKED_LINE.sub(r"\1:", text))


@functools.lru_cache(maxsize=4096)
def kinds(label: str) -> frozenset[str]:
    """Return the kinds of section that a label names: several for `Findings and impression`; of an unknown label itself."""
    name = _bare(label)
    if name in _KIND_OF:
        return frozenset({_KIND_OF[name]})
    parts = [part for part in _AND.split(name) if part]
    if len(parts) > 1 and all(part in _KIND_OF for part in parts):
        return frozenset(_KIND_OF[part] for part in parts)
    return frozenset({name})


def headers(report: str, also: frozenset[str] = frozenset()) -> list[Header]:
    """Return the headers of a report (`plain_report`) in order.

    Args:
        report: with plain line breaks.
        also: kinds that a manifest wants and that may be no name known here: these are headers as well.
    """
    found = {header.start: header for header in _within_lines(report, also)}
    found |= {header.start: header for header in _at_line_starts(report, also)}
    ordered = sorted(found.values(), key=lambda header: header.start)
    return [
        header for index, header in enumerate(ordered) if not index or header.start >= ordered[index - 1].end
    ]


def _at_line_starts(report: str, also: frozenset[str]) -> Iterator[Header]:
    for line in _LINE.finditer(report):
        rest, start = line["rest"], line.start("rest")
        if _SIGNATURE_LINE.match(_bare(rest[:_LONGEST_LABEL])):
            yield Header(start, start, "signature")
            continue
        match = _LABEL.match(rest)
        label = match["label"].strip() if match else ""
        if match and _is_header(
            label,
            match["stop"],
            also,
            bool(line["bullet"]),
            report[max(0, line.start() - _LONGEST_LABEL) : line.start()],
            rest[match.end() :],
        ):
            yield Header(start, start + match.end(), label.lower())
        elif capitals := _capitals(rest, also):
            yield Header(start, start + len(capitals), capitals.lower())


def _is_header(label: str, stop: str, also: frozenset[str], bullet: bool, before: str, after: str) -> bool:
    """Tell whether a label at the start of a line, ended by a colon, a dash or the line (`stop` is empty), is a header."""
    known = _is_known(label, also)
    if stop in (":", "："):
        return known or (not bullet and _looks_like_label(label) and not after.startswith(("/", "\\")))
    if not known or stop:
        return known
    # A word of prose may stand alone on a line, in lower case; where it names what is not wanted, it counts as a header.
    return label[0].isupper() or not kinds(label) <= also or _ends_sentence(before) or before.endswith("\n\n")


def _capitals(rest: str, also: frozenset[str]) -> str:
    """Return the known name in capitals with which a line begins: `IMPRESSION No change`.

    In a line that is all in capitals any word may be prose; names of what tells of people count all the same.
    """
    only = _TELLS_OF_PEOPLE if rest.isupper() else _SPELLINGS.keys() | also
    words = list(_WORD.finditer(rest))[:_MOST_WORDS]
    for last in reversed(words):
        label = rest[: last.end()].rstrip(".,-–—")
        if label.isupper() and kinds(label) <= only:
            return rest[: last.end()]
    return ""


def _within_lines(report: str, also: frozenset[str]) -> Iterator[Header]:
    """Yield the headers that end in a colon: the longest known name before it, or one in capitals after a sentence."""
    for colon in _COLON.finditer(report):
        line_start = report.rfind("\n", 0, colon.start()) + 1
        begin = max(line_start, colon.start() - _LONGEST_LABEL)
        before = report[begin : colon.start()].rstrip(" \t\xa0_")
        for start in _word_starts(before):
            if start == 0 and begin > line_start:
                continue  # not a word's beginning, but where the look back ends
            label = before[start:]
            if _may_begin(before, start) and (
                _is_known(label, also) or (_ends_sentence(before[:start]) and _is_in_capitals(label))
            ):
                yield Header(begin + start, colon.end(), label.lower())
                break


def _word_starts(text: str) -> list[int]:
    """Return where the last words of a text begin, the earliest first."""
    return [match.start() for match in re.finditer(r"[^\W\d_][^\s.;]*", text)][-_MOST_WORDS:]


def _may_begin(before: str, start: int) -> bool:
    """Tell whether a header may begin here: in capitals anywhere after white space, else after a sentence.

    One that names people begins anywhere.
    """
    return (
        before[start].isupper()
        or _ends_sentence(before[:start])
        or bool(kinds(before[start:]) & _NAMES_PEOPLE)
    )


def _ends_sentence(before: str) -> bool:
    text = before.rstrip()
    return not text or text.endswith(_SENTENCE_END)


def _is_in_capitals(label: str) -> bool:
    return label.isupper() and len(label) > 3 and _looks_like_label(label)


def _is_known(label: str, also: frozenset[str]) -> bool:
    named = kinds(label)
    return named <= _SPELLINGS.keys() | also


def _looks_like_label(label: str) -> bool:
    name = _bare(label)
    words = name.split()
    most = _MOST_WORDS if label.isupper() else _MOST_WORDS_UNKNOWN
    return (
        bool(words)
        and len(words) <= most
        and not _SENTENCE_WITHIN.search(label)
        and not any(map(str.isdigit, name))
        and name not in _WITHIN_FINDINGS
    )


def _bare(label: str) -> str:
    """Return a label in lower case, without accents, brackets and outer marks."""
    text = unicodedata.normalize("NFKD", label.casefold())
    text = "".join(character for character in text if not unicodedata.combining(character))
    text = _PARENTHESIS.sub(" ", text).replace("’", "'")
    return " ".join(text.split()).strip(" _-–—*#.,\"'") or " ".join(text.split())
