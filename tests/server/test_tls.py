"""TLS as clients see it, on both loops: over real sockets, with certificates of a CA made for the tests."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import ssl
import subprocess
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.octets import rest, until

from stompserver.server.tls import Handshakes, Tls

if TYPE_CHECKING:
    from papers import Papers

LOOPS = ("asyncio", "uvloop")
each_loop = pytest.mark.parametrize("loop", LOOPS)
HELLO = b"CONNECT\naccept-version:1.2\nhost:h\n%b\n\0"
StartServer = Callable[..., Any]


def send(body: bytes, destination: bytes = b"/queue/a", more: bytes = b"") -> bytes:
    return b"SEND\ndestination:%b\n%bcontent-length:%d\n\n%b\0" % (destination, more, len(body), body)


def connected(sock: socket.socket, headers: bytes = b"") -> bytes:
    sock.sendall(HELLO % headers)
    got = until(sock, b"\0")
    assert got.startswith(b"CONNECTED\n"), got
    return got


@pytest.fixture
def secure(start_server: StartServer, papers: Papers) -> Callable[..., Any]:
    """`secure(*options)` starts a server whose only port has TLS."""

    def start(*options: str, cert: Path | None = None, **more: Any) -> Any:
        return start_server("--tls", "--tls-cert", str(cert or papers.server), *options, **more)

    return start


def configured(start_server: StartServer, directory: Path, text: str, *options: str) -> Any:
    file = directory / "stompserver.conf"
    file.write_text(text)
    return start_server("-C", str(file), *options, directory=directory)


def port_of(server: Any, name: str) -> int:
    return int(server.wait_for_log(rf"starting on \S+ port (\d+) \({name}[,)]")[1])


# What works


@each_loop
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_messages_go_both_ways(secure: StartServer, papers: Papers, loop: str, version: str) -> None:
    server = secure("--loop", loop)
    context = papers.context()
    context.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    with papers.connect(server.port, context=context) as client:
        assert client.version() == f"TLSv{version}"
        connected(client)
        # More than a record, more than a read, and more than sockets take at a time.
        bodies = [b"a", b"b" * 16384, b"c" * 70_000, b"d" * 3_000_000]
        client.sendall(b"SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0" + b"".join(map(send, bodies)))
        got = b""
        for body in bodies:
            while b"\n\n" + body + b"\0" not in got:
                got += client.recv(1 << 20)
        client.sendall(b"DISCONNECT\nreceipt:bye\n\n\0")
        assert rest(client).endswith(b"RECEIPT\nreceipt-id:bye\n\n\0\n")


@each_loop
def test_every_cut_of_what_comes(secure: StartServer, papers: Papers, loop: str) -> None:
    """The octets of the client arrive one by one: records in pieces, several in one read."""
    server = secure("--loop", loop)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = papers.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def flush(cut: int) -> None:
            data = outgoing.read()
            for start in range(0, len(data), cut):
                sock.sendall(data[start : start + cut])

        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                flush(1)
                incoming.write(sock.recv(65536))
        tls.write(HELLO % b"")
        tls.write(b"SUBSCRIBE\nid:1\ndestination:/queue/cut\n\n\0")
        tls.write(send(b"whole", b"/queue/cut"))
        flush(1)
        got = b""
        while b"\n\nwhole\0" not in got:
            try:
                got += tls.read(65536)
            except ssl.SSLWantReadError:
                incoming.write(sock.recv(65536))


@each_loop
def test_who_sends_much_and_leaves_while_it_is_not_read_loses_nothing(
    secure: StartServer, papers: Papers, loop: str
) -> None:
    """A login that has to be hashed holds the client back; it has closed its connection long before."""
    server = secure("--loop", loop, "--auth")
    command = [server.command[0], "-m", "stompserver", "--hash-password", "me"]
    hashed = subprocess.run(command, input="secret\n", capture_output=True, text=True, check=True).stdout
    etc = server.directory / "etc"
    etc.mkdir(exist_ok=True)
    (etc / ".passwd").write_text("clear:text\n" + hashed)
    server.process.send_signal(1)
    server.wait_for_log("read again")
    size, count = 1000, 3000
    with papers.connect(server.port) as client:
        client.sendall(HELLO % b"login:me\npasscode:secret\n")
        for _ in range(count):
            client.sendall(send(b"x" * size))
        # From here on it reads what is left without TLS, so that its end is no reset.
        client.shutdown(socket.SHUT_WR)
        assert rest(client)
    with papers.connect(server.port) as reader:
        connected(reader, b"login:clear\npasscode:text\n")
        reader.sendall(b"SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0")
        got = 0
        while got < count:
            data = reader.recv(1 << 20)
            assert data, f"{got} of {count}"
            got += data.count(b"\0")


@pytest.mark.long
@each_loop
def test_a_client_that_does_not_read_does_not_make_the_process_grow(
    secure: StartServer, papers: Papers, loop: str
) -> None:
    server = secure("--loop", loop, "--memory-limit", "64MiB")

    def resident() -> int:
        pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
        return int(pages) * 4096

    silent = papers.connect(server.port)
    connected(silent)
    silent.sendall(b"SUBSCRIBE\nid:1\ndestination:/queue/a\nprefetch-count:0\nack:auto\n\n\0")
    before = resident()
    with papers.connect(server.port) as writer:
        connected(writer)
        writer.settimeout(3)
        sent = 0
        try:
            for _ in range(400):
                writer.sendall(send(b"z" * 1_000_000))
                sent += 1
        except TimeoutError:
            pass
    assert 20 < sent < 400, "it was not held back"
    assert resident() - before < 160 << 20
    silent.close()
    server.kill()


# Who is not let in, and what is told


@each_loop
def test_plain_text_on_a_tls_port_is_told_so(secure: StartServer, loop: str) -> None:
    server = secure("--loop", loop)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(HELLO % b"")
        got = rest(client)
    assert got.startswith(b"ERROR\nmessage:This port speaks TLS, and what came is plain text\n")
    assert b"\nFix: Turn TLS on in the client" in got
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as browser:
        browser.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert rest(browser).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    server.wait_for_log("Refused 127.0.0.1: plain text on a port with TLS")


@each_loop
def test_tls_on_a_plain_port_is_told_so(start_server: StartServer, papers: Papers, loop: str) -> None:
    server = start_server("--loop", loop)
    with pytest.raises(ssl.SSLError):
        papers.connect(server.port)
    server.wait_for_log("This looks like a TLS handshake, and this port speaks plain STOMP")


@each_loop
@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("name", "alert bad certificate .*look at its names"),
        ("ca", "alert unknown ca .*give it that CA"),
        ("expired", "alert certificate expired .*renew it"),
        ("version", "unsupported protocol .*older versions"),
        ("nonsense", ""),
        ("left", "the client left"),
    ],
)
def test_a_handshake_that_fails_is_in_the_log_with_what_to_do(
    secure: StartServer, papers: Papers, loop: str, what: str, reason: str
) -> None:
    cert = papers.expired("old", "localhost") if what == "expired" else None
    server = secure("--loop", loop, cert=cert)
    context = papers.context()
    if what == "ca":
        context = ssl.create_default_context()
    if what == "version":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
    if what in ("nonsense", "left"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
            client.sendall(b"\x16\x03\x01\x00\x05" + (b"\xff" * 9 if what == "nonsense" else b""))
            if what == "nonsense":
                # OpenSSL's last word is an alert.
                assert rest(client)[:1] == b"\x15"
    else:
        with pytest.raises(ssl.SSLError):
            papers.connect(
                server.port, name="other.example" if what == "name" else "localhost", context=context
            )
    server.wait_for_log("TLS handshake with 127.0.0.1 failed: .*" + reason)
    # Nothing of it is left, and the next one is let in.
    if what != "expired":
        with papers.connect(server.port) as client:
            connected(client)


@each_loop
def test_handshakes_that_are_not_finished_end(secure: StartServer, papers: Papers, loop: str) -> None:
    server = secure("--loop", loop, "--tls-handshake-timeout", "0.5")
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as silent,
        socket.create_connection(("127.0.0.1", server.port), timeout=20) as half,
    ):
        half.sendall(b"\x16\x03\x01\x02\x00\x01")
        for client in (silent, half):
            assert rest_or_reset(client) == b""
    server.wait_for_log("TLS handshake with 127.0.0.1 failed: not done within 0.5 s")
    server.wait_for_log("Closing 127.0.0.1, which said nothing within 0.5 s")


@each_loop
def test_login_timeout_is_counted_from_the_accept(secure: StartServer, papers: Papers, loop: str) -> None:
    server = secure("--loop", loop, "--login-timeout", "0.5")
    start = time.monotonic()
    with papers.connect(server.port) as client:
        assert b"ERROR\n" in rest(client)
    assert time.monotonic() - start < 10
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as silent:
        assert rest_or_reset(silent) == b""


def rest_or_reset(sock: socket.socket) -> bytes:
    try:
        return rest(sock)
    except ConnectionResetError:
        return b""


@each_loop
def test_handshakes_count_against_the_limits(secure: StartServer, papers: Papers, loop: str) -> None:
    server = secure("--loop", loop, "--max-connections", "2")
    half = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(2)]
    with papers.connect(server.port) as third:
        assert b"message:Too many connections\n" in rest(third)
    for sock in half:
        sock.close()
    deadline = time.monotonic() + 20
    while True:
        with papers.connect(server.port) as fourth:
            fourth.sendall(HELLO % b"")
            if until(fourth, b"\0").startswith(b"CONNECTED\n"):
                break
        assert time.monotonic() < deadline


@each_loop
def test_an_error_arrives_before_the_close(secure: StartServer, papers: Papers, loop: str) -> None:
    server = secure("--loop", loop)
    with papers.connect(server.port) as client:
        connected(client)
        client.sendall(b"NONSENSE\n\n\0" + send(b"x" * 100_000))
        got = rest(client)
        assert got.startswith(b"ERROR\n")
        assert b"NONSENSE" in got


# Certificates of clients


def refused(client: ssl.SSLSocket) -> bool:
    """Whether the server has an alert for it, behind the client's own end of the handshake."""
    with client:
        try:
            client.sendall(HELLO % b"")
            return not client.recv(100).startswith(b"CONNECTED")
        except (ssl.SSLError, ConnectionError):
            return True


