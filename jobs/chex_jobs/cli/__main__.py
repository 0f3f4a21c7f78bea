"""`python -m chex_jobs.cli`."""

import sys

from chex_jobs.cli.main import main

sys.exit(main())
