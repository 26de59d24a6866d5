"""The page of tested applications names the versions that the tests install."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APPLICATIONS = ROOT / "tests/applications"
PAGE = (ROOT / "docs/reference/tested-with.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ")
]
ROWS = [row for row in ROWS if row[1] not in ("version", "Debian's")]


def installed() -> dict[str, str]:
    """All that some environment has."""
    found: dict[str, str] = {}
    for lists in APPLICATIONS.glob("*/requirements.txt"):
        found |= dict(re.findall(r"^(\S+)==(\S+)$", lists.read_text(), re.MULTILINE))
    for package in APPLICATIONS.glob("*/package.json"):
        found |= json.loads(package.read_text())["dependencies"]
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_version_is_the_installed_one(row: list[str]) -> None:
    names, versions = (cell.split(", ") for cell in row[:2])
    assert [installed()[name] for name in names] == versions


def test_every_application_is_there() -> None:
    environments = {path.parent.name for path in APPLICATIONS.glob("*/requirements.txt")}
    environments |= {
        path.parent.name for path in APPLICATIONS.glob("*/package.json") if path.parent.parent == APPLICATIONS
    }
    named = {re.sub(r"\W", "_", name.split("/")[-1]).lower() for row in ROWS for name in row[0].split(", ")}
    assert {name.removesuffix("_client") for name in named} >= environments
