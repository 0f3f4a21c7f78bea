"""The CustomResourceDefinitions of the three kinds, made from their models.

`chex crds --folder crds` writes them; a test holds the committed files to the models. Every CRD stays below 256 KiB, so
that a plain `kubectl apply`, which copies the object into an annotation, takes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter

from chex_api.base import Name
from chex_api.cel import JOB_RULES, LOCATION_FIELDS, RUNTIME_RULES, STAYS_INSIDE, CelRule
from chex_api.job import ChexTrainingJob, JobSpec
from chex_api.rules import LIST_MAPS, LIST_SETS
from chex_api.runtime import ChexRuntime, ClusterChexRuntime, RuntimeSpec
from chex_api.status import JobStatus
from chex_api.structural import Schema, at, leaves_named, structural_schema

GROUP = "chexdragon.dev"
VERSION = "v1alpha1"
MAX_BYTES = 256 * 1024
HEADER = "# Generated from the models in crds/chex_api by `make crds`. Do not edit.\n"

Location = tuple[str, ...]


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`. A date in the future would print `<invalid>`, so an ETA is text."""

    name: str
    path: str
    description: str
    type: str = "string"
    priority: int = 0

    def plain(self) -> dict[str, Any]:
        """As it stands in a CRD."""
        shown = {"name": self.name, "type": self.type, "description": self.description, "jsonPath": self.path}
        return shown | ({"priority": self.priority} if self.priority else {})


AGE = Column("Age", ".metadata.creationTimestamp", "Time since creation.", type="date")


@dataclass(frozen=True)
class Kind:
    """What a CRD says beyond its schema."""

    model: type[BaseModel]
    spec: type[BaseModel]
    plural: str
    scope: str
    columns: tuple[Column, ...]
    status: type[BaseModel] | None = None
    short_names: tuple[str, ...] = ()
    list_maps: Mapping[Location, str] | None = None
    list_sets: tuple[Location, ...] = ()
    rules: tuple[CelRule, ...] = ()
    name: Any = None
    """Type of its objects' names, where it is narrower than any object's."""


RUNTIME_LIST_MAPS: Mapping[Location, str] = {
    ("pools",): "name",
    ("env",): "name",
    ("scheduling", "labels"): "key",
}
RUNTIME_COLUMNS = (
    Column("Ray", ".spec.rayVersion", "Ray's version in the image."),
    Column("Pools", ".spec.pools[*].name", "Pools of machines."),
    Column("Image", ".spec.image", "Image of the jobs.", priority=1),
    AGE,
)
STATUS_LIST_MAPS: Mapping[Location, str] = {("conditions",): "type"}
"""Conditions alone may have several authors. Stages and hospitals are written by the operator, as a whole."""

KINDS = (
    Kind(
        model=ChexTrainingJob,
        spec=JobSpec,
        status=JobStatus,
        plural="chextrainingjobs",
        scope="Namespaced",
        short_names=("ctj",),
        columns=(
            Column("Phase", ".status.phase", "What the job is doing."),
            Column("Progress", ".status.progress", "How much of it is done."),
            Column("Stage", ".status.stage", "The stage that matters now."),
            Column("Best", ".status.best", "Best result so far."),
            Column("ETA", ".status.eta", "Rounded time left."),
            Column("Report", ".status.reportURI", "Where the report lies.", priority=1),
            AGE,
        ),
        list_maps=LIST_MAPS,
        list_sets=LIST_SETS,
        rules=JOB_RULES,
        name=Name,
    ),
    Kind(
        model=ClusterChexRuntime,
        spec=RuntimeSpec,
        plural="clusterchexruntimes",
        scope="Cluster",
        columns=RUNTIME_COLUMNS,
        list_maps=RUNTIME_LIST_MAPS,
        rules=RUNTIME_RULES,
    ),
    Kind(
        model=ChexRuntime,
        spec=RuntimeSpec,
        plural="chexruntimes",
        scope="Namespaced",
        columns=RUNTIME_COLUMNS,
        list_maps=RUNTIME_LIST_MAPS,
        rules=RUNTIME_RULES,
    ),
)


