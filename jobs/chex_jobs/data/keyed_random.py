"""Random numbers that depend on what they are for, not on when they are drawn.

Augmentation, shuffling, sentence choice and the phantom must not depend on the process, thread, rank or order in
which films are visited: a resumed run, another number of workers and a single film asked for alone all see the same
numbers. Philox is a counter-based generator, so its key and counter can carry the purpose directly: two different
addresses can never share a stream (a hash of the address could).
"""

from enum import IntEnum

import numpy as np

_MASK = (1 << 64) - 1


class Stream(IntEnum):
    """The purposes. A number is never used again for another purpose: it is part of what makes results repeat."""

    AUGMENTATION = 1
    EPOCH_ORDER = 2
    FILM_OF_UNIT = 3
    SENTENCE = 4
    PHANTOM_HOSPITAL = 9
    PHANTOM_PATIENT = 10
    PHANTOM_STUDY = 11
    PHANTOM_FILM = 12
    PHANTOM_DRAWING = 13
    PHANTOM_REPORT = 14


def keyed_generator(stream: Stream, seed: int, a: int = 0, b: int = 0, c: int = 0) -> np.random.Generator:
    """Return a fresh generator for the address `(stream, seed, a, b, c)`; each part is taken modulo 2**64.

    An address has 2**64 blocks of its own before its numbers would run into those of another one.
    """
    counter = np.array([0, a & _MASK, b & _MASK, c & _MASK], dtype=np.uint64)
    key = np.array([seed & _MASK, int(stream)], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(counter=counter, key=key))
