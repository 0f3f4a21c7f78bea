"""Which HTTP proxy a request takes: the usual environment variables, with address ranges in `NO_PROXY`. Pure.

`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, each in small letters too, which then win. Python's own reading of
`NO_PROXY` knows no ranges, and clusters are described by ranges: a Pod calls its API server by an address. As in Go's
`golang.org/x/net/http/httpproxy`, names are never resolved: a range covers hosts that are written as addresses.

    *                  no proxy at all          .example.com, *.example.com   every name below it
    example.com        it and all names below   10.96.0.0/12, fd00::/8        addresses
    10.0.0.1:443       with that port only      localhost, 127.0.0.0/8, ::1   never by proxy
"""

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_PORTS = {"http": 80, "https": 443}


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """Return the URL of the proxy for a request to `url`, or None for a direct one."""
    scheme, _, rest = url.lower().partition("://")
    name, told_port = _without_port(re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2])
    host, port = name.rstrip("."), told_port or _PORTS.get(scheme, 0)
    proxy = _variable(environment, f"{scheme}_proxy") or _variable(environment, "all_proxy")
    if not proxy or not host or _is_loopback(host):
        return None
    excepted = _variable(environment, "no_proxy").split(",")
    if any(_covers(entry.strip().lower(), host, port) for entry in excepted):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(environment: Mapping[str, str], name: str) -> str:
    return (environment.get(name) or environment.get(name.upper()) or "").strip()


def _covers(entry: str, host: str, port: int) -> bool:
    if not entry:
        return False
    if entry == "*":
        return True
    if "/" in entry:
        return _in_range(host, entry)
    name, entry_port = _without_port(entry)
    if entry_port is not None and entry_port != port:
        return False
    address, host_address = _address(name), _address(host)
    if address is not None or host_address is not None:
        return address is not None and address == host_address
    below = name.removeprefix("*")
    return host == below or host.endswith("." + below.removeprefix("."))


def _in_range(host: str, entry: str) -> bool:
    address = _address(host)
    try:
        return address is not None and address in ip_network(entry, strict=False)
    except ValueError:
        return False


def _without_port(entry: str) -> tuple[str, int | None]:
    """Take `host:port` and `[address]:port` apart; an IPv6 address without brackets has no port."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        port = rest.removeprefix(":")
    elif entry.count(":") == 1:
        name, _, port = entry.partition(":")
    else:
        return entry, None
    return name, int(port) if port.isdecimal() else None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
