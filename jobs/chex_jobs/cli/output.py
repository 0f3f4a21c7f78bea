"""What a command prints for machines."""

import json
from typing import Any

import yaml


def print_plain(plain: Any, form: str) -> None:
    """Print plain data as `json` or `yaml` to standard output."""
    if form == "json":
        print(json.dumps(plain, indent=2, ensure_ascii=False))
    else:
        print(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), end="")
