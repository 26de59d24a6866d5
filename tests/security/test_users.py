from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from stompserver.errors import ConfigError
from stompserver.security.users import Users, hashed_line

# The form of the original's passwd.example: comment lines, then logins.
EXAMPLE = "# Copy this file to .passwd\n# One login:passcode a line\ntestuser:testpass\n"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def users(directory: Path, content: str | bytes, mode: int = 0o600) -> Users:
    path = directory / ".passwd"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return Users.load(path)


def test_the_example_of_the_original(tmp_path: Path) -> None:
    known = users(tmp_path, EXAMPLE)
    assert len(known) == 1
    assert known.warnings == []
    assert known.check("testuser", "testpass")
    assert not known.check("testuser", "wrong")
    assert not known.check("nobody", "testpass")
    assert not known.check("", "")


@pytest.mark.parametrize(
    ("line", "login", "passcode"),
    [
        ("a:b", "a", "b"),
        ("  a : b  ", "a", "b"),
        ("\ta\t:\tb\t", "a", "b"),
        ("a:b\r", "a", "b"),
        ("a:b c", "a", "b c"),
        ("a:", "a", ""),
        ("a :", "a", ""),
        ("a:b:c", "a:b", "c"),
        ("a: b:c", "a", "b:c"),
        ("a :b:c", "a", "b:c"),
        ("a: b : c", "a", "b : c"),
        ("a::", "a:", ""),
        ("a:#b", "a", "#b"),
        ("jürgen:größe", "jürgen", "größe"),
        ("a:$argument", "a", "$argument"),
    ],
)
def test_lines_as_the_original_read_them(tmp_path: Path, line: str, login: str, passcode: str) -> None:
    known = users(tmp_path, f"# comment\n{line}\n")
    assert known.warnings == []
    assert known.check(login, passcode)
    assert not known.check(login, passcode + "x")


@pytest.mark.parametrize("line", ["", "   ", "# a:b", "  # a:b", "\r"])
def test_comments_and_blank_lines(tmp_path: Path, line: str) -> None:
    known = users(tmp_path, f"{line}\nx:y\n")
    assert len(known) == 1
    assert known.warnings == []


@pytest.mark.parametrize("line", ["nocolon", "two words:x", ":x"])
def test_lines_of_another_form_are_named_and_ignored(tmp_path: Path, line: str) -> None:
    known = users(tmp_path, f"x:y\n{line}\n")
    assert len(known) == 1
    assert known.warnings == [f"{tmp_path}/.passwd line 2: not of the form login:passcode; ignored"]


def test_of_repeated_logins_the_last_counts(tmp_path: Path) -> None:
    known = users(tmp_path, f"a:1\na:2\nb:{CHEAP.hash('1')}\nb:2\nc:1\nc:{CHEAP.hash('2')}\n")
    assert [known.check(login, "1") for login in "abc"] == [None, None, None]
    assert all(known.check(login, "2") for login in "abc")


def test_a_file_of_windows(tmp_path: Path) -> None:
    known = users(tmp_path, "\ufeff" + EXAMPLE.replace("\n", "\r\n") + f"h:{CHEAP.hash('x')}\r\n")
    assert known.check("testuser", "testpass")
    assert known.check("h", "x")


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    known = users(tmp_path, "jürgen:größe\nx:y\n".encode("latin-1"))
    assert known.check("x", "y")
    assert known.check(
        b"j\xfcrgen".decode("utf-8", "surrogateescape"), b"gr\xf6\xdfe".decode("utf-8", "surrogateescape")
    )
    assert not known.check("jürgen", "größe")
    assert not known.check("\ud800", "\ud800")


def test_who_is_let_in_is_that_login(tmp_path: Path) -> None:
    known = users(tmp_path, EXAMPLE + hashed_line("alice", "secret") + "\n")
    for login, passcode in [("testuser", "testpass"), ("alice", "secret"), ("alice", "secret")]:
        principal = known.check(login, passcode)
        assert principal is not None
        assert principal.login == login


