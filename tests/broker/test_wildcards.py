"""Names are found to fit the same patterns as when each is tried alone."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from stompserver.broker.pattern import Pattern
from stompserver.broker.wildcards import Wildcards

NAMES = st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=5).map(".".join)
PATTERNS = st.lists(st.sampled_from(["a", "b", "*", ">", "#", "**", ""]), min_size=1, max_size=5).map(
    ".".join
)


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
    assert not wildcards.texts and not wildcards._root.next


def test_patterns_that_nest_without_end_take_no_time() -> None:
    wildcards = Wildcards()
    wildcards.add(Pattern("/topic" + ".#.a" * 200 + ".b"))
    assert wildcards.find("/topic" + ".a" * 400) == []
    assert wildcards.find("/topic" + ".a" * 400 + ".b") == ["/topic" + ".#.a" * 200 + ".b"]
