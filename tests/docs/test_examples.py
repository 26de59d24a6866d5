"""What the documentation tells people to do is done, and gives what it says."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "docs/how-to/write-a-client.md"
PLAYED = [
    "README.md",
    "docs/tutorial/first-queue.md",
    "docs/how-to/passwords.md",
    "docs/how-to/debug-a-client.md",
]

COMMANDS = {
    "client.py": ("python", "-c", "import stomp"),
    "client.rb": ("ruby", "-e", "require 'stomp'"),
    "client.php": ("php", "-r", "exit(class_exists('Stomp') ? 0 : 1);"),
    "client.pl": ("perl", "-e", "use Net::Stomp;"),
    "client.js": ("node", "-e", "require('stompit')"),
    "bare.py": ("python", "-c", ""),
}


@pytest.mark.parametrize("page", PLAYED)
def test_page(page: str, player: Any) -> None:
    player.play(ROOT / page)


def test_every_page_with_a_console_is_played() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    with_console = [str(page.relative_to(ROOT)) for page in pages if "```console" in page.read_text()]
    assert sorted(with_console) == sorted(PLAYED)


@pytest.mark.parametrize("name", COMMANDS)
def test_client(name: str, player: Any, blocks: Callable[[str], Any]) -> None:
    found = blocks(CLIENTS.read_text())
    names = [block.title for block in found]
    assert name in names
    program, *probe = COMMANDS[name]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    library = player.shell.run(
        f"{program} {probe[0]} {shell_quoted(probe[1])} >/dev/null 2>&1; echo $?"
    ).strip()
    if library != "0":
        pytest.skip(f"the library that {name} uses is not installed")
    player.start([])
    player.play_blocks([block for block in found if block.title == name])
    answers = [block.text for block in found if block.language == "text"]
    expected = answers[1] if name == "bare.py" else answers[0]
    assert player.shell.run(f"timeout 30 {program} {name}").strip() == expected.strip()


def test_every_client_is_run(blocks: Callable[[str], Any]) -> None:
    titles = [block.title for block in blocks(CLIENTS.read_text()) if block.title]
    assert sorted(titles) == sorted(COMMANDS)


def test_systemd_unit(tmp_path: Path, blocks: Callable[[str], Any]) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    page = (ROOT / "docs/how-to/run-as-a-service.md").read_text()
    [unit] = [block for block in blocks(page) if block.title == "stompserver.service"]
    stand_in = shutil.which("true")
    text = unit.text.replace("/opt/stompserver/bin/stompserver", str(stand_in))
    (tmp_path / "stompserver.service").write_text(text)
    run = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "stompserver.service")], capture_output=True, text=True
    )
    about_it = [line for line in run.stderr.splitlines() if "stompserver.service" in line]
    assert not about_it


def shell_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
