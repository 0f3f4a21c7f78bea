"""What is followed, and whom a change concerns. What informers hold is tested with informers."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from chex_operator.controller.caches import Caches
from chex_operator.kube.clock import SystemClock
from chex_operator.kube.wire import Page, WatchEvent


class Nothing:
    """An API server that is never asked."""

    async def list_page(self, *_: Any, **__: Any) -> Page:
        raise AssertionError

    def watch(self, *_: Any, **__: Any) -> AsyncGenerator[WatchEvent, None]:
        raise AssertionError


OF_A_NAMESPACE = {"chextrainingjobs", "chexruntimes", "rayjobs", "jobs", "pods", "configmaps"}


@pytest.mark.parametrize(
    ("namespace", "followed"),
    [("radiology", OF_A_NAMESPACE), (None, OF_A_NAMESPACE | {"clusterchexruntimes"})],
)
def test_everything_that_is_read_is_followed(namespace: str | None, followed: set[str]) -> None:
    caches = Caches(Nothing(), SystemClock(), namespace, lambda _: None)
    assert set(caches.following()) == followed
    assert set(caches.missing()) == followed
    assert (caches.cluster_runtimes is None) == (namespace is not None)
