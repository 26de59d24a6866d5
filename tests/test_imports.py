"""Who names whom in the source: no knots, not for typing either, and nobody's private names."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

import stompserver

SOURCE = Path(stompserver.__file__).parent


@functools.cache
def modules() -> dict[str, ast.Module]:
    """All modules by their names."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def named(tree: ast.Module, known: dict[str, ast.Module]) -> set[str]:
    """The modules of ours that a module imports, wherever in it, also for typing alone."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for each in node.names:
                whole = f"{node.module}.{each.name}"
                found.add(whole if whole in known else node.module)
    return found & set(known)


def knots(graph: dict[str, set[str]]) -> list[set[str]]:
    """The sets of modules in which everybody names everybody else, directly or by others (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[set[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            found.append(set(stack[at:]))
            del stack[at:]

    for name in graph:
        if name not in index:
            visit(name)
    return found


def test_no_knot_is_larger_than_two_modules() -> None:
    known = modules()
    graph = {name: named(tree, known) - {name} for name, tree in known.items()}
    assert [sorted(knot) for knot in knots(graph) if len(knot) > 2] == []


def test_no_folder_of_the_broker_is_in_a_knot_with_another() -> None:
    known = modules()
    graph: dict[str, set[str]] = {}
    for name, tree in known.items():
        if name.startswith("stompserver.broker."):
            part = name.split(".")[2]
            others = {
                other.split(".")[2] for other in named(tree, known) if other.startswith("stompserver.broker.")
            }
            graph.setdefault(part, set()).update(others - {part})
    folders = {path.name for path in (SOURCE / "broker").iterdir() if path.is_dir()}
    assert [sorted(knot) for knot in knots(graph) if len(knot) > 1 and knot & folders] == []


def names_of(tree: ast.Module) -> set[str]:
    """Private names that a module itself gives to something."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__")


def test_nobody_uses_the_private_names_of_another_module() -> None:
    """``x._name`` is for the module that gave that name, and for a class that inherits it."""
    foreign = []
    for name, tree in modules().items():
        own = names_of(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stompserver"):
                foreign += [f"{name} imports {each.name}" for each in node.names if private(each.name)]
            if not isinstance(node, ast.Attribute) or not private(node.attr) or node.attr in own:
                continue
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls", "os")):
                foreign.append(f"{name}:{node.lineno} {ast.unparse(node)}")
    assert foreign == []
