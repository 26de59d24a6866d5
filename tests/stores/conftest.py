"""Databases for the SQL store: real servers of the tests' own, or those that the environment names."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest
import yaml

from stompserver.stores.base import Place

START_SECONDS = 120.0


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one, for tests to which a disk's own time tells nothing."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as path:
        yield Path(path)


class DatabaseServer:
    """A PostgreSQL or MariaDB server. A private one has its data in a temporary folder, listens on the loopback
    address and can be killed and started again.
    """

    names = count(1)

    def __init__(self, room: Path, address: dict[str, str]) -> None:
        self.room = room
        self.address = address
        self.private = not address
        self._databases: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._log = bytearray()
        if self.private:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.address = {
                    "host": "127.0.0.1",
                    "port": str(free.getsockname()[1]),
                    "username": self.admin,
                }
            self.install()
            self.start()

    # What differs

    adapter = ""
    encoding = ""
    account = ""
    admin = ""
    ready = b""

    def install(self) -> None:
        """Make the data folder."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """How the server is started."""
        raise NotImplementedError

    def execute(self, statement: str, database: str = "") -> list[tuple[object, ...]]:
        """Run a statement in autocommit as the administrator."""
        raise NotImplementedError

    # What is the same

    def _options(self) -> dict[str, str]:
        """Servers refuse to run as root: then as the account of the package."""
        return {"user": self.account, "group": self.account} if os.geteuid() == 0 else {}

    def run(self, *command: str) -> None:
        done = subprocess.run(
            command, cwd=self.room, capture_output=True, **self._options(), extra_groups=self._groups()
        )
        assert done.returncode == 0, f"{command}: {done.stdout!r} {done.stderr!r}"

    def _groups(self) -> list[str] | None:
        return [] if os.geteuid() == 0 else None

    def start(self) -> None:
        """Start it and wait until it takes connections; what a killed one left behind may delay that."""
        until = time.monotonic() + START_SECONDS
        while not self._started(until):
            assert time.monotonic() < until, (
                f"{self.command()} does not start: {self._log.decode(errors='replace')}"
            )

    def _started(self, until: float) -> bool:
        self._log.clear()
        # It is not to outlive the tests, however they end.
        setpriv = shutil.which("setpriv")
        wrapper = [setpriv, "--pdeathsig", "QUIT", "--"] if setpriv else []
        self._process = subprocess.Popen(
            [*wrapper, *self.command()],
            cwd=self.room,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            **self._options(),
            extra_groups=self._groups(),
        )
        is_ready = threading.Event()
        threading.Thread(target=self._collect, args=(self._process, is_ready), daemon=True).start()
        if not is_ready.wait(max(0.0, until - time.monotonic())):
            self.kill()
            raise AssertionError(f"{self.command()} is never ready: {self._log.decode(errors='replace')}")
        return self._process.poll() is None

    def _collect(self, process: subprocess.Popen[bytes], is_ready: threading.Event) -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                self._log += line
                if self.ready in line:
                    is_ready.set()
        process.wait()
        is_ready.set()

    def kill(self) -> None:
        """SIGKILL, whatever it is doing."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End a private one; clean up on another's."""
        if not self.private:
            for name in self._databases:
                self.execute(f"DROP DATABASE {name}")
        if self._process is not None and self._process.poll() is None:
            # At once, since its data goes too; PostgreSQL would leave shared memory behind if it were killed.
            self._process.send_signal(signal.SIGQUIT if self.adapter == "postgresql" else signal.SIGKILL)
            self._process.wait(START_SECONDS)

    def place(self, directory: Path, limit: int = 0) -> Place:
        """A storage directory and a database.yml for a new database."""
        name = f"stompserver_test_{os.getpid()}_{next(self.names)}"
        self.execute(f"CREATE DATABASE {name}")
        self._databases.append(name)
        etc = directory / "etc"
        etc.mkdir(parents=True, exist_ok=True)
        (etc / "database.yml").write_text(
            yaml.safe_dump(
                {"adapter": self.adapter, "encoding": self.encoding, "database": name, **self.address}
            )
        )
        (directory / "storage").mkdir(mode=0o700, exist_ok=True)
        return Place(directory / "storage", etc, limit)


