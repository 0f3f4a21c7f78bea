"""`python -m chex_operator`."""

import asyncio
import gc
import logging
import sys

from chex_operator.kube.connection import NoConnection, connection_from_environment
from chex_operator.kube.logs import configure_logs
from chex_operator.kube.stop import stop_on_signals
from chex_operator.operator import Ended, operate
from chex_operator.options import Options, parse_options

FAILED = 1
OBJECTS_BEFORE_COLLECTION = 50_000
"""A page of a list is decoded into a hundred thousand dicts, none of them in a cycle. At Python's own 700, the search for cycles
among them takes two thirds of the time in which caches are filled."""
logger = logging.getLogger("chex_operator")


def main() -> int:
    """Run until a signal; the exit code is 0 then, and 1 when the process must be started again."""
    options = parse_options()
    configure_logs(options.log_level, sys.stderr)
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION, *gc.get_threshold()[1:])
    return asyncio.run(_run(options))


async def _run(options: Options) -> int:
    with stop_on_signals() as stop:
        try:
            await operate(options, await connection_from_environment(), stop)
        except (Ended, NoConnection, OSError) as error:
            logger.error("%s", error)
            return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
