from __future__ import annotations

import functools
import json
import os
import pty
import pwd
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import yaml

from stompserver import __version__
from stompserver.cli import core, main
from stompserver.config import load
from stompserver.config.options import OPTIONS, flag_of
from stompserver.security.users import Users

if TYPE_CHECKING:
    from papers import Papers

StartServer = Callable[..., Any]


@pytest.fixture
def start_server(start_server: StartServer) -> StartServer:
    """By the command, which is what these tests are about."""
    return functools.partial(start_server, by_command=True)


READY = re.compile(r"Stomp protocol handler starting on (\S+) port (\d+)")
# For programs that become nobody, who could not write down what a measurement of coverage found.
UNMEASURED = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")


def stompserver(
    *arguments: str, cwd: Path, stdin: str = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STOMPSERVER_")}
    return subprocess.run(
        [sys.executable, "-m", "stompserver", *arguments],
        cwd=cwd, input=stdin, env={**inherited, **(env or {})}, capture_output=True, text=True, timeout=30,
    )  # fmt: skip


def conversation(port: int, sent: bytes, host: str = "127.0.0.1") -> bytes:
    """Everything the server answers until it closes, or until it answered CONNECT and was silent."""
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(sent + b"DISCONNECT\nreceipt:bye\n\n\0")
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
            if b"receipt-id:bye" in received:
                break
        return received


CONNECT = b"CONNECT\n\n\0"


def login(name: str, passcode: str) -> bytes:
    return f"CONNECT\nlogin:{name}\npasscode:{passcode}\n\n\0".encode()


# Instead of a start


@pytest.mark.parametrize("word", ["-h", "--help", "--he", "-dh"])
def test_help(tmp_path: Path, word: str) -> None:
    result = stompserver(word, "-p", "70000", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Usage: stompserver [options]\n    -C, --config=CONFIGFILE          ")
    for key, option in OPTIONS.items():
        assert f"--{flag_of(key)}" in result.stdout or f"--[no-]{flag_of(key)}" in result.stdout
        assert not option.short or f"    -{option.short}, --{flag_of(key)}" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 120
    assert list(tmp_path.iterdir()) == []


def test_help_of_which_only_the_head_is_read(tmp_path: Path) -> None:
    command = f"{sys.executable} -m stompserver --help | head -1"
    result = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=True
    )
    assert (result.stdout, result.stderr) == ("Usage: stompserver [options]\n", "")


def test_version(tmp_path: Path) -> None:
    result = stompserver("--version", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, f"stompserver {__version__} ({core()})\n")


def test_help_and_version_do_not_load_the_server(tmp_path: Path) -> None:
    program = (
        "import sys; from stompserver.cli import main; main(['--version']);"
        "print([each for each in ('stompserver.server.server', 'argon2', 'uvloop') if each in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    assert result.stdout.splitlines()[-1] == "[]"


# --check


def test_check_prints_every_value_with_its_origin(tmp_path: Path) -> None:
    (tmp_path / "my.conf").write_text(":host: 127.0.0.2\n:user:\n")
    env = {"STOMPSERVER_PREFETCH": "7"}
    result = stompserver("--check", "-C", "my.conf", "-p1", "-w", "run", cwd=tmp_path, env=env)
    assert (result.returncode, result.stderr) == (0, "")
    lines = [re.sub(" +", " ", line) for line in result.stdout.splitlines()]
    for expected in (
        "port: 1 # command line -p",
        "host: 127.0.0.2 # my.conf line 1",
        "user: # my.conf line 2",
        "prefetch: 7 # environment STOMPSERVER_PREFETCH",
        "max-body: 100MiB # default",
        f"pidfile: stompserver.pid # default = {tmp_path}/run/log/stompserver.pid",
        f"# configfile: my.conf # command line -C = {tmp_path}/my.conf",
    ):
        assert expected in lines
    assert any(re.fullmatch(r"memory-limit: 25% # default = \d+", line) for line in lines)
    assert [path.name for path in tmp_path.iterdir()] == ["my.conf"]


def test_what_check_prints_is_a_configuration_file(tmp_path: Path) -> None:
    words = [
        "-b*",
        "-d",
        "--user=",
        "--pidfile=",
        "--logdir=a: b #c",
        "--heart-beat=0,0",
        "--memory-limit=10%",
    ]
    words += ["-w", str(tmp_path), "--logfile", '"\\', "--storage=x:"]
    result = stompserver("--check", *words, cwd=tmp_path)
    assert result.returncode == 0
    assert len(yaml.safe_load(result.stdout)) == len(OPTIONS) - 1
    (tmp_path / "stompserver.conf").write_text(result.stdout)
    assert load([], {}, tmp_path).config == load(words, {}, tmp_path).config
    assert load([], {}, tmp_path).warnings == []


def test_check_tells_of_warnings(tmp_path: Path) -> None:
    result = stompserver("--check", "-a", "nonsense", cwd=tmp_path, env={"STOMPSERVER_PROT": "1"})
    assert result.returncode == 0
    assert result.stderr.splitlines() == [
        "stompserver: warning: environment STOMPSERVER_PROT: no such option; did you mean STOMPSERVER_PORT?",
        "stompserver: warning: ignored argument 'nonsense'",
        f"stompserver: warning: {tmp_path}/etc/.passwd: no such file; nobody can log in",
    ]
    assert "does not exist" not in result.stdout
    assert "(there is none)" in result.stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-p", "x"], "command line -p: port: 'x' is not a whole number"),
        (["--user", "no-such-user"], "command line --user: user: unknown user 'no-such-user'"),
        (["--group", "no-such-group"], "command line --group: group: unknown group 'no-such-group'"),
        (["-C", "missing"], "missing: no such configuration file"),
        (["--bogus"], "command line --bogus: no such option; try --help"),
    ],
)
@pytest.mark.parametrize("check", [["--check"], []])
def test_bad_options_are_one_line_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    words: list[str],
    text: str,
    check: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*check, *words]) == 2
    assert capfd.readouterr() == ("", f"stompserver: {text}\n")
    assert list(tmp_path.iterdir()) == []


