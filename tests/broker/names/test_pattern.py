"""Patterns of destinations: which names they mean, which is the most specific, and what they cost."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stompserver.broker.names.pattern import HIDDEN, Levels, Pattern, is_pattern, levels_of
from stompserver.errors import Refused


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("/queue/a", ["/queue/a"], ["/queue/b", "/queue/a.b", "/queue/a/b", "queue/a"]),
        ("/topic/a.b", ["/topic/a.b"], ["/topic/a/b"]),
        ("/topic/a.*", ["/topic/a.b", "/topic/a/b"], ["/topic/a", "/topic/a.b.c", "/queue/a.b"]),
        ("/topic/*", ["/topic/a"], ["/topic", "/topic/a.b", "/topic/a/b"]),
        ("/topic/*.b", ["/topic/a.b", "/topic/x/b"], ["/topic/b", "/topic/a.b.c"]),
        ("/topic/a.>", ["/topic/a", "/topic/a.b", "/topic/a/b/c.d"], ["/topic/ab", "/topic"]),
        ("/topic/#", ["/topic/a", "/topic/a.b.c"], ["/queue/a", "topic/a"]),
        ("/topic/**", ["/topic/a", "/topic/a/b"], ["/queue/a"]),
        ("/topic/#.x", ["/topic/x", "/topic/a.x", "/topic/x.x", "/topic/a/b/x"], ["/topic/x.a", "/topic/ax"]),
        ("/topic/a.#.b.#.c", ["/topic/a.b.c", "/topic/a.b.x.b.c.c"], ["/topic/a.c.b", "/topic/a.b"]),
        ("/topic/a.*.#", ["/topic/a.b", "/topic/a.b.c"], ["/topic/a"]),
        ("/topic/#.*.c", ["/topic/b.c", "/topic/a.b.c"], ["/topic/c"]),
        ("#", ["", "a", "/queue/a", "/topic/a.b"], []),
        ("prices.*", ["prices.gold", "prices/gold"], ["/prices.gold", "prices"]),
        ("/topic/a*", ["/topic/a*"], ["/topic/ab"]),
    ],
)
def test_which_names_a_pattern_means(pattern: str, fitting: list[str], others: list[str]) -> None:
    made = Pattern(pattern)
    assert [name for name in fitting + others if made.matches(name)] == fitting
    if is_pattern(pattern):
        assert [name for name in fitting + others if made.fits(levels_of(name))] == fitting


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/topic/a", False),
        ("/topic/a*", False),
        ("/topic/a>b", False),
        ("/topic/c#", False),
        ("/queue/{3F2504E0-4F89-11D3-9A0C-0305E82C3301}", False),
        ("/queue/a}b{c", False),
        ("/topic/*", True),
        ("/topic/a.>", True),
        ("#", True),
        ("a/**/b", True),
        ("/queue/{[0-9]+}", True),
    ],
)
def test_only_whole_levels_are_wildcards(name: str, expected: bool) -> None:
    assert is_pattern(name) is expected


def test_a_regular_expression_is_refused_with_its_place() -> None:
    with pytest.raises(Refused) as caught:
        Pattern("/queue/foo.{[0-9]+}")
    assert "regular expression" in caught.value.summary
    assert "character 12" in caught.value.where


def test_patterns_by_specificity() -> None:
    """From the least to the most specific."""
    ordered = [
        "#", "/#", "/topic/#", "/topic/*.>", "/topic/*", "/topic/*.*", "/topic/#.c", "/topic/a.>",
        "/topic/*.c.#", "/topic/*.c", "/topic/a.*", "/topic/a.b.*", "/topic/a.b.c",
    ]  # fmt: skip
    made = sorted((Pattern(text) for text in reversed(ordered)), key=lambda each: each.specificity)
    texts = [each.text for each in made]
    for narrow, wide in (
        ("/topic/a.b.c", "/topic/a.b.*"),
        ("/topic/a.b.*", "/topic/a.*"),
        ("/topic/a.*", "/topic/a.>"),
        ("/topic/a.*", "/topic/*.c"),
        ("/topic/*", "/topic/*.>"),
        ("/topic/a.>", "/topic/*.>"),
        ("/topic/*.c", "/topic/#.c"),
        ("/topic/#", "/#"),
        ("/#", "#"),
    ):
        assert texts.index(narrow) > texts.index(wide), (narrow, wide)


_level = st.sampled_from(["a", "b", "*", "#", ">", "**"])
_word = st.sampled_from(["a", "b", "c", ""])


@settings(max_examples=200)
@given(st.lists(_level, min_size=1, max_size=6), st.lists(_word, min_size=1, max_size=7))
def test_like_the_regular_expression_that_says_the_same(levels: list[str], words: list[str]) -> None:
    pattern = ".".join(levels)
    if not is_pattern(pattern):
        return
    one = {"*": r"\.[^.]*"}
    source = "".join(r"(?:\.[^.]*)*" if each in "#>**" and each != "*" else one.get(each, r"\." + each)
                     for each in levels)  # fmt: skip
    expected = re.fullmatch(source, "".join("." + word for word in words)) is not None
    assert Pattern(pattern).matches(".".join(words)) is expected


NAMES = [".".join(words) for size in range(1, 6) for words in itertools.product("abz", repeat=size)]


@settings(max_examples=300)
@given(*[st.lists(st.sampled_from(["a", "b", "*", "#"]), min_size=1, max_size=4).map(".".join)] * 2)
def test_what_means_less_is_more_specific(one: str, other: str) -> None:
    """For all patterns, by all names of up to five levels."""
    narrow, wide = Pattern(one), Pattern(other)
    few = {name for name in NAMES if narrow.matches(name)}
    many = {name for name in NAMES if wide.matches(name)}
    if few < many:
        assert narrow.specificity > wide.specificity


def test_no_pattern_takes_exponential_time() -> None:
    """A matcher that tries every division would not end within the age of the universe."""
    pattern = Pattern("/topic/" + "#.a." * 60 + "b")
    assert not pattern.matches("/topic/" + ".".join(["a"] * 400))


def _fits(levels: list[str], names: list[str]) -> bool:
    """What the page about patterns says, level by level and with every division tried."""
    if not levels:
        return not names
    if levels[0] in (">", "#", "**"):
        return _fits(levels[1:], names) or (
            bool(names) and names[0] not in HIDDEN and _fits(levels, names[1:])
        )
    if not names:
        return False
    alike = names[0] not in HIDDEN if levels[0] == "*" else levels[0] == names[0]
    return alike and _fits(levels[1:], names[1:])


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", "", "$temp", "$user", "*", "#", ">", "**"]), min_size=1, max_size=9),
    st.lists(st.sampled_from(["a", "b", "", "$temp", "$user", "x"]), min_size=1, max_size=9),
)
def test_like_a_model_that_tries_everything(levels: list[str], names: list[str]) -> None:
    text = ".".join(levels)
    if is_pattern(text):
        assert Pattern(text).matches(".".join(names)) is _fits(levels, names)
        assert Pattern(text).fits(names) is _fits(levels, names)


@pytest.mark.parametrize("text", ["#.a" * 1000 + ".b", "a.#." * 1000 + "b", "#.a.*" * 500 + ".#.b"])
def test_a_pattern_takes_as_many_steps_as_it_has_levels(text: str) -> None:
    """However often what it looks for begins in the name."""
    pattern = Pattern(text.replace("##", "#"))
    name = Levels(["a"] * 8000)
    assert not pattern._fits(name)
    assert name.steps <= len(pattern.levels)


def test_a_pattern_of_more_levels_than_the_name_takes_none() -> None:
    name = Levels(["a"] * 64)
    assert not Pattern("#." + "a.#." * 10_000 + "b")._fits(name)
    assert name.steps == 0
