"""What a start imports: nothing that it does not use. Most of the time that a start takes is that of its imports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stompserver.cli import AT_NEED

# The second and the third keep coverage out of the process.
WATCHED = {"PYTHONVERBOSE": "1", "COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}
IMPORTED = re.compile(r"^import '([\w.]+)' #", re.MULTILINE)

NEVER = {"getpass"}
OF_CONFIGURATIONS = {
    "yaml",
    "difflib",
    "argon2",
    "stompserver.config.file",
    "stompserver.security.users",
    "stompserver.security.accounts",
    "stompserver.security.tokens",
    "stompserver.security.web_tokens",
    "stompserver.security.http_accounts",
    "stompserver.security.ldap_accounts",
    "stompserver.security.plug_ins",
    "stompserver.server.accounts",
    "stompserver.server.audit",
    "jwt",
    "cryptography",
    "aiohttp",
    "bonsai",
}
OF_THE_ORIGINAL = {"stompserver.migrate", "sqlite3", "stompserver.stores.sql"}
OF_STORES = {
    "lmdb",
    "sqlalchemy",
    "stompserver.stores.lmdb",
    "stompserver.stores.file",
    "stompserver.stores.dbm",
}
OF_TLS = {
    "cryptography",
    "stompserver.security.certificates",
    "stompserver.server.entrance",
    "stompserver.server.renewal",
    "stompserver.server.tls",
    "stompserver.wire.proxy",
}
OF_OTHER_COMMANDS = {"stompserver.ctl", "stompserver.testing", "click"}
UNUSED = NEVER | OF_CONFIGURATIONS | OF_THE_ORIGINAL | OF_STORES | OF_TLS | OF_OTHER_COMMANDS


def imported(text: str) -> set[str]:
    """The modules of what Python tells of its imports, and the packages that they are in."""
    found = set()
    for name in IMPORTED.findall(text):
        parts = name.split(".")
        found |= {".".join(parts[: count + 1]) for count in range(len(parts))}
    assert "stompserver.cli" in found, text
    return found


def test_the_version_takes_no_server() -> None:
    command = [sys.executable, "-m", "stompserver", "--version"]
    done = subprocess.run(command, env={**os.environ, **WATCHED}, capture_output=True, text=True, timeout=30)
    assert done.stdout.startswith("stompserver ")
    assert not imported(done.stderr) & (UNUSED | {"stompserver.broker.broker"})


def test_a_start_with_defaults(start_server):
    found = imported(start_server(environment=WATCHED, by_command=True).log())
    assert "stompserver.stores.memory" in found
    # pydantic, by which options are declared, has decimal.
    assert not found & (UNUSED | set(AT_NEED) - {"decimal"})


def test_a_store_brings_its_own_alone(start_server):
    found = imported(start_server("-q", "lmdb", environment=WATCHED, by_command=True).log())
    assert found & UNUSED == {"lmdb", "stompserver.stores.lmdb"}


def test_a_file_brings_yaml_alone(start_server, tmp_path: Path) -> None:
    (tmp_path / "stompserver.conf").write_text("prefetch: 10\n")
    found = imported(start_server(directory=tmp_path, environment=WATCHED, by_command=True).log())
    assert found & UNUSED == {"yaml", "stompserver.config.file"}


def test_logins_of_the_file_bring_nothing_of_other_places(start_server, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / ".passwd").write_text("alice:a\n")
    found = imported(start_server("-a", directory=tmp_path, environment=WATCHED, by_command=True).log())
    assert found & UNUSED <= {"argon2", "stompserver.security.users", "stompserver.server.accounts"}


@pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")
def test_who_changes_the_user_has_all_before(start_server) -> None:
    # That user may not be able to read these files later.
    server = start_server("--user", "root", environment=WATCHED, by_command=True)
    before, changed, _ = server.log().partition("Changed to user root")
    assert changed
    assert imported(before) >= set(AT_NEED)
