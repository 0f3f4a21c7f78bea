"""From a trained objective to the files that others read: one for each tower, one for the rest."""

from collections.abc import Mapping

from torch import Tensor

from chex_jobs.handover.files import IMAGE_ENCODER, OBJECTIVE, TEXT_ENCODER
from chex_jobs.training.checkpoints import Checkpoint, restore

_TOWERS = {"image_encoder": IMAGE_ENCODER, "text_encoder": TEXT_ENCODER}


def split_by_role(weights: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """File name -> tensors by name. A tower's names lose its prefix, so that it loads into the tower alone."""
    files: dict[str, dict[str, Tensor]] = {}
    for name, tensor in weights.items():
        role, _, rest = name.partition(".")
        file = _TOWERS.get(role, OBJECTIVE)
        files.setdefault(file, {})[rest if role in _TOWERS else name] = tensor
    return files


def weights_of_checkpoint(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Weights and buffers by name, running statistics averaged over the workers that wrote them."""
    state, _ = restore(checkpoint)
    return {
        **state.weights,
        **state.buffers,
        **{name: rows.mean(0) for name, rows in state.statistics.items()},
    }
