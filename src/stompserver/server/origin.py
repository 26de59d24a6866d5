"""Where clients come from, for limits that one of them must not use up for all."""

from __future__ import annotations

import ipaddress
from typing import Final

NETWORK: Final = 64
"""Bits of an IPv6 address that tell one customer of a provider from another: the rest is for him to choose."""


def origin_of(address: str) -> str:
    """What connections from ``address`` are counted by: itself, or its network where that is one client's."""
    if ":" not in address:
        return address
    try:
        ip = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Network((ip, NETWORK), strict=False).network_address)


def is_loopback(address: str) -> bool:
    """Whether that is an address of this machine alone, also in the form in which IPv6 sockets show IPv4."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if ip.version == 6 and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped.is_loopback
    return ip.is_loopback