def test_a_bad_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "stompserver.conf").write_text(":host: 127.0.0.1\n:queue: table\n")
    result = stompserver(cwd=tmp_path)
    text = "stompserver.conf line 2: queue: unknown queue type 'table'; known: memory"
    assert (result.returncode, result.stderr.startswith(f"stompserver: {text}")) == (2, True)


def test_an_event_loop_that_is_not_there(tmp_path: Path) -> None:
    program = (
        "import sys; from stompserver.cli import main\n"
        "sys.modules['uvloop'] = None  # which is Python's way to say that there is no such module\n"
        "sys.exit(main(['--check', '--loop', sys.argv[1]]))"
    )

    def check(loop: str) -> tuple[int, str]:
        command = [sys.executable, "-c", program, loop]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
        return result.returncode, result.stderr

    assert check("auto") == check("asyncio") == (0, "")
    assert check("uvloop") == (2, "stompserver: command line --loop: loop: uvloop is not installed\n")


# --hash-password


@pytest.mark.parametrize("words", [["alice"], ["--", "alice"]])
def test_hash_password_from_standard_input(tmp_path: Path, words: list[str]) -> None:
    result = stompserver("--hash-password", *words, cwd=tmp_path, stdin="pa:ss word\nmore\n")
    assert (result.returncode, result.stderr) == (0, "")
    assert re.fullmatch(r"alice:\$argon2id\$v=19\$m=[^:]*\n", result.stdout)
    (tmp_path / ".passwd").write_text(result.stdout)
    assert Users.load(tmp_path / ".passwd").check("alice", "pa:ss word")


def test_hash_password_takes_the_login_as_a_value_too(tmp_path: Path) -> None:
    result = stompserver("--hash-password=bob", cwd=tmp_path, stdin="x")
    assert result.stdout.startswith("bob:$argon2id$")


