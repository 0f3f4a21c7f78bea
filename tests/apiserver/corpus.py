"""Mutations of a complete manifest: what people get wrong, at every field, and around every bound.

A mutant is plain data, sent as JSON; a trap is YAML text, because it is about how text becomes a value. Both are made from
the structural schema alone, so that a new field is covered as soon as `complete.yaml` holds it.
"""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from chex_api.crd import KINDS, definition
from chex_api.structural import Schema

Plain = dict[str, Any]
Step = str | int

COMPLETE: Plain = yaml.safe_load((Path(__file__).parent / "complete.yaml").read_text())
SPEC_SCHEMA: Schema = definition(KINDS[0])["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"][
    "spec"
]

MISSING = object()
"""Set a field to this to leave it out."""


@dataclass(frozen=True)
class Node:
    """A place in the complete manifest, its value there, and the schema that holds for it."""

    steps: tuple[Step, ...]
    value: Any
    schema: Schema

    @property
    def path(self) -> str:
        """As faults write it: `spec.datasets[0].name`."""
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.steps).lstrip(
            "."
        )

    @property
    def schema_path(self) -> str:
        """As `schema_paths` writes it: `spec.datasets[].name`."""
        return "".join("[]" if isinstance(step, int) else f".{step}" for step in self.steps).lstrip(".")

    def replaced(self, value: Any) -> Plain:
        """The complete manifest with another value here."""
        manifest = copy.deepcopy(COMPLETE)
        parent: Any = manifest
        for step in self.steps[:-1]:
            parent = parent[step]
        if value is MISSING:
            del parent[self.steps[-1]]
        else:
            parent[self.steps[-1]] = value
        return manifest


@dataclass(frozen=True)
class Mutant:
    """One changed manifest. `path` is the field, `change` what was done to it in a word."""

    path: str
    change: str
    manifest: Plain

    def __str__(self) -> str:
        return f"{self.path}: {self.change}"


def nodes() -> Iterator[Node]:
    """Every field below `spec` of the complete manifest; of the entries of a list, the first that has the field."""
    seen: set[str] = set()
    for node in _below(("spec",), COMPLETE["spec"], SPEC_SCHEMA):
        if node.schema_path not in seen:
            seen.add(node.schema_path)
            yield node


def _below(steps: tuple[Step, ...], value: Any, schema: Schema) -> Iterator[Node]:
    yield Node(steps, value, schema)
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _below((*steps, name), child, schema["properties"][name])
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _below((*steps, index), child, schema["items"])


def schema_paths(schema: Schema, path: str = "spec") -> Iterator[str]:
    """The path of every field that the schema knows, lists as `[]`."""
    for name, child in schema.get("properties", {}).items():
        below = f"{path}.{name}"
        yield below
        while child["type"] == "array":
            child, below = child["items"], f"{below}[]"
        yield from schema_paths(child, below)


CONFUSED_WITH: dict[str, tuple[Any, ...]] = {
    "string": (7, True, ["text"]),
    "integer": ("7", 1.5, True),
    "number": ("1.5", True, [1.5]),
    "boolean": ("true", 1),
    "array": ({}, "text"),
    "object": ([], "text"),
}
"""For each type, values of the types that people write instead."""


def wrong_types(node: Node) -> Iterator[tuple[str, Any]]:
    """Values of another type."""
    for value in CONFUSED_WITH[node.schema["type"]]:
        yield f"{json.dumps(value)} instead of {node.schema['type']}", value


def nothing(node: Node) -> Iterator[tuple[str, Any]]:
    """Null, missing, and the empty value of the field's type."""
    yield "null", None
    if isinstance(node.steps[-1], str):
        yield "missing", MISSING
    empty: dict[str, Any] = {"string": "", "array": [], "object": {}}
    if node.schema["type"] in empty:
        yield "empty", empty[node.schema["type"]]


