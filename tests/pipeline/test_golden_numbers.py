"""What the stages say of the tiny job, number for number.

When a change alters these numbers on purpose, raise the implementation version of the kinds it touches (`chex_api.plan`, and
`IMPLEMENTATION` of `chex_jobs.sweep.units` for units of a sweep), or results of old and new code share identities; then put
what the failing test prints into golden_numbers.json.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chex_api.plan import IMPLEMENTATION_VERSIONS
from chex_jobs.artifacts import ArtifactStore, FinishedArtifact
from chex_jobs.data.dataset import ChestXrayDataset
from chex_jobs.sweep.units import IMPLEMENTATION
from tests.pipeline.undisturbed import FinishedRun

GOLDEN = Path(__file__).with_name("golden_numbers.json")
TOLERANCE = 0.05
"""Relative: processors add floating-point numbers in other orders, and tens of steps carry that on."""


def numbers_of(run: FinishedRun) -> dict[str, dict[str, list[float]]]:
    """Continuous numbers of each kind of stage: ranks such as an AUROC jump where sums differ by a bit."""
    store = ArtifactStore.open(run.manifest["spec"]["artifacts"]["uri"])

    def finished(kind: str, name: str) -> FinishedArtifact:
        done = store.stage(kind, name, run.results["identities"][f"{kind}/{name}"]).finished()
        assert done is not None
        return done

    arms = finished("adapt", "north").read_json("arms.json")["arms"]
    metrics = finished("evaluate", "north").read_json("metrics.json")["arms"]
    return {
        "ingest": {name: [mean_grey(finished("ingest", name))] for name in ("archive", "north")},
        "pretrain": {"ssl": list(finished("pretrain", "ssl").summary["epochLosses"])},
        "adapt": {
            f"{arm['strategy']}@{arm['labelFraction']}": [trial["loss"] for trial in arm["trials"]]
            for arm in arms
        },
        "evaluate": {
            f"{arm['arm']['strategy']}@{arm['arm']['label_fraction']}": [
                task["brier"]["value"] for task in arm["tasks"]
            ]
            for arm in metrics
        },
    }


def mean_grey(ingested: FinishedArtifact) -> float:
    films = ChestXrayDataset.open(ingested)
    return float(np.mean([films.film(number).mean() for number in range(len(films))]))


@pytest.fixture(scope="module")
def found(undisturbed: FinishedRun) -> dict[str, Any]:
    return {"versions": {**IMPLEMENTATION_VERSIONS, "unit": IMPLEMENTATION}, **numbers_of(undisturbed)}


@pytest.mark.parametrize("kind", ["versions", "ingest", "pretrain", "adapt", "evaluate"])
def test_numbers_change_only_together_with_their_implementation_version(
    kind: str, found: dict[str, Any]
) -> None:
    golden = json.loads(GOLDEN.read_text())
    told = f"golden_numbers.json should be:\n{json.dumps(found, indent=2)}"
    assert found[kind].keys() == golden[kind].keys(), told
    for name, value in found[kind].items():
        assert value == pytest.approx(golden[kind][name], rel=TOLERANCE), told
