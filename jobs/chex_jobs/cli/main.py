"""Arguments of `chex` and the way from a command's name to its module."""

import argparse
import importlib
import sys
from collections.abc import Sequence

FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130

EPILOG = """\
exit codes: 0 fine, 1 failed, 2 wrong usage or invalid manifest, 130 interrupted (resumable)

A first run, on generated films:  chex run infra/samples/quickstart.yaml --artifacts file://$PWD/artifacts
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Raises `SystemExit` for wrong usage, as argparse does."""
    parsed = _parser().parse_args(arguments)
    command = importlib.import_module(f"chex_jobs.cli.{parsed.command}_command")
    try:
        return command.execute(parsed)
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        return _told(parsed, error)


def _told(parsed: argparse.Namespace, error: Exception) -> int:
    """Tell what a user can mend, in its own words; anything else is a fault of this program and keeps its traceback."""
    # Not before it is needed: `chex --help` loads nothing, and `chex validate` nothing of the stages.
    from chex_jobs.cli.manifests import InvalidManifest, report_faults

    if isinstance(error, InvalidManifest):
        report_faults(parsed.manifest, error.faults)
        return WRONG_USAGE
    from chex_jobs.artifacts.errors import ArtifactError
    from chex_jobs.preflight import PreflightFailed

    if isinstance(error, PreflightFailed):
        report_faults(parsed.manifest, error.faults)
    elif isinstance(error, ArtifactError | OSError):
        print(f"chex {parsed.command}: {error}", file=sys.stderr)
    else:
        raise error
    return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chex",
        description="Pretrain on a radiology network's chest X-rays, adapt to each hospital, and show the evidence.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_validate(commands)
    _add_plan(commands)
    _add_run(commands)
    _add_report(commands)
    _add_predict(commands)
    _add_crds(commands)
    return parser


Commands = argparse._SubParsersAction


def _add_validate(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "validate",
        help="name every fault of a manifest",
        description="Name every fault of a manifest, with its field path.",
    )
    parser.add_argument("manifest", help="a ChexTrainingJob in YAML or JSON; - for standard input")
    _add_output(parser)


def _add_plan(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "plan",
        help="show stages, identities, what is finished, and the work of each arm",
        description="Check the sources and show what a run would do, without doing it.",
    )
    _add_manifest(parser)
    parser.add_argument(
        "--no-preflight", action="store_true", help="do not look at any source: identities stay unresolved"
    )
    _add_output(parser)


def _add_run(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "run",
        help="run a manifest on this machine",
        description="Run a manifest on this machine, from where an earlier run stopped.",
    )
    _add_manifest(parser)
    parser.add_argument(
        "--cpus", type=int, metavar="N", help="CPU cores to use (default: all that this process may use)"
    )
    parser.add_argument(
        "--json-lines", action="store_true", help="progress as one JSON object a line, on standard output"
    )


def _add_report(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "report",
        help="find or save the report of a finished run",
        description="Print where the report of a finished run lies, or save it.",
    )
    _add_manifest(parser)
    parser.add_argument(
        "--save", metavar="FOLDER", help="copy the page, the tables and the model cards there"
    )


def _add_predict(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "predict",
        help="score films with a deployable model",
        description="Score films with a deployable model, after it has proved its golden logits on this machine. Research use only.",
    )
    parser.add_argument("model", help="folder of a deployable model: a path, file:// or s3://")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="PNG, JPEG or DICOM files")
    _add_output(parser)


def _add_crds(commands: "Commands[argparse.ArgumentParser]") -> None:
    parser = commands.add_parser(
        "crds",
        help="write the CustomResourceDefinitions",
        description="Write the CustomResourceDefinitions that follow from the API's models.",
    )
    parser.add_argument(
        "--folder",
        metavar="FOLDER",
        help="write one file for each kind there (default: all to standard output)",
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail if the folder's files differ"
    )


def _add_manifest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("manifest", help="a ChexTrainingJob in YAML or JSON; - for standard input")
    parser.add_argument(
        "--artifacts",
        metavar="URI",
        help="replaces spec.artifacts.uri: s3://bucket/prefix, file:///folder, or a path",
    )
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="NAME=URI",
        help="replaces the location of a data set, or of encoders.image or encoders.text; may be repeated",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", choices=("json", "yaml"), help="for machines (default: for people)")
