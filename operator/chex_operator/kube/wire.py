"""What the API server's answers say: pages of lists, events of watches, refusals."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, cast

import orjson

from chex_operator.kube.errors import ApiError, Unreachable, error_for
from chex_operator.kube.resource import Object

EVENT_TYPES = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK")


@dataclass(frozen=True)
class Page:
    """A part of a list, all parts as of one moment.

    Attributes:
        items: Those of the core kinds come without `kind` and `apiVersion`, as the API server gives them.
        resource_version: Of the moment, to watch from.
        continue_token: For the next page; empty on the last.
    """

    items: list[Object]
    resource_version: str
    continue_token: str


@dataclass(frozen=True)
class WatchEvent:
    """What became of an object. Of the object of a BOOKMARK only `metadata.resourceVersion` means anything."""

    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
    object: Object


async def lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Whole lines, however long: `StreamReader.readline` gives up on one that exceeds its buffer.

    What follows the last line's end is dropped: it is a line that was cut.
    """
    parts: list[bytes] = []
    async for chunk in chunks:
        first, *others = chunk.split(b"\n")
        parts.append(first)
        for other in others:
            line = b"".join(parts)
            parts = [other]
            if line:
                yield line


def event(line: bytes) -> WatchEvent:
    """What a line of a watch says.

    Raises:
        ApiError: It says an error: `Expired` for 410.
        Unreachable: It is no event.
    """
    said = decoded(line)
    kind, subject = said.get("type"), said.get("object")
    if kind == "ERROR" and isinstance(subject, dict):
        status = cast(Object, subject)
        raise error_for(int(status.get("code", 0)), status.get("reason", ""), status.get("message", ""))
    if kind not in EVENT_TYPES or not isinstance(subject, dict):
        raise Unreachable(0, "", f"a watch said something that is no event: type {kind!r}")
    return WatchEvent(kind, cast(Object, subject))


def decoded(content: bytes) -> Object:
    """The object that an answer holds. Raises `Unreachable`: half an answer is none."""
    try:
        answer = orjson.loads(content)
    except ValueError as fault:
        raise Unreachable(0, "", f"the API server's answer is not JSON: {fault}") from fault
    if not isinstance(answer, dict):
        raise Unreachable(0, "", "the API server's answer is no object")
    return cast(Object, answer)


def refusal(code: int, content: bytes, retry_after: str | None) -> ApiError:
    """The exception for an answer that is no success; `retry_after` is the header of that name."""
    try:
        status = decoded(content)
    except Unreachable:  # from a proxy, or the text of a handler before the API proper
        status = {"message": content[:500].decode(errors="replace").strip()}
    seconds = float(retry_after) if retry_after and retry_after.isdecimal() else None
    return error_for(code, str(status.get("reason", "")), str(status.get("message", "")), retry_after=seconds)
