"""The section ``users`` of the configuration file, and the options about accounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from stompserver.config import load
from stompserver.config.users import UserOptions
from stompserver.errors import ConfigError
from stompserver.server.terms import Terms


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "stompserver.conf").write_text(text)
    return tmp_path


def test_limits_of_logins(tmp_path: Path) -> None:
    text = (
        "max-byte-rate: 1MiB\nusers:\n  alice:\n    max_byte-rate: 64KiB\n    max-message-rate: 2.5\n  bob:\n"
    )
    config = load([], {}, written(tmp_path, text)).config
    assert config.users == (
        ("alice", UserOptions(max_byte_rate=65536, max_message_rate=2.5)),
        ("bob", UserOptions()),
    )
    terms = Terms(config)
    assert terms.allowance.byte_rate == 1048576
    assert terms.allowances["alice"].byte_rate == 65536
    assert terms.allowances["alice"].connections is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "users:\n  alice:\n    max-conections: 1\n",
            "line 3: users: alice: unknown option 'max-conections'",
        ),
        (
            "users:\n  alice:\n    max-connections: many\n",
            "line 3: users: alice: max-connections: 'many' is not a",
        ),
        ("users:\n  alice:\n    max-connections: -1\n", "max-connections: must be at least 0, not -1"),
        ("users:\n  alice: {}\n  alice: {}\n", "line 3: users: alice: is there already"),
        ("users:\n  - alice\n", "expected indented lines, each a login, a colon"),
        ("users:\n  '': {}\n", "line 2: users: a login is missing before the colon"),
        ("accounts: ','\n", "line 1: accounts: names no place of accounts"),
    ],
)
def test_what_cannot_be_accepted(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load([], {}, written(tmp_path, text))
    assert problem in str(raised.value)


def test_check_shows_them(tmp_path: Path) -> None:
    import subprocess
    import sys

    written(tmp_path, "users:\n  alice:\n    max-connections: 3\n")
    done = subprocess.run(
        [sys.executable, "-m", "stompserver", "--check"],
        cwd=tmp_path, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line.split("#")[0].rstrip() for line in done.stdout.splitlines()]
    at = lines.index("users:")
    assert lines[at : at + 3] == ["users:", "  alice:", "    max-connections: 3"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--accounts=http"], "http-accounts-url: '' is no URL with http:// or https://"),
        (["--accounts=http", "--http-accounts-url=ftp://a"], "'ftp://a' is no URL with http://"),
        (["--accounts=ldap"], "ldap-url: '' is no URL with ldap:// or ldaps://"),
        (
            ["--accounts=ldap", "--ldap-url=ldap://h"],
            "ldap in accounts needs ldap-user-dn, or ldap-user-base",
        ),
        (["--accounts=ldap", "--ldap-url=ldap://h", "--ldap-user-dn=cn=x"], "ldap-user-dn: has no %u"),
        (
            ["--accounts=ldap", "--ldap-url=ldap://h", "--ldap-user-base=o=x", "--ldap-bind-dn=cn=y"],
            "ldap-bind-dn needs ldap-bind-passcode",
        ),
        (["--accounts=jwt", "--jwt-key=k"], "jwt-algorithms: say by which algorithms"),
        (["--accounts=jwt", "--jwt-algorithms=RS256"], "jwt in accounts needs one of jwt-key and jwt-keys"),
    ],
)
def test_places_that_lack_something_end_the_start(tmp_path: Path, options: list[str], problem: str) -> None:
    if "ldap" in options[0]:
        pytest.importorskip("bonsai", reason="no LDAP library: pip install stompserver[ldap]")
    from stompserver.server.accounts import check

    with pytest.raises(ConfigError) as raised:
        check(load(["-a", *options], {}, tmp_path).config)
    assert problem in str(raised.value)


def test_passcodes_in_plain_text_to_another_machine_are_warned_of(tmp_path: Path) -> None:
    from stompserver.server.accounts import check

    def told(url: str) -> list[str]:
        return check(load(["-a", "--accounts=http", f"--http-accounts-url={url}"], {}, tmp_path).config)[0]

    assert "use https://" in told("http://accounts.example.com/user")[0]
    assert told("http://127.0.0.1:8000/user") == told("http://[::1]/") == told("https://a.example.com/") == []
