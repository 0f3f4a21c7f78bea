"""What identifies a text tower from elsewhere: the bytes of its folder."""

import hashlib

from chex_api.encoder import TextEncoder
from chex_jobs.artifacts import open_storage


def text_digest(spec: TextEncoder) -> str:
    """SHA-256 over names and contents of the folder's files; `random` for a tower that the seed makes."""
    if spec.init.uri is None:
        return "random"
    storage, digest = open_storage(spec.init.uri), hashlib.sha256()
    for name in sorted(storage.sizes("")):
        digest.update(f"{name}\0".encode())
        digest.update(hashlib.sha256(storage.read_bytes(name)).digest())
    return digest.hexdigest()
