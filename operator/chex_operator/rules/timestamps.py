"""Moments as a status holds them, in whole seconds, as `metav1.Time` has them."""

from datetime import UTC, datetime


def timestamp(seconds: float) -> str:
    """RFC 3339, for seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(moment: str | None) -> float | None:
    """Seconds since the epoch; None for no moment. Raises `ValueError` for what is none."""
    if not moment:
        return None
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp()
