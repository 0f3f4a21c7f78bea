"""From the command line to a command's module, and from what it raises to an exit code."""

import argparse
import importlib
import io
import sys
from collections.abc import Sequence

from chex_jobs.cli.arguments import parser, program
from chex_jobs.executor.signals import EndedBySignal, ended_by_signals

OWN_PACKAGES = "chex_"
CLI_PACKAGES = ("boto3", "botocore")
"""What the extra `cli` adds; whatever else is missing belongs to `jobs`."""
FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Raises `SystemExit` for wrong usage, as argparse does."""
    _tolerate_characters()
    parsed = parser().parse_args(arguments)
    try:
        with ended_by_signals():
            command = importlib.import_module(f"chex_jobs.cli.{parsed.command}_command")
            return command.execute(parsed)
    except EndedBySignal as ended:
        return ended.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        return _told(parsed, error)


def _tolerate_characters() -> None:
    """A locale without a character, and a name on disk that is no UTF-8, are no reason to fail: they are printed as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _told(parsed: argparse.Namespace, error: Exception) -> int:
    """Tell what a user can mend, in its own words; anything else is a fault of this program and keeps its traceback."""
    # Not before it is needed: `chex --help` loads nothing, and `chex validate` nothing of the stages.
    from chex_jobs.cli.manifests import InvalidManifest, report_faults

    if isinstance(error, InvalidManifest):
        report_faults(parsed.manifest, error.faults)
        return WRONG_USAGE
    from chex_jobs.artifacts.errors import ArtifactError
    from chex_jobs.cli.kubectl import KubectlFailed

    if isinstance(error, ArtifactError | OSError | KubectlFailed):
        print(f"{program()} {parsed.command}: {error}", file=sys.stderr)
        return WRONG_USAGE if isinstance(error, KubectlFailed) and error.invalid else FAILED
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith(OWN_PACKAGES):
        print(f"{program()} {parsed.command}: {_lacking(error.name)}", file=sys.stderr)
        return FAILED
    if "chex_jobs.preflight" not in sys.modules:  # nothing else raises its error; it needs what stages need
        raise error
    from chex_jobs.preflight import PreflightFailed

    if not isinstance(error, PreflightFailed):
        raise error
    report_faults(parsed.manifest, error.faults)
    return FAILED


def _lacking(module: str) -> str:
    package = module.partition(".")[0]
    extra = "cli" if package in CLI_PACKAGES else "jobs"
    return (
        f"the Python package {package} is not installed; install CheXDragon with it: pip install '.[{extra}]'"
    )
