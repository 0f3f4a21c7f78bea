"""Folders with models, as users have them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.samples.export_minilm import export


@pytest.fixture(scope="session")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URI of a folder with a small real text tower."""
    folder = tmp_path_factory.mktemp("minilm")
    export(folder)
    return folder.as_uri()


@pytest.fixture
def new_folder(tmp_path: Path) -> Callable[[str], Path]:
    """Makes empty folders by name."""

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        return folder

    return make
