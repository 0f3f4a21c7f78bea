"""Secrets taken out of a stream of bytes, wherever the stream is cut."""

import re
from collections.abc import Mapping
from urllib.parse import quote

MASK = b"[redacted]"
FEWEST_CHARACTERS = 8
"""A shorter value is no secret, and masking `true` or `1` everywhere would make a log unreadable."""
NO_SECRETS = frozenset(
    {
        "AWS_CA_BUNDLE",
        "AWS_CONFIG_FILE",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_DEFAULT_REGION",
        "AWS_EC2_METADATA_DISABLED",
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_REQUEST_CHECKSUM_CALCULATION",
        "AWS_RESPONSE_CHECKSUM_VALIDATION",
        "AWS_RETRY_MODE",
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_STS_REGIONAL_ENDPOINTS",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    }
)
"""Of the variables `AWS_*`, those that a message about a failure must be able to name. All others are masked."""


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """Values that no log may hold: what `AWS_*` holds of credentials, and the token of Ray's cluster."""
    named = {
        value
        for name, value in environment.items()
        if name == "RAY_AUTH_TOKEN" or (name.startswith("AWS_") and not _harmless(name))
    }
    long_enough = {value for value in named if len(value) >= FEWEST_CHARACTERS}
    return sorted(long_enough | {quote(value, safe="") for value in long_enough})


def _harmless(name: str) -> bool:
    return name in NO_SECRETS or name.startswith("AWS_ENDPOINT_URL")


class Redactor:
    """Masks secrets in a stream that comes in pieces.

    What may be the beginning of a secret is held back until the next piece tells.
    """

    def __init__(self, secrets: list[str]) -> None:
        encoded = sorted((secret.encode() for secret in secrets), key=len, reverse=True)
        self._secrets = encoded
        self._pattern = re.compile(b"|".join(map(re.escape, encoded))) if encoded else None
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """The next bytes that are safe to show."""
        if self._pattern is None:
            return data
        clean = self._pattern.sub(MASK, self._held + data)
        kept = len(clean) - self._undecided(clean)
        self._held = clean[kept:]
        return clean[:kept]

    def flush(self) -> bytes:
        """What was held back, at the stream's end."""
        held, self._held = self._held, b""
        return held

    def _undecided(self, clean: bytes) -> int:
        """How many bytes at the end may be the beginning of a secret."""
        longest = min(len(clean), max(len(secret) for secret in self._secrets) - 1)
        for length in range(longest, 0, -1):
            end = clean[-length:]
            if any(secret.startswith(end) for secret in self._secrets):
                return length
        return 0
