"""``stompctl`` asks a server that runs: what it says when that refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner

from stompserver.ctl.live import COMMANDS
from stompserver.ctl.main import main


def test_a_refused_login_is_told_with_its_rule_and_fix(start_server: Any, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/.passwd").write_text("alice:word\n")
    server = start_server("-a", directory=tmp_path)
    for command in COMMANDS:
        main.add_command(command)
    where = ["-p", str(server.port), "-H", "127.0.0.1", "-l", "alice", "--passcode", "wrong"]
    ended = CliRunner().invoke(main, ["server", *where], prog_name="stompctl")
    assert ended.exit_code == 1
    assert ended.output == (
        "Error: Invalid Login Where: headers login and passcode Rule: This server wants a valid login (option auth)"
        " Fix: Check login and passcode, or ask the server's administrator.\n"
    )
