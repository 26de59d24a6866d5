from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from stompserver.errors import ListenError
from stompserver.server.listeners import accept, bind


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    sockets: list[socket.socket] = []
    yield sockets
    for each in sockets:
        each.close()


def addresses(sockets: list[socket.socket]) -> list[str]:
    return [each.getsockname()[0] for each in sockets]


def listen(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.listen()


def answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


def test_an_address_and_a_port_the_system_chose(opened: list[socket.socket]) -> None:
    opened += bind("127.0.0.1", 0)
    assert addresses(opened) == ["127.0.0.1"]
    port = opened[0].getsockname()[1]
    assert port > 0
    listen(opened)
    assert answers("127.0.0.1", port)
    assert not answers("127.0.0.2", port)


def test_sockets_are_ready_for_the_event_loop(opened: list[socket.socket]) -> None:
    opened += bind("127.0.0.1", 0)
    assert not opened[0].getblocking()
    assert not opened[0].get_inheritable()


def test_it_listens_when_there_is_somebody_to_accept(opened: list[socket.socket]) -> None:
    async def scenario() -> None:
        opened.extend(bind("127.0.0.1", 0))
        port = opened[0].getsockname()[1]
        assert not answers("127.0.0.1", port)
        server = await accept(opened[0], asyncio.Protocol)
        assert answers("127.0.0.1", port)
        # A restarted server finds the port free, whatever is left of its connections.
        assert opened[0].getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        server.close()

    asyncio.run(scenario())


def test_a_port_that_was_taken_before_it_listens(opened: list[socket.socket]) -> None:
    """Sockets that somebody else bound: with SO_REUSEADDR two of them may, and one of them may listen."""
    for _ in range(2):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", opened[0].getsockname()[1] if opened else 0))
        opened.append(sock)
    opened[0].listen()
    port = opened[0].getsockname()[1]
    with pytest.raises(ListenError, match=f"cannot listen on 127.0.0.1 port {port}: address already in use"):
        asyncio.run(accept(opened[1], asyncio.Protocol))


@pytest.mark.parametrize("host", ["localhost", "LocalHost"])
def test_localhost_is_both_families(opened: list[socket.socket], host: str) -> None:
    opened += bind(host, 0)
    assert addresses(opened) == (["127.0.0.1", "::1"] if has_ipv6() else ["127.0.0.1"])
    assert len({each.getsockname()[1] for each in opened}) == 1


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_ipv6(opened: list[socket.socket], host: str) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback address")
    opened += bind(host, 0)
    assert addresses(opened) == ["::1"]
    listen(opened)
    assert answers("::1", opened[0].getsockname()[1])


@pytest.mark.parametrize("host", ["*", ""])
def test_every_address(opened: list[socket.socket], host: str) -> None:
    opened += bind(host, 0)
    assert addresses(opened)[0] == "0.0.0.0"
    listen(opened)
    port = opened[0].getsockname()[1]
    assert answers("127.0.0.1", port)
    assert answers("127.0.0.2", port)
    if has_ipv6():
        assert addresses(opened) == ["0.0.0.0", "::"]
        assert answers("::1", port)


def test_a_port_in_use(opened: list[socket.socket]) -> None:
    opened += bind("127.0.0.1", 0)
    port = opened[0].getsockname()[1]
    with pytest.raises(ListenError) as caught:
        bind("127.0.0.1", port)
    assert str(caught.value) == (
        f"cannot listen on 127.0.0.1 port {port}: address already in use "
        "(is another stompserver running? -p chooses another port)"
    )


def test_a_port_in_use_by_one_of_two_families_leaves_nothing_open(opened: list[socket.socket]) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback address")
    opened += bind("::1", 0)
    port = opened[0].getsockname()[1]
    with pytest.raises(ListenError, match="address already in use"):
        bind("localhost", port)
    opened += bind("127.0.0.1", port)


class Hasty(asyncio.Protocol):
    """Closes at once: the side that closes first is the one whose port waits."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def test_a_restart_need_not_wait_for_old_connections(opened: list[socket.socket]) -> None:
    async def scenario() -> None:
        (first,) = bind("127.0.0.1", 0)
        port = first.getsockname()[1]
        server = await accept(first, Hasty)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        server.close()
        opened.extend(bind("127.0.0.1", port))
        again = await accept(opened[0], Hasty)
        again.close()
        writer.close()
        await writer.wait_closed()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("host", "text"),
    [
        ("192.0.2.1", "cannot assign requested address (no network interface of this machine has it)"),
        ("1::2::3", ""),  # the resolver words it in its own way
        ("a" * 64 + ".example", "not a name of a machine"),
    ],
)
def test_addresses_that_are_not_ours(host: str, text: str) -> None:
    with pytest.raises(ListenError) as caught:
        bind(host, 0)
    message = str(caught.value)
    assert message.startswith(f"cannot listen on {host} port 0: ")
    assert text in message
