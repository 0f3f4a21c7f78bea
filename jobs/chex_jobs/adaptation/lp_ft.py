"""LP-FT (Kumar et al., ICLR 2022, arXiv 2202.10054): fine-tuning that begins with the head of a linear probe.

A new head makes the first steps distort features that were good; the probe's head leaves nothing to gain by that.
"""

from torch import nn

from chex_jobs.adaptation.context import AdaptationContext
from chex_jobs.adaptation.probe import best_head
from chex_jobs.sweep.units import FinalFitUnit, TrialUnit


def transplant_head(unit: TrialUnit | FinalFitUnit, context: AdaptationContext, layer: nn.Linear) -> None:
    """Put the best head of the unit's probe into a layer, in place; nothing where the unit has no probe.

    The probe was fitted on the unit's own draw, and its C chosen on that draw's validation labels.
    """
    if unit.head is not None:
        best_head(unit.head, context).put_into(layer)
