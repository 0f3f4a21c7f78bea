"""From the words that sources use for a projection to the two views that a manifest asks for."""

from collections.abc import Collection

FRONTAL = "Frontal"
LATERAL = "Lateral"
OTHER = ""
"""Neither frontal nor lateral, or not told. Such a film is left out, and counted."""


def view_of(value: str, frontal: Collection[str], lateral: Collection[str]) -> str:
    """Return `FRONTAL`, `LATERAL` or `OTHER` for a cell of a view column, without regard to case and outer blanks."""
    wanted = value.strip().casefold()
    if wanted in {known.strip().casefold() for known in frontal}:
        return FRONTAL
    if wanted in {known.strip().casefold() for known in lateral}:
        return LATERAL
    return OTHER


def projection_of(value: str) -> str:
    """Return the projection as written but in one spelling ("ap " and "AP" are one), for metadata and baselines.

    AP and PA are both frontal, yet bedside films are AP: the projection alone predicts how ill a patient is, which
    is why the metadata baseline needs it beside the view.
    """
    return " ".join(value.upper().split())
