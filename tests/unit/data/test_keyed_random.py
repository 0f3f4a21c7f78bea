"""Numbers by address."""

import numpy as np

from chex_jobs.data.keyed_random import Stream, keyed_generator


def drawn(*address: int, stream: Stream = Stream.AUGMENTATION) -> list[float]:
    return keyed_generator(stream, *address).random(8).tolist()


def test_the_same_address_gives_the_same_numbers() -> None:
    assert drawn(3, 1, 2, 3) == drawn(3, 1, 2, 3)


def test_every_part_of_the_address_matters() -> None:
    addresses = [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (0, 0, 0, 0)]
    streams = [tuple(drawn(*address)) for address in addresses]
    assert len({*streams, tuple(drawn(0, 0, 0, 0, stream=Stream.SENTENCE))}) == len(addresses) + 1


def test_negative_and_huge_parts_are_addresses_too() -> None:
    assert drawn(-1, 2**70 + 5) == drawn(2**64 - 1, 2**70 + 5)


def test_neighbouring_addresses_are_not_correlated() -> None:
    draws = np.array(
        [keyed_generator(Stream.AUGMENTATION, 0, 0, ordinal).random(2) for ordinal in range(4000)]
    )
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.05
    assert np.allclose(draws.mean(axis=0), 0.5, atol=0.02)
