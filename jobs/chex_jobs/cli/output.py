"""What a command prints for machines."""

import codecs
import json
import sys
from typing import Any

import yaml


def print_plain(plain: Any, form: str) -> None:
    """Print plain data as `json` or `yaml` to standard output."""
    readable = _writes_every_character()  # else as the escapes of JSON and YAML, not of the stream
    if form == "json":
        print(json.dumps(plain, indent=2, ensure_ascii=not readable))
    else:
        print(yaml.safe_dump(plain, sort_keys=False, allow_unicode=readable), end="")


def _writes_every_character() -> bool:
    return codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