def beyond_bounds(node: Node) -> Iterator[tuple[str, Any]]:
    """Values at and just past each bound, far too long and far too large ones."""
    schema = node.schema
    match schema["type"]:
        case "integer":
            for bound in ("minimum", "maximum"):
                yield f"{bound} - 1", schema[bound] - 1
                yield f"{bound} + 1", schema[bound] + 1
                yield bound, schema[bound]
        case "number":
            for bound in ("minimum", "maximum"):
                yield f"below {bound}", schema[bound] - max(abs(schema[bound]) * 1e-6, 1e-15)
                yield f"above {bound}", schema[bound] + max(abs(schema[bound]) * 1e-6, 1e-15)
                yield bound, schema[bound]
        case "string" if "maxLength" in schema:
            yield "oversized", "a" * (schema["maxLength"] + 1)
            yield "longest", "a" * schema["maxLength"]
            yield "longest in characters, not bytes", "ä" * schema["maxLength"]
        case "array":
            yield "oversized", _entries(node, schema["maxItems"] + 1)
            yield "longest", _entries(node, schema["maxItems"])
        case _:
            return


def _entries(node: Node, count: int) -> list[Any]:
    """So many entries like the first, told apart where they have a key or are text or numbers."""
    if not node.value:
        return [{}] * count
    return [_distinct(node.value[0], node.schema, index) for index in range(count)]


def _distinct(entry: Any, schema: Schema, index: int) -> Any:
    keys = schema.get("x-kubernetes-list-map-keys", [])
    if keys:
        return {**entry, keys[0]: f"{entry[keys[0]]}-{index}"}
    if isinstance(entry, str) and "enum" not in schema["items"]:
        return f"{entry}-{index}"
    return round(0.5 + index / 1000, 3) if isinstance(entry, float) else entry


def strange_text(node: Node) -> Iterator[tuple[str, Any]]:
    """Text that patterns, enums and location rules have to tell apart; once for fields that follow the same ones."""
    if node.schema["type"] != "string" or _first_of_its_kind(node.schema) != node.schema_path:
        return
    samples = [
        "Nonsense", "nonsense", " padded ", "two\nlines", "no\u00a0break", "a..b", "a.-b", "-a", "a-", "é",
        "..", "../x", "s3://bucket/../x", "s3://bucket/a..b", "s3://bucket/x\u2003y", "s3://bucket/..", "s3://", "http://bucket/x", "S3://bucket/x",
        "file:///x", "/absolute/data.csv", "x.csv\n", "{}{}", "a{}b", "1e-4",
    ]  # fmt: skip
    for text in samples:
        yield repr(text), text


@cache
def _first_with_each_rule() -> dict[str, str]:
    first: dict[str, str] = {}
    for node in nodes():
        first.setdefault(_rules_of(node.schema), node.schema_path)
    return first


def _first_of_its_kind(schema: Schema) -> str:
    return _first_with_each_rule()[_rules_of(schema)]


def _rules_of(schema: Schema) -> str:
    return json.dumps({key: value for key, value in schema.items() if key not in ("description", "default")})


def repeated(node: Node) -> Iterator[tuple[str, Any]]:
    """Each list with its first entry twice."""
    if node.schema["type"] == "array" and node.value:
        yield "duplicate", [*node.value, copy.deepcopy(node.value[0])]


def unknown(node: Node) -> Iterator[tuple[str, Any]]:
    """Each object with a field that it does not have, and with a known one in another case."""
    if node.schema["type"] != "object":
        return
    yield "unknown sibling", {**node.value, "bogus": 1}
    for name in list(node.value)[:1]:
        yield "field in another case", {**node.value, name.upper(): node.value[name]}


def other_members(node: Node) -> Iterator[tuple[str, Any]]:
    """Each union with a second member, with a null beside the first, and with each other member alone and empty."""
    if node.schema.get("maxProperties") != 1 or "properties" not in node.schema:
        return
    for name in node.schema["properties"]:
        if name not in node.value:
            yield f"second member {name}", {**node.value, name: {}}
            yield f"null member {name}", {**node.value, name: None}
            yield f"member {name} alone", {name: {}}