def test_hashed_lines(tmp_path: Path) -> None:
    line = hashed_line("alice", "secret: with blanks")
    assert line.startswith("alice:$argon2id$v=19$")
    known = users(tmp_path, EXAMPLE + line + "\n")
    assert known.warnings == []
    for _ in range(2):  # the second time from memory
        assert known.check("alice", "secret: with blanks")
        assert not known.check("alice", "secret")
        assert not known.check("alice", line.partition(":")[2])
    assert known.check("testuser", "testpass")


def test_a_broken_hash_is_no_passcode(tmp_path: Path) -> None:
    known = users(tmp_path, "alice:$argon2id$v=19$rubbish\n")
    assert known.warnings[0] == f"{tmp_path}/.passwd line 1: not a hash that can be checked; ignored"
    assert not known.check("alice", "$argon2id$v=19$rubbish")


def test_a_missing_file_lets_nobody_in(tmp_path: Path) -> None:
    known = Users.load(tmp_path / ".passwd")
    assert known.warnings == [f"{tmp_path}/.passwd: no such file; nobody can log in"]
    assert not known.check("testuser", "testpass")
    assert not known.check(None, None)


def test_an_empty_file_lets_nobody_in(tmp_path: Path) -> None:
    assert users(tmp_path, "").warnings == [f"{tmp_path}/.passwd: no login in it; nobody can log in"]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / ".passwd").mkdir()
    with pytest.raises(ConfigError, match="cannot read the logins: Is a directory"):
        Users.load(tmp_path / ".passwd")


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True), (0o604, True)])
def test_a_file_that_everybody_can_read_is_warned_of(tmp_path: Path, mode: int, warned: bool) -> None:
    texts = users(tmp_path, EXAMPLE, mode).warnings
    expected = [f"{tmp_path}/.passwd: open to every user of this machine; make it 0640 or less"]
    assert texts == (expected if warned else [])


def test_missing_headers_are_a_wrong_login(tmp_path: Path) -> None:
    known = users(tmp_path, EXAMPLE + "empty:\n")
    assert not known.check("testuser", None)
    assert not known.check(None, "testpass")
    assert not known.check(None, None)
    assert not known.check("empty", None)
    assert known.check("empty", "")


@pytest.mark.parametrize(
    ("passcode", "sent"),
    [
        ("pa:ss", r"pa\css"),
        ("pa\\ss", r"pa\\ss"),
        (r"pa\css", r"pa\css"),
        (r"pa\tss", r"pa\tss"),
        ("p\\c", r"p\\c"),
    ],
)
def test_passcodes_with_or_without_the_escapes_of_stomp(tmp_path: Path, passcode: str, sent: str) -> None:
    known = users(tmp_path, f"plain: {passcode}\nhashed: {CHEAP.hash(passcode)}\n")
    assert known.check("plain", passcode)
    assert known.check("plain", sent)
    assert known.check("hashed", passcode)
    assert known.check("hashed", sent)
    assert not known.check("plain", sent + r"\c")


def test_every_wrong_login_costs_a_hash(tmp_path: Path) -> None:
    known = users(tmp_path, EXAMPLE + hashed_line("alice", "secret") + "\n")

    def seconds(login: str | None, passcode: str | None) -> float:
        start = time.process_time()
        assert not known.check(login, passcode)
        return time.process_time() - start

    wrong = [("testuser", "x"), ("alice", "x"), ("nobody", "x"), (None, None), ("alice", "testpass")]
    best = [min(seconds(*each) for _ in range(3)) for each in wrong]
    assert min(best) > 0.002
    assert max(best) < 5 * min(best)


def test_a_right_login_that_comes_back_costs_nothing(tmp_path: Path) -> None:
    known = users(tmp_path, EXAMPLE + hashed_line("alice", "secret") + "\n")
    assert known.check("alice", "secret")
    start = time.process_time()
    assert all(known.check("alice", "secret") and known.check("testuser", "testpass") for _ in range(100))
    assert time.process_time() - start < 0.2  # 100 hashes would take more than a second


