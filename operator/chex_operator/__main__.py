"""`python -m chex_operator`."""

import asyncio
import logging
import sys

from chex_operator.operator import Ended, operate
from chex_operator.options import Options, parse_options
from chex_operator.runtime.connection import NoConnection, connection_from_environment
from chex_operator.runtime.logs import configure_logs
from chex_operator.runtime.stop import stop_on_signals

FAILED = 1
logger = logging.getLogger("chex_operator")


def main() -> int:
    """Run until a signal; the exit code is 0 then, and 1 when the process must be started again."""
    options = parse_options()
    configure_logs(options.log_level, sys.stderr)
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
