"""`chex crds`."""

import argparse
import sys
from pathlib import Path

from chex_jobs.cli.main import FAILED, WRONG_USAGE


def execute(arguments: argparse.Namespace) -> int:
    """Write, or check, the CustomResourceDefinitions."""
    from chex_api.crd import render_crds

    files = render_crds()
    if arguments.folder is None:
        if arguments.check:
            print("chex crds: --check needs --folder", file=sys.stderr)
            return WRONG_USAGE
        print("---\n".join(files.values()), end="")
        return 0
    folder = Path(arguments.folder)
    if arguments.check:
        stale = [
            name
            for name, text in files.items()
            if not (folder / name).is_file() or (folder / name).read_text() != text
        ]
        for name in stale:
            print(f"{folder / name} is not what the models give; run: make crds", file=sys.stderr)
        return FAILED if stale else 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return 0