def test_what_was_found_right_is_known_until_its_line_changes(tmp_path: Path) -> None:
    line = f"alice:{CHEAP.hash('secret')}\nbob:{CHEAP.hash('x')}\n"
    old = users(tmp_path, line)
    assert not old.recognise("alice", "secret")
    assert old.check("alice", "secret") and old.check("bob", "x")
    assert old.recognise("alice", "secret") and not old.recognise("alice", "Secret")
    new = users(tmp_path, line.replace("bob", "rob"))
    new.remember(old)
    assert new.recognise("alice", "secret")
    assert not new.recognise("bob", "x") and not new.recognise("rob", "x")
    changed = users(tmp_path, f"alice:{CHEAP.hash('secret')}\nbob:x\n")
    changed.remember(old)
    assert not changed.recognise("alice", "secret")
    assert changed.recognise("bob", "x"), "by the file"


def test_what_takes_a_hash(tmp_path: Path) -> None:
    known = users(tmp_path, EXAMPLE + f"alice:{CHEAP.hash('secret')}\n")
    assert known.has_hash("alice", "anything")
    assert not known.has_hash("testuser", "testpass")
    assert not known.has_hash("nobody", "x")
    assert not known.has_hash("alice", None)
    assert not known.has_hash(None, "x")


def test_a_token_is_the_same_for_the_same_login_and_passcode(tmp_path: Path) -> None:
    known = users(tmp_path, EXAMPLE)
    pairs = [("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", ""), ("abc", None), (None, None)]
    assert len({known.token(*each) for each in pairs}) == 5, "one that is missing is empty"
    assert known.token("a", "bc") == known.token("a", "bc")
    assert known.token("a", "bc") != users(tmp_path, EXAMPLE).token("a", "bc")


def test_hashes_of_different_cost_are_told(tmp_path: Path) -> None:
    dear = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)
    cheap = "".join(f"user{n}:{CHEAP.hash('x')}\n" for n in range(7))
    (text,) = users(tmp_path, cheap + f"bob:{dear.hash('x')}\n").warnings
    assert "hashes of different cost: user0, user1, user2, user3, user4 and 2 more can be tried" in text
    assert "--hash-password" in text
    assert users(tmp_path, cheap).warnings == []


def test_a_hash_that_is_too_dear_is_told(tmp_path: Path) -> None:
    line = "alice:$argon2id$v=19$m=2000000,t=4,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA"
    (text,) = users(tmp_path, line).warnings
    assert "the hash of alice takes 205 times the work of a usual one" in text


@pytest.mark.parametrize(
    ("login", "passcode", "text"),
    [
        ("", "x", "a login is one word"),
        ("a b", "x", "a login is one word"),
        ("#a", "x", "a login is one word"),
        ("a\n", "x", "a login is one word"),
        ("a\x07", "x", "no control characters"),
        ("a", "x\n", "no control characters"),
        ("a", "", "the passcode is empty"),
    ],
)
def test_what_cannot_become_a_line(login: str, passcode: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        hashed_line(login, passcode)


def test_what_became_a_line_can_log_in(tmp_path: Path) -> None:
    for login, passcode in [("a:b", "c:d"), ("a:", ":"), ("$argon2", "$argon2id$"), ("ä", " blanks ")]:
        known = users(tmp_path, hashed_line(login, passcode))
        assert known.warnings == []
        assert known.check(login, passcode)


@given(st.binary(max_size=80), st.text(max_size=10), st.text(max_size=10))
def test_any_file_and_login_can_be_checked(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, login: str, passcode: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any-{os.getpid()}.passwd"
    path.write_bytes(b"x:" + CHEAP.hash("y").encode() + b"\n" + content)
    found = Users.load(path).check(login, passcode)
    assert found is None or found.login == login