def render_crds() -> dict[str, str]:
    """YAML text of every CRD by file name.

    Raises:
        chex_api.structural.NotStructural: A model uses what a CRD cannot hold.
        ValueError: A CRD is longer than `MAX_BYTES`.
    """
    files: dict[str, str] = {}
    for kind in KINDS:
        text = HEADER + yaml.safe_dump(definition(kind), sort_keys=False, width=120, allow_unicode=True)
        if len(text.encode()) > MAX_BYTES:
            raise ValueError(
                f"the CRD of {kind.model.__name__} has {len(text.encode())} bytes, more than {MAX_BYTES}"
            )
        files[f"{GROUP}_{kind.plural}.yaml"] = text
    return files


def definition(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind."""
    name = kind.model.__name__
    names: dict[str, Any] = {
        "kind": name,
        "listKind": f"{name}List",
        "plural": kind.plural,
        "singular": name.lower(),
        "categories": ["chex"],
    }
    if kind.short_names:
        names["shortNames"] = list(kind.short_names)
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [column.plain() for column in kind.columns],
        "schema": {"openAPIV3Schema": _object_schema(kind)},
    }
    if kind.status is not None:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {"group": GROUP, "scope": kind.scope, "names": names, "versions": [version]},
    }


def _object_schema(kind: Kind) -> Schema:
    """The whole object. The API server owns the schema of metadata; a CRD may bound the name."""
    description = (kind.model.__doc__ or "").strip()
    properties: Schema = {
        "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}"},
        "kind": {"type": "string", "description": kind.model.__name__},
        "metadata": {"type": "object", **_name_schema(kind)},
        "spec": _spec_schema(kind),
    }
    if kind.status is not None:
        status = structural_schema(kind.status, defaults=False)
        _tell_lists_apart(status, STATUS_LIST_MAPS, ())
        properties["status"] = status
    return {"type": "object", "description": description, "required": ["spec"], "properties": properties}


def _name_schema(kind: Kind) -> Schema:
    return {} if kind.name is None else {"properties": {"name": TypeAdapter(kind.name).json_schema()}}


def _spec_schema(kind: Kind) -> Schema:
    schema = structural_schema(kind.spec)
    _tell_lists_apart(schema, kind.list_maps or {}, kind.list_sets)
    _keep_settings_whole(schema)
    for rule in kind.rules:
        _add_rule(at(schema, rule.path), rule.plain())
    expression, message = STAYS_INSIDE
    for path in leaves_named(schema, LOCATION_FIELDS):
        _add_rule(at(schema, path), CelRule(path, expression, message).plain())
    return schema


def _tell_lists_apart(schema: Schema, maps: Mapping[Location, str], sets: tuple[Location, ...]) -> None:
    """Mark lists whose entries have a key, and lists without duplicates: the API server then refuses repetitions."""
    for location, key in maps.items():
        found = _list_at(schema, location)
        found["x-kubernetes-list-type"] = "map"
        found["x-kubernetes-list-map-keys"] = [key]
    for location in sets:
        _list_at(schema, location)["x-kubernetes-list-type"] = "set"


def _keep_settings_whole(schema: Schema, *, named: bool = False) -> None:
    """Give each setting of a named entry (a hospital's sweep, a data set's source) one owner under server-side apply.

    Two authors of one sweep would make a third that neither wrote, and a union with two members set. It is also what keeps
    `managedFields` small: told leaf by leaf they are longer than the spec, and the API server goes through them at each write
    of a status (`docs/operations.md`, "How much one operator carries").
    """
    for child in schema.get("properties", {}).values():
        if child["type"] == "object" and named:
            child["x-kubernetes-map-type"] = "atomic"
        _keep_settings_whole(child, named=named)
        if child.get("x-kubernetes-list-type") == "map":
            _keep_settings_whole(child["items"], named=True)


def _list_at(schema: Schema, location: Location) -> Schema:
    """The list at a location of `chex_api.rules`, which leaves out the steps into lists on the way."""
    found = schema
    for step in location:
        found = found.get("items", found)["properties"][step]
    return found


def _add_rule(schema: Schema, rule: dict[str, str]) -> None:
    schema.setdefault("x-kubernetes-validations", []).append(rule)
