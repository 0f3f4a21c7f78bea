"""Everything that can be known before a GPU is asked for.

Sources are readable and laid out as declared, storage is writable and honest about it, no patient and no film of a test
or validation split is in what is pretrained on; and a digest of every source.
"""

from chex_jobs.preflight.preflight import PreflightFailed, PreflightReport, run_preflight

__all__ = ["PreflightFailed", "PreflightReport", "run_preflight"]
