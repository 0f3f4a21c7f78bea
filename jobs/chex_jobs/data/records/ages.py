"""Ages: what counts as one, and how it may be stored.

An age counts as one by declaration: a published format knows its own, a table says `ageColumn`. It is stored under the
name `age`, and a column of exactly this name is an age wherever it comes from. A name that merely holds the letters
(`image_height`, `dosage`) is not.
"""

OLDEST_AGE = 90
COLUMN = "age"


def is_age_column(name: str) -> bool:
    """Whether a metadata column holds ages in years."""
    return name.casefold() == COLUMN


def age_in_years(cell: str) -> str:
    """Return an age as whole years, or nothing if it is none.

    Ages from 90 up are written 90: they identify people (HIPAA safe harbour). NIH's table has ages above 400.
    """
    try:
        years = int(float(cell.strip().rstrip("Yy")))
    except (ValueError, OverflowError):
        return ""
    return "" if years < 0 or years > 120 else str(min(years, OLDEST_AGE))
