"""Which proxy a request takes, as the variables of an environment say it."""

import pytest

from chex_api.proxies import proxy_for

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("https://10.96.0.1:443", "10.96.0.0/12"),
        ("https://10.96.0.1:443", ".svc, 10.96.0.0/12 ,example.com"),
        ("https://10.96.0.1", "10.96.0.1"),
        ("https://10.96.0.1", "10.96.0.1:443"),
        ("https://[fd00::1]:6443", "fd00::/8"),
        ("https://[fd00::1]:6443", "[fd00::1]:6443"),
        ("https://[fd00:0:0::1]", "fd00::1"),
        ("https://kubernetes.default.svc", ".svc"),
        ("https://kubernetes.default.svc", "*.svc"),
        ("https://kubernetes.default.svc", "svc"),
        ("https://KUBERNETES.default.SVC.", ".Svc"),
        ("https://minio.example", "minio.example"),
        ("https://minio.example:9000", "minio.example:9000"),
        ("https://anything.example", "*"),
        ("https://localhost:6443", ""),
        ("https://127.0.0.1:6443", ""),
        ("https://[::1]:6443", ""),
    ],
)
def test_what_no_proxy_names_is_reached_directly(url: str, no_proxy: str) -> None:
    assert proxy_for(url, {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}) is None


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("https://10.112.0.1", "10.96.0.0/12"),
        ("https://10.96.0.1:6443", "10.96.0.1:443"),
        ("https://110.96.0.1", "10.96.0.1"),
        ("https://name.example", "10.0.0.0/8"),
        ("https://fd00.example", "fd00::/8"),
        ("https://notsvc", "svc"),
        ("https://minio.example:9001", "minio.example:9000"),
        ("https://10.96.0.1", "10.96.0.0/99, not/a/range"),
        ("https://10.96.0.1", ".1, 0.1"),
        ("https://minio.example", " , "),
    ],
)
def test_everything_else_goes_by_the_proxy(url: str, no_proxy: str) -> None:
    assert proxy_for(url, {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}) == PROXY


def test_each_scheme_has_its_variable_and_small_letters_win() -> None:
    environment = {"HTTP_PROXY": "http://plain:1", "https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}
    assert proxy_for("https://a.example", environment) == PROXY
    assert proxy_for("http://a.example", environment) == "http://plain:1"
    assert proxy_for("http://a.example", {"ALL_PROXY": PROXY}) == PROXY
    assert proxy_for("https://a.example", {"HTTP_PROXY": PROXY}) is None
    assert proxy_for("https://a.example", {}) is None


def test_a_proxy_without_a_scheme_is_spoken_to_in_http() -> None:
    assert proxy_for("https://a.example", {"HTTPS_PROXY": "proxy:3128"}) == "http://proxy:3128"
