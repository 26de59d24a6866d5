"""Whether a page that a browser shows is of the server that it connects to."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_same_host(origin: str, host: str, local: bool) -> bool:
    """Whether a page of ``origin`` may connect to the server that the request calls ``host``, by any port.

    For a client of this machine it is not enough that both say the same name: anybody can let a name of his lead to
    127.0.0.1, and his page would speak to servers that only this machine is to reach (DNS rebinding). An address, or
    localhost, cannot be anybody else's.
    """
    try:
        page = urlsplit(origin)
        here = urlsplit("//" + host.strip().lower())
        name, other = page.hostname, here.hostname
    except ValueError:
        return False
    if page.scheme not in ("http", "https") or not name or name != other:
        return False
    return not local or _is_own(name)


def _is_own(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True
