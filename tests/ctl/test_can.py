"""``stompctl can``: what the file says is what the server does."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from stompserver.ctl.main import main
from stompserver.ctl.permissions import can

FILE = """auth: true
groups:
  staff: alice
permissions:
  /queue/#:
    send: "@staff"
  /topic/prices.>:
    consume: everybody from 10.0.0.0/8
  /queue/inbox.%u:
    consume: "%u"
"""


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> object:
    monkeypatch.chdir(tmp_path)
    main.add_command(can)
    Path("stompserver.conf").write_text(FILE)

    def run(*words: str) -> tuple[int, str]:
        ended = CliRunner().invoke(main, ["can", *words], prog_name="stompctl")
        return ended.exit_code, ended.output

    return run


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("alice", "send", "/queue/a"), 0, "yes: stompserver.conf line 6: permissions: /queue/#: send"),
        (("bob", "send", "jms.queue.a"), 1, "no: stompserver.conf line 6: permissions: /queue/#: send"),
        (("bob", "create", "/queue/a"), 1, "no: stompserver.conf line 6: permissions: /queue/#: send"),
        (
            ("bob", "consume", "/topic/prices.x", "--from", "10.1.1.1"),
            0,
            "yes: stompserver.conf line 8: permissions: /topic/prices.>: consume",
        ),
        (
            ("bob", "consume", "/topic/prices.x"),
            1,
            "no: stompserver.conf line 8: permissions: /topic/prices.>: consume",
        ),
        (
            ("bob", "consume", "/queue/inbox.bob"),
            0,
            "yes: stompserver.conf line 10: permissions: /queue/inbox.%u:",
        ),
        (("bob", "consume", "/topic/>"), 1, "no: no destination that fits is allowed"),
        (("bob", "send", "prices"), 1, "no: no pattern of permissions that has prices sets send"),
        (("bob", "send", "/topic/a"), 1, "no: no pattern of permissions that has /topic/a sets send"),
        (
            ("alice", "send", "/topic/a"),
            1,
            "no: no pattern of permissions that has /topic/a sets send; /queue/a",
        ),
    ],
)
def test_it_says_what_decides(ask: object, words: tuple[str, ...], code: int, text: str) -> None:
    assert callable(ask)
    found = ask(*words)
    assert found[0] == code, found
    assert found[1].startswith(text)


def test_what_else_it_says(ask: object) -> None:
    assert callable(ask)
    assert ask("alice", "eat", "/queue/a")[0] == 2
    Path("stompserver.conf").write_text(FILE.replace("auth: true", "permissions-mode: observe"))
    code, text = ask("alice", "send", "/queue/a")
    assert code == 1
    assert "without auth nobody is found to be a login" in text
    assert "it is done nevertheless" in text
    Path("stompserver.conf").write_text("")
    assert ask("alice", "send", "/queue/a") == (
        0,
        "yes: there is no section permissions: everybody may do everything\n",
    )
    Path("stompserver.conf").write_text(FILE.replace("@staff", "@stuff"))
    code, text = ask("alice", "send", "/queue/a")
    assert code == 2
    assert "line 6: permissions: /queue/#: send: there is no group @stuff; did you mean staff?" in text
