"""The words of the command line: `chex`, and `kubectl chex` where kubectl calls the same program as its plugin."""

import argparse
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

PLUGIN = "kubectl-chex"
DESCRIPTION = "Pretrain on a radiology network's chest X-rays, adapt to each hospital, and show the evidence."
EXIT_CODES = "exit codes: 0 fine, 1 failed, 2 wrong usage or invalid manifest, 130, 143, 129 ended by Ctrl-C, SIGTERM, a closed terminal (resumable)"
FIRST_RUN = "A first run, on generated films:  chex run infra/samples/quickstart.yaml --artifacts ./artifacts"
FIRST_JOB = "A first job:  kubectl chex submit job.yaml --watch"


MOST_CPUS = 4096
"""More than any machine has: a slip."""
MOST_ATTEMPTS = 1_000_000


def program() -> str:
    """The name by which people called this program."""
    return "kubectl chex" if Path(sys.argv[0]).stem == PLUGIN else "chex"


def called() -> str:
    """The words that call this program again as it was called, for people to copy."""
    if program() != "chex":
        return program()
    path = Path(sys.argv[0])
    if path.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m chex_jobs.cli"
    # Of a name that is found on PATH, a program is told the whole path.
    return path.name if shutil.which(path.name) == sys.argv[0] else shlex.quote(sys.argv[0])


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    top = argparse.ArgumentParser(
        prog=program(),
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = top.add_subparsers(
        dest="command", required=True, metavar="COMMAND", help="one of those below"
    )
    commands = _Commands(subparsers)
    _add_validate(commands)
    _add_plan(commands)
    _add_run(commands)
    _add_predict(commands)
    _add_crds(commands)
    _add_submit(commands)
    _add_status(commands)
    _add_logs(commands)
    _add_cancel(commands)
    _add_resume(commands)
    _add_report(commands)
    top.epilog = commands.overview()
    return top


class _Commands:
    """The commands as they are added; argparse knows no groups of them, so the overview is written here."""

    def __init__(self, subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        self._subparsers = subparsers
        self._here: list[str] = []
        self._in_cluster: list[str] = []

    def add(
        self, name: str, summary: str, description: str, *, cluster: bool = False
    ) -> argparse.ArgumentParser:
        """Add a command that works on this machine, or in a cluster."""
        (self._in_cluster if cluster else self._here).append(f"  {name:<10}{summary}")
        return self._subparsers.add_parser(name, description=description)

    def overview(self) -> str:
        """All commands in two groups; first those that people who called it this way look for."""
        here = ["on this machine:", *self._here]
        in_cluster = ["in a cluster, with your kubectl:", *self._in_cluster]
        is_plugin = program() != "chex"
        groups = (in_cluster, here) if is_plugin else (here, in_cluster)
        lines = [*groups[0], "", *groups[1], "", f"{program()} COMMAND --help tells the options.", EXIT_CODES]
        return "\n".join([*lines, "", FIRST_JOB if is_plugin else FIRST_RUN])


def _add_validate(commands: _Commands) -> None:
    command = commands.add(
        "validate",
        "name every fault of a manifest",
        "Name every fault of a manifest, with its field path.",
    )
    command.add_argument(
        "manifest", type=_path, help="a ChexTrainingJob in YAML or JSON; - for standard input"
    )
    _add_output(command)


def _add_plan(commands: _Commands) -> None:
    command = commands.add(
        "plan",
        "show stages, identities, what is finished, and the work of each arm",
        "Check the sources and show what a run would do, without doing it.",
    )
    _add_manifest(command)
    command.add_argument(
        "--no-preflight", action="store_true", help="do not look at any source: identities stay unresolved"
    )
    _add_output(command)


def _add_run(commands: _Commands) -> None:
    command = commands.add(
        "run",
        "run a manifest on this machine",
        "Run a manifest on this machine, from where an earlier run stopped.",
    )
    _add_manifest(command)
    command.add_argument(
        "--cpus",
        type=_number(MOST_CPUS),
        metavar="N",
        help="CPU cores to use (default, and at most: all that this process may use)",
    )
    command.add_argument(
        "--json-lines", action="store_true", help="progress as one JSON object a line, on standard output"
    )


def _add_predict(commands: _Commands) -> None:
    command = commands.add(
        "predict",
        "score films with a deployable model",
        "Score films with a deployable model, after it has proved its golden logits on this machine. Research use only.",
    )
    command.add_argument("model", help="folder of a deployable model: a path, file:// or s3://")
    command.add_argument(
        "images",
        nargs="*",
        type=_path,
        metavar="IMAGE",
        help="PNG, JPEG or DICOM files (default with --table: all of it)",
    )
    command.add_argument(
        "--table",
        type=_path,
        metavar="FILE",
        help="CSV or Parquet that says which films belong together; needed by a model that scores studies or patients",
    )
    command.add_argument(
        "--image-column",
        metavar="NAME",
        default="image",
        help="its column with the path of each film, relative to the table's folder (default: image)",
    )
    command.add_argument(
        "--unit-column",
        metavar="NAME",
        default="",
        help="its column with the study or patient of each film (default: study or patient, as the model is)",
    )
    _add_output(command)


def _add_crds(commands: _Commands) -> None:
    command = commands.add(
        "crds",
        "write the CustomResourceDefinitions",
        "Write the CustomResourceDefinitions that follow from the API's models.",
    )
    command.add_argument(
        "--folder",
        type=_path,
        metavar="FOLDER",
        help="write one file for each kind there (default: all to standard output)",
    )
    command.add_argument(
        "--check", action="store_true", help="change nothing; fail if the folder's files differ"
    )


def _add_submit(commands: _Commands) -> None:
    command = commands.add(
        "submit",
        "validate a manifest and hand it to the operator",
        "Name every fault of a manifest, or apply it (server-side). Submitting an edited manifest again keeps what is finished.",
        cluster=True,
    )
    command.add_argument(
        "manifest", type=_path, help="a ChexTrainingJob in YAML or JSON; - for standard input"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="let the API server judge the manifest, and store nothing"
    )
    command.add_argument(
        "--force-conflicts",
        action="store_true",
        help="take over fields that were last set by another program, such as kubectl apply",
    )
    command.add_argument("-w", "--watch", action="store_true", help="go on with: status --watch")
    _add_cluster(command)


def _add_status(commands: _Commands) -> None:
    command = commands.add(
        "status",
        "list jobs, or show one: stages, progress, results, what is wrong",
        "List jobs, or show one. With --watch the exit code is 0 when the job is Complete, 1 when it has Failed or is refused.",
        cluster=True,
    )
    command.add_argument("name", nargs="?", metavar="NAME", help="a job (default: a table of all)")
    command.add_argument(
        "-w",
        "--watch",
        action="store_true",
        help="go on until the job has ended: a live page on a terminal, else a line for each change",
    )
    command.add_argument("-A", "--all-namespaces", action="store_true", help="list jobs of all namespaces")
    _add_output(command)
    _add_cluster(command)


def _add_logs(commands: _Commands) -> None:
    command = commands.add(
        "logs",
        "print the log of the stage that matters now, also after its cluster is gone",
        "Print what driver and workers of a stage printed: of the one that runs, else the one that failed last, else the one that "
        "finished last. While its Pods live it comes from them, later from the archive below the job's artifacts, which needs your "
        "own S3 credentials (and AWS_ENDPOINT_URL where the storage is not Amazon's).",
        cluster=True,
    )
    command.add_argument("name", metavar="NAME", help="a job")
    command.add_argument("--stage", metavar="STAGE", help="another stage, such as pretrain/ssl or preflight")
    command.add_argument(
        "--attempt",
        type=_number(MOST_ATTEMPTS),
        metavar="N",
        help="an earlier attempt at it (default: the newest)",
    )
    command.add_argument(
        "-f", "--follow", action="store_true", help="go on until the attempt ends; wait for it if it starts"
    )
    _add_cluster(command)


def _add_cancel(commands: _Commands) -> None:
    command = commands.add(
        "cancel",
        "stop a job with a checkpoint and free its GPUs",
        "Suspend a job: stages write a checkpoint and stop, their Ray clusters go, nothing is lost. `resume` goes on from there.",
        cluster=True,
    )
    command.add_argument("name", metavar="NAME", help="a job")
    command.add_argument(
        "--delete", action="store_true", help="delete the job after its last checkpoint; artifacts are kept"
    )
    command.add_argument("-y", "--yes", action="store_true", help="do not ask before deleting")
    _add_cluster(command)


def _add_resume(commands: _Commands) -> None:
    command = commands.add(
        "resume",
        "go on with a job that was cancelled",
        "Go on with a suspended job, from its newest checkpoints.",
        cluster=True,
    )
    command.add_argument("name", metavar="NAME", help="a job")
    _add_cluster(command)


def _add_report(commands: _Commands) -> None:
    command = commands.add(
        "report",
        "find, save or open the report of a finished run or job",
        "Print where a report lies, save it or open it. An argument that is a file (or -) is a manifest that was run on this machine "
        "with `chex run`; any other is the name of a job in the cluster, whose artifacts are read with your own S3 credentials.",
        cluster=True,
    )
    _add_manifest(
        command, "FILE|NAME", "a manifest that was run here (- for standard input), or a job in the cluster"
    )
    command.add_argument(
        "--save", type=_path, metavar="FOLDER", help="copy the page, the tables and the model cards there"
    )
    command.add_argument(
        "--models",
        action="store_true",
        help="with --save: copy the deployable models, too (may be gigabytes)",
    )
    command.add_argument("--open", action="store_true", help="open the page in a browser")
    _add_cluster(command)


def _path(text: str) -> str:
    """A path; `~` at its beginning is a home also behind `=`, where shells leave it alone."""
    if not text:
        raise argparse.ArgumentTypeError("a path is empty")
    return os.path.expanduser(text)  # noqa: PTH111 - a name without it stays as it was written


def _number(most: int) -> Callable[[str], int]:
    """A whole number from 1 to `most`."""

    def number(text: str) -> int:
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
        if not 1 <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to {most}")
        return value

    return number


def _add_manifest(
    command: argparse.ArgumentParser,
    metavar: str = "manifest",
    meaning: str = "a ChexTrainingJob in YAML or JSON; - for standard input",
) -> None:
    command.add_argument("manifest", type=_path, metavar=metavar, help=meaning)
    command.add_argument(
        "--artifacts",
        metavar="URI",
        help="replaces spec.artifacts.uri: s3://bucket/prefix, file:///folder (with %%20 for a space), or a path as it is",
    )
    command.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="NAME=URI",
        help="replaces the location of a data set, or of encoders.image or encoders.text; may be repeated",
    )


def _add_output(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-o", "--output", choices=("json", "yaml"), help="for machines (default: for people)"
    )


def _add_cluster(command: argparse.ArgumentParser) -> None:
    """What kubectl is told; a plugin gets kubectl's own options only behind its name."""
    cluster = command.add_argument_group("cluster")
    cluster.add_argument("-n", "--namespace", metavar="NAMESPACE", help="default: that of the context")
    cluster.add_argument("--context", metavar="CONTEXT", help="default: kubectl's current one")
    cluster.add_argument("--kubeconfig", type=_path, metavar="FILE", help="default: kubectl's own")
