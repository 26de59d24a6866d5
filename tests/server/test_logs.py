from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stompserver.server.process.logs import LONGEST, TRACE, JsonLines, TextLines, one_line, shortened

TEXT_LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (DEBUG|INFO|WARNING|ERROR|CRITICAL) (?P<message>[^\n]*)"
)


def record(message: str, *arguments: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("stompserver.connection", logging.INFO, __file__, 1, message, arguments, None)
    vars(made).update(fields)
    return made


def with_traceback(text: str) -> logging.LogRecord:
    made = record("a bug")
    try:
        raise ValueError(text)
    except ValueError:
        made.exc_info = sys.exc_info()
    return made


def run(program: str, *, directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=directory, capture_output=True, text=True, timeout=30, check=True
    )


def test_text() -> None:
    line = TextLines().format(record("Sending a message to %s", "/queue/a", event="sent"))
    match = TEXT_LINE.fullmatch(line)
    assert match is not None
    assert match["message"] == "Sending a message to /queue/a"


def test_json() -> None:
    fields = json.loads(
        JsonLines().format(record("Disconnecting", event="disconnected", client="127.0.0.1", size=3))
    )
    assert re.fullmatch(r"[^ ]+T[^ ]+", fields.pop("time"))
    assert fields == {
        "level": "info",
        "logger": "stompserver.connection",
        "message": "Disconnecting",
        "event": "disconnected",
        "client": "127.0.0.1",
        "size": 3,
    }


def test_json_takes_any_value_and_fields_cannot_take_the_place_of_ours() -> None:
    fields = json.loads(JsonLines().format(record("m", time="x", level="x", path=Path("/a"), body=b"\xffa")))
    assert fields["level"] == "info"
    assert fields["time"] != "x"
    assert (fields["path"], fields["body"]) == ("/a", "\\xffa")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nINFO forged", "a\\nINFO forged"),
        ("a\r\nb", "a\\r\\nb"),
        ("\x1b[2Jcleared", "\\x1b[2Jcleared"),
        ("\x00\x07\x7f", "\\x00\\x07\\x7f"),
        ("a\u2028b\u0085c", "a\\u2028b\\x85c"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\udcff", "\\udcff"),
        ("größe 北京", "größe 北京"),
    ],
)
def test_what_cannot_be_printed_is_escaped(text: str, shown: str) -> None:
    assert one_line(text) == shown
    assert TextLines().format(record("%s", text)).endswith(" " + shown)


@given(st.text(st.characters(), max_size=50))
def test_a_client_cannot_forge_a_line(text: str) -> None:
    made = record("Refused: %s", text, detail=text)
    assert TextLines().format(made).isprintable()
    line = JsonLines().format(made)
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["detail"] == text


def test_a_traceback_stays_in_the_line() -> None:
    line = TextLines().format(with_traceback("a\nINFO forged"))
    assert line.isprintable()
    assert " ERROR " not in line
    assert "a bug | Traceback (most recent call last):\\n" in line
    fields = json.loads(JsonLines().format(with_traceback("x")))
    assert fields["traceback"].endswith("ValueError: x")


def test_nothing_makes_a_line_long() -> None:
    text = "\x01" * 1_000_000
    made = record("Refused: %s", text, detail=text)
    assert len(TextLines().format(made)) < 4 * LONGEST + 200
    assert len(JsonLines().format(made)) < 2 * 6 * LONGEST + 400
    assert len(TextLines().format(with_traceback(text))) < 4 * TRACE + 400


def test_what_is_shortened_says_so() -> None:
    assert shortened("a" * 200) == "a" * 200
    assert shortened("a" * 201) == "a" * 200 + "... (201 characters)"


def test_a_stack_stays_in_the_line() -> None:
    made = record("where")
    made.stack_info = "Stack (most recent call last):\n  somewhere"
    assert TextLines().format(made).endswith("where | Stack (most recent call last):\\n  somewhere")


CONFIGURED = (
    "import logging; from stompserver.server.process import logs;"
    " log = logging.getLogger('stompserver.connection');"
)


@pytest.mark.parametrize(
    ("level", "seen"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_levels(tmp_path: Path, level: str, seen: list[str]) -> None:
    program = f"{CONFIGURED} logs.configure({level!r}, 'json'); [log.log(n, 'x') for n in (10, 20, 30, 40)]"
    lines = run(program, directory=tmp_path).stderr.splitlines()
    assert [json.loads(line)["level"] for line in lines] == seen


def test_libraries_and_warnings_are_logged_in_the_same_form(tmp_path: Path) -> None:
    program = (
        f"{CONFIGURED} import warnings; logs.configure('error', 'json'); logs.configure('error', 'json');"
        "logging.getLogger('asyncio').info('no'); logging.getLogger('asyncio').warning('yes');"
        "warnings.simplefilter('always'); warnings.warn('old\\nthing')"
    )
    first, second = run(program, directory=tmp_path).stderr.splitlines()
    assert json.loads(first)["message"] == "yes"
    assert "old\nthing" in json.loads(second)["message"]


def test_a_file_takes_everything_and_can_be_opened_anew(tmp_path: Path) -> None:
    program = (
        f"{CONFIGURED} import os, pathlib; path = pathlib.Path('a.log'); path.write_text('before\\n');"
        "print('unflushed, to the old place', end='');"
        "logs.open_file(path); logs.configure('info', 'text'); log.info('one'); print('printed', flush=True);"
        "path.rename('a.log.1'); log.info('two'); logs.open_file(path); log.info('three'); os.write(2, b'four\\n')"
    )
    result = run(program, directory=tmp_path)
    assert result.stdout == "unflushed, to the old place"
    assert result.stderr == ""
    old = (tmp_path / "a.log.1").read_text().splitlines()
    assert old[0] == "before"
    assert [line.split()[-1] for line in old[1:]] == ["one", "printed", "two"]
    assert [line.split()[-1] for line in (tmp_path / "a.log").read_text().splitlines()] == ["three", "four"]


def test_a_new_log_is_not_for_everybody(tmp_path: Path) -> None:
    run(f"{CONFIGURED} import pathlib; logs.open_file(pathlib.Path('a.log'))", directory=tmp_path)
    assert (tmp_path / "a.log").stat().st_mode & 0o007 == 0


def test_a_log_that_cannot_be_opened_leaves_the_old_one(tmp_path: Path) -> None:
    program = (
        f"{CONFIGURED} import pathlib; logs.configure('info', 'text')\n"
        "try: logs.open_file(pathlib.Path('.'))\n"
        "except OSError: log.info('still here')"
    )
    assert run(program, directory=tmp_path).stderr.endswith("still here\n")


def test_a_full_disk_is_no_reason_to_fail(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    program = (
        f"{CONFIGURED} import os, pathlib; logs.open_file(pathlib.Path('/dev/full')); logs.configure('info', 'text');"
        "log.info('lost'); log.info('lost too'); os._exit(0)"
    )
    run(program, directory=tmp_path)
