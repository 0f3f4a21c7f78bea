"""The learning rate of every step, as plain Python floats.

Plain floats, because a tensor learning rate would be part of DeepSpeed's and torch's captured state, and because the
schedule is a function of the step alone: a resumed run needs nothing but its step.
"""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class LearningRateSchedule:
    """Linear warm-up from zero, then a course down to zero (`Cosine`, `Linear`) or none (`Constant`).

    Attributes:
        peak: highest learning rate, reached in the first step after warm-up.
        course: what follows warm-up.
        warmup_fraction: share of all steps that warm-up takes, 0 to 1.
        num_steps: optimizer steps of the whole run.
    """

    peak: float
    course: Literal["Cosine", "Linear", "Constant"]
    warmup_fraction: float
    num_steps: int

    def at(self, step: int) -> float:
        """The rate of step `step`, counted from 0. Above 0 in the first step, so that no film is read for nothing."""
        num_warmup = int(self.warmup_fraction * self.num_steps)
        if step < num_warmup:
            return self.peak * (step + 1) / (num_warmup + 1)
        progress = (step - num_warmup) / max(1, self.num_steps - num_warmup)
        if self.course == "Cosine":
            return self.peak * 0.5 * (1.0 + math.cos(math.pi * progress))
        if self.course == "Linear":
            return self.peak * (1.0 - progress)
        return self.peak
