"""docs/reference/selectors.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stompserver.broker.message import Message
from stompserver.broker.selectors import like, selector
from stompserver.broker.selectors import node as selector_node
from stompserver.broker.selectors import number as selector_number
from stompserver.broker.selectors import parser as selector_parser
from stompserver.broker.selectors.selector import compile_selector
from stompserver.errors import ProtocolError

PAGE = (Path(__file__).parents[3] / "docs/reference/selectors.md").read_text()


def part(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


EXAMPLES = [row for row in rows(part("Examples")) if row[0].startswith("`")]


@pytest.mark.parametrize(("quoted", "headers", "result"), EXAMPLES)
def test_examples(quoted: str, headers: str, result: str) -> None:
    text = (
        quoted.strip("`") if not quoted.startswith("`` ") else quoted.removeprefix("`` ").removesuffix(" ``")
    )
    pairs = [each.partition(":")[::2] for each in re.findall(r"`([^`]*)`", headers)]
    of = Message("/queue/a", dict(pairs), b"", 0)
    found = {
        "true": compile_selector(text).matches(of),
        "false": compile_selector(f"NOT ({text})").matches(of) if "_props" not in text else False,
        "unknown": compile_selector(f"(({text}) = TRUE) IS NULL").matches(of)
        if "_props" not in text
        else False,
    }
    assert [name for name, so in found.items() if so] == [result]


def test_there_are_examples_of_every_result() -> None:
    assert {row[2] for row in EXAMPLES} == {"true", "false", "unknown"}


def test_the_names_of_the_page_are_those_of_the_source() -> None:
    tables = [row for row in rows(part("Names")) if row[0].startswith("`")]
    named = {name: row[1] for row in tables for name in re.findall(r"`([^`]+)`", row[0])}
    assert set(named) == set(selector_node.FIELDS) | set(selector_node.NAMES)
    for name, header in selector_node.NAMES.items():
        assert named[name] == f"`{header}`"


def test_the_literals_of_the_page_are_literals() -> None:
    for row in rows(part("Literals")):
        for literal in re.findall(r"`([^`]+)`", row[1]):
            assert compile_selector(f"({literal} = {literal}) = TRUE OR {literal} IS NULL").matches(
                Message("/queue/a", {}, b"", 0)
            ), literal


def test_the_conditions_of_the_page_are_conditions() -> None:
    found = 0
    for row in rows(part("Conditions")):
        for text in re.findall(r"`([^`]+)`", row[0].replace("(...)", "('x')")):
            arithmetic = re.fullmatch(r"(a )?[-+*/%] ?[ab]", text)
            compile_selector(f"{text} = 1" if arithmetic else text)
            found += 1
    assert found > 20


def test_the_error_of_the_page() -> None:
    with pytest.raises(ProtocolError) as caught:
        compile_selector("price > '10'")
    assert caught.value.explanation().replace("\n", "\n\n", 1) in part("Errors")
    for text in ("JMSPriority = 'high'", "price > 'a'", "5"):
        assert f"`{text}`" in part("Errors")
        with pytest.raises(ProtocolError):
            compile_selector(text)


def test_the_limits_of_the_page() -> None:
    said = [row[1] for row in rows(part("Limits"))[1:]]
    assert said == [
        f"{selector.LONGEST:,} characters",
        f"{selector_parser.DEEPEST}",
        f"{selector_parser.PATTERNS:,} characters",
        f"{selector_number.LONGEST} characters, 1.7976931348623157e308",
        f"{like.SEARCHED:,} characters",
        "a tenth of `max-selector-cost`",
        "`max-selector-cost`",
        "`max-selector-cost`",
    ]
