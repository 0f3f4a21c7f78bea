"""Results do not change unnoticed.

When a change alters these numbers on purpose, raise the implementation version of the kinds it touches (`chex_api.plan`, and
`IMPLEMENTATION` of `chex_jobs.sweep.units` for units of a sweep), or results of old and new code share identities. Then write
golden_numbers.json anew: `python -m tests.unit.golden.test_golden_numbers`.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.unit.golden.numbers_now import TOLERANCES, all_numbers

GOLDEN = Path(__file__).with_name("golden_numbers.json")
SECTIONS = json.loads(GOLDEN.read_text()).keys() if GOLDEN.exists() else ()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return json.loads(json.dumps(all_numbers(tmp_path_factory.mktemp("golden"))))


def test_every_section_is_guarded(found: dict[str, Any]) -> None:
    assert found.keys() == set(SECTIONS)
    assert TOLERANCES.keys() < found.keys()


@pytest.mark.parametrize("section", SECTIONS)
def test_numbers_change_only_together_with_their_implementation_version(
    section: str, found: dict[str, Any]
) -> None:
    golden = json.loads(GOLDEN.read_text())[section]
    if section not in TOLERANCES:
        assert found[section] == golden
        return
    assert found[section].keys() == golden.keys()
    wrong = {
        name: (value, golden[name])
        for name, value in found[section].items()
        if value != pytest.approx(golden[name], rel=TOLERANCES[section], abs=1e-9)
    }
    assert not wrong


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(json.dumps(all_numbers(Path(folder)), indent=1, sort_keys=True) + "\n")
