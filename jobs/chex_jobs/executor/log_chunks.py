"""Where archived logs lie, and how they are read.

    stages/<kind>-<name>-<identity12>/attempts/<attempt id>/logs/driver-00001.log      a stage
    preflights/<attempt id>/logs/driver-00001.log                                      a preflight

Chunks of one log are one stream of bytes: a line may begin in one and end in the next. They are in no manifest: a log is told,
not relied on.
"""

import re
from collections.abc import Iterator

from chex_api.stage import StageSpec
from chex_jobs.artifacts.backends import open_storage
from chex_jobs.artifacts.storage import Storage
from chex_jobs.artifacts.store import ArtifactStore

DRIVER = "driver"
_CHUNK = re.compile(r"(?P<folder>(?:.*/)?(?P<attempt>[^/]+)/logs)/driver-(?P<number>[0-9]+)\.log")


def stage_logs(stage: StageSpec, attempt_id: str) -> str:
    """The folder for the logs of an attempt at a stage, as a URI."""
    place = ArtifactStore.open(stage.artifacts_uri).stage(stage.kind, stage.name, stage.identity)
    return f"{place.attempt(attempt_id).uri}/logs"


def preflight_logs(artifacts_uri: str, attempt_id: str) -> str:
    """The folder for the logs of a preflight, as a URI."""
    return f"{artifacts_uri.rstrip('/')}/preflights/{attempt_id}/logs"  # not looked at: the preflight will, and tell


def attempt_of(logs: str) -> str:
    """The folder of the attempt, as a URI, whose logs lie in a folder of `stage_logs` or `preflight_logs`."""
    return logs.rpartition("/")[0]


def chunk_key(number: int) -> str:
    """The key of a chunk in a folder of logs; the first one has number 1."""
    return f"{DRIVER}-{number:05d}.log"


def attempts_folder(artifacts_uri: str, stage: str, identity: str) -> str:
    """Where the attempts of `<kind>/<name>` lie (or those of `preflight`), as a URI."""
    store = ArtifactStore.open(artifacts_uri)
    kind, _, name = stage.partition("/")
    return f"{store.stage(kind, name, identity).uri}/attempts" if name else f"{store.uri}/preflights"


def archived_attempts(attempts_uri: str, attempt_name: str) -> dict[str, list[str]]:
    """Chunks, in order, of every start of an attempt: there is more than one only if its Ray was started twice."""
    starts: dict[str, list[tuple[int, str]]] = {}
    for key in open_storage(attempts_uri).sizes():
        found = _CHUNK.fullmatch(key)
        if found and found["attempt"].startswith(f"{attempt_name}-"):
            starts.setdefault(found["attempt"], []).append((int(found["number"]), key))
    return {start: [key for _, key in sorted(chunks)] for start, chunks in sorted(starts.items())}


def read_chunks(storage: Storage, keys: list[str]) -> Iterator[bytes]:
    """One log, chunk by chunk."""
    for key in keys:
        yield storage.read_bytes(key)
