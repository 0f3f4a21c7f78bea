"""A fault of a manifest: where, what is wrong, what to do."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Fault:
    """One fault. `path` is the field path as the API server writes it, such as `spec.hospitals[1].tasks[0]`."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message