@each_loop
@pytest.mark.parametrize("which", ["need", "want"])
def test_certificates_of_clients(secure: StartServer, papers: Papers, loop: str, which: str) -> None:
    good = papers.issue("good", "client.example", common_name="alice")
    revoked = papers.issue("revoked", "client.example", common_name="mallory")
    options = ["--tls-client-cert", which, "--tls-client-ca", str(papers.ca), "--loop", loop]
    options += ["--tls-login", "cn", "--tls-crl", str(papers.crl("list", revoked)), "--auth"]
    server = secure(*options)
    with papers.connect(server.port, good) as client:
        connected(client)
    server.wait_for_log("Connected 127.0.0.1 with STOMP 1.2 as alice")
    bad = {
        revoked: "certificate revoked",
        papers.expired("late", "client.example", common_name="alice"): "certificate has expired",
        papers.of_stranger(
            "other", "client.example", common_name="alice"
        ): "unable to get local issuer certificate",
    }
    if which == "need":
        bad[None] = "peer did not return a certificate"  # type: ignore[index]
    for certificate, reason in bad.items():
        assert refused(papers.connect(server.port, certificate))
        server.wait_for_log(f"TLS handshake with 127.0.0.1 failed: .*{reason}")
    if which == "want":
        with papers.connect(server.port) as nobody:
            nobody.sendall(HELLO % b"")
            assert b"message:Invalid Login\n" in rest(nobody)


