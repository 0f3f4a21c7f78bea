"""The command `chex`: arguments in, tables, JSON and exit codes out. No decision is made here.

Every command is a module that is imported only when it is called: `chex --help` loads neither pydantic nor torch.
"""

from chex_jobs.cli.main import main

__all__ = ["main"]
