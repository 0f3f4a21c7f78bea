"""The cluster, through the user's own `kubectl`: it knows every way to log in, and a plugin of it always has one."""

import argparse
import codecs
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from chex_jobs.cli.arguments import called

RESOURCE = "chextrainingjobs.chexdragon.dev"
MANAGER = "kubectl-chex"
FIELD_MANAGER = f"--field-manager={MANAGER}"
NO_SUCH_KIND = "the server doesn't have a resource type"
CONFLICT = re.compile(r'conflicts? with "([^"]+)"')
LIBRARY_LOG = re.compile(r"^[EWI][0-9]{4} [0-9:.]+ +[0-9]+ \S+\.go:.*\n", re.MULTILINE)
"""What kubectl's libraries say beside kubectl's own message, often several times."""
READ_BYTES = 1 << 16

Plain = dict[str, Any]


class KubectlFailed(Exception):
    """kubectl is missing, or what it was asked for failed; the message is its own where it has one."""

    @property
    def not_found(self) -> bool:
        """Whether there is no such object."""
        return "(NotFound)" in str(self)

    @property
    def conflicting(self) -> frozenset[str]:
        """The programs that have set fields which were to be applied with other values."""
        return frozenset(CONFLICT.findall(str(self)))

    @property
    def invalid(self) -> bool:
        """Whether the API server refused a manifest for what stands in it."""
        return " is invalid: " in str(self) or "(BadRequest)" in str(self)


@dataclass(frozen=True)
class Kubectl:
    """Calls of one cluster and namespace."""

    program: str
    flags: tuple[str, ...] = ()

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Self:
        """With the options of the command line. The environment's `KUBECTL` names another program."""
        given = {
            "--namespace": arguments.namespace,
            "--context": arguments.context,
            "--kubeconfig": arguments.kubeconfig,
        }
        flags = tuple(f"{option}={value}" for option, value in given.items() if value)
        return cls(os.environ.get("KUBECTL") or "kubectl", flags)

    def call(self, *words: str, text: str | None = None) -> str:
        """What one command prints. Raises `KubectlFailed`.

        Args:
            words: the command.
            text: its standard input.
        """
        with self._started(*words, stdin=subprocess.PIPE if text is not None else None) as process:
            printed, errors = process.communicate(text.encode() if text is not None else None)
        _check(process, errors)
        return printed.decode(errors="replace")

    def object(self, *words: str, text: str | None = None) -> Plain:
        """The object or list that one command gives. Raises `KubectlFailed`."""
        return json.loads(self.call(*words, "--output=json", text=text))

    def job(self, name: str) -> Plain:
        """A ChexTrainingJob. Raises `KubectlFailed`."""
        return self.object("get", RESOURCE, name)

    def watch(self, name: str) -> Iterator[tuple[str, Plain]]:
        """A ChexTrainingJob as it is and as it becomes, with the watch's word (`ADDED`, `MODIFIED`, `DELETED`).

        The API server ends a watch after some time: then this ends too. Raises `KubectlFailed`.
        """
        words = ("get", RESOURCE, name, "--watch", "--output-watch-events", "--output=json")
        with self._started(*words) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            decoder = codecs.getincrementaldecoder("utf-8")()
            text = ""
            while data := process.stdout.read1(READ_BYTES):  # pyright: ignore[reportAttributeAccessIssue]
                text += decoder.decode(data)
                events, text = _objects(text)
                for event in events:
                    yield event["type"], event["object"]
            errors = process.stderr.read()
            process.wait()
        _check(process, errors)

    def show(self, *words: str) -> int:
        """Let a command print by itself; its exit code."""
        with _naming(self.program):
            return subprocess.run([self.program, *words, *self.flags], check=False).returncode

    def hint(self, *words: str) -> str:
        """A command of this program for the same cluster and namespace, for people to copy."""
        return " ".join([called(), *(shlex.quote(word) for word in (*words, *self.flags))])

    @contextmanager
    def _started(self, *words: str, stdin: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """A running kubectl, which does not outlive the block."""
        with _naming(self.program):
            process = subprocess.Popen(
                [self.program, *words, *self.flags],
                stdin=stdin if stdin is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        with process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()


@contextmanager
def _naming(program: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, PermissionError) as error:
        raise KubectlFailed(
            f"cannot start {program!r} ({error.strerror}): install kubectl, or set KUBECTL to where it lies"
        ) from error


def _check(process: "subprocess.Popen[bytes]", errors: bytes) -> None:
    if process.returncode == 0:
        return
    told = LIBRARY_LOG.sub("", errors.decode(errors="replace")).strip()
    told = told or f"kubectl ended with exit code {process.returncode}"
    if NO_SUCH_KIND in told:
        told += "; ask your platform team to install the chart chex-operator, or choose another --context"
    raise KubectlFailed(told)


def _objects(text: str) -> tuple[list[Plain], str]:
    """The whole JSON objects at the beginning of a text, and what follows them."""
    decoder, found = json.JSONDecoder(), list[Plain]()
    while text := text.lstrip():
        try:
            plain, end = decoder.raw_decode(text)
        except ValueError:
            break
        found.append(plain)
        text = text[end:]
    return found, text