def test_who_a_certificate_says_that_you_are(secure: StartServer, papers: Papers) -> None:
    certificate = papers.issue("alice", "client.example", common_name="alice")
    options = ["--tls-client-cert", "need", "--tls-client-ca", str(papers.ca), "--tls-login", "cn", "--auth"]
    server = secure(*options)
    (server.directory / "etc").mkdir(exist_ok=True)
    (server.directory / "etc" / ".passwd").write_text("bob:his word\n")
    server.process.send_signal(1)
    server.wait_for_log("read again")
    for headers, who in {
        b"": "alice",
        b"login:alice\n": "alice",
        b"login:alice\npasscode:whatever\n": "alice",
        b"login:bob\npasscode:his word\n": "bob",
    }.items():
        with papers.connect(server.port, certificate) as client:
            connected(client, headers)
            client.sendall(b"DISCONNECT\nreceipt:r\n\n\0")
            rest(client)
        assert server.wait_for_log(rf"(?s).*as {who}\n")
    # Each is answered after a second, so they come together.
    wrong = [papers.connect(server.port, certificate) for _ in range(3)]
    said = (b"login:bob\npasscode:wrong\n", b"login:bob\n", b"login:carol\npasscode:x\n")
    for client, headers in zip(wrong, said, strict=True):
        client.sendall(HELLO % headers)
    for client in wrong:
        with client:
            assert b"message:The login is not that of your certificate\n" in rest(client)


