"""A fault of a manifest: where, what is wrong, what to do."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Fault:
    """One fault.

    Attributes:
        path: the field path as the API server writes it, such as `spec.hospitals[1].tasks[0]`.
        message: what is wrong and what to do, for anybody's eyes.
        example: what names files, for the terminal of the one who has them; no log, status or event holds it.
    """

    path: str
    message: str
    example: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message
