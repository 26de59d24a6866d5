"""Names are found to fit the same patterns as when each is tried alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stompserver.broker.names.pattern import Pattern
from stompserver.broker.names.wildcards import Wildcards

NAMES = st.lists(st.sampled_from(["a", "b", "", "$temp"]), min_size=1, max_size=7).map(".".join)
PATTERNS = st.lists(
    st.sampled_from(["a", "b", "*", ">", "#", "**", "", "$temp"]), min_size=1, max_size=7
).map(".".join)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(PATTERNS.filter(lambda text: not Pattern(text).exact), max_size=12),
    st.lists(NAMES, max_size=6),
    st.data(),
)
def test_it_finds_what_trying_all_finds(texts: list[str], names: list[str], data: st.DataObject) -> None:
    wildcards = Wildcards()
    for text in texts:
        wildcards.add(Pattern(text))
    left = set(texts)
    for name in names:
        assert sorted(wildcards.find(name)) == sorted(text for text in left if Pattern(text).matches(name))
        if left:
            gone = data.draw(st.sampled_from(sorted(left)))
            left.discard(gone)
            wildcards.discard(gone)
    for text in list(left):
        wildcards.discard(text)
    assert not wildcards.texts and not wildcards._root.next and wildcards._root.only is None


def test_patterns_that_nest_without_end_take_no_time() -> None:
    wildcards = Wildcards()
    wildcards.add(Pattern("/topic" + ".#.a" * 200 + ".b"))
    assert wildcards.find("/topic" + ".a" * 400) == []
    assert wildcards.find("/topic" + ".a" * 400 + ".b") == ["/topic" + ".#.a" * 200 + ".b"]


def _several(opening: str, closing: str, repeated: str) -> list[str]:
    """A thousand patterns of 64 levels that differ early, or late, and have the same in between."""
    found = []
    for number in range(1000):
        ways = ".".join("*" if number >> bit & 1 else "a" for bit in range(10))
        found.append(opening.replace("W", ways) + (repeated * 64)[: 2 * 53] + closing.replace("W", ways))
    return found


@pytest.mark.parametrize(
    "texts",
    [
        _several("/topic.W", ".b", ".a"),
        _several("/topic.W", ".#.b", ".a"),
        _several("/topic.#.W", ".b", ".a"),
        _several("/topic.#.W", "", ".a.#"),
        _several("/topic.#", ".W.b", ".a.#"),
        _several("/topic", ".#.W", ".*.#"),
        _several("/topic.W", "", ".#.a"),
    ],
)
def test_a_thousand_patterns_take_as_many_steps_as_they_have_levels(texts: list[str]) -> None:
    """Not as many as that times the levels of the name, whatever is alike in them."""
    wildcards = Wildcards()
    for text in texts:
        wildcards.add(Pattern(text))
    levels = sum(len(pattern.levels) for pattern in wildcards.texts.values())
    assert len(wildcards.texts) == 1000
    for name in ("/topic" + ".a" * 62 + ".b", "/topic" + ".a" * 63, "/topic" + ".a" * 30):
        before = wildcards.steps
        found = wildcards.find(name)
        assert wildcards.steps - before <= levels + len(name)
        assert sorted(found) == sorted(text for text in texts if Pattern(text).matches(name))