def test_without_auth_a_certificate_is_a_login_all_the_same(secure: StartServer, papers: Papers) -> None:
    certificate = papers.issue("alice", "client.example", common_name="alice")
    server = secure("--tls-client-cert", "want", "--tls-client-ca", str(papers.ca), "--tls-login", "cn")
    with papers.connect(server.port, certificate) as client:
        connected(client)
    server.wait_for_log("as alice\n")
    with papers.connect(server.port, certificate) as client:
        client.sendall(HELLO % b"login:bob\n")
        assert b"message:The login is not that of your certificate\n" in rest(client)
    with papers.connect(server.port) as client:
        connected(client)
    server.wait_for_log("as nobody\n")


@pytest.mark.parametrize(
    ("how", "who"),
    [
        ("dn", r"CN=Ann\\, Miss,OU=Testing cert #\S+,O=trustme \S+"),
        ("san-dns", "first.example"),
        ("san-email", "ann@example.org"),
    ],
)
def test_the_part_of_a_certificate_that_is_the_login(
    secure: StartServer, papers: Papers, how: str, who: str
) -> None:
    certificate = papers.issue(
        "ann", "first.example", "second.example", "ann@example.org", common_name="Ann, Miss"
    )
    options = ["--tls-client-cert", "need", "--tls-client-ca", str(papers.ca), "--tls-login", how]
    server = secure(*options)
    with papers.connect(server.port, certificate) as client:
        connected(client)
    server.wait_for_log(rf"with STOMP 1.2 as {who}\n")


def test_of_several_names_the_first_that_is_known(secure: StartServer, papers: Papers) -> None:
    certificate = papers.issue("two", "first.example", "second.example")
    options = ["--tls-client-cert", "need", "--tls-client-ca", str(papers.ca), "--tls-login", "san-dns", "-a"]
    server = secure(*options)
    (server.directory / "etc").mkdir(exist_ok=True)
    (server.directory / "etc" / ".passwd").write_text("second.example:x\n")
    server.process.send_signal(1)
    server.wait_for_log("read again")
    with papers.connect(server.port, certificate) as client:
        connected(client)
    server.wait_for_log("as second.example\n")


def test_a_uri_as_login(secure: StartServer, papers: Papers) -> None:
    certificate = papers.with_uri("spiffe", "spiffe://example.org/orders")
    options = ["--tls-client-cert", "need", "--tls-client-ca", str(papers.ca), "--tls-login", "san-uri"]
    server = secure(*options)
    with papers.connect(server.port, certificate) as client:
        connected(client)
    server.wait_for_log("as spiffe://example.org/orders\n")


# Several listeners, several certificates


