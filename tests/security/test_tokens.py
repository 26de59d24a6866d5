"""API tokens: the file, and the command that makes them."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.errors import ConfigError
from stompserver.security import tokens
from stompserver.security.tokens import Tokens


def stompctl(*words: str, directory: Path) -> subprocess.CompletedProcess[str]:
    run = "from stompserver.ctl.main import run; run()"
    command = [sys.executable, "-c", run, "-w", str(directory), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=directory)


def line(name: str, token: str) -> str:
    return f"{name}:$sha256:{hashlib.sha256(token.encode()).hexdigest()}\n"


def test_a_token_is_shown_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    done = stompctl("token", "add", "grafana", directory=tmp_path)
    assert done.returncode == 0, done.stderr
    token = done.stdout.strip()
    assert token.startswith("sst_") and len(token) > 40
    assert done.stderr == "stompctl: no server takes it yet: set auth: true and accounts: passwd,tokens\n"
    path = tmp_path / "etc" / ".tokens"
    assert path.read_text() == line("grafana", token)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stompctl("token", "list", directory=tmp_path).stdout == "grafana\n"


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    stompctl("token", "add", "grafana", directory=tmp_path)
    again = stompctl("token", "add", "grafana", directory=tmp_path)
    assert again.returncode != 0
    assert "there is a token grafana already; remove it first" in again.stderr


def test_a_token_is_removed_and_all_else_in_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "etc" / ".tokens"
    path.parent.mkdir()
    path.write_text("# mine\n" + line("a", "one") + "not a line\n" + line("b", "two"))
    path.chmod(0o640)
    assert stompctl("token", "remove", "a", directory=tmp_path).returncode == 0
    assert path.read_text() == "# mine\nnot a line\n" + line("b", "two")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    gone = stompctl("token", "remove", "a", directory=tmp_path)
    assert gone.returncode != 0
    assert "there is no token a; stompctl token list shows" in gone.stderr


@pytest.mark.parametrize("name", ["", "two words", "#a", "a$b", "a\tb", "x" * 1025])
def test_a_name_that_the_file_could_not_give_back_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="a token's name is one word"):
        tokens.add(tmp_path / ".tokens", name)
    assert not (tmp_path / ".tokens").exists()


def test_a_file_of_another_form_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / ".tokens"
    path.write_text("# fine\n\nalice:secret\nbob:$sha256:12\n" + line("carol", "t"))
    path.chmod(0o644)
    found = Tokens.load(path)
    assert len(found) == 1
    assert [each.replace(str(path), "F") for each in found.warnings] == [
        "F line 3: not of the form name:$sha256:HASH; ignored",
        "F line 4: not of the form name:$sha256:HASH; ignored",
        "F: open to every user of this machine; make it 0640 or less",
    ]


def test_a_missing_file_has_no_tokens(tmp_path: Path) -> None:
    found = Tokens.load(tmp_path / ".tokens")
    assert len(found) == 0
    assert found.recognise("", "") is None
    assert "make a token with stompctl token add NAME" in found.warnings[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="a file of another user takes root")
def test_a_new_file_belongs_to_the_owner_of_its_folder(tmp_path: Path) -> None:
    # The server, not root, has to read it.
    folder = tmp_path / "etc"
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    tokens.add(folder / ".tokens", "a")
    assert (folder / ".tokens").stat().st_uid == 12345


NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=10).filter(
    lambda text: (
        text.isprintable() and not any(each.isspace() or each == "$" for each in text) and text[0] != "#"
    )
)


@given(st.lists(NAMES, unique=True, max_size=5), st.data())
def test_what_is_added_logs_in_until_it_is_removed(names: list[str], data: st.DataObject) -> None:
    """Against a model: a dictionary of names and tokens."""
    import tempfile

    with tempfile.TemporaryDirectory() as room:
        path = Path(room, ".tokens")
        model: dict[str, str] = {}
        for name in names:
            model[name] = tokens.add(path, name)
        for name in data.draw(st.lists(st.sampled_from(names), unique=True)) if names else []:
            tokens.remove(path, name)
            del model[name]
        assert tokens.names(path) == [name for name in names if name in model]
        found = Tokens.load(path)
        for name, token in model.items():
            assert (account := found.recognise("", token)) and account.login == name
            assert (account := found.recognise(name, token)) and account.login == name
            assert found.recognise(name + "x", token) is None
            assert found.recognise(name, token + "x") is None
            assert found.recognise(name, token[:-1]) is None
