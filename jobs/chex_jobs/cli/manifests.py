"""From the arguments that name a manifest to a valid job, with the locations of this machine."""

import argparse
import codecs
import errno
import os
import re
import sys
from pathlib import Path
from typing import Any

from chex_api.faults import Fault
from chex_api.job import ChexTrainingJob
from chex_api.loading import LoadResult, ManifestError, read_yaml, validate_job
from chex_jobs.artifacts.location import file_uri, with_escaped_blanks

_NEARLY_A_URI = re.compile(r"(s3|file):/|[A-Za-z][A-Za-z0-9+.-]*://")


class InvalidManifest(Exception):
    """The manifest has faults; all of them are here."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


def read_text(path: str) -> str:
    """The text of a manifest, which is UTF-8 whatever the locale. Raises `InvalidManifest` where there is none to read."""
    where = "standard input" if path == "-" else path
    try:
        content = _standard_input() if path == "-" else Path(path).read_bytes()
        return content.decode("utf-8")
    except OSError as error:
        raise InvalidManifest((Fault("", f"cannot read {where}: {error.strerror}"),)) from error
    except UnicodeDecodeError as error:
        raise InvalidManifest((Fault("", f"cannot read {where}: {_not_utf8(error)}"),)) from error


def _standard_input() -> bytes:
    if sys.stdin is None:  # whoever started this program has closed it
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return sys.stdin.buffer.read()


def _not_utf8(error: UnicodeDecodeError) -> str:
    if error.object[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "it is UTF-16 text; save it as UTF-8"
    line = error.object.count(b"\n", 0, error.start) + 1
    wrong = error.object[error.start]
    return f"it is not UTF-8 text; line {line} has the byte 0x{wrong:02x}; save it as UTF-8"


def load(arguments: argparse.Namespace) -> ChexTrainingJob:
    """The job that `manifest`, `--artifacts` and `--source` describe. Raises `InvalidManifest`."""
    try:
        plain = read_yaml(read_text(arguments.manifest))
        _replace_locations(plain, arguments.artifacts, arguments.source)
    except ManifestError as error:
        raise InvalidManifest((Fault("", str(error)),)) from error
    result: LoadResult = validate_job(plain)
    if result.job is None:
        raise InvalidManifest(result.faults)
    return result.job


def report_faults(manifest: str, faults: tuple[Fault, ...]) -> None:
    """Print faults to standard error, one a line, with their examples: whoever sees this terminal has the files."""
    for fault in faults:
        example = f" ({fault.example})" if fault.example else ""
        print(f"{manifest}: {fault}{example}", file=sys.stderr)


def as_uri(location: str) -> str:
    """A location that a person wrote on a command line, as a URI.

    What begins with `file://` or `s3://` is a URI, with its percent escapes; white space may stand in it all the same. Anything else
    is a path as the shell has it: every character stands for itself, and `~` at its beginning for a home, which shells leave alone
    behind `=`. Raises `ManifestError` for what is neither.
    """
    if not location:
        raise ManifestError("a location is empty; write a path, file:///folder or s3://bucket/prefix")
    if location.startswith("file://"):
        return with_escaped_blanks(location)
    if location.startswith("s3://"):
        return location
    if almost := _NEARLY_A_URI.match(location):
        raise ManifestError(
            f"{location!r} begins with {almost[0]!r}; write file:///folder, s3://bucket/prefix, or a path (./{location})"
        )
    return file_uri(Path(os.path.expanduser(location)))  # noqa: PTH111 - a Path forgets the ./ of ./~


def _replace_locations(plain: dict[str, Any], artifacts: str | None, sources: list[str]) -> None:
    spec = plain.get("spec")
    if not isinstance(spec, dict):
        return
    if artifacts is not None:
        spec["artifacts"] = {"uri": as_uri(artifacts)}
    for argument in sources:
        name, separator, location = argument.partition("=")
        if not separator or not location:
            raise ManifestError(f"--source {argument}: write NAME=URI")
        holder = _location_holder(spec, name)
        if holder is None:
            raise ManifestError(
                f"--source {argument}: {name!r} is no data set with a location, nor encoders.image or encoders.text; known: {', '.join(_known(spec))}"
            )
        holder["uri"] = as_uri(location)


def _location_holder(spec: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The plain object whose `uri` says where that name lies."""
    if name in ("encoders.image", "encoders.text"):
        holder: Any = spec
        for member in (*name.split("."), "init"):
            holder = holder.get(member) if isinstance(holder, dict) else None
        return holder if isinstance(holder, dict) and "uri" in holder else None
    for dataset in _datasets(spec):
        if dataset.get("name") == name and isinstance(dataset.get("source"), dict):
            for member in dataset["source"].values():
                if isinstance(member, dict) and "uri" in member:
                    return member
    return None


def _datasets(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """What is an object in the list of data sets, if there is a list: the manifest was not validated yet."""
    listed = spec.get("datasets")
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def _known(spec: dict[str, Any]) -> list[str]:
    names = [str(dataset.get("name")) for dataset in _datasets(spec)]
    return [
        name
        for name in [*names, "encoders.image", "encoders.text"]
        if _location_holder(spec, name) is not None
    ]
