"""First weights that depend on the manifest's seed and on what is built, and on nothing else.

Drawn from torch's global generator they would change with whatever was built or drawn before: adding a text
tower would give the image tower other first weights.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derived_seed(seed: int, *purpose: str) -> int:
    """A seed in [0, 2^63) for one purpose: equal arguments give equal seeds, others unrelated ones."""
    text = "\x1f".join([str(seed), *purpose])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@contextmanager
def isolated_random(seed: int, *purpose: str) -> Iterator[None]:
    """Run a block on a CPU random state of its own, and give torch's global state back as it was.

    Models are built on the CPU, so the states of accelerators are not touched.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derived_seed(seed, *purpose))
        yield
