from pathlib import Path

import pytest

from chex_jobs.deployment.ensemble import Ensemble
from tests.unit.deployment.small_model import small_ensemble, write_small_bundle


@pytest.fixture(scope="session")
def ensemble() -> Ensemble:
    """Two members."""
    return small_ensemble(members=2)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, ensemble: Ensemble) -> Path:
    """The ensemble as a deployable model; tests copy it before they change it."""
    folder = tmp_path_factory.mktemp("deployable") / "model"
    write_small_bundle(folder, ensemble)
    return folder
