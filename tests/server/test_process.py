from __future__ import annotations

import fcntl
import grp
import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from stompserver.errors import ConfigError
from stompserver.server.process.process import PidFile, StartError, identity, make_directory

NOBODY = pwd.getpwnam("nobody")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")


# For programs that become nobody, who could not write down what a measurement of coverage found.
UNMEASURED = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}


def run(program: str, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from stompserver.server.process.process import *\n" + program, *arguments],
        cwd=directory, env=UNMEASURED if "become(" in program else None,
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip


# Users and groups


def test_nothing_to_become() -> None:
    assert identity("", "") is None


@pytest.mark.parametrize("user", ["nobody", str(NOBODY.pw_uid)])
def test_a_user_comes_with_its_groups(user: str) -> None:
    who = identity(user, "")
    assert who is not None
    assert (who.uid, who.gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
    assert set(who.groups) == set(os.getgrouplist("nobody", NOBODY.pw_gid))


def test_a_group_of_its_own() -> None:
    daemon = grp.getgrnam("daemon").gr_gid
    with_user, alone = identity("nobody", "daemon"), identity("", "daemon")
    assert with_user is not None
    assert (with_user.uid, with_user.gid) == (NOBODY.pw_uid, daemon)
    assert daemon in with_user.groups
    assert alone is not None
    assert (alone.uid, alone.gid, alone.groups) == (os.geteuid(), daemon, (daemon,))


def test_numbers_without_an_account() -> None:
    who = identity("54321", "54322")
    assert who is not None
    assert (who.uid, who.gid, who.groups) == (54321, 54322, (54322,))


@pytest.mark.parametrize(
    ("user", "group", "text"),
    [
        ("no-such-user", "", "user: unknown user 'no-such-user'"),
        ("", "no-such-group", "group: unknown group 'no-such-group'"),
        ("54321", "", "user: '54321' has no account; set the option group too"),
        ("9" * 30, "1", "user: no user has the number 9"),
        ("1", "9" * 30, "group: no group has the number 9"),
    ],
)
def test_unknown_users_and_groups(user: str, group: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        identity(user, group)
    assert str(caught.value).startswith(text)


BECOME = """
import json, sys
who = identity(sys.argv[1], sys.argv[2])
changed = become(who)
try:
    os.setuid(0)
except PermissionError:
    back = False
else:
    back = True
print(json.dumps([changed, os.getresuid(), os.getresgid(), sorted(os.getgroups()), back]))
"""


@needs_root
def test_privileges_are_given_up_for_good(tmp_path: Path) -> None:
    changed, users, groups, supplementary, back = json.loads(run(BECOME, tmp_path, "nobody", "").stdout)
    assert changed
    assert users == [NOBODY.pw_uid] * 3
    assert groups == [NOBODY.pw_gid] * 3
    assert supplementary == sorted(set(os.getgrouplist("nobody", NOBODY.pw_gid)))
    assert not back


@needs_root
def test_who_is_not_root_can_only_stay(tmp_path: Path) -> None:
    program = """
import sys
become(identity("nobody", ""))
print(become(identity("nobody", "")))
try:
    become(identity("daemon", ""))
except StartError as error:
    print(error)
"""
    assert run(program, tmp_path).stdout.splitlines() == [
        "False",
        "cannot change to user daemon: Operation not permitted; only root can",
    ]


# Folders


def test_folders_are_made_with_those_above(tmp_path: Path) -> None:
    make_directory(tmp_path / "a" / "b" / "c", None)
    assert (tmp_path / "a" / "b" / "c").is_dir()
    make_directory(tmp_path / "a" / "b" / "c", None)


@needs_root
def test_new_folders_belong_to_the_user_and_old_ones_do_not(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    make_directory(tmp_path / "old" / "new" / "newer", identity("nobody", ""))
    owners = [
        path.stat().st_uid for path in (tmp_path / "old", tmp_path / "old/new", tmp_path / "old/new/newer")
    ]
    assert owners == [os.geteuid(), NOBODY.pw_uid, NOBODY.pw_uid]
    assert (tmp_path / "old/new").stat().st_gid == NOBODY.pw_gid


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    with pytest.raises(StartError, match=r"cannot make the directory .*/log: there is a file of that name"):
        make_directory(tmp_path / "log", None)
    with pytest.raises(StartError, match=r"cannot make the directory .*/log"):
        make_directory(tmp_path / "log" / "deeper", None)


# Open files

LIMIT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
if sys.argv[4:]:
    become(identity("nobody", ""))
print(raise_file_limit(int(sys.argv[3])))
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_soft_limit_is_raised_to_fit_the_connections(tmp_path: Path) -> None:
    assert run(LIMIT, tmp_path, "300", "1000", "500").stdout.splitlines() == ["[]", "(756, 1000)"]


def test_a_limit_that_fits_is_left(tmp_path: Path) -> None:
    assert run(LIMIT, tmp_path, "900", "1000", "500").stdout.splitlines() == ["[]", "(900, 1000)"]


TOO_LOW = [
    "['max-connections is 500, but only 400 files may be open; about 144 connections fit']",
    "(400, 400)",
]


def may_raise_hard_limits() -> bool:
    """CAP_SYS_RESOURCE (bit 24), which root lacks in many a container."""
    status = Path("/proc/self/status").read_text()
    return bool(int(status.partition("CapEff:")[2].split()[0], 16) >> 24 & 1)


def test_the_hard_limit_is_raised_by_who_may(tmp_path: Path) -> None:
    expected = ["[]", "(756, 756)"] if may_raise_hard_limits() else TOO_LOW
    assert run(LIMIT, tmp_path, "300", "400", "500").stdout.splitlines() == expected


def test_a_hard_limit_that_is_too_low_is_a_warning(tmp_path: Path) -> None:
    nobody = ["nobody"] if os.geteuid() == 0 else []
    assert run(LIMIT, tmp_path, "300", "400", "500", *nobody).stdout.splitlines() == TOO_LOW


# The pid file


def test_the_pid_file_is_the_originals(tmp_path: Path) -> None:
    file = PidFile(tmp_path / "pid")
    assert file.acquire() == ""
    assert (tmp_path / "pid").read_bytes() == str(os.getpid()).encode()
    assert (tmp_path / "pid").stat().st_mode & 0o777 == 0o644
    file.release()
    assert not (tmp_path / "pid").exists()
    file.release()


def test_a_pid_file_whose_writer_lives_is_refused(tmp_path: Path) -> None:
    program = "import sys; PidFile(Path('pid')).acquire(); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", "from stompserver.server.process.process import *\n" + program]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StartError) as caught:
            PidFile(tmp_path / "pid").acquire()
        assert (
            str(caught.value)
            == f"already running as process {other.pid}: it holds the pid file {tmp_path}/pid; "
            "for a second server choose another -w or --pidfile"
        )
        assert (tmp_path / "pid").read_text() == str(other.pid)
        other.kill()
        other.wait()
    file = PidFile(tmp_path / "pid")
    assert (
        file.acquire()
        == f"replaced the stale pid file {tmp_path}/pid of process '{other.pid}', which is gone"
    )
    file.release()


def test_a_number_that_another_process_has_by_now_is_stale(tmp_path: Path) -> None:
    # Our parent lives, but does not hold the file: the number was used again.
    (tmp_path / "pid").write_text(f"{os.getppid()}\n")
    file = PidFile(tmp_path / "pid")
    assert "stale" in file.acquire()
    assert (tmp_path / "pid").read_text() == str(os.getpid())
    file.release()


@pytest.mark.parametrize("content", ["", "rubbish", "1" * 100, "\xff"])
def test_whatever_is_in_a_stale_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "pid").write_text(content, "latin-1")
    file = PidFile(tmp_path / "pid")
    assert file.acquire().isprintable()
    assert (tmp_path / "pid").read_text() == str(os.getpid())
    file.release()


def test_the_file_of_a_successor_is_not_removed(tmp_path: Path) -> None:
    file = PidFile(tmp_path / "pid")
    file.acquire()
    (tmp_path / "pid").unlink()
    (tmp_path / "pid").write_text("123")
    file.release()
    assert (tmp_path / "pid").read_text() == "123"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "pid").symlink_to(tmp_path / "precious")
    with pytest.raises(StartError, match="it is a symbolic link"):
        PidFile(tmp_path / "pid").acquire()
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_pid_file_that_cannot_be_written(tmp_path: Path) -> None:
    file = PidFile(tmp_path / "missing" / "pid")
    with pytest.raises(StartError, match=r"cannot write the pid file .*: No such file or directory"):
        file.acquire()
    file.release()


