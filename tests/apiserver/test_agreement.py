"""`chex validate` and the API server accept the same manifests, refuse the same ones, and set the same defaults."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from chex_api.cel import JOB_RULES
from chex_api.loading import LoadResult, load_job, validate_job
from tests.apiserver.control_plane import Answer, ApiClient
from tests.apiserver.corpus import (
    COMPLETE,
    MUTATIONS,
    RULE_BREAKERS,
    SPEC_SCHEMA,
    TRAP_FIELDS,
    TRAPS,
    Mutation,
    header_mutants,
    mutants,
    nodes,
    schema_paths,
    trap,
)

JOBS = "/apis/chexdragon.dev/v1alpha1/namespaces/default/chextrainingjobs"

ONE_MEMBER_ONLY = {"spec.encoders.image.init.random", "spec.encoders.text.init.uri"}
"""Members of unions of which a manifest has one place only; `complete.yaml` holds the other member there."""


def test_complete_manifest_holds_every_field_of_the_schema() -> None:
    held = {node.schema_path for node in nodes()}
    assert set(schema_paths(SPEC_SCHEMA)) - held == ONE_MEMBER_ONLY


def test_complete_manifest_is_accepted_with_the_same_defaults(cluster: ApiClient) -> None:
    text = json.dumps(COMPLETE)
    answer = cluster.create(JOBS, text, dry_run=True)
    assert answer.accepted, answer.message
    assert disagreement(load_job(text), answer) is None


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_mutants_get_the_same_verdict(cluster: ApiClient, mutation: Mutation) -> None:
    assert_agreement(
        (str(mutant), validate_job(mutant.manifest), cluster.create(JOBS, mutant.manifest, dry_run=True))
        for mutant in mutants(mutation)
    )


@pytest.mark.parametrize(
    ("words", "manifest"), RULE_BREAKERS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_both_refuse_what_breaks_a_rule(cluster: ApiClient, words: str, manifest: dict[str, Any]) -> None:
    answer = cluster.create(JOBS, manifest, dry_run=True)
    assert answer.code == 422
    assert words in answer.message
    assert validate_job(manifest).job is None


def test_every_rule_is_broken_once() -> None:
    unbroken = {
        rule.message for rule in JOB_RULES if not any(words in rule.message for words, _ in RULE_BREAKERS)
    }
    assert unbroken == {"cannot be changed; create a job of another name for another location"}


def test_header_gets_the_same_verdict(cluster: ApiClient) -> None:
    assert_agreement(
        (str(mutant), validate_job(mutant.manifest), cluster.create(JOBS, mutant.manifest, dry_run=True))
        for mutant in header_mutants()
    )


@pytest.mark.parametrize("kind", TRAP_FIELDS)
def test_yaml_text_becomes_the_same_value(cluster: ApiClient, kind: str) -> None:
    texts = ((written, trap(kind, written)) for written in TRAPS)
    assert_agreement(
        (f"{kind}: {written!r}", load_job(text), cluster.create(JOBS, text, dry_run=True))
        for written, text in texts
    )


@pytest.mark.parametrize("written", ["!!binary NQ==", "!!timestamp 2026-01-02", "!own 5"])
def test_tags_that_json_does_not_know_are_refused_by_chex_alone(cluster: ApiClient, written: str) -> None:
    text = trap("string", written)
    assert cluster.create(JOBS, text, dry_run=True).accepted
    assert "tag" in load_job(text).faults[0].message


def test_aliases_are_refused_by_chex_alone(cluster: ApiClient) -> None:
    text = trap("string", "&domain ssl").replace("name: ssl", "name: *domain")
    assert cluster.create(JOBS, text, dry_run=True).accepted
    assert "aliases" in load_job(text).faults[0].message


def assert_agreement(verdicts: Iterable[tuple[str, LoadResult, Answer]]) -> None:
    """Fail with every disagreement, one a line."""
    found = [f"{name}: {why}" for name, result, answer in verdicts if (why := disagreement(result, answer))]
    assert not found, f"{len(found)} disagreements:\n" + "\n".join(found)


def disagreement(result: LoadResult, answer: Answer) -> str | None:
    """What the two make of one manifest, where they differ."""
    assert answer.code in (201, 400, 422), f"the API server failed: {answer.code} {answer.message}"
    if result.job is None:
        return f"API server accepts; chex refuses: {result.faults[0]}" if answer.accepted else None
    if not answer.accepted:
        return f"chex accepts; API server refuses: {answer.message[:300]}"
    ours, theirs = result.job.spec.plain(), answer.body["spec"]
    return None if ours == theirs else f"different values: {list(differences(ours, theirs))[:3]}"


def differences(ours: Any, theirs: Any, path: str = "spec") -> Iterable[str]:
    """The places where two plain values differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from differences(ours.get(key), theirs.get(key), f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (our, their) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(our, their, f"{path}[{index}]")
    elif ours != theirs:
        yield f"{path}: chex {ours!r}, API server {theirs!r}"
