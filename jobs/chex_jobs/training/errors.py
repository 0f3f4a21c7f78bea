"""What can go wrong in training.

TrainingError
├── InvalidRun            settings that cannot work together; nothing was started
├── NotEnoughWorkers      fewer workers than the run may go on with
├── UnsupportedParameter  a parameter that DeepSpeed would corrupt or crash on
├── NonFiniteLoss         the loss became NaN or infinite; no such state was committed
│   └── NonFiniteWeights  the loss was finite, the weights after its step are not
├── CheckpointFailed      a checkpoint could not be stored (full disk, storage out of reach)
├── CheckpointMismatch    a checkpoint belongs to another model or another run
└── WorkersFailed         worker processes died more often than they may

UnexpectedInWorker        anything else, on its way from a worker to the driver
"""

import traceback
from typing import Self

from chex_jobs.handover.failures import ProcessFailed


class UnexpectedInWorker(Exception):
    """What a worker died of and nobody foresaw. It prints as type and place alone.

    Ray prints what workers raise on the driver's output, which in a cluster many may read; the text may quote a cell of a table
    or a patient id (`KeyError: '4711'`). It travels along for the artifacts, which are private.

    Attributes:
        kind: name of the exception's type.
        text: what the exception said.
        whole: its traceback, texts included.
    """

    def __init__(self, kind: str, place: str, text: str, whole: str) -> None:
        self.kind, self.place, self.text, self.whole = kind, place, text, whole
        super().__init__(f"{kind} at {place}")

    @classmethod
    def of(cls, error: Exception) -> Self:
        """Of an exception that was caught."""
        last = traceback.extract_tb(error.__traceback__)[-1]
        whole = "".join(traceback.format_exception(error))
        return cls(type(error).__name__, f"{last.filename}:{last.lineno} in {last.name}", str(error), whole)

    def __reduce__(self) -> tuple[type["UnexpectedInWorker"], tuple[str, str, str, str]]:
        return type(self), (self.kind, self.place, self.text, self.whole)


class TrainingError(Exception):
    """Base of everything that `chex_jobs.training` raises on purpose. Messages hold no patient data."""


class InvalidRun(TrainingError):
    """Settings that cannot work together."""


class NotEnoughWorkers(TrainingError):
    """Fewer workers than `minAvailable`, or no number of them divides the global batch into whole groups."""


class UnsupportedParameter(TrainingError):
    """A parameter without dimensions, or one whose memory is not contiguous."""


class NonFiniteLoss(TrainingError):
    """The loss is NaN or infinite. Training again from the last checkpoint would end here again."""

    what = "the loss is {loss}"

    def __init__(self, step: int, epoch: int, learning_rate: float, loss: float) -> None:
        self.step, self.epoch, self.learning_rate, self.loss = step, epoch, learning_rate, loss
        super().__init__(
            f"{self.what.format(loss=loss)} in step {step} (epoch {epoch}, learning rate {learning_rate:.3g}); nothing of "
            "it was stored. Try a lower learningRate, a longer warmupFraction, gradientClipping above 0, or precision "
            "Float32"
        )

    def __reduce__(self) -> tuple[type["NonFiniteLoss"], tuple[int, int, float, float]]:
        return type(self), (self.step, self.epoch, self.learning_rate, self.loss)


class NonFiniteWeights(NonFiniteLoss):
    """Weights, moments or running statistics are NaN or infinite, as a finite loss with too large a gradient leaves them."""

    what = "the loss was {loss}, but weights are NaN or infinite after the update"


class CheckpointFailed(TrainingError):
    """The upload of a checkpoint failed after its own retries."""


class CheckpointMismatch(TrainingError):
    """A checkpoint's tensors are not those of the model that is to be resumed."""


class WorkersFailed(ProcessFailed, TrainingError):
    """Workers died more often than `max_failures`."""
