"""Headers of the PROXY protocol, versions 1 and 2: what a proxy says first, about who is connected to it.

Source: "The PROXY protocol, Versions 1 & 2" (haproxy.org, doc/proxy-protocol.txt), sections 2.1 and 2.2.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Final

from stompserver.errors import ProtocolError

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
"""What a header of version 2 begins with."""

FIRST: Final = b"PROXY "
"""What a header of version 1 begins with."""

LONGEST_1: Final = 107
"""Octets of a header of version 1, with CR LF."""

LONGEST_2: Final = 4096
"""Octets behind the first 16 of version 2: addresses, and what proxies add to them."""

LOCAL: Final = 0
PROXIED: Final = 1


class Header:
    """``address`` is the client's, "" where the header does not tell: then it is about the proxy itself. ``size``:
    octets of the header.
    """

    __slots__ = ("address", "size")

    def __init__(self, address: str, size: int) -> None:
        self.address = address
        self.size: int = size


def parse(data: bytes) -> Header | None:
    """The header that ``data`` begins with; None when more has to come. Raises ProtocolError when it is none."""
    if data.startswith(SIGNATURE[: len(data)]):
        return _second(data) if len(data) >= 16 else None
    if data.startswith(FIRST[: len(data)]):
        return _first(data)
    raise _bad("the first octets are neither of version 1 nor of version 2")


def _first(data: bytes) -> Header | None:
    """``PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`` and CR LF."""
    end: int = data.find(b"\r\n")
    if end < 0:
        if len(data) >= LONGEST_1:
            raise _bad(f"its line has more than {LONGEST_1} octets")
        return None
    if end + 2 > LONGEST_1:
        raise _bad(f"its line has more than {LONGEST_1} octets")
    words = data[:end].split(b" ")
    if words[1] == b"UNKNOWN":
        return Header("", end + 2)
    if len(words) != 6 or (words[1] != b"TCP4" and words[1] != b"TCP6"):
        raise _bad("its line is not PROXY TCP4 or TCP6, two addresses and two ports")
    four = words[1] == b"TCP4"
    source = _written(words[2], four)
    _written(words[3], four)
    for port in words[4:]:
        if not port.isdigit() or len(port) > 5 or int(port) > 65535:
            raise _bad("a port in it is no number up to 65535")
    return Header(source, end + 2)


def _written(text: bytes, four: bool) -> str:
    """The address, written as we write it."""
    try:
        shown = text.decode("ascii")
        return str(IPv4Address(shown)) if four else _six(IPv6Address(shown))
    except ValueError:
        raise _bad("an address in it is none of the family that it names") from None


def _six(address: IPv6Address) -> str:
    """An IPv4 address where it is one in IPv6's clothes: limits and networks are to know it."""
    mapped = address.ipv4_mapped
    return str(mapped) if mapped is not None else str(address)


def _second(data: bytes) -> Header | None:
    """The signature, version and command, family, length, addresses, and more that is not looked at."""
    version: int = data[12] >> 4
    command: int = data[12] & 15
    family: int = data[13] >> 4
    length: int = data[14] << 8 | data[15]
    if version != 2 or command > PROXIED:
        raise _bad(f"version {version} and command {command} are not known")
    if length > LONGEST_2:
        raise _bad(f"it has {length} octets, and more than {LONGEST_2} are not read")
    if len(data) < 16 + length:
        return None
    address = ""
    if command == PROXIED and family == 1:
        if length < 12:
            raise _bad("it is too short for IPv4 addresses")
        address = str(IPv4Address(data[16:20]))
    elif command == PROXIED and family == 2:
        if length < 36:
            raise _bad("it is too short for IPv6 addresses")
        address = _six(IPv6Address(data[16:32]))
    return Header(address, 16 + length)


def _bad(what: str) -> ProtocolError:
    return ProtocolError(
        "No PROXY header",
        where="the first octets: " + what,
        rule="This port takes connections of proxies alone, which begin with a header of the PROXY protocol"
        " (proxy-protocol)",
        fix="Have the proxy send it (HAProxy: send-proxy-v2; nginx: proxy_protocol on), or use another port.",
    )