@pytest.mark.parametrize(
    ("words", "stdin", "text"),
    [
        ([], "x\n", "a login is one word that does not start with #"),
        (["a b"], "x\n", "a login is one word that does not start with #"),
        (["alice"], "", "the passcode is empty"),
        (["alice"], "\x07\n", "a login or passcode has no control characters"),
    ],
)
def test_hash_password_refuses(tmp_path: Path, words: list[str], stdin: str, text: str) -> None:
    result = stompserver("--hash-password", *words, cwd=tmp_path, stdin=stdin)
    expected = f"stompserver: --hash-password: {text} (usage: stompserver --hash-password LOGIN)\n"
    assert (result.returncode, result.stdout, result.stderr) == (2, "", expected)


def test_hash_password_warns_of_blanks_that_stomp_loses(tmp_path: Path) -> None:
    result = stompserver("--hash-password", "alice", cwd=tmp_path, stdin=" x\n")
    assert "starts or ends with a blank" in result.stderr
    assert result.stdout.startswith("alice:$argon2id$")


class Terminal:
    """A command that runs in a terminal of its own; ``screen`` is what was shown so far."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self.screen = ""
        self.pid, self._file = pty.fork()
        if not self.pid:
            # pytest's helpers ignore SIGINT, and a child would inherit that.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.chdir(cwd)
            os.execv(sys.executable, [sys.executable, "-m", "stompserver", *arguments])

    def expect(self, text: str) -> None:
        while text not in self.screen:
            self.screen += os.read(self._file, 1024).decode()

    def type(self, text: str) -> None:
        os.write(self._file, text.encode())

    def hang_up(self) -> None:
        os.close(self._file)
        self._file = -1

    def end(self) -> int:
        try:
            while self._file >= 0 and (more := os.read(self._file, 1024).decode()):
                self.screen += more
        except OSError:  # Linux says so at the end
            pass
        if self._file >= 0:
            os.close(self._file)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.mark.parametrize("words", [["alice"], []])
def test_hash_password_in_a_terminal(tmp_path: Path, words: list[str]) -> None:
    terminal = Terminal("--hash-password", *words, cwd=tmp_path)
    if not words:
        terminal.expect("Login: ")
        terminal.type("alice\n")
    terminal.expect("Passcode: ")
    terminal.type("s3cret\n")
    terminal.expect("The same again: ")
    terminal.type("s3cret\n")
    assert terminal.end() == 0
    assert "s3cret" not in terminal.screen
    line = next(each for each in terminal.screen.splitlines() if each.startswith("alice:"))
    (tmp_path / ".passwd").write_text(line + "\r\n")
    assert Users.load(tmp_path / ".passwd").check("alice", "s3cret")


def test_hash_password_typed_differently(tmp_path: Path) -> None:
    terminal = Terminal("--hash-password", "alice", cwd=tmp_path)
    terminal.expect("Passcode: ")
    terminal.type("one\n")
    terminal.expect("The same again: ")
    terminal.type("two\n")
    assert terminal.end() == 2
    assert "stompserver: --hash-password: the two passcodes are not the same" in terminal.screen


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_hash_password_given_up(tmp_path: Path, key: str) -> None:
    terminal = Terminal("--hash-password", "alice", cwd=tmp_path)
    terminal.expect("Passcode: ")
    terminal.type(key)
    assert terminal.end() == 2
    assert "stompserver: --hash-password: no passcode given" in terminal.screen


# In the foreground


def test_a_server_starts_and_ends(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("start", directory=tmp_path)
    assert " WARNING ignored argument 'start'\n" in server.log()
    assert (tmp_path / "log" / "stompserver.pid").read_bytes() == str(server.process.pid).encode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["etc", "log"]
    assert conversation(server.port, CONNECT).startswith(b"CONNECTED\n")
    log = server.stop()
    assert not (tmp_path / "log" / "stompserver.pid").exists()
    assert not (tmp_path / "log" / "stompserver.log").exists()
    assert log.splitlines()[-1].endswith("INFO stopped")


@pytest.mark.parametrize(
    ("loop", "number"), [("auto", signal.SIGTERM), ("asyncio", signal.SIGINT), ("uvloop", signal.SIGINT)]
)
def test_clients_are_let_go_without_an_error(
    start_server: StartServer, loop: str, number: signal.Signals
) -> None:
    server = start_server("--loop", loop)
    with socket.create_connection((server.host, server.port), timeout=10) as client:
        client.sendall(CONNECT)
        received = client.recv(1000)
        server.process.send_signal(number)
        while chunk := client.recv(1000):
            received += chunk
    assert received.startswith(b"CONNECTED\n")
    assert b"ERROR" not in received
    assert server.process.wait(10) == 0
    assert f"{number.name[3:]} signal received" in server.stop()


def test_a_log_in_json(start_server: StartServer) -> None:
    lines = start_server("--log-format", "json").stop().splitlines()
    events = [json.loads(line) for line in lines]
    ready = next(each for each in events if each.get("event") == "listening")
    assert ready["message"] == f"Stomp protocol handler starting on {ready['host']} port {ready['port']}"
    assert events[-1]["event"] == "stopped"


def test_both_families_of_localhost(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server("-b", "localhost", directory=tmp_path)
    assert server.host == "127.0.0.1"
    assert conversation(server.port, CONNECT).startswith(b"CONNECTED\n")
    if "starting on ::1" in server.log():
        assert conversation(server.port, CONNECT, "::1").startswith(b"CONNECTED\n")


def test_a_port_in_use(start_server: StartServer, tmp_path: Path) -> None:
    port = start_server().port
    result = stompserver("-p", str(port), cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"stompserver: cannot listen on 127.0.0.1 port {port}: address already in use "
        "(is another stompserver running? -p chooses another port)\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_second_server_in_the_same_place(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(directory=tmp_path)
    result = stompserver("-p", "0", "-w", str(tmp_path), cwd=tmp_path)
    text = f"already running as process {server.process.pid}: it holds the pid file {tmp_path}/log/stompserver.pid; "
    text += "for a second server choose another -w or --pidfile"
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == f"stompserver: {text}"
    assert (tmp_path / "log" / "stompserver.pid").read_text() == str(server.process.pid)


def test_a_killed_server_leaves_a_stale_pid_file_that_is_replaced(
    start_server: StartServer, tmp_path: Path
) -> None:
    first = start_server(directory=tmp_path)
    first.kill()
    assert (tmp_path / "log" / "stompserver.pid").read_text() == str(first.process.pid)
    second = start_server(directory=tmp_path)
    assert "replaced the stale pid file" in second.log()
    assert (tmp_path / "log" / "stompserver.pid").read_text() == str(second.process.pid)


def test_a_working_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = stompserver("-p", "0", "-w", "file", cwd=tmp_path)
    text = f"cannot make the directory {tmp_path}/file: there is a file of that name"
    assert (result.returncode, result.stderr) == (1, f"stompserver: {text}\n")


def test_logins(start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    line = stompserver("--hash-password", "alice", cwd=tmp_path, stdin="secret\n").stdout
    passwd = tmp_path / "etc" / ".passwd"
    passwd.write_text("# logins\ntestuser:testpass\n" + line)
    passwd.chmod(0o600)
    server = start_server("-a", directory=tmp_path)
    assert conversation(server.port, login("testuser", "testpass")).startswith(b"CONNECTED\n")
    assert conversation(server.port, login("alice", "secret")).startswith(b"CONNECTED\n")
    wrong = {
        conversation(server.port, login(*each)) for each in [("alice", "x"), ("testuser", "x"), ("bob", "x")]
    }
    assert len(wrong) == 1
    assert wrong.pop().startswith(b"ERROR\n")
    passwd.write_text("bob:x\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("configuration and users read again")
    assert conversation(server.port, login("bob", "x")).startswith(b"CONNECTED\n")
    assert conversation(server.port, login("alice", "secret")).startswith(b"ERROR\n")
    log = server.stop()
    assert "secret" not in log
    assert "testpass" not in log


def test_a_closed_terminal_ends_a_server_in_the_foreground(tmp_path: Path) -> None:
    terminal = Terminal("-p", "0", cwd=tmp_path)
    terminal.expect("Stomp protocol handler starting")
    terminal.hang_up()
    assert terminal.end() == 0
    assert not (tmp_path / "log" / "stompserver.pid").exists()


# In the background


class Daemon:
    """A daemon started in ``cwd``; its parent has ended."""

    def __init__(self, *arguments: str, cwd: Path, log: Path, pidfile: Path) -> None:
        self.result = stompserver("--daemon", "-p", "0", *arguments, cwd=cwd)
        assert (self.result.returncode, self.result.stdout, self.result.stderr) == (0, "", "")
        self.log = log
        self.process = psutil.Process(int(pidfile.read_text()))
        match = READY.search(log.read_text())
        assert match is not None
        self.port = int(match[2])

    def wait_for_log(self, pattern: str) -> None:
        until = time.monotonic() + 10
        while not re.search(pattern, self.log.read_text() if self.log.exists() else ""):
            assert time.monotonic() < until, f"{pattern!r} is not in {self.log}"
            self.process.status()  # raises when it ended

    def stop(self) -> None:
        # Not Process.wait: it would also wait until the system's first process has taken note of the end.
        ended = os.pidfd_open(self.process.pid)
        self.process.terminate()
        assert select.select([ended], [], [], 10)[0]
        os.close(ended)


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    daemons: list[Daemon] = []

    def start(*arguments: str, run: Path = tmp_path / "run") -> Daemon:
        daemons.append(
            Daemon(
                *arguments, cwd=tmp_path, log=run / "log/stompserver.log", pidfile=run / "log/stompserver.pid"
            )
        )
        return daemons[-1]

    yield start
    for each in daemons:
        if each.process.is_running() and each.process.status() != psutil.STATUS_ZOMBIE:
            each.stop()


def test_a_daemon_with_a_relative_working_directory(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = start_daemon("-w", "run")
    assert conversation(daemon.port, CONNECT).startswith(b"CONNECTED\n")
    assert daemon.process.cwd() == str(tmp_path / "run")
    assert daemon.process.terminal() is None
    assert os.readlink(f"/proc/{daemon.process.pid}/fd/0") == "/dev/null"
    for stream in (1, 2):
        assert os.readlink(f"/proc/{daemon.process.pid}/fd/{stream}") == str(daemon.log)
    assert (tmp_path / "run/log/stompserver.pid").stat().st_mode & 0o777 == 0o644
    assert daemon.log.stat().st_mode & 0o777 == 0o640
    daemon.stop()
    assert not (tmp_path / "run/log/stompserver.pid").exists()
    assert daemon.log.read_text().splitlines()[-1].endswith("INFO stopped")


def test_a_daemon_opens_its_log_anew_and_reads_its_file_again(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = start_daemon("-w", "run")
    (tmp_path / "stompserver.conf").write_text("prefetch: 5\n")
    daemon.log.rename(tmp_path / "old.log")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for_log("configuration and users read again; changed: prefetch")
    assert "Stomp protocol handler starting" in (tmp_path / "old.log").read_text()
    assert "Stomp protocol handler starting" not in daemon.log.read_text()
    (tmp_path / "stompserver.conf").write_text("prefetch: many\n")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for_log("stays in force: stompserver.conf line 1: prefetch: 'many' is not a whole number")


def test_a_daemon_whose_log_cannot_be_opened_anew_keeps_the_old_one(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = start_daemon("-w", "run")
    path = daemon.log
    daemon.log = path.rename(tmp_path / "old.log")
    path.mkdir()
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for_log(f"cannot open the log {path} anew, the old one goes on: Is a directory")
    daemon.wait_for_log("configuration and users read again; changed: nothing")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["--user", "no-such-user"], 2, "command line --user: user: unknown user 'no-such-user'"),
        (["--logfile", "."], 1, "cannot open {tmp}/log: Is a directory"),
        (["--pidfile", "../etc"], 1, "cannot write the pid file {tmp}/log/../etc: Is a directory"),
        (["-a"], 2, "{tmp}/etc/.passwd: cannot read the logins: Is a directory"),
    ],
)
def test_a_daemon_that_cannot_start_says_so(tmp_path: Path, words: list[str], code: int, text: str) -> None:
    (tmp_path / "etc" / ".passwd").mkdir(parents=True)
    result = stompserver("--daemon", "-p", "0", *words, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (code, "")
    assert result.stderr == f"stompserver: {text.format(tmp=tmp_path)}\n"
    assert not list((tmp_path / "log").glob("*.pid")) if (tmp_path / "log").exists() else True


@needs_root
def test_privileges_are_given_up(start_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    for each in (tmp_path, *tmp_path.parents[:3]):
        each.chmod(each.stat().st_mode | 0o011)
    daemon = start_daemon("-w", "run", "--user", "nobody", "--storage", "deep/storage")
    assert set(daemon.process.uids()) == {nobody.pw_uid}
    assert set(daemon.process.gids()) == {nobody.pw_gid}
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    assert {int(each) for each in status.partition("Groups:")[2].splitlines()[0].split()} == set(
        os.getgrouplist("nobody", nobody.pw_gid)
    )
    for path in (tmp_path / "run", tmp_path / "run/log", tmp_path / "run/etc", daemon.log):
        assert (path.stat().st_uid, path.stat().st_gid) == (nobody.pw_uid, nobody.pw_gid)
    assert "Changed to user nobody" in daemon.log.read_text()
    assert conversation(daemon.port, CONNECT).startswith(b"CONNECTED\n")
    daemon.stop()
    assert not (tmp_path / "run/log/stompserver.pid").exists()


@needs_root
def test_who_is_not_root_cannot_change_the_user(tmp_path: Path) -> None:
    # Everything is imported before: nobody may not be able to read this Python.
    program = (
        "import encodings.idna, importlib, sys; from stompserver.cli import AT_NEED, main\n"
        "for name in AT_NEED: importlib.import_module(name)\n"
        "from stompserver.server import listeners, server\n"
        "from stompserver.server.process import service\n"
        "from stompserver.server.process.process import become, identity; become(identity('nobody', ''))\n"
        "sys.exit(main(['-p', '0', '--loop', 'asyncio', '--user', 'daemon']))"
    )
    os.chown(tmp_path, *pwd.getpwnam("nobody")[2:4])
    for each in tmp_path.parents[:3]:
        each.chmod(each.stat().st_mode | 0o011)
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=UNMEASURED, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    text = "stompserver: cannot change to user daemon: Operation not permitted; only root can\n"
    assert (result.returncode, result.stderr) == (1, text)


@needs_root
def test_keys_that_only_root_may_read_are_read_before_privileges_are_given_up(
    start_daemon: Callable[..., Daemon], tmp_path: Path, papers: Papers
) -> None:
    for each in (tmp_path, *tmp_path.parents[:3]):
        each.chmod(each.stat().st_mode | 0o011)
    key = tmp_path / "key.pem"
    key.write_bytes(papers.server.read_bytes())
    key.chmod(0o600)
    daemon = start_daemon("-w", "run", "--user", "nobody", "--tls", f"--tls-cert={key}")
    with papers.connect(daemon.port) as client:
        client.sendall(CONNECT)
        assert client.recv(1000).startswith(b"CONNECTED\n")
    # It may not read them again, says so, and goes on with what it has.
    daemon.process.send_signal(signal.SIGHUP)
    until = time.monotonic() + 20
    while "read again; changed" not in daemon.log.read_text():
        assert time.monotonic() < until
    assert "the old ones stay in use: tls-cert: " in daemon.log.read_text()
    with papers.connect(daemon.port) as client:
        client.sendall(CONNECT)
        assert client.recv(1000).startswith(b"CONNECTED\n")
    daemon.stop()
