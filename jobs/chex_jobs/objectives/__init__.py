"""What pretraining learns: one module for each objective, and the table `build.BUILDERS` from settings to modules.

An objective is one `nn.Module` that holds its encoders (`image_encoder`, `text_encoder`) and heads. Its
`forward(batch)` gives a `Loss` whose gradient, averaged over ranks as DeepSpeed and DDP do, is the gradient
that one process would get from the whole global batch. Encoders come with the weights to start from and with
their normalisation already grouped (`batch_norm_group_size` says how): MoCo copies its encoder when it is
built.
"""

from chex_jobs.objectives.batch import Batch
from chex_jobs.objectives.build import batch_norm_group_size, build_objective
from chex_jobs.objectives.clip import Clip
from chex_jobs.objectives.gather import gather_with_gradient
from chex_jobs.objectives.loss import Loss
from chex_jobs.objectives.moco import MoCo
from chex_jobs.objectives.supervised import Supervised

__all__ = [
    "Batch",
    "Clip",
    "Loss",
    "MoCo",
    "Supervised",
    "batch_norm_group_size",
    "build_objective",
    "gather_with_gradient",
]
