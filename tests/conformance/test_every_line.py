"""Every numbered requirement and every known trap has a test in each of its versions, or a reason why not."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).parent
LINES = yaml.safe_load((HERE / "data" / "lines.yaml").read_text())
TRAPS = yaml.safe_load((HERE / "data" / "traps.yaml").read_text())
ALL = (1.0, 1.1, 1.2)


def markers(function: ast.FunctionDef) -> dict[str, list]:
    found = {}
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute):
            literal = [argument.value for argument in decorator.args if isinstance(argument, ast.Constant)]
            found[decorator.func.attr] = literal
    return found


def functions() -> list[ast.FunctionDef]:
    trees = [ast.parse(path.read_text()) for path in sorted(HERE.glob("test_*.py"))]
    return [
        node
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


@pytest.fixture(scope="module")
def shown() -> dict[int, set[float]]:
    """Versions in which each line is shown."""
    versions = defaultdict(set)
    for function in functions():
        marked = markers(function)
        for number in marked.get("line", ()):
            versions[number] |= {float(version) for version in marked.get("versions", ALL)}
    return dict(versions)


def test_the_table_has_every_number_once():
    assert sorted([*LINES["tested"], *LINES["excluded"]]) == list(range(1, 191))


def test_every_line_is_tested_in_every_version(shown):
    missing = {
        number: sorted(set(versions) - shown.get(number, set()))
        for number, (versions, _) in LINES["tested"].items()
        if set(versions) - shown.get(number, set())
    }
    assert missing == {}


def test_no_excluded_or_unknown_line_is_tested(shown):
    assert set(shown) - set(LINES["tested"]) == set()


def test_every_exclusion_has_a_reason():
    assert all(len(reason) > 20 for reason in LINES["excluded"].values())


def test_every_trap_is_tested_or_excluded_with_a_reason():
    rows = {row for function in functions() for row in markers(function).get("row", ())}
    assert rows | set(TRAPS["excluded"]) == set(TRAPS["tested"]) | set(TRAPS["excluded"])
    assert rows == set(TRAPS["tested"])
