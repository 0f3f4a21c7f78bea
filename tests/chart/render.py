"""The chart's objects as Helm renders them, with no cluster: `render(values)`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import helm_python
import yaml

from chex_operator.kube.resource import Object

CHART = Path(__file__).parents[2] / "charts" / "chex-operator"
RELEASE, NAMESPACE = "chex-operator", "chex-system"
DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGE = {"repository": "registry.example/chex-operator", "digest": DIGEST}
"""The values without which nothing is rendered."""
HOOK = "helm.sh/hook"


class Refused(Exception):
    """Helm refused the values or the templates did; the message is what its user reads."""


def with_image(values: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The values, and an image where they name none."""
    return {"image": IMAGE, **(values or {})}


def render(
    values: Mapping[str, Any] | None = None, *, release: str = RELEASE, namespace: str = NAMESPACE
) -> list[Object]:
    """Everything that an install would create, `helm test`'s Pod included.

    Args:
        values: Beside those of `IMAGE`.
        release: Name of the release.
        namespace: Namespace of the release.

    Raises:
        Refused: Helm, the schema or a template does not take the values.
    """
    files = render_files(with_image(values), release=release, namespace=namespace)
    documents = (
        document
        for name, text in sorted(files.items())
        if not name.endswith("NOTES.txt")
        for document in yaml.load_all(text, Loader=yaml.CSafeLoader)
    )
    return [document for document in documents if document is not None]


def render_files(
    values: Mapping[str, Any], *, release: str = RELEASE, namespace: str = NAMESPACE
) -> dict[str, str]:
    """Text by template, nothing added to the values. Raises `Refused`."""
    with helm_python.Chart.load(CHART) as chart:
        try:
            return chart.render(dict(values), name=release, namespace=namespace)
        except helm_python.HelmError as refusal:
            raise Refused(str(refusal)) from refusal


def is_hook(rendered: Object) -> bool:
    """Whether it is created by an action such as `helm test` instead of by an install."""
    return HOOK in rendered["metadata"].get("annotations", {})


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    """Those of one kind."""
    return [each for each in objects if each["kind"] == kind]


def the(objects: list[Object], kind: str) -> Object:
    """The only one of its kind."""
    (found,) = of_kind(objects, kind)
    return found
