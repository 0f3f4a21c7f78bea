"""Timestamps as a status holds them, in whole seconds, as `metav1.Time` has them."""

from datetime import UTC, datetime


def timestamp(seconds: float) -> str:
    """RFC 3339, for seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_of(time: str | None) -> float | None:
    """Seconds since the epoch; None for None or an empty string. Raises `ValueError` for what is no RFC 3339 time."""
    if not time:
        return None
    return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()