@needs_root
def test_a_pid_file_in_a_folder_that_is_not_ours_is_emptied(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "pid").touch()
    os.chown(tmp_path / "pid", NOBODY.pw_uid, NOBODY.pw_gid)
    program = "become(identity('nobody', '')); f = PidFile(Path('pid')); f.acquire(); f.release()"
    assert run(program, tmp_path).stderr == ""
    assert (tmp_path / "pid").read_bytes() == b""
    with (tmp_path / "pid").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


# The background

DAEMON = """
import json, signal, sys
parent = os.getpid()
os.umask(0)
readiness = daemonize()
facts = {
    "cwd": os.getcwd(), "sid": os.getsid(0), "pid": os.getpid(), "pgid": os.getpgrp(), "parent": parent,
    "stdin": os.readlink("/proc/self/fd/0"), "umask": os.umask(0),
    "hup": signal.getsignal(signal.SIGHUP) == signal.SIG_IGN,
}
Path(sys.argv[1]).write_text(json.dumps(facts))
"""


def test_a_daemon_is_on_its_own(tmp_path: Path) -> None:
    result = run(DAEMON + "readiness.ready()", tmp_path, str(tmp_path / "facts"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    facts = json.loads((tmp_path / "facts").read_text())
    assert facts["pid"] != facts["parent"]
    assert facts["sid"] == facts["pgid"] not in (facts["pid"], os.getsid(0))
    assert (facts["cwd"], facts["stdin"], facts["umask"], facts["hup"]) == ("/", "/dev/null", 0o027, True)


def test_the_one_who_waits_tells_what_is_wrong(tmp_path: Path) -> None:
    program = DAEMON + "readiness.failed(2, 'stompserver: größer'); readiness.ready()"
    result = run(program, tmp_path, str(tmp_path / "facts"))
    assert (result.returncode, result.stdout, result.stderr) == (2, "", "stompserver: größer\n")


def test_a_daemon_that_dies_is_noticed(tmp_path: Path) -> None:
    result = run(DAEMON + "os._exit(0)", tmp_path, str(tmp_path / "facts"))
    assert (result.returncode, result.stderr) == (1, "stompserver: the daemon ended before it was ready\n")


def test_nobody_needs_to_wait(tmp_path: Path) -> None:
    program = """
import sys
from stompserver.server.process import process
reader, writer = os.pipe()
os.close(reader)
readiness = process.Readiness(writer)
readiness.ready()
process.Readiness().failed(1, "in the foreground this says nothing")
"""
    result = run(program, tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
