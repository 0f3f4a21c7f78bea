"""Writes the CRDs beside this file, or with `--check` tells which of them are not what the models give (exit 1)."""

import sys
from pathlib import Path

from chex_api.crd import documents

FOLDER = Path(__file__).parent


def main(arguments: list[str]) -> int:
    """Write, or check, every `crds/*.yaml`; a file that no kind stands behind is removed, or a fault."""
    wanted = {FOLDER / name: text for name, text in documents().items()}
    stale = [path for path in FOLDER.glob("*.yaml") if path not in wanted]
    changed = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if arguments == ["--check"]:
        for path in sorted(stale + changed):
            print(f"{path.name} is not what the models give; run `make crds`", file=sys.stderr)
        return 1 if stale or changed else 0
    for path in stale:
        path.unlink()
    for path in changed:
        path.write_text(wanted[path])
        print(f"wrote {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
