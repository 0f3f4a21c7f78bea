import importlib.metadata
import tomllib
from pathlib import Path

from infra.images.write_metadata import write_metadata

PYPROJECT = Path(__file__).parents[3] / "pyproject.toml"


def test_packages_that_were_copied_know_their_version(tmp_path: Path) -> None:
    write_metadata(PYPROJECT, tmp_path)
    (found,) = importlib.metadata.distributions(path=[str(tmp_path)])
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    assert (found.name, found.version) == (project["name"], project["version"])
    assert found.metadata["License-Expression"] == "Apache-2.0"
