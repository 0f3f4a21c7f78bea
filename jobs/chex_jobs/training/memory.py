"""How much memory the states of a model take in each ZeRO stage, and which stage to choose.

Accounting after "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models" (arXiv 1910.02054), for what we
run: Float32 weights under autocast and AdamW, 4 bytes each for weight, gradient and two moments. DeepSpeed's stages 1
and 2 keep one more Float32 copy of the worker's share of the weights. Activations are not counted.
"""

from dataclasses import dataclass

BYTES = 4


@dataclass(frozen=True)
class ModelStateMemory:
    """Bytes of model states on one worker, by ZeRO stage (index 0 to 3)."""

    num_parameters: int
    num_trainable: int
    num_workers: int
    bytes_by_stage: tuple[int, int, int, int]

    def recommended_stage(self, device_bytes: int) -> int:
        """The lowest stage whose states fit half of the device: higher ones cost speed. 3 when none fits."""
        for stage, needed in enumerate(self.bytes_by_stage):
            if needed <= device_bytes // 2:
                return stage
        return 3

    def describe(self, zero_stage: int, device_bytes: int) -> str:
        """One line for the log: the estimate for each stage, the stage chosen and the one recommended."""
        estimates = ", ".join(
            f"stage {stage} {needed / 2**20:.0f} MiB" for stage, needed in enumerate(self.bytes_by_stage)
        )
        return (
            f"model states of {self.num_parameters / 1e6:.2f} M parameters ({self.num_trainable / 1e6:.2f} M trained) on each of "
            f"{self.num_workers} workers: {estimates}; device memory {device_bytes / 2**30:.1f} GiB; "
            f"ZeRO stage {zero_stage} is used, {self.recommended_stage(device_bytes)} is recommended"
        )


def estimate(num_parameters: int, num_trainable: int, num_workers: int) -> ModelStateMemory:
    """Model states on one of `num_workers` workers, for all stages."""
    share = -(-num_trainable // num_workers)
    weights, gradients = BYTES * num_parameters, BYTES * num_trainable
    moments = 2 * BYTES
    return ModelStateMemory(
        num_parameters,
        num_trainable,
        num_workers,
        (
            weights + gradients + moments * num_trainable,
            weights + gradients + (moments + BYTES) * share,
            weights + (BYTES + moments + BYTES) * share,
            BYTES * -(-num_parameters // num_workers) + (BYTES + moments + BYTES) * share,
        ),
    )
