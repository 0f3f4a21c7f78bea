"""`python write_metadata.py PYPROJECT FOLDER`: say in FOLDER which version of the project its packages are.

Images hold some packages of the project, copied, not the wheel with all of them. Programs ask `importlib.metadata` for their version
all the same, and an SBOM's scanner looks for it too.
"""

import sys
import tomllib
from pathlib import Path


def write_metadata(pyproject: Path, folder: Path) -> Path:
    """Write the `dist-info` that an installer would write, as far as it is read; its folder."""
    project = tomllib.loads(pyproject.read_text())["project"]
    target = folder / f"{project['name']}-{project['version']}.dist-info"
    target.mkdir(parents=True)
    lines = (
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"License-Expression: {project['license']}",
    )
    (target / "METADATA").write_text("\n".join(lines) + "\n")
    return target


if __name__ == "__main__":
    write_metadata(Path(sys.argv[1]), Path(sys.argv[2]))
