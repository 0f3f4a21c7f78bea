"""The process that decodes films that nobody has checked yet: little memory, no credentials, nothing to lose.

Run as `python -m chex_jobs.data.decoding.decoder_process ADDRESS_SPACE_BYTES` by `chex_jobs.data.decoding.limited_decoder`, which
speaks with it over its standard input and output and ends it when a film takes too long. It ends itself when its
input does, so it never outlives the task that started it.

    request   short_side uint32, length uint64, the file
    film      0 uint8, height uint32, width uint32, the pixels
    fault     1 uint8, length of reason uint32, length of detail uint32, both in UTF-8
"""

import os
import resource
import struct
import sys

REQUEST = struct.Struct("<IQ")
REPLY = struct.Struct("<BII")
FILM = 0
FAULT = 1


def main() -> None:
    """Serve requests until the input ends."""
    limit = int(sys.argv[1])
    if sys.platform != "darwin":  # macOS refuses this limit; the time that a film may take holds there too
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    requests, replies = sys.stdin.fileno(), _private_output()
    import cv2  # after the limit, which is to hold for libraries too

    cv2.setNumThreads(1)
    while True:
        short_side, length = REQUEST.unpack(_read_exactly(requests, REQUEST.size))
        for part in _reply(bytes(_read_exactly(requests, length)), short_side):
            _write(replies, part)


def _private_output() -> int:
    """Take the output for ourselves: what C libraries print goes where nobody reads, not between our bytes."""
    replies = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return replies


def _reply(data: bytes, short_side: int) -> tuple[bytes | memoryview, ...]:
    import numpy as np

    from chex_jobs.data.decoding.decode import decode_film
    from chex_jobs.data.decoding.faults import FilmError, Reason

    try:
        film = np.ascontiguousarray(decode_film(data, short_side))
    except FilmError as error:
        return _fault(error.fault.reason, error.fault.detail)
    except MemoryError:
        return _fault(Reason.DECODER_LIMIT, "decoding needs more memory than one film may have")
    except Exception as error:  # what a damaged film does to a library is the film's fault, not the run's
        out_of_memory = "Insufficient memory" in str(error) or "bad_alloc" in str(error)
        reason = Reason.DECODER_LIMIT if out_of_memory else Reason.UNREADABLE
        return _fault(reason, f"{type(error).__name__}: {error}"[:500])
    return REPLY.pack(FILM, *film.shape), film.data.cast("B")


def _fault(reason: str, detail: str) -> tuple[bytes, ...]:
    reason_bytes, detail_bytes = reason.encode(), detail.encode(errors="replace")
    return REPLY.pack(FAULT, len(reason_bytes), len(detail_bytes)), reason_bytes, detail_bytes


def _read_exactly(requests: int, length: int) -> bytearray:
    """Return `length` bytes; end when the other side is gone, for then there is nobody to answer."""
    data = bytearray(length)
    rest = memoryview(data)
    while rest:
        count = os.readv(requests, [rest])
        if count == 0:
            sys.exit(0)
        rest = rest[count:]
    return data


def _write(replies: int, part: bytes | memoryview) -> None:
    rest = memoryview(part)
    while rest:
        rest = rest[os.write(replies, rest) :]


if __name__ == "__main__":
    main()
