"""Fields of the API's objects that may be absent."""

from typing import cast

from chex_operator.kube.resource import Object


def part(item: Object, name: str) -> Object:
    """The object below a field; empty where there is none."""
    return cast(Object, item.get(name) or {})


def parts(item: Object, name: str) -> list[Object]:
    """The objects that a field lists; empty where there is none."""
    return cast(list[Object], item.get(name) or [])


def text(item: Object, name: str) -> str:
    """The string of a field; empty where there is none."""
    return str(item.get(name) or "")


def labels_of(item: Object) -> dict[str, str]:
    """The labels of an object."""
    return cast(dict[str, str], part(item, "metadata").get("labels") or {})
