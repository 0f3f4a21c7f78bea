"""Generated films per second of one core, against the limit that thousands of them take seconds.

    python -m tests.benchmarks.phantom_throughput [--films 2000]

Limit: 4,000 films of 64 pixels in 10 s, so at least 400 a second. Measured is processor time, in rounds; the median counts.
"""

import argparse
import statistics
import time

from chex_jobs.data.phantom.generator import PhantomArchive
from chex_jobs.data.phantom.settings import PhantomSettings

LIMIT = 4_000 / 10
ROUND = 100


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--films", type=int, default=2_000)
    num_films: int = parser.parse_args().films
    archive = PhantomArchive(PhantomSettings(patients=num_films))
    archive.film(0)
    rates = []
    for first in range(0, num_films, ROUND):
        began = time.process_time()
        for number in range(first, first + ROUND):
            archive.film(number)
        rates.append(ROUND / (time.process_time() - began))
    rate = statistics.median(rates)
    print(f"{rate:.0f} films/s on one core, {rate / LIMIT:.2f} of the limit of {LIMIT:.0f}")


if __name__ == "__main__":
    main()
