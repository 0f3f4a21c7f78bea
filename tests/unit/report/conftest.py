from pathlib import Path

import pytest

from chex_jobs.evaluation.results.results_json import loads
from chex_jobs.evaluation.results.schema import Results

EXAMPLE = Path(__file__).parents[1] / "evaluation" / "example_results.json"


@pytest.fixture(scope="session")
def results() -> Results:
    """Two hospitals: `north` with enough data, `south` with folds and without enough."""
    return loads(Results, EXAMPLE.read_bytes())
