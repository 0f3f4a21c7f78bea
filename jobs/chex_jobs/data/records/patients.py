"""The normal form of a patient id: the one spelling in which ids are split, grouped and compared.

One person's id is written in many ways, by spreadsheets above all: `100` becomes `100.0` where a column once held a blank
cell, `00100` loses its zeros, a copied id brings a no-break space along. Two spellings of one person would lie on both
sides of a split, and would pass every search for leakage.

The rules, in this order; what they do not name stays as it is:

1. Unicode's compatibility form (NFKC) and no difference between capitals and small letters (`P１２` is `p12`).
2. Spaces, control and invisible characters are dropped wherever they stand (`943 476 5919` is `9434765919`).
3. What makes a spreadsheet keep a number as text is dropped: quotes around the id, `=` before them, an apostrophe before it
   (`="00100"`, `'100`).
4. Every dash is a hyphen, every decimal digit of any script is one of 0 to 9.
5. A whole number is its digits: no sign `+`, no leading zeros, no decimals that are zero (`100.0`, `100,0`, `1E+02`).
   Three or more zeros after a comma are left: `100,000` may be a hundred thousand.

Ids that differ by more than spelling to one authority (`A-1` and `a-1` of two people) become one. That is the safe side:
such people are kept together in a split.
"""

import re
import unicodedata

_INVISIBLE = {"Cc", "Cf", "Cn", "Zs", "Zl", "Zp"}
_WHOLE_NUMBER = re.compile(r"\+?(\d+)(?:\.0*|,0{1,2})?")
_SCIENTIFIC = re.compile(r"\+?(\d)(?:[.,](\d+))?e\+?0*(\d{1,2})")
_KEPT_AS_TEXT = re.compile(r"""=?"([^"]*)"|'([^']*)'?""")


def normal_patient_id(spelling: str) -> str:
    """Return the normal form of an id as a table or a header spells it; empty if nothing visible is written."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", spelling).casefold())
    text = "".join(map(_plain_character, folded))
    if kept := _KEPT_AS_TEXT.fullmatch(text):
        text = kept[1] or kept[2] or ""
    if number := _WHOLE_NUMBER.fullmatch(text):
        return number[1].lstrip("0") or "0"
    if number := _SCIENTIFIC.fullmatch(text):
        return _written_out(text, number[1], number[2] or "", int(number[3]))
    return text


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category in _INVISIBLE:
        return ""
    if category == "Pd" or character == "\N{MINUS SIGN}":
        return "-"
    return str(unicodedata.decimal(character)) if category == "Nd" else character


def _written_out(text: str, whole: str, decimals: str, exponent: int) -> str:
    """Write `1.234E+05` as 123400; a number with decimals left stays as it is, and so does `0e5`, which is no spreadsheet's."""
    decimals = decimals.rstrip("0")
    if whole == "0" or len(decimals) > exponent:
        return text
    return whole + decimals.ljust(exponent, "0")
