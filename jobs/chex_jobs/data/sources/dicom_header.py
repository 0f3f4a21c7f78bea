"""The header of a DICOM object as cells of text, as a table would hold them.

A column of a header is named `dicom:` and the element's keyword, `dicom:Modality`. A sequence of codes is the meaning of
its first; several values are parted by a backslash, as DICOM parts them. What the object tells in another element only is
taken from there: an age, which is in years, is counted from the dates of birth and study, and a view is that of its code.
"""

import io
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pydicom.config
from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag

from chex_jobs.data.errors import ColumnError
from chex_jobs.data.sources.header_names import PREFIX
from chex_jobs.data.tables.columns import nearest

# Both quote values of headers, which are patients', in what people read.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL)

_PIXEL_DATA = 0x7FE00010
_PIXEL_GROUP = 0x7FE0
_ALWAYS_READ = ("SpecificCharacterSet", "PatientBirthDate", "StudyDate", "ViewCodeSequence")
"""Elements by which others are read, or that stand for them."""
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
_VIEWS = {
    "anteroposterior": "AP",
    "posteroanterior": "PA",
    "leftlateral": "LL",
    "rightlateral": "RL",
    "lateral": "LATERAL",
}
"""View Position by the meaning of a view's code (PS3.16 CID 4010), letters alone. DX must have the code and may lack the other."""
_VIEW_CODES = {
    "399348003": "AP",
    "272479007": "PA",
    "399173006": "LL",
    "399198007": "RL",
    "399067008": "LATERAL",
    "R-10206": "AP",
    "R-10214": "PA",
    "R-40888": "PA",
    "R-10236": "LL",
    "R-10232": "RL",
    "R-102CD": "LATERAL",
}
"""The same by the code, of SNOMED CT and of SNOMED RT, which has no language."""
_IDENTIFYING_VRS = ("UI", "PN", "DA", "DT", "TM")
_IDENTIFYING = (
    "PatientID",
    "OtherPatientIDs",
    "AccessionNumber",
    "StudyID",
    "PatientAddress",
    "PatientTelephoneNumbers",
)


@dataclass(frozen=True, slots=True)
class Header:
    """What was asked of an object's header.

    Attributes:
        cells: text by keyword; empty for an element that is not there.
        has_image: whether the object has pixels.
    """

    cells: Mapping[str, str]
    has_image: bool


def keyword_of(column: str, field: str = "") -> str:
    """Return the keyword of a column of headers.

    Args:
        column: as the manifest names it.
        field: path of the manifest's field, for the message.

    Raises:
        ColumnError: DICOM knows no such element.
    """
    keyword = column.removeprefix(PREFIX)
    if tag_for_keyword(keyword) is None:
        asked = f"{field}: " if field else ""
        near = nearest(keyword, [name for name in keyword_dict if name])
        raise ColumnError(
            f"{asked}DICOM has no element {keyword!r}; the nearest is {near!r}, so write '{PREFIX}{near}'."
        )
    return keyword


def check_names_nobody(column: str, field: str) -> None:
    """Raise `ColumnError` for a column that identifies people: subgroups are shown, and stored beside the films."""
    keyword = keyword_of(column, field)
    if keyword in _IDENTIFYING or dictionary_VR(tag_for_keyword(keyword) or 0) in _IDENTIFYING_VRS:
        raise ColumnError(
            f"{field}: {column!r} identifies patients or studies, and subgroups are shown; take it out."
        )


def read_header(content: bytes, keywords: Collection[str], *, is_whole: bool) -> Header | None:
    """Read elements of a header.

    Args:
        content: the object, or its beginning.
        keywords: of the elements.
        is_whole: whether `content` is the whole object.

    Returns:
        None if the content is no DICOM object, or ends before its pixels do begin and is not whole.
    """
    reached: list[int] = []

    def is_behind_header(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        if tag.group >= _PIXEL_GROUP:
            reached.append(int(tag))
        return bool(reached)

    needed: list[BaseTag | int] = [Tag(name) for name in (*_ALWAYS_READ, *keywords)]
    try:
        dataset = read_partial(io.BytesIO(content), is_behind_header, force=True, specific_tags=needed)
    except Exception:  # pydicom raises whatever damaged bytes lead it to
        return None
    if not reached and not is_whole:
        return None
    cells = {keyword: _cell_or_blank(dataset, keyword) for keyword in keywords}
    return Header(cells, has_image=_PIXEL_DATA in reached)


def _cell_or_blank(dataset: Dataset, keyword: str) -> str:
    """Return `cell`, or nothing of an element that is damaged: it costs no film."""
    try:
        return cell(dataset, keyword)
    except Exception:  # pydicom raises whatever damaged bytes lead it to
        return ""


def cell(dataset: Dataset, keyword: str) -> str:
    """Return an element as text; empty if there is none."""
    if keyword == "PatientAge":
        return _age_in_years(dataset)
    if keyword == "ViewPosition":
        return _text(dataset.get(keyword)) or _view(dataset)
    return _text(dataset.get(keyword))


def _text(value: Any) -> str:
    if value is None or isinstance(value, bytes):
        return ""
    if isinstance(value, Sequence):
        return _text(value[0].get("CodeMeaning")) if value else ""
    if isinstance(value, MultiValue):
        return "\\".join(map(_text, value))
    return str(value).strip(" \0")


def _age_in_years(dataset: Dataset) -> str:
    told = _text(dataset.get("PatientAge")).upper()
    number, unit = told.rstrip("DWMY"), told[-1:]
    if number.strip().isdecimal():
        return str(int(int(number) * _YEARS.get(unit, 1.0)))
    birth, study = (_date(dataset.get(name)) for name in ("PatientBirthDate", "StudyDate"))
    if birth is None or study is None or study < birth:
        return ""
    return str(study.year - birth.year - ((study.month, study.day) < (birth.month, birth.day)))


def _view(dataset: Dataset) -> str:
    codes = dataset.get("ViewCodeSequence")
    if codes and (code := _text(codes[0].get("CodeValue"))) in _VIEW_CODES:
        return _VIEW_CODES[code]
    meaning = _text(codes)
    return _VIEWS.get("".join(filter(str.isalpha, meaning.casefold())), "")


def _date(value: Any) -> date | None:
    try:
        return datetime.strptime(_text(value), "%Y%m%d").date()
    except ValueError:
        return None
