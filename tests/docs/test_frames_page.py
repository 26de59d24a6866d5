"""docs/reference/frames.md against the code: error texts, the state table, header names, limits."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from stompserver.session import state, versions
from stompserver.session.dialect import headers as dialect
from stompserver.wire.parser import OPENING

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/frames.md").read_text()
SOURCE = Path(state.__file__).parents[1]

TEACHING = {"ProtocolError", "NotAllowed", "Refused", "VersionError"}
NEVER_SENT = {"Stopped"}  # marks a parser that was told to stop
HOLE = "\x00"  # what a text holds that is only known when it is raised


class Raised(NamedTuple):
    """The summary of an error that clients may get, with HOLE for each part that varies."""

    text: str
    place: str


def texts_of(node: ast.expr, within: ast.AST) -> list[str]:
    """What an expression may become as text."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else HOLE for part in node.values]
        return ["".join(map(str, parts))]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [a + b for a in texts_of(node.left, within) for b in texts_of(node.right, within)]
    if isinstance(node, ast.IfExp):
        return texts_of(node.body, within) + texts_of(node.orelse, within)
    if isinstance(node, ast.Name):
        assigned = [
            each.value
            for each in ast.walk(within)
            if isinstance(each, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == node.id for target in each.targets)
        ]
        return [text for value in assigned for text in texts_of(value, within)] or [HOLE]
    return [HOLE]


def raised() -> Iterator[Raised]:
    """Every summary in the source; each is the first argument where the error is made."""
    for path in sorted(SOURCE.rglob("*.py")):
        source = path.read_text()
        if not any(name in source for name in TEACHING):
            continue  # each process of xdist collects this
        tree = ast.parse(source)
        functions = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)]
        for function in functions:
            for call in ast.walk(function):
                if (
                    isinstance(call, ast.Call)
                    and isinstance(call.func, ast.Name)
                    and call.func.id in TEACHING
                    and call.args
                ):
                    for text in texts_of(call.args[0], function):
                        if text not in NEVER_SENT:
                            yield Raised(text, f"{path.relative_to(SOURCE)}:{call.lineno}")


ERRORS = sorted(set(raised()))


def between(name: str) -> str:
    """The part of the page between its markers."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    assert PAGE.count(begin) == PAGE.count(end) == 1, f"the page needs one {begin!r} and one {end!r}"
    return PAGE.partition(begin)[2].partition(end)[0]


def documented_errors() -> list[str]:
    """The texts in the first column of the table of errors."""
    return re.findall(r"^\| `(.+?)` \|", between("errors"), re.MULTILINE)


def fits(text: str, shown: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in text.split(HOLE))
    return re.fullmatch(pattern, shown) is not None


def test_texts_were_found() -> None:
    assert len(ERRORS) > 30
    assert all(text.strip(HOLE) for text, _ in ERRORS), ERRORS


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.text.replace(HOLE, "*"))
def test_every_error_text_is_on_the_page(error: Raised) -> None:
    assert any(fits(error.text, shown) for shown in documented_errors()), (
        f"{error.place}: {error.text.replace(HOLE, '*')!r} has no row in the table of errors"
    )


@pytest.mark.parametrize("shown", documented_errors())
def test_the_page_has_no_error_text_of_its_own(shown: str) -> None:
    assert any(fits(text, shown) for text, _ in ERRORS), f"nothing in the source says {shown!r}"


def test_the_state_table_is_the_one_of_the_code() -> None:
    assert between("states") == f"```\n{state.table()}\n```\n", (
        "put there what stompserver.session.state.table() gives"
    )


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def test_required_headers_per_version() -> None:
    rows = {
        cells[0].strip("`"): cells[1:] for cells in map(cells, between("commands").splitlines()[2:]) if cells
    }
    handled = {command for table in state.TABLE.values() for command in table}
    assert set(rows) == handled
    for column, version in enumerate((versions.V10, versions.V11, versions.V12)):
        for command, row in rows.items():
            shown = tuple(sorted(re.findall(r"`([a-z-]+)`", row[column])))
            if command in OPENING:
                continue  # CONNECT's are optional unless strict
            if command != "DISCONNECT" and command not in version.commands:
                assert row[column] == "no such command", (command, version.number)
                continue
            required = tuple(sorted(version.required.get(command, ())))
            assert shown == required or row[column] == "`id` or `destination`", (command, version.number)


@pytest.mark.parametrize(
    "name",
    sorted({*dialect.PREFETCH, *dialect.PERSISTENT, *dialect.HOST, *dialect.PRIVATE, *dialect.ACK_MODES}),
)
def test_every_header_and_mode_of_the_dialects_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_offered_versions() -> None:
    assert f"`version:{versions.OFFERED}`" in PAGE
