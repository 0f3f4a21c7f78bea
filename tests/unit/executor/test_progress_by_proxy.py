"""A driver reaches the API server by the proxy of its environment, unless the server's address is excepted."""

import urllib.request
from pathlib import Path
from typing import Any

import certifi
import pytest

from chex_jobs.executor.progress_config_map import ApiServer


@pytest.mark.parametrize(
    ("excepted", "proxies"), [("10.96.0.0/12", {}), ("", {"https": "http://proxy.example:3128"})]
)
def test_an_excepted_range_is_reached_directly(
    monkeypatch: pytest.MonkeyPatch, excepted: str, proxies: dict[str, str]
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", excepted)
    server = ApiServer("https://10.96.0.1:443", Path("token"), Path(certifi.where()))
    opener: Any = server._opener()  # pyright: ignore[reportPrivateUsage]
    found: list[Any] = [each for each in opener.handlers if isinstance(each, urllib.request.ProxyHandler)]
    assert [each.proxies for each in found] == ([proxies] if proxies else [])