@each_loop
def test_both_on_one_port(secure: StartServer, papers: Papers, loop: str) -> None:
    server = secure("--tls=detect", "--loop", loop)
    with papers.connect(server.port) as client:
        connected(client)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain:
        connected(plain)


@each_loop
def test_the_certificate_of_the_name_that_is_asked_for(
    start_server: StartServer, papers: Papers, tmp_path: Path, loop: str
) -> None:
    one = papers.issue("one", "one.example", "*.many.example")
    two = papers.issue("two-named", "two.example")
    text = f"""
tls-cert: {papers.server}
loop: {loop}
listeners:
  - port: 0
    name: secure
    tls: yes
    tls-names: [{one}, "{two}:{two}"]
"""
    server = configured(start_server, tmp_path, text)
    port = port_of(server, "secure")
    for name in ("localhost", "one.example", "TWO.example", "sub.many.example"):
        with papers.connect(port, name=name) as client:
            connected(client)
    with pytest.raises(ssl.SSLCertVerificationError):
        papers.connect(port, name="deep.sub.many.example")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain:
        connected(plain)


# The files change


def serial_of(papers: Papers, port: int) -> str:
    with papers.connect(port) as client:
        said = client.getpeercert()
        assert said is not None
        return str(said["serialNumber"])


@each_loop
def test_sighup_takes_new_files_and_keeps_the_old_ones_where_they_are_wrong(
    secure: StartServer, papers: Papers, tmp_path: Path, loop: str
) -> None:
    file = tmp_path / "now.pem"
    file.write_bytes(papers.server.read_bytes())
    server = secure("--loop", loop, cert=file)
    stays = papers.connect(server.port)
    connected(stays)
    before = serial_of(papers, server.port)
    file.write_bytes(papers.issue("next", *("localhost", "127.0.0.1")).read_bytes())
    assert serial_of(papers, server.port) == before
    server.process.send_signal(1)
    server.wait_for_log(r"Certificate .*now.pem: .* for localhost, 127.0.0.1, until \d+-\d\d-\d\d")
    server.wait_for_log("read again; changed: nothing")
    after = serial_of(papers, server.port)
    assert after != before
    key = re.sub(rb"-----BEGIN CERT.*", b"", papers.server.read_bytes(), flags=re.S)
    certificate = file.read_bytes()[file.read_bytes().index(b"-----BEGIN CERT") :]
    file.write_bytes(key + certificate)
    server.process.send_signal(1)
    server.wait_for_log("the old ones stay in use: tls-cert: .*the key in .* belongs to another certificate")
    assert serial_of(papers, server.port) == after
    stays.sendall(b"DISCONNECT\nreceipt:still here\n\n\0")
    assert b"receipt-id:still here" in rest(stays)
    stays.close()


def test_a_ca_that_is_taken_away_lets_nobody_in_any_more(
    secure: StartServer, papers: Papers, tmp_path: Path
) -> None:
    file = tmp_path / "clients.pem"
    file.write_bytes(papers.ca.read_bytes())
    certificate = papers.issue("gone", "client.example", common_name="gone")
    server = secure("--tls-client-cert", "need", "--tls-client-ca", str(file))
    context = papers.context(certificate)
    with papers.connect(server.port, context=context) as client:
        connected(client)
        resumed = client.session
    import trustme

    trustme.CA().cert_pem.write_to_path(file)
    server.process.send_signal(1)
    server.wait_for_log("read again")
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    # Nor by a session of the time before.
    assert refused(context.wrap_socket(sock, server_hostname="localhost", session=resumed))


def test_a_listener_that_is_to_go_keeps_its_certificate_until_a_restart(
    start_server: StartServer, papers: Papers, tmp_path: Path
) -> None:
    text = f"tls-cert: {papers.server}\nlisteners:\n  - port: 0\n    name: secure\n    tls: true\n"
    server = configured(start_server, tmp_path, text)
    port = port_of(server, "secure")
    (tmp_path / "stompserver.conf").write_text("linger: 3\n")
    server.process.send_signal(1)
    server.wait_for_log(r"only a restart puts it in force: tls-cert, listeners\n")
    server.wait_for_log("read again; changed: linger")
    with papers.connect(port) as client:
        connected(client)