Mutation = Callable[[Node], Iterator[tuple[str, Any]]]
MUTATIONS: tuple[Mutation, ...] = (
    wrong_types,
    nothing,
    beyond_bounds,
    strange_text,
    repeated,
    unknown,
    other_members,
)


def mutants(mutation: Mutation) -> Iterator[Mutant]:
    """All manifests that one kind of mutation gives."""
    for node in nodes():
        for change, value in mutation(node):
            yield Mutant(node.path, change, node.replaced(value))


TRAPS = (
    "1e-4", "1E4", "1.0", "1.", ".5", "-.5", "+.5", "1e2", "1.5e3", "1_000", "1_0.5", "+5", "-0", "-0.0", "0x10", "0X10", "0b11", "0o17",
    "017", "08", "09.5", "1:30", "1:30.5", "190:20:30", "9223372036854775807", "9223372036854775808", "1e18", "1e19", "1e999", ".inf", "-.INF",
    ".nan", "y", "Y", "n", "yes", "Yes", "YES", "yEs", "no", "on", "Off", "true", "True", "TRUE", "tRUE", "false", "null", "~", "Null", "nULL",
    "2026-01-02", "2026-01-02T03:04:05Z", "2026-1-2 3:4:5", "=", "<<", "!!str 5", "!!int '5'", "!!float 5", "!!bool 'true'", "'5'", '"true"', "0.1e", "e5", "0x", "1_", "_1", "1__0", "0.2_5", "0x_1", "-0x10", "-0b11", "-017",
    "1e+2", "12e03", "1.e2", "...", "[Y]", "{y: n}", "|\n      5", "0777777777777777777777", "5 # comment",
)  # fmt: skip
"""Plain scalars that YAML readers disagree on, and a few that they should not."""

TRAP_MANIFEST = """
apiVersion: chexdragon.dev/v1alpha1
kind: ChexTrainingJob
metadata: {name: trap, namespace: default}
spec:
  seed: @integer@
  artifacts: {uri: s3://models/trap}
  datasets:
  - name: films
    source: {phantom: {}}
    split: {patients: {}}
    patientDomain: @string@
  pretraining:
  - name: ssl
    dataset: films
    startFrom: @object@
    objective: {moCo: {}}
    optimization:
      gradientClipping: @number@
  runPolicy:
    suspend: @boolean@
"""
TRAP_FIELDS = {"integer": "1", "string": "x", "object": "{random: {}}", "number": "1.5", "boolean": "false"}
"""A field of each type and its text while another one is the trap: how text becomes a value depends on the text alone."""


def trap(kind: str, text: str) -> str:
    """A manifest's text with this YAML at the field of one type."""
    manifest = TRAP_MANIFEST
    for field, usual in TRAP_FIELDS.items():
        manifest = manifest.replace(f"@{field}@", text if field == kind else usual)
    return manifest


def at(*steps: Step) -> Node:
    """A place below `spec`, to put something else there."""
    return Node(("spec", *steps), None, {})


