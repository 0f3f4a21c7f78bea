"""When the state of a run is stored."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CheckpointPolicy:
    """The end of a run, and a graceful stop, are always stored; None switches a rule off.

    Attributes:
        every_minutes: minutes between checkpoints by worker 0's clock; put off while an upload is under way.
        every_steps: a checkpoint after each multiple of this many steps, whatever the clock says.
        every_epochs: the same for epochs.
    """

    every_minutes: float | None = 15.0
    every_steps: int | None = None
    every_epochs: int | None = None

    @classmethod
    def of_minutes(cls, every_minutes: float) -> "CheckpointPolicy":
        """The rule of a manifest: minutes, or after every epoch when they are 0."""
        return (
            cls(every_minutes=every_minutes) if every_minutes > 0 else cls(every_minutes=None, every_epochs=1)
        )
