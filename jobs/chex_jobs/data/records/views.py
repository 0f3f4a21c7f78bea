"""From the words that sources use for a projection to the two views that a manifest asks for."""

from collections.abc import Collection

from chex_jobs.data.tables.columns import comparable

FRONTAL = "Frontal"
LATERAL = "Lateral"
OTHER = ""
"""Neither frontal nor lateral, or not told. Such a film is left out, and counted."""


def view_of(value: str, frontal: Collection[str], lateral: Collection[str]) -> str:
    """Return `FRONTAL`, `LATERAL` or `OTHER` for a cell of a view column, compared as labels are."""
    wanted = comparable(value)
    if wanted in set(map(comparable, frontal)):
        return FRONTAL
    if wanted in set(map(comparable, lateral)):
        return LATERAL
    return OTHER


def projection_of(value: str) -> str:
    """Return the projection as written but in one spelling ("ap " and "AP" are one), for metadata and baselines.

    AP and PA are both frontal, yet bedside films are AP: the projection alone predicts how ill a patient is, which
    is why the metadata baseline needs it beside the view.
    """
    return " ".join(value.upper().split())
