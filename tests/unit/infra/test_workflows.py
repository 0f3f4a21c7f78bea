"""What runs in CI is pinned, and may do no more than it needs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = {
    path.name: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")
}


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned_by_commit(name: str) -> None:
    used = [step["uses"] for step in steps(WORKFLOWS[name]) if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", each) for each in used)


SIGNS = {"images.yml", "scorecard.yml"}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_only_read_and_sign_where_it_has_to(name: str) -> None:
    workflow = WORKFLOWS[name]
    assert workflow["permissions"] == {"contents": "read"}
    granted = [job["permissions"] for job in workflow["jobs"].values() if "permissions" in job]
    assert granted == ([{"contents": "read", "id-token": "write"}] if name in SIGNS else [])


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_that_others_write_is_pasted_into_a_shell(name: str) -> None:
    """Titles, branch names and the like reach a script as variables only."""
    for step in steps(WORKFLOWS[name]):
        assert "${{" not in step.get("run", "")


def test_images_are_built_with_sbom_and_provenance_from_both_recipes() -> None:
    workflow = WORKFLOWS["images.yml"]
    text = (ROOT / ".github" / "workflows" / "images.yml").read_text()
    (job,) = workflow["jobs"].values()
    recipes = {each["recipe"] for each in job["strategy"]["matrix"]["include"]}
    assert {f"{each}.Dockerfile" for each in recipes} == {
        path.name for path in (ROOT / "infra" / "images").glob("*.Dockerfile")
    }
    assert "cosign sign --yes" in text
    assert "--sbom=true" in text
    assert "--provenance=mode=max" in text