CLIP = {"objective": {"clip": {}}}
RULE_BREAKERS: tuple[tuple[str, Plain], ...] = (
    ("each pretraining[].dataset must", at("pretraining", 0, "dataset").replaced("nowhere")),
    ("each pretraining[].startFrom.stage must", at("pretraining", 0, "startFrom").replaced({"stage": "multimodal"})),
    ("each pretraining[].startFrom.stage must", at("pretraining", 0, "startFrom").replaced({"stage": "ssl"})),
    ("each pretraining[].objective.supervised.tasks must", at("pretraining", 2, "objective", "supervised", "tasks").replaced(["ph"])),
    ("each hospitals[].dataset must", at("hospitals", 0, "dataset").replaced("nowhere")),
    ("each hospitals[].tasks must", at("hospitals", 0, "tasks").replaced(["icu", "effusion"])),
    ("each hospitals[].startFrom[].stage must", at("hospitals", 1, "startFrom").replaced([{"stage": "nowhere"}])),
    ("each pretraining[].startFrom.weights.trainedOn must", at("pretraining", 2, "startFrom", "weights", "trainedOn").replaced(["nowhere"])),
    ("each hospitals[].startFrom[].weights.trainedOn must", at("hospitals", 0, "startFrom", 2, "weights", "trainedOn").replaced(["nih", "nowhere"])),
    ("each hospitals[].evaluation.alsoOn must", at("hospitals", 0, "evaluation").replaced({"alsoOn": ["nowhere"]})),
    ("each hospitals[].evaluation.alsoOn must", at("hospitals", 0, "evaluation").replaced({"alsoOn": ["hannover"]})),
    ("a data set that is divided into folds", at("pretraining", 0, "dataset").replaced("hannover")),
    ("objective clip needs a text encoder", at("encoders").replaced({})),
    ("data set of a pretraining run has none", at("pretraining", 1, "dataset").replaced("nih")),
    ("data set of a pretraining run has none", at("datasets", 1, "source").replaced({"phantom": {"reports": False}})),
    ("data set of a hospital has none", at("datasets", 2, "source", "table", "reportColumn").replaced("")),
    ("data set of a pretraining run has none", at("datasets", 1, "source").replaced({"dicomFolder": {"uri": "s3://radiology-data/dicom"}})),
    ("data set of a hospital has none", at("datasets", 2, "source").replaced({"dicomFolder": {"uri": "s3://radiology-data/dicom"}})),
    ("element finds films by their headers", at("datasets", 5, "source", "table", "image").replaced({"column": "accession", "element": "AccessionNumber", "path": "{}.dcm"})),
    ("element finds films by their headers", at("datasets", 5, "source", "table", "image").replaced({"column": "accession", "element": "AccessionNumber", "extension": ".dcm"})),
    ("element finds films by their headers", at("datasets", 5, "source", "table", "image").replaced({"column": "accession", "element": "AccessionNumber", "stripPrefixes": ["/mnt"]})),
    ("objective supervised learns from tasks", at("pretraining", 3, "dataset").replaced("archive")),
    ("optimization.globalBatchSize must be a multiple", at("pretraining", 0, "batchNorm").replaced({"groupSize": 24})),
    ("objective.moCo.queueSize must be a multiple", at("pretraining", 0, "objective").replaced({"moCo": {"queueSize": 500}})),
    ("minAvailable must not be more", at("pretraining", 0, "workers").replaced({"count": 2, "minAvailable": 3})),
    ("minAvailable must not be more", at("hospitals", 0, "workers").replaced({"minAvailable": 2})),
    ("subgroupColumns must not hold the age", at("datasets", 2, "source", "table", "ageColumn").replaced("sex")),
    ("this source publishes no split", at("datasets", 1, "split").replaced({"official": {}})),
    ("validate and test leave no patients", at("datasets", 1, "split").replaced({"patients": {"validate": 0.6, "test": 0.4}})),
    ("validate and test leave no patients", at("datasets", 1, "split").replaced({"patients": {"validate": 0.75}})),
    ("needs min, max or both", at("datasets", 2, "tasks", 1, "positive").replaced({"range": {}})),
    ("is empty: min is above max", at("datasets", 2, "tasks", 1, "positive").replaced({"range": {"min": 2, "max": 1.5}})),
    ("keeps every row", at("datasets", 2, "source", "table", "where").replaced([{"column": "modality"}])),
    ("keeps every row", at("datasets", 6, "tasks", 0, "where").replaced([{"column": "finding", "values": []}])),
    ("keeps every row", at("datasets", 4, "source", "dicomFolder", "where").replaced([{"column": "dicom:Modality"}])),
    ("stands beside reportColumn", at("datasets", 6, "source", "table", "reportColumn").replaced("report")),
    ("exactly one of: logUniform", at("hospitals", 0, "sweep", "space", 0).replaced({"parameter": "weightDecay"})),
    (
        "exactly one of: logUniform",
        at("hospitals", 0, "sweep", "space").replaced([{"parameter": "weightDecay", "numbers": [1.0], "uniform": {"min": 0, "max": 1}}]),
    ),
    ("learningRate must lie from 1e-09 to 10", at("hospitals", 0, "sweep", "space").replaced([{"parameter": "learningRate", "numbers": [1e-4, -1]}])),
    ("learningRate must lie from 1e-09 to 10", at("hospitals", 0, "sweep", "space", 0).replaced({"parameter": "learningRate", "uniform": {"min": 0, "max": 1}})),
    ("learningRate must lie from 1e-09 to 10", at("hospitals", 0, "sweep", "space", 0, "logUniform").replaced({"min": 1e-6, "max": 11})),
    ("weightDecay must lie from 0 to 10", at("hospitals", 0, "sweep", "space", 1).replaced({"parameter": "weightDecay", "numbers": [0, -0.01]})),
    ("warmupFraction must lie from 0 to 1", at("hospitals", 0, "sweep", "space", 2, "uniform").replaced({"min": 0, "max": 1.5})),
    ("headLearningRateFactor must lie from 0.001 to 1000", at("hospitals", 0, "sweep", "space", 0).replaced({"parameter": "headLearningRateFactor", "logUniform": {"min": 1e-4, "max": 10}})),
    ("objective.moCo.queueSize must be a multiple of globalBatchSize", at("hospitals", 0, "strategies", 1, "dapt").replaced({"objective": {"moCo": {"queueSize": 100}}})),
    ("is empty: min is not below max", at("hospitals", 0, "sweep", "space", 0, "logUniform").replaced({"min": 0.1, "max": 0.1})),
    ("is empty: min is not below max", at("hospitals", 0, "sweep", "space", 2, "uniform").replaced({"min": 1, "max": 0})),
    ("must not contain '..'", at("artifacts", "uri").replaced("s3://radiology-models/../other")),
    ("must not contain '..'", at("datasets", 2, "source", "table", "image", "path").replaced("../{}.png")),
    ("Duplicate value", at("hospitals", 1, "name").replaced("hannover")),
    ("Duplicate value", at("hospitals", 0, "tasks").replaced(["icu", "icu"])),
)  # fmt: skip
"""Manifests that break one rule each, and words of the API server's refusal. Every rule is broken at least once."""


