"""What another process died of, on its way to whoever reports it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """An exception in another process. Its text may quote data; its type may be told to many.

    Attributes:
        kind: name of the exception's type.
        text: what it said.
    """

    kind: str
    text: str

    @classmethod
    def of(cls, error: BaseException) -> "Cause":
        """Of an exception that was caught."""
        return cls(type(error).__name__, str(error))

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


class ProcessFailed(Exception):
    """Work in another process ended badly.

    Args:
        words: our own, which many may read: what ended, and how often.
        cause: the exception that ended it; None where the process died without one.
    """

    def __init__(self, words: str, cause: Cause | None = None) -> None:
        super().__init__(words if cause is None else f"{words}: {cause}")
        self.words, self.cause = words, cause

    def __reduce__(self) -> tuple[type["ProcessFailed"], tuple[str, Cause | None]]:
        return type(self), (self.words, self.cause)
