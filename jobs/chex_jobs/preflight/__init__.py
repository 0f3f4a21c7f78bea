"""Everything that can be known before a GPU is asked for: sources readable and laid out as declared, storage writable and
honest, no patient and no film of a test or validation split in what is pretrained on, and a digest of every source."""

from chex_jobs.preflight.preflight import PreflightFailed, PreflightReport, run_preflight

__all__ = ["PreflightFailed", "PreflightReport", "run_preflight"]