def test_options_of_clients_are_taken_over_by_sighup(
    start_server: StartServer, papers: Papers, tmp_path: Path
) -> None:
    text = f"tls: true\ntls-cert: {papers.server}\n"
    server = configured(start_server, tmp_path, text)
    with papers.connect(server.port) as client:
        connected(client)
    more = f"tls-client-ca: {papers.ca}\ntls-client-cert: need\ntls-login: cn\n"
    (tmp_path / "stompserver.conf").write_text(text + more)
    server.process.send_signal(1)
    server.wait_for_log("read again; changed: tls-client-cert, tls-client-ca, tls-login")
    assert refused(papers.connect(server.port))
    certificate = papers.issue("late-comer", "client.example", common_name="late")
    with papers.connect(server.port, certificate) as client:
        connected(client)
    server.wait_for_log("as late\n")


@pytest.mark.long
@each_loop
def test_noise_in_every_part_of_a_handshake(secure: StartServer, papers: Papers, loop: str) -> None:
    """One octet of what a client says is another, anywhere; or it stops there. The server goes on, without a word
    that is not its own.
    """
    server = secure("--loop", loop, "--tls-client-cert", "want", "--tls-client-ca", str(papers.ca))
    chosen = random.Random(7)
    context = papers.context(papers.issue("noisy", "client.example"))
    for _ in range(60):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        flight = chosen.randrange(3)
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock:
            for number in range(3):
                try:
                    tls.do_handshake()
                    tls.write(HELLO % b"")
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLError:
                    break
                said = bytearray(outgoing.read())
                if number == flight and said:
                    place = chosen.randrange(len(said))
                    if chosen.random() < 0.3:
                        sock.sendall(said[:place])
                        break
                    said[place] ^= 1 << chosen.randrange(8)
                try:
                    sock.sendall(said)
                    if number < 2:
                        sock.settimeout(0.2)
                        incoming.write(sock.recv(65536))
                except (OSError, TimeoutError):
                    break
    with papers.connect(server.port) as client:
        connected(client)
    assert "Traceback" not in server.log()
    assert "fault" not in server.log()


class Forgetful(asyncio.Transport):
    """As that of asyncio in Python 3.12, whose writelines does not tell that much is waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def writelines(self, list_of_data: object) -> None:
        raise AssertionError("a client that does not read would fill the memory")

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def test_what_is_written_over_asyncio_is_counted_as_waiting(papers: Papers, hand_loop: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers.server)
    wire = Forgetful()
    ended: list[Exception | None] = []
    tls = Tls(wire, context, Handshakes(hand_loop, 10), ended.append)
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = papers.context().wrap_bio(coming, going, server_hostname="localhost")
    for _ in range(5):
        if not ended:
            with suppress(ssl.SSLWantReadError):
                client.do_handshake()
            tls.data_received(going.read())
            hand_loop.turn(2)
            coming.write(wire.written)
            wire.written = b""
    assert ended == [None]
    tls.write(bytes(100_000))
    coming.write(wire.written)
    got = b""
    while len(got) < 100_000:
        got += client.read(1 << 20)
    assert got == bytes(100_000)


@each_loop
def test_what_comes_with_the_end_of_the_handshake_is_done(
    secure: Callable[..., Any], papers: Papers, loop: str
) -> None:
    """Login, message and the client's end in the same packet as its last word of the handshake."""
    server = secure(f"--loop={loop}")
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = papers.context().wrap_bio(coming, going, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(going.read())
                coming.write(sock.recv(65536))
        client.write(HELLO % b"" + send(b"last"))
        sock.sendall(going.read())
        sock.shutdown(socket.SHUT_WR)
        rest(sock)
    with papers.connect(server.port) as other:
        connected(other)
        other.sendall(b"SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0")
        assert until(other, b"last\0").startswith(b"MESSAGE\n")
