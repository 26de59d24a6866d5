"""Accounts outside the server: an HTTP server as RabbitMQ asks it, a real directory, an installed plug-in."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from papers import Papers

ROOT = Path(__file__).parents[2]
LIMIT = 20.0


def answer(server: Any, login: str, passcode: str) -> str:
    """The command and message of what CONNECT is answered with."""
    with socket.create_connection(("127.0.0.1", server.port), LIMIT) as client:
        frame = f"CONNECT\naccept-version:1.2\nhost:h\nlogin:{login}\npasscode:{passcode}\n\n\0"
        client.sendall(frame.encode())
        got = b""
        while b"\0" not in got and (data := client.recv(65536)):
            got += data
    text = got.decode()
    said = re.search(r"^message:(.*)$", text, re.MULTILINE)
    return said[1] if said else text.partition("\n")[0]


class BackEnd:
    """What RabbitMQ's rabbitmq_auth_backend_http asks. ``asked`` are method, path and words of each request."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.status = 200
        self.text = ""
        self.open = threading.Event()
        self.open.set()
        here = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                self._reply(parts.path, parts.query)

            def do_POST(self) -> None:
                assert self.headers["content-type"].startswith("application/x-www-form-urlencoded")
                self._reply(self.path, self.rfile.read(int(self.headers["content-length"])).decode())

            def _reply(self, path: str, query: str) -> None:
                words = {name: values[0] for name, values in parse_qs(query).items()}
                here.asked.append((self.command, path, words))
                here.open.wait(LIMIT)
                right = (words.get("username"), words.get("password")) == ("alice", "séc&ret=1")
                text = here.text or ("allow administrator ops" if right else "deny")
                self.send_response(here.status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/auth/user"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self.open.set()
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def back_end() -> Iterator[BackEnd]:
    made = BackEnd()
    yield made
    made.close()


def by_http(start_server: Any, back_end: BackEnd, *options: str, **more: Any) -> Any:
    return start_server("-a", "--accounts=http", f"--http-accounts-url={back_end.url}", *options, **more)


@pytest.mark.parametrize("method", ["post", "get"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_back_end_is_asked_as_rabbitmq_asks(
    start_server: Any, back_end: BackEnd, method: str, loop: str
) -> None:
    server = by_http(start_server, back_end, f"--http-accounts-method={method}", f"--loop={loop}")
    assert answer(server, "alice", "séc&ret=1") == "CONNECTED"
    assert answer(server, "alice", "wrong") == "Invalid Login"
    assert back_end.asked == [
        (method.upper(), "/auth/user", {"username": "alice", "password": passcode})
        for passcode in ("séc&ret=1", "wrong")
    ]


def test_who_was_found_right_is_not_asked_for_again(start_server: Any, back_end: BackEnd) -> None:
    server = by_http(start_server, back_end)
    assert [answer(server, "alice", "séc&ret=1") for _ in range(3)] == ["CONNECTED"] * 3
    assert len(back_end.asked) == 1
    # What was wrong may be right by now.
    assert [answer(server, "bob", "x") for _ in range(2)] == ["Invalid Login"] * 2
    assert len(back_end.asked) == 3


def test_without_a_cache_each_login_is_asked_for(start_server: Any, back_end: BackEnd) -> None:
    server = by_http(start_server, back_end, "--accounts-cache=0")
    assert [answer(server, "alice", "séc&ret=1") for _ in range(2)] == ["CONNECTED"] * 2
    assert len(back_end.asked) == 2


@pytest.mark.parametrize(
    ("status", "text", "why"),
    [
        (500, "allow", "http could not be asked: OSError: it answered with status 500"),
        (302, "allow", "it answered with status 302"),
        (200, "yes", "it answered neither allow nor deny"),
        (200, " \n", "it answered neither allow nor deny"),
    ],
)
def test_an_answer_that_is_none_lets_nobody_in(
    start_server: Any, back_end: BackEnd, status: int, text: str, why: str
) -> None:
    back_end.status, back_end.text = status, text
    server = by_http(start_server, back_end)
    assert answer(server, "alice", "séc&ret=1") == "Your login cannot be checked now"
    server.wait_for_log(re.escape(why))
    assert "séc" not in server.log()


def test_one_that_does_not_answer_has_a_deadline(start_server: Any, back_end: BackEnd) -> None:
    back_end.open.clear()
    server = by_http(start_server, back_end, "--accounts-timeout=1.5")
    began = time.monotonic()
    assert answer(server, "alice", "séc&ret=1") == "Your login cannot be checked now"
    assert 1.4 < time.monotonic() - began < 10
    server.wait_for_log("accounts: http did not answer within 1.5 s")


def test_nobody_known_waits_for_one_that_does_not_answer(
    start_server: Any, back_end: BackEnd, tmp_path: Path
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / ".passwd").write_text("carol:word\n")
    (tmp_path / "etc" / ".passwd").chmod(0o600)
    server = start_server(
        "-a", "--accounts=passwd,http", f"--http-accounts-url={back_end.url}", directory=tmp_path
    )
    assert answer(server, "alice", "séc&ret=1") == "CONNECTED"
    back_end.open.clear()
    stuck = []
    for number in range(50):
        client = socket.create_connection(("127.0.0.1", server.port), LIMIT)
        client.sendall(f"CONNECT\nlogin:x{number}\npasscode:y\n\n\0".encode())
        stuck.append(client)
    try:
        # One by the file, one by the cache.
        assert answer(server, "carol", "word") == "CONNECTED"
        assert answer(server, "alice", "séc&ret=1") == "CONNECTED"
    finally:
        for client in stuck:
            client.close()


def test_a_server_that_is_not_there(start_server: Any, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        server = start_server("-a", "--accounts=http", f"--http-accounts-url={url}")
        assert answer(server, "alice", "x") == "Your login cannot be checked now"
        server.wait_for_log("accounts: http could not be asked: ClientConnectorError")


def test_a_reload_leaves_nothing_open_and_asks_again(start_server: Any, back_end: BackEnd) -> None:
    server = by_http(start_server, back_end, "--accounts-timeout=0.1")
    assert answer(server, "alice", "séc&ret=1") == "CONNECTED"
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("configuration and users read again")
    assert answer(server, "alice", "séc&ret=1") == "CONNECTED"
    assert len(back_end.asked) == 2
    # Its log is free of what aiohttp says about sessions that nobody closed.
    assert "nclosed" not in server.stop()


# LDAP

BASE = "dc=example,dc=com"
LDIF = f"""\
dn: {BASE}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: cn=reader,{BASE}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: reads

dn: ou=people,{BASE}
objectClass: organizationalUnit
ou: people

dn: uid=alice,ou=people,{BASE}
objectClass: inetOrgPerson
uid: alice
cn: Alice
sn: A
userPassword: secret

dn: uid=a\\2Cb*(c),ou=people,{BASE}
objectClass: inetOrgPerson
uid: a,b*(c)
cn: Odd
sn: O
userPassword: odd

dn: ou=groups,{BASE}
objectClass: organizationalUnit
ou: groups

dn: cn=staff,ou=groups,{BASE}
objectClass: groupOfNames
cn: staff
member: uid=alice,ou=people,{BASE}

dn: cn=ops,ou=groups,{BASE}
objectClass: groupOfNames
cn: ops
member: uid=alice,ou=people,{BASE}
member: uid=a\\2Cb*(c),ou=people,{BASE}
"""


class Directory:
    """A slapd of its own, with people and groups."""

    def __init__(self, room: Path, papers: Papers) -> None:
        slapd = shutil.which("slapd", path="/usr/sbin:/usr/bin:/sbin")
        if slapd is None:
            pytest.skip("no slapd (Debian: slapd)")
        self.ca = papers.ca
        (room / "data").mkdir()
        config = room / "slapd.conf"
        schemas = "".join(
            f"include /etc/ldap/schema/{name}.schema\n" for name in ("core", "cosine", "inetorgperson")
        )
        config.write_text(
            f"{schemas}pidfile {room}/pid\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n"
            f"TLSCertificateFile {papers.server}\nTLSCertificateKeyFile {papers.server}\n"
            f"database mdb\nsuffix {BASE}\nrootdn cn=root,{BASE}\nrootpw root\ndirectory {room}/data\n"
            "access to attrs=userPassword by anonymous auth by * none\naccess to * by users read by anonymous none\n"
        )
        (room / "first.ldif").write_text(LDIF)
        slapadd = [
            shutil.which("slapadd", path="/usr/sbin:/usr/bin"),
            "-f",
            str(config),
            "-l",
            str(room / "first.ldif"),
        ]
        subprocess.run(slapadd, check=True, capture_output=True, timeout=LIMIT)
        ports = []
        for _ in range(2):
            with socket.socket() as sock:
                sock.bind(("127.0.0.1", 0))
                ports.append(sock.getsockname()[1])
        self.url = f"ldap://127.0.0.1:{ports[0]}"
        self.tls_url = f"ldaps://127.0.0.1:{ports[1]}"
        self.process = subprocess.Popen(
            [slapd, "-f", str(config), "-h", f"{self.url} {self.tls_url}", "-d", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + LIMIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", ports[1]), 1).close()
                break
            except OSError:
                assert time.monotonic() < until and self.process.poll() is None, "slapd does not start"
                select_nothing(0.02)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(LIMIT)


def select_nothing(seconds: float) -> None:
    """There is nothing to wait on before a port listens."""
    threading.Event().wait(seconds)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory, papers: Papers) -> Iterator[Directory]:
    pytest.importorskip("bonsai", reason="no LDAP library: pip install stompserver[ldap]")
    made = Directory(tmp_path_factory.mktemp("slapd"), papers)
    yield made
    made.close()


BY_DN = (f"--ldap-user-dn=uid=%u,ou=people,{BASE}",)
BY_SEARCH = (
    f"--ldap-bind-dn=cn=reader,{BASE}",
    "--ldap-bind-passcode=reader",
    f"--ldap-user-base=ou=people,{BASE}",
)


@pytest.fixture
def by_ldap(start_server: Any, tmp_path: Path) -> Callable[..., Any]:
    def start(url: str, *options: str) -> Any:
        (tmp_path / "etc").mkdir(exist_ok=True)
        (tmp_path / "etc" / "reader").write_text("reads\n")
        return start_server("-a", "--accounts=ldap", f"--ldap-url={url}", *options, directory=tmp_path)

    return start


@pytest.mark.parametrize("how", [BY_DN, BY_SEARCH], ids=["dn", "search"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_directory_says_who_may_log_in(
    by_ldap: Any, directory: Directory, how: tuple[str, ...], loop: str
) -> None:
    server = by_ldap(directory.url, *how, f"--loop={loop}")
    assert answer(server, "alice", "secret") == "CONNECTED"
    # STOMP 1.0 to 1.2 do not escape headers of CONNECT.
    assert answer(server, "a,b*(c)", "odd") == "CONNECTED"
    for login, passcode in [
        ("alice", "wrong"),
        ("nobody", "secret"),
        ("*", "secret"),
        ("ali*", "secret"),
        ("alice)(uid=*", "secret"),
        ("alice,ou=people", "secret"),
        ("alice", ""),
        ("", "secret"),
    ]:
        assert answer(server, login, passcode) == "Invalid Login", (login, passcode)


@pytest.mark.parametrize("tls", ["ldaps", "starttls"])
def test_tls_with_a_certificate_that_is_trusted(by_ldap: Any, directory: Directory, tls: str) -> None:
    options = [f"--ldap-ca={directory.ca}"] + (["--ldap-starttls"] if tls == "starttls" else [])
    server = by_ldap(directory.url if tls == "starttls" else directory.tls_url, *BY_DN, *options)
    assert answer(server, "alice", "secret") == "CONNECTED"
    assert answer(server, "alice", "wrong") == "Invalid Login"


def test_no_passcode_goes_to_one_that_is_not_trusted(by_ldap: Any, directory: Directory) -> None:
    server = by_ldap(directory.tls_url, *BY_DN)
    assert answer(server, "alice", "secret") == "Your login cannot be checked now"
    server.wait_for_log("accounts: ldap could not be asked")


def test_a_directory_that_is_silent_has_a_deadline(by_ldap: Any, directory: Directory) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ldap://127.0.0.1:{silent.getsockname()[1]}"
        server = by_ldap(url, *BY_DN, "--accounts-timeout=1.5")
        assert answer(server, "alice", "secret") == "Your login cannot be checked now"
        server.wait_for_log("accounts: ldap did not answer within 1.5 s")


@pytest.mark.parametrize("bound", [True, False])
def test_groups_are_searched(directory: Directory, bound: bool) -> None:
    import asyncio

    from stompserver.security.account import Account, Attempt
    from stompserver.security.ldap_accounts import Directory as Settings
    from stompserver.security.ldap_accounts import LdapAccounts, Search

    here = LdapAccounts(
        Settings(
            directory.url,
            False,
            None,
            f"uid=%u,ou=people,{BASE}",
            None,
            f"cn=reader,{BASE}" if bound else "",
            "reads",
            Search(f"ou=groups,{BASE}", "(member=%d)", "cn"),
        )
    )

    async def ask(login: str, passcode: str) -> Account | None:
        return await here.log_in(Attempt(login, passcode, "127.0.0.1"))

    assert asyncio.run(ask("alice", "secret")) == Account("alice", frozenset({"staff", "ops"}))
    assert asyncio.run(ask("a,b*(c)", "odd")) == Account("a,b*(c)", frozenset({"ops"}))
    assert asyncio.run(ask("alice", "wrong")) is None


# Plug-ins


def plug_in(room: Path) -> Path:
    """The example of the page, installed as its reader does it."""
    page = (ROOT / "docs/how-to/accounts.md").read_text()
    source = room / "source"
    source.mkdir()
    for name in ("pyproject.toml", "house_accounts.py"):
        found = re.search(rf"```\w+ title={re.escape(name)}\n(.*?)```", page, re.DOTALL)
        assert found, name
        (source / name).write_text(found[1])
    target = room / "site"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(target),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return target


@pytest.mark.long
def test_the_plug_in_of_the_page(start_server: Any, tmp_path: Path) -> None:
    site = plug_in(tmp_path)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "house.txt").write_text("alice secret staff,ops\nbob word\nslow - -\nbroken - -\n")
    server = start_server(
        "-a", "--accounts=house", "--accounts-timeout=1.5",
        directory=tmp_path, environment={"PYTHONPATH": str(site)}, by_command=True,
    )  # fmt: skip
    assert answer(server, "alice", "secret") == "CONNECTED"
    assert answer(server, "bob", "word") == "CONNECTED"
    assert answer(server, "alice", "wrong") == "Invalid Login"


PROBE = """
import asyncio
from stompserver.security.account import Account, Elsewhere

class Probe(Elsewhere):
    def __init__(self, etcdir):
        if (etcdir / "bad").exists():
            raise RuntimeError("no house")
    async def log_in(self, attempt):
        if attempt.login == "slow":
            await asyncio.sleep(60)
        if attempt.login == "broken":
            raise KeyError("oops")
        if attempt.login == "nonsense":
            return "yes"
        return Account(attempt.login) if attempt.passcode == "right" else None

def other(etcdir):
    return object()
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A plug-in as pip leaves it behind."""
    folder = tmp_path / "site"
    info = folder / "probe-1.dist-info"
    info.mkdir(parents=True)
    (folder / "probe.py").write_text(PROBE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: probe\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[stompserver.accounts]\nprobe = probe:Probe\nother = probe:other\n"
    )
    return folder


def test_a_plug_in_that_fails_lets_nobody_in_and_harms_nobody(
    start_server: Any, tmp_path: Path, site: Path
) -> None:
    server = start_server(
        "-a", "--accounts=probe", "--accounts-timeout=1.5",
        directory=tmp_path, environment={"PYTHONPATH": str(site)}, by_command=True,
    )  # fmt: skip
    assert answer(server, "me", "right") == "CONNECTED"
    assert answer(server, "me", "wrong") == "Invalid Login"
    assert answer(server, "slow", "x") == "Your login cannot be checked now"
    server.wait_for_log("accounts: probe did not answer within 1.5 s")
    assert answer(server, "broken", "x") == "Your login cannot be checked now"
    server.wait_for_log("accounts: probe could not be asked: KeyError: 'oops'")
    assert answer(server, "nonsense", "x") == "Invalid Login"
    server.wait_for_log("accounts: probe gave a login that cannot be one; refused")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("other", "the plug-in other made object, no stompserver.security.account.Elsewhere"),
        ("probe", "the plug-in probe cannot be used: RuntimeError: no house"),
        (
            "prob",
            "unknown place 'prob'; known: passwd, tokens, jwt, http, ldap, other, probe; did you mean probe?",
        ),
    ],
)
def test_a_plug_in_that_cannot_be_used_ends_the_start(
    tmp_path: Path, site: Path, name: str, text: str
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "bad").touch()
    words = ["-w", str(tmp_path), "-a", f"--accounts={name}", "--check"]
    done = subprocess.run(
        [sys.executable, "-m", "stompserver", *words],
        capture_output=True, text=True, timeout=30, env={"PYTHONPATH": str(site)},
    )  # fmt: skip
    assert done.returncode == 2
    assert text in done.stderr