class Postgresql(DatabaseServer):
    adapter = "postgresql"
    encoding = "unicode"
    account = "postgres"
    admin = "stompserver"
    ready = b"ready to accept connections"

    @staticmethod
    def program(name: str) -> str | None:
        """Debian keeps the server's programs in a folder for each version."""
        found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
        return str(found[-1]) if found else shutil.which(name)

    def install(self) -> None:
        self.run(
            self.program("initdb") or "", "-D", str(self.room / "data"), "-U", self.admin,
            "-A", "trust", "-E", "UTF8", "--no-locale",
        )  # fmt: skip

    def command(self) -> list[str]:
        return [
            self.program("postgres") or "", "-D", str(self.room / "data"), "-k", str(self.room),
            "-h", "127.0.0.1", "-p", self.address["port"], "-c", "max_connections=30",
            # Only the process is ever killed here, not the machine; one that was killed syncs all of its files first
            # when it starts again, which took more than half a minute on a slow disk.
            "-c", "fsync=off",
        ]  # fmt: skip

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        address = {"user" if key == "username" else key: value for key, value in self.address.items()}
        with psycopg.connect(**address, dbname=database or "postgres", autocommit=True) as connection:
            done = connection.execute(statement)
            return done.fetchall() if done.description else []


class Mariadb(DatabaseServer):
    adapter = "mysql2"
    encoding = "utf8mb4"
    account = "mysql"
    admin = "root"
    ready = b"ready for connections"

    def install(self) -> None:
        self.run(
            "mariadb-install-db", "--no-defaults", f"--datadir={self.room / 'data'}", "--skip-test-db",
            "--auth-root-authentication-method=normal",
        )  # fmt: skip

    def command(self) -> list[str]:
        return [
            shutil.which("mariadbd") or "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={self.room / 'data'}",
            f"--socket={self.room / 'socket'}", f"--port={self.address['port']}", "--bind-address=127.0.0.1",
            f"--pid-file={self.room / 'pid'}", "--skip-name-resolve",
        ]  # fmt: skip

    def execute(self, statement: str, database: str = "") -> list[tuple[object, ...]]:
        with (
            contextlib.closing(
                pymysql.connect(
                    host=self.address["host"],
                    port=int(self.address.get("port", "3306")),
                    user=self.address["username"],
                    password=self.address.get("password", ""),
                    database=database or None,
                    autocommit=True,
                )
            ) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
            return list(cursor.fetchall())


class TlsMariadb(Mariadb):
    """One that encrypts; its certificate is for localhost."""

    def install(self) -> None:
        super().install()
        self.run(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem",
        )  # fmt: skip

    def command(self) -> list[str]:
        return [*super().command(), f"--ssl-cert={self.room}/cert.pem", f"--ssl-key={self.room}/key.pem"]


def _address(variable: str) -> dict[str, str]:
    """The server that the environment names, as keys of database.yml."""
    parts = urlsplit(os.environ.get(variable, ""))
    found = {
        "host": parts.hostname or "",
        "port": str(parts.port or ""),
        "username": parts.username or "",
        "password": parts.password or "",
    }
    return {key: value for key, value in found.items() if value}


@contextlib.contextmanager
def _running(kind: type[DatabaseServer], variable: str) -> Iterator[DatabaseServer]:
    address = _address(variable)
    # Not under pytest's folder, into which other accounts may not look.
    room = Path(tempfile.mkdtemp(prefix="stompserver-"))
    server: DatabaseServer | None = None
    try:
        if os.geteuid() == 0:
            shutil.chown(room, kind.account if not address else getpass.getuser())
        room.chmod(0o755)
        server = kind(room, address)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(room, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[DatabaseServer]:
    """A PostgreSQL server: STOMPSERVER_TEST_POSTGRESQL (a URL), or a private one."""
    if "STOMPSERVER_TEST_POSTGRESQL" not in os.environ and Postgresql.program("initdb") is None:
        pytest.skip("no PostgreSQL here: apt-get install postgresql, or set STOMPSERVER_TEST_POSTGRESQL")
    with _running(Postgresql, "STOMPSERVER_TEST_POSTGRESQL") as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[DatabaseServer]:
    """A MariaDB or MySQL server: STOMPSERVER_TEST_MARIADB (a URL), or a private one."""
    if "STOMPSERVER_TEST_MARIADB" not in os.environ and shutil.which("mariadb-install-db") is None:
        pytest.skip("no MariaDB here: apt-get install mariadb-server, or set STOMPSERVER_TEST_MARIADB")
    with _running(Mariadb, "STOMPSERVER_TEST_MARIADB") as server:
        yield server


@pytest.fixture
def mariadb_tls() -> Iterator[DatabaseServer]:
    """A private MariaDB server that encrypts."""
    if shutil.which("mariadb-install-db") is None or shutil.which("openssl") is None:
        pytest.skip("no MariaDB or no openssl here: apt-get install mariadb-server openssl")
    with _running(TlsMariadb, "") as server:
        yield server


@pytest.fixture
def sqlite_place(tmp_path: Path) -> Place:
    """A storage directory without a database.yml: the default, SQLite."""
    storage, etc = tmp_path / "storage", tmp_path / "etc"
    storage.mkdir()
    etc.mkdir()
    return Place(storage, etc)
