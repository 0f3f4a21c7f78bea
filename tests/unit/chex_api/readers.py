"""Who reads a field of the API: the code's own syntax trees, followed by names.

A field is read where `x.field` stands and `x` ends in a name under which its model is held: a field or an argument that is
annotated with the model, a function that returns it, or a variable that one of these was assigned to or taken from. Rules,
schemas and identities look at every field and are no readers.
"""

import ast
import types
import typing
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

ROOT = Path(__file__).parents[3]
PACKAGES = ("crds/chex_api", "operator/chex_operator", "jobs/chex_jobs")
NO_READERS = frozenset({"rules", "identity", "structural", "crd", "explain", "loading", "cel", "difference"})
"""Modules of chex_api that go through all fields alike."""

Field = tuple[str, str]
"""Name of a model, and of its field in Python."""


def models_below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model and all models that its fields can hold."""
    found: dict[type[BaseModel], None] = {}
    waiting = [model]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found[each] = None
            waiting += [inner for field in each.model_fields.values() for inner in _in(field.annotation)]
    return iter(found)


def _in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    if not isinstance(annotation, types.GenericAlias) or annotation.__args__:
        for argument in typing.get_args(annotation):
            yield from _in(argument)


def fields_of(*roots: type[BaseModel]) -> set[Field]:
    """Every field below the roots; one that is inherited counts for the model that declares it."""
    return {
        (_declaring(model, name), name)
        for root in roots
        for model in models_below(root)
        for name in model.model_fields
    }


def _declaring(model: type[BaseModel], name: str) -> str:
    return next(
        each.__name__ for each in reversed(model.__mro__) if name in vars(each).get("__annotations__", {})
    )


def readers(fields: set[Field]) -> dict[Field, list[str]]:
    """Where each field is read, as `path:line`."""
    trees = {path: ast.parse(path.read_text()) for path in _modules()}
    known = {model for model, _ in fields}
    shared = _annotated(trees.values(), known)
    found: dict[Field, list[str]] = {field: [] for field in fields}
    of_field: dict[str, list[str]] = defaultdict(list)
    for model, name in fields:
        of_field[name].append(model)
    for path, tree in trees.items():
        held = _with_aliases(tree, shared)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                for model in of_field.get(node.attr, []):
                    if model in held.get(_last_name(node.value), ()):
                        found[model, node.attr].append(f"{path.relative_to(ROOT)}:{node.lineno}")
        for model, name, line in _reads_of_self(tree, known):
            if (model, name) in found:
                found[model, name].append(f"{path.relative_to(ROOT)}:{line}")
    return found


def _modules() -> list[Path]:
    every = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [path for path in every if not (path.parent.name == "chex_api" and path.stem in NO_READERS)]


Held = dict[str, set[str]]
"""Name in the code -> models that it may stand for, or hold several of."""


def _annotated(trees: typing.Iterable[ast.Module], known: set[str]) -> Held:
    held: Held = defaultdict(set)
    for tree in trees:
        renamed = dict(_renamed(tree, known))
        for node in ast.walk(tree):
            if isinstance(node, ast.AnnAssign):
                held[_last_name(node.target)] |= _mentioned(node.annotation, known, renamed)
            elif isinstance(node, ast.arg) and node.annotation is not None:
                held[node.arg] |= _mentioned(node.annotation, known, renamed)
            elif isinstance(node, ast.FunctionDef) and node.returns is not None:
                held[node.name] |= _mentioned(node.returns, known, renamed)
            elif isinstance(node, ast.MatchAs) and node.name and isinstance(node.pattern, ast.MatchClass):
                held[node.name] |= _mentioned(node.pattern.cls, known, renamed)
    return held


def _renamed(tree: ast.Module, known: set[str]) -> Iterator[tuple[str, str]]:
    """`import Dapt as DaptSpec`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from ((name.asname, name.name) for name in node.names if name.asname and name.name in known)


def _mentioned(annotation: ast.expr, known: set[str], renamed: dict[str, str]) -> set[str]:
    names = {_last_name(node) for node in ast.walk(annotation)}
    quoted = [node.value for node in ast.walk(annotation) if isinstance(node, ast.Constant)]
    names |= {name for text in quoted if isinstance(text, str) for name in text.split(" | ")}
    return {renamed.get(name, name) for name in names} & known


def _with_aliases(tree: ast.Module, shared: Held) -> Held:
    """The names of a module, those included that something held is assigned to, unpacked or taken from a loop into."""
    held: Held = defaultdict(set, {name: set(models) for name, models in shared.items()})
    pairs = [(target, source) for node in ast.walk(tree) for target, source in _bindings(node)]
    for _ in range(3):
        for target, source in pairs:
            for name in (_last_name(node) for node in ast.walk(target)):
                for value in ast.walk(source):
                    held[name] |= held.get(_last_name(value), set()) if name else set()
    return held


def _bindings(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(node, ast.Assign):
        yield from ((target, node.value) for target in node.targets)
    elif isinstance(node, ast.NamedExpr):
        yield node.target, node.value
    elif isinstance(node, ast.For | ast.comprehension):
        yield node.target, node.iter


def _reads_of_self(tree: ast.Module, known: set[str]) -> Iterator[tuple[str, str, int]]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name in known:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Attribute) and _last_name(inner.value) == "self":
                    yield node.name, inner.attr, inner.lineno


def _last_name(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return _last_name(inner)
    return ""
