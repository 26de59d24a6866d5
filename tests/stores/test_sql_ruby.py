"""A Rails application reads the messages: the man page's model in a real Ruby, over each database."""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
import yaml

from stompserver.stores.base import Place
from stompserver.stores.sql import database
from stompserver.stores.sql.store import SqlStore
from stompserver.testing import Double, mark, message, put

RUBY = Path(__file__).parent / "ruby"

TEXTS = [
    "", " ", "  blanks  ", "text", "--- x", "---", "...", "yes", "no", "on", "y", "true", "null", "~", "1_000",
    "0777", "0x1f", "1e3", "1:30", ".inf", "2001-01-01", "2001-12-14t21:59:43.10-05:00", "=", "<<", "- item",
    "? key", "a: b", ":symbol", "!ruby/object:Object {}", "&anchor", "*alias", "# comment", "a # b",
    "%directive", "@at", "`tick", "|", ">", "'", '"', '\\"', "\\", "\\n", "{}", "[]", "{a: b}", ",",
    "caf\u00e9 \u20ac \U0001f418",
    "\u2028\u2029\x85\xa0", "\ufeffbom", "\ufffe\uffff", "e\u0301", "tab\tand\x07bell\x1b\x7f", "\ud7ff\ue000",
    "#{1 + 1}", "<%= 1 %>", "x" * 2000,
]  # fmt: skip
BODIES = [
    "\n", "\n\n", "\r\n", "line1\r\nline2\n\n  indented: yes\n- item\n", "no end of line", "end\n", " leading\n",
    "\ttab\n",
]  # fmt: skip
OCTETS = [b"a\0b", b"\0", b"latin-1 \xe9\xff", bytes(range(256)) + b"\r\n\0\0end", b"\xef\xbf", b"\x80"]


def packages(*names: str) -> None:
    """Skip where Ruby lacks one of its libraries."""
    wanted = " ".join(["ruby-activerecord", *names])
    libraries = [
        {"ruby-sqlite3": "sqlite3", "ruby-pg": "pg", "ruby-mysql2": "mysql2"}[name] for name in names
    ]
    check = "; ".join(f"require '{name}'" for name in ["active_record", *libraries])
    ruby = shutil.which("ruby")
    if ruby is None or subprocess.run([ruby, "-e", check], capture_output=True).returncode:
        pytest.skip(f"no Ruby with ActiveRecord here: apt-get install {wanted}")


def ruby(script: str, place: Place) -> str:
    """Run a script of the folder on the place's database, and return what it prints."""
    settings = database.read(place, {})
    if settings.path is not None:
        options = {"adapter": "sqlite3", "database": str(settings.path)}
    else:
        options = yaml.safe_load((place.etc / "database.yml").read_text())
    done = subprocess.run(
        ["ruby", str(RUBY / script), json.dumps(options)], capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def text_of(value: Any) -> str | bytes:
    return value if isinstance(value, str) else b64decode(value["binary"])


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.long),
        pytest.param("mariadb", marks=pytest.mark.long),
    ]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place in each kind of database that Ruby can reach too."""
    packages({"sqlite": "ruby-sqlite3", "postgresql": "ruby-pg", "mariadb": "ruby-mysql2"}[request.param])
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite_place")
    return request.getfixturevalue(request.param).place(tmp_path)


def test_rails_reads_what_we_wrote(place: Place) -> None:
    both = Double(lambda: SqlStore(place))
    made = [message(key, text.encode(), {"text": text, text: "name"}) for key, text in enumerate(TEXTS, 1)]
    made += [message(key, text.encode(), {}) for key, text in enumerate(BODIES, 101)]
    made += [
        message(key, octets, {"latin": "\udce9", "\udcff": "x"}) for key, octets in enumerate(OCTETS, 201)
    ]
    made.append(message(301, b"x" * (3 << 20), {f"name-{at}": str(at) for at in range(300)}))
    for each in made:
        each.destination = "/queue/r"
    both.commit(*[put("/queue/r", each) for each in made], mark("/queue/r", 7, 3))
    # The server need not be down.
    read = json.loads(ruby("read.rb", place))
    both.close()
    found = read["rows"]
    assert read["queues"] == {"/queue/r": len(made)}
    assert [row["id"] for row in found] == [each.key for each in made]
    for row, each in zip(found, made, strict=True):
        assert row["stomp_id"] == str(each.number)
        assert row["keys"] == ["command", "headers", "body"]
        assert row["command"] == "MESSAGE"
        assert row["attempts"] == (3 if each.key == 7 else 0)
        headers = [(text_of(name), text_of(value)) for name, value in row["headers"]]
        assert headers == [("destination", "/queue/r"), ("message-id", str(each.number))] + [
            (octets(name), octets(value)) for name, value in each.headers.items()
        ]
        body = text_of(row["body"])
        if each.key < 200 or each.key > 300:
            # Text where it is text: what a Rails person wants to see.
            assert isinstance(body, str)
        assert (body.encode() if isinstance(body, str) else body) == each.body


def octets(text: str) -> str | bytes:
    """As Ruby sees it: text, or the octets where it is no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")
    return text


def test_we_read_what_rails_saved(place: Place) -> None:
    both = Double(lambda: SqlStore(place))
    made = [message(key, text.encode(), {"text": text}) for key, text in enumerate(TEXTS + BODIES, 1)]
    made += [message(key, body, {}) for key, body in enumerate(OCTETS, 201)]
    both.commit(*[put("/queue/a", each) for each in made])
    ruby("change.rb", place)
    found = both.store.read("/queue/a", 0, 1000, 1 << 30)
    both.close()
    for each, before in zip(found, made, strict=True):
        assert each.headers == {**before.headers, "seen-by": "Rails"}
        assert each.body == before.body + b"!"
