"""What the documentation tells people to do is done, and gives what it says."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stompserver.config import load

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "docs/how-to/write-a-client.md"
PLAYED = [
    "README.md",
    "docs/tutorial/first-queue.md",
    "docs/tutorial/tour.md",
    "docs/how-to/passwords.md",
    "docs/how-to/accounts.md",
    "docs/how-to/tls.md",
    "docs/how-to/policies.md",
    "docs/how-to/permissions.md",
    "docs/how-to/redelivery-and-dead-letters.md",
    "docs/how-to/durable-subscriptions.md",
    "docs/how-to/choose-what-a-consumer-gets.md",
    "docs/how-to/request-reply.md",
    "docs/how-to/topics-that-remember.md",
    "docs/how-to/limits.md",
    "docs/how-to/debug-a-client.md",
    "docs/how-to/back-up-and-move.md",
    "docs/how-to/move-from-rabbitmq.md",
    "docs/how-to/move-from-activemq.md",
    "docs/how-to/move-from-artemis.md",
    "docs/reference/stompctl.md",
]
# Those with the most commands, each of which is a start of Python: the other pages show the same server and stompctl.
LONG = {
    "docs/how-to/back-up-and-move.md",
    "docs/how-to/move-from-rabbitmq.md",
    "docs/how-to/move-from-activemq.md",
    "docs/reference/stompctl.md",
}

COMMANDS = {
    "client.py": ("python", "-c", "import stomp"),
    "client.rb": ("ruby", "-e", "require 'stomp'"),
    "client.php": ("php", "-r", "exit(class_exists('Stomp') ? 0 : 1);"),
    "client.pl": ("perl", "-e", "use Net::Stomp;"),
    "client.js": ("node", "-e", "require('stompit')"),
    "bare.py": ("python", "-c", ""),
}


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.long] if page in LONG else []) for page in PLAYED]
)
def test_page(page: str, player: Any) -> None:
    if page == "README.md":
        player.in_a_checkout()
    player.play(ROOT / page)


def test_make_run_says_where_the_commands_are() -> None:
    make = subprocess.run(["make", "--dry-run", "run"], cwd=ROOT, capture_output=True, text=True, check=True)
    said = [line for line in make.stdout.splitlines() if "export PATH=" in line]
    assert said and str(ROOT / ".venv-run/bin") in said[0], make.stdout
    assert 'export PATH="$PWD/.venv-run/bin:$PATH"' in (ROOT / "README.md").read_text()


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
    page = (ROOT / "docs/how-to/run-as-a-service.md").read_text()
    [unit] = [block.text for block in blocks(page) if block.title == "stompserver.service"]
    program, *words = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)[0].split()
    assert program == "/opt/stompserver/bin/stompserver"
    (tmp_path / "stompserver.conf").write_text("port: 61613\n")
    words = [str(tmp_path / "stompserver.conf") if word.startswith("/etc/") else word for word in words]
    assert load(words, {}, tmp_path).config.pidfile is None
    # And what systemd itself says about it, where there is one.
    if (analyze := shutil.which("systemd-analyze")) is not None:
        file = tmp_path / "stompserver.service"
        file.write_text(unit.replace(program, str(shutil.which("true"))))
        run = subprocess.run([analyze, "verify", str(file)], capture_output=True, text=True)
        assert not [line for line in run.stderr.splitlines() if file.name in line]


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_configuration_files(page: Path, tmp_path: Path, blocks: Callable[[str], Any]) -> None:
    for block in blocks(page.read_text()):
        if block.language == "yaml" and block.title != "database.yml":
            (tmp_path / "shown.conf").write_text(block.text)
            assert load(["-C", "shown.conf"], {}, tmp_path).warnings == []


def shell_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
