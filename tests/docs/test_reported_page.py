"""docs/explanation/reported-elsewhere.md against the tests that it names, and the reports that these name."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/reported-elsewhere.md").read_text()
FILES = sorted((ROOT / "tests/reported").glob("test_*.py"))


def reports_of(text: str) -> list[str]:
    """The reports that a docstring begins with: ``owner/repository#1 (KEY-2), #3: what was seen``."""
    found, repository = [], ""
    for name, number in re.findall(r"([\w.-]+/[\w.-]+)?#(\d+)", text.partition(": ")[0]):
        repository = name or repository
        found.append(f"{repository}#{number}")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_test_has_its_row(file: Path) -> None:
    part = PAGE.partition(f"`tests/reported/{file.name}`")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.*) \| (.*) \| (.*) \| `(\w+)` \|$", part, re.MULTILINE)
    shown = {name: re.findall(r"\[([^\]]+)\]\(https://github\.com/", links) for links, _, _, name in rows}
    tests = {
        each.name: reports_of(ast.get_docstring(each) or "")
        for each in ast.parse(file.read_text()).body
        if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")
    }
    assert shown == tests
    assert all(tests.values())


def test_each_fault_has_its_tests_in_each_dialect() -> None:
    """The section on what this server did itself, and the folder that it speaks of."""
    folder = ROOT / "tests/delivery/faults"
    part = PAGE.partition("\n## In each dialect\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([FA]\d+[a-c]?) \|(?: .*)? \| ([^|]*) \|$", part, re.MULTILINE)
    assert [name for name, _ in rows] == [
        "F1", "F2a", "F2b", "F2c", "F3", "F4", "F5", "F6", *(f"A{number}" for number in range(1, 11))
    ]  # fmt: skip
    shown = [test for _, tests in rows for test in re.findall(r"`(\w+)`", tests)]
    tests = [
        each.name
        for file in folder.glob("test_*.py")
        for each in ast.parse(file.read_text()).body
        if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")
    ]
    assert sorted(shown) == sorted(tests)


def test_links_lead_to_what_they_are_called() -> None:
    links = re.findall(r"\[([\w./-]+)#(\d+)\]\((\S+)\)", PAGE)
    assert len(set(links)) >= 40
    for repository, number, link in links:
        assert link == f"https://github.com/{repository}/issues/{number}"
