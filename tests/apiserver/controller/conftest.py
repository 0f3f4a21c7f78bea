"""One namespace with an operator for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apiserver.control_plane import ApiClient
from tests.apiserver.controller.hospital_network import HospitalNetwork, hospital_network
from tests.apiserver.ray_engine.engine import Engine


@pytest.fixture
def network(controllers: ApiClient, engine: Engine, tmp_path: Path) -> Iterator[HospitalNetwork]:
    with hospital_network(controllers, engine, tmp_path) as found:
        yield found
        assert "Traceback" not in found.operator.text(), found.operator.text()[-6000:]