def header_mutants() -> Iterator[Mutant]:
    """Faults around `spec`."""
    changes: dict[str, Plain] = {
        "another kind": {"kind": "ClusterChexRuntime"},
        "another version": {"apiVersion": "chexdragon.dev/v1"},
        "no spec": {"spec": MISSING},
        "null spec": {"spec": None},
        "unknown field": {"extra": 1},
        "no name": {"metadata": {}},
        "upper-case name": {"metadata": {"name": "Complete"}},
        "name with empty label": {"metadata": {"name": "a..b"}},
        "name with label that ends in a hyphen": {"metadata": {"name": "a-.b"}},
        "name too long": {"metadata": {"name": "a" * 254}},
        "name too long for a label": {"metadata": {"name": "a" * 64}},
        "name as long as a label": {"metadata": {"name": "a" * 63}},
        "dotted name": {"metadata": {"name": "a.b"}},
        "unknown field of metadata": {"metadata": {"name": "a", "nmae": "b"}},
        "label that is a number": {"metadata": {"name": "a", "labels": {"a": 1}}},
        "label key with a blank": {"metadata": {"name": "a", "labels": {"a b": "c"}}},
        "label value with a blank": {"metadata": {"name": "a", "labels": {"a": "b c"}}},
        "label value too long": {"metadata": {"name": "a", "labels": {"a": "b" * 64}}},
        "annotation with a blank": {"metadata": {"name": "a", "annotations": {"a": "b c"}}},
        "annotation key with a blank": {"metadata": {"name": "a", "annotations": {"a b": "c"}}},
    }
    for change, fields in changes.items():
        manifest = {key: value for key, value in (COMPLETE | fields).items() if value is not MISSING}
        yield Mutant("", change, manifest)
