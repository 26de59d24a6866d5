"""Headers of the PROXY protocol, as octets of its specification (haproxy.org, proxy-protocol.txt)."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.errors import ProtocolError
from stompserver.wire.proxy import parse

MAGIC = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"
V2 = MAGIC + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 1, 198, 51, 100, 1]) + struct.pack(">HH", 56324, 443)
SIX = ipaddress.ip_address("2001:db8::7").packed
MAPPED = ipaddress.ip_address("::ffff:192.0.2.9").packed


def second(command: int, family: int, rest: bytes) -> bytes:
    return MAGIC + bytes([command, family]) + struct.pack(">H", len(rest)) + rest


GOOD = {
    V1: "192.0.2.1",
    b"PROXY TCP6 2001:db8::7 ::1 1 65535\r\n": "2001:db8::7",
    b"PROXY TCP6 ::ffff:192.0.2.9 ::1 1 2\r\n": "192.0.2.9",
    b"PROXY UNKNOWN\r\n": "",
    b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n": "",
    V2: "192.0.2.1",
    second(0x21, 0x21, SIX + SIX + b"\0\1\0\2"): "2001:db8::7",
    second(0x21, 0x21, MAPPED + SIX + b"\0\1\0\2"): "192.0.2.9",
    # What proxies add (TLVs) is passed over.
    second(0x21, 0x11, V2[16:] + b"\x03\x00\x04abcd"): "192.0.2.1",
    # LOCAL: the proxy itself, whatever it says of addresses; health checks of HAProxy are that.
    second(0x20, 0x00, b""): "",
    second(0x20, 0x11, V2[16:]): "",
    # Families without an address: UNSPEC, and Unix sockets of the proxy's machine.
    second(0x21, 0x00, b""): "",
    second(0x21, 0x31, b"/run/a".ljust(108, b"\0") * 2): "",
}
BAD = {
    b"CONNECT\n": "neither of version 1 nor of version 2",
    b"PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n": "two addresses and two ports",
    b"PROXY TCP5 192.0.2.1 198.51.100.1 1 2\r\n": "two addresses and two ports",
    b"PROXY TCP4 2001:db8::7 198.51.100.1 1 2\r\n": "an address in it",
    b"PROXY TCP6 192.0.2.1 ::1 1 2\r\n": "an address in it",
    b"PROXY TCP4 192.0.2.1 nobody 1 2\r\n": "an address in it",
    b"PROXY TCP4 \xff\xff 192.0.2.1 1 2\r\n": "an address in it",
    b"PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n": "a port in it",
    b"PROXY TCP4 192.0.2.1 198.51.100.1 -1 2\r\n": "a port in it",
    b"PROXY " + b"x" * 101: "more than 107 octets",
    b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n": "more than 107 octets",
    second(0x31, 0x11, V2[16:]): "version 3",
    second(0x22, 0x11, V2[16:]): "command 2",
    second(0x21, 0x11, b"\0" * 11): "too short for IPv4",
    second(0x21, 0x21, b"\0" * 35): "too short for IPv6",
    MAGIC + b"\x21\x11\xff\xff": "more than 4096",
}


@pytest.mark.parametrize("header", GOOD)
def test_what_a_header_says(header: bytes) -> None:
    for behind in (b"", b"CONNECT\n\n\0", b"PROXY "):
        found = parse(header + behind)
        assert found is not None
        assert (found.address, found.size) == (GOOD[header], len(header))


@pytest.mark.parametrize("header", GOOD)
def test_a_part_of_one_is_waited_for(header: bytes) -> None:
    assert [parse(header[:end]) for end in range(len(header))] == [None] * len(header)


@pytest.mark.parametrize("octets", BAD)
def test_what_is_none(octets: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(octets)
    assert caught.value.summary == "No PROXY header"
    assert BAD[octets] in caught.value.where


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda rest: MAGIC + rest)))
def test_whatever_comes_is_answered(octets: bytes) -> None:
    """A header whose size is within what came, a wait, or an error; and more octets never turn one into another."""
    try:
        found = parse(octets)
    except ProtocolError:
        found = None
        with pytest.raises(ProtocolError):
            parse(octets + b"x")
        return
    if found is not None:
        assert 0 < found.size <= len(octets)
        again = parse(octets + b"x")
        assert again is not None and (again.address, again.size) == (found.address, found.size)
