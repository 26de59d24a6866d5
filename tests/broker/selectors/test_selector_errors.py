"""Selectors that are refused: where the error is, and what was expected there."""

from __future__ import annotations

import pytest

from stompserver.broker.message import Message
from stompserver.broker.selectors.selector import LONGEST, compile_selector
from stompserver.errors import ProtocolError


def refusal(text: str) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        compile_selector(text)
    assert caught.value.where.startswith("header selector, ")
    assert caught.value.rule
    assert caught.value.fix
    assert "\n" not in caught.value.explanation().splitlines()[0]
    assert len(caught.value.explanation().splitlines()) == 4
    return caught.value


@pytest.mark.parametrize(
    ("text", "offset", "what"),
    [
        # Something else than expected
        ("a =", 3, "it ends where a header's name, a string, a number, TRUE, FALSE, NULL or ( was expected"),
        ("= 1", 0, "a header's name, a string, a number, TRUE, FALSE, NULL or ( was expected, not '='"),
        ("a = = 1", 4, "not '='"),
        ("a = AND", 4, "not 'AND'"),
        ("a = NOT b", 4, "not 'NOT'"),
        ("a 1", 2, "a comparison was expected, not '1'"),
        ("a = 1 b", 6, "AND, OR or the end was expected, not 'b'"),
        ("a = 1 AND", 9, "it ends where"),
        ("a = 1 OR OR b = 2", 9, "not 'OR'"),
        ("a = 1)", 5, "AND, OR or the end was expected, not ')'"),
        ("(a = 1", 6, "it ends where AND, OR or ) was expected"),
        ("(a", 2, "it ends where ) was expected"),
        ("()", 1, "not ')'"),
        ("NOT", 3, "it ends where"),
        ("a IS", 4, "it ends where NULL or NOT NULL was expected"),
        ("a IS 1", 5, "NULL or NOT NULL was expected, not '1'"),
        ("a IS TRUE", 5, "NULL or NOT NULL was expected, not 'TRUE'"),
        ("a IS NOT 1", 9, "NULL was expected, not '1'"),
        ("a NOT 1", 6, "LIKE, IN or BETWEEN was expected, not '1'"),
        ("a NOT = 1", 6, "LIKE, IN or BETWEEN was expected, not '='"),
        ("a LIKE b", 7, "a pattern in quotes was expected, not 'b'"),
        ("a LIKE", 6, "it ends where a pattern in quotes was expected"),
        ("a LIKE 'x' ESCAPE", 17, "it ends where one character in quotes was expected"),
        ("a LIKE 'x' ESCAPE '!!'", 18, "one character in quotes was expected"),
        ("a LIKE 'x' ESCAPE ''", 18, "one character in quotes was expected"),
        ("a LIKE 'x!' ESCAPE '!'", 7, "a pattern that ends with its escape character"),
        ("a IN 'x'", 5, "( was expected, not \"'x'\""),
        ("a IN ()", 6, "a string or a number was expected, not ')'"),
        ("a IN ('x',)", 10, "a string or a number was expected, not ')'"),
        ("a IN ('x' 'y')", 10, ", or ) was expected, not \"'y'\""),
        ("a IN ('x'", 9, "it ends where , or ) was expected"),
        ("a IN (b)", 6, "a string or a number was expected, not 'b'"),
        ("a IN (NULL)", 6, "a string or a number was expected, not 'NULL'"),
        ("a IN (-'x')", 6, "a string or a number was expected, not '-'"),
        ("a BETWEEN 1", 11, "it ends where AND was expected"),
        ("a BETWEEN 1 OR 2", 12, "AND was expected, not 'OR'"),
        ("a BETWEEN 1 AND", 15, "it ends where"),
        ("a = 1 = b", 6, "a comparison directly behind another one"),
        ("a < b < c", 6, "a comparison directly behind another one"),
        ("a = b IS NULL", 6, "a comparison directly behind another one"),
        ("a IN (1) NOT IN (2)", 9, "a comparison directly behind another one"),
        # Things that are not comparable
        ("5", 0, "a condition was expected, not a number"),
        ("'x'", 0, "a condition was expected, not a string"),
        ("a = 1 AND 5", 10, "a condition was expected, not a number"),
        ("a = 1 OR (b + 1)", 9, "a condition was expected, not a number"),
        ("NOT 'x'", 4, "a condition was expected, not a string"),
        ("a > 'x'", 4, "a number was expected, not a string"),
        ("'x' <= a", 0, "a number was expected, not a string"),
        ("a < TRUE", 4, "a number was expected, not a condition"),
        ("a BETWEEN 'a' AND 'b'", 10, "a number was expected, not a string"),
        ("a + 'x' = 1", 4, "a number was expected, not a string"),
        ("'x' + a = 1", 0, "a number was expected, not a string"),
        ("a * TRUE = 1", 4, "a number was expected, not a condition"),
        ("(a = 1) + 1 = 2", 0, "a number was expected, not a condition"),
        ("- 'x' = a", 2, "a number was expected, not a string"),
        ("+ TRUE", 2, "a number was expected, not a condition"),
        ("JMSPriority = 'high'", 14, "a number never equals this string"),
        ("'high' = JMSPriority", 0, "a number never equals this string"),
        ("a + 1 IN ('x')", 10, "a number never equals this string"),
        ("TRUE = 'yes'", 7, "a truth value never equals this string"),
        ("TRUE = 1", 7, "a condition never equals a number"),
        ("TRUE IN ('true')", 0, "a header, a string or a number was expected in front of IN"),
        ("a + 1 LIKE '1'", 0, "a header or a string was expected in front of LIKE, not a number"),
        # Words
        ("a = 'x", 4, "the quote ' opened here is not closed"),
        ("a = 'x''", 4, "the quote ' opened here is not closed"),
        ("`a = 1", 0, "the quote ` opened here is not closed"),
        ("`` = 1", 0, "a name was expected between back quotes"),
        ('a = "x"', 4, "'\"' is not a part of the language"),
        ("a = \u2018x\u2019", 4, "'\\u2018' is not a part of the language"),
        ("a == 1", 2, "'==' is not a part of the language"),
        ("a = 1 && b", 6, "'&&' is not a part of the language"),
        ("a = 1 || b", 6, "'||' is not a part of the language"),
        ("!a", 0, "'!' is not a part of the language"),
        ("a = 1 -- b", 6, "'--' is not a part of the language"),
        ("a = 1 /* b */", 6, "'/*' is not a part of the language"),
        ("a:b = 1", 1, "':' is not a part of the language"),
        ("a = 1;", 5, "';' is not a part of the language"),
        ("a\xa0= 1", 1, "'\\xa0' is not a part of the language"),
        ("a = 1\x00", 5, "'\\x00' is not a part of the language"),
        ("a- = 1", 3, "not '='"),
        ("a <> > 1", 5, "not '>'"),
        ("a =< 1", 3, "not '<'"),
        # Numbers
        ("a = 08", 4, "a whole number that begins with 0 is octal, and this one has an 8 or 9"),
        ("a = 0x", 4, "hexadecimal digits were expected behind 0x"),
        ("a = 0xG", 4, "hexadecimal digits were expected behind 0x"),
        ("a = 12b", 6, "'b' directly behind the number 12"),
        ("a = 1e", 5, "'e' directly behind the number 1"),
        ("a = 1e+", 5, "'e' directly behind the number 1"),
        ("a = 1.5L", 7, "'L' directly behind the number 1.5"),
        ("a = 1.2.3", 7, "'.' directly behind the number 1.2"),
        ("a = 1_000", 5, "'_' directly behind the number 1"),
        ("a = 1AND b", 5, "'A' directly behind the number 1"),
        ("a = 1e999999", 4, "a number that no double holds, or of more than 100 digits"),
        ("a = 1" + "0" * 5000, 4, "a number that no double holds, or of more than 100 digits"),
        ("a = 1" + "0" * 350, 4, "a number that no double holds"),
        ("a = 0x" + "F" * 5000, 4, "a number that no double holds"),
        ("a = 0x" + "F" * 399, 4, "a number that no double holds"),
        ("a = 0" + "7" * 5000, 4, "a number that no double holds"),
        ("a = 0." + "0" * 5000 + "1", 4, "a number that no double holds"),
        # What other brokers have and this one has not
        ("XPATH '//a'", 0, "XPATH and XQUERY are ActiveMQ's"),
        ("a = 1 AND xquery 'for'", 10, "XPATH and XQUERY are ActiveMQ's"),
        ("UPPER(a) = 'X'", 0, "there are no functions in selectors"),
        ("REGEX('a', b)", 0, "there are no functions in selectors"),
        # Prefixes
        ("no_convert_string_expressions:a = '1'", 0, "headers of STOMP are text"),
        ("hyphenated_props a = 1", 17, "a comparison was expected, not 'a'"),
        ("hyphenated-props:a = 1", 16, "':' is not a part of the language"),
        ("Hyphenated_props:a = 1", 16, "':' is not a part of the language"),
        (":a = 1", 0, "':' is not a part of the language"),
        ("a = 1 AND hyphenated_props:b = 1", 26, "':' is not a part of the language"),
        ("hyphenated_props: a = ", 22, "it ends where"),
        ("convert_string_expressions:\na = =", 32, "not '='"),
    ],
    ids=lambda value: ascii(value[:40]) if isinstance(value, str) else "",
)
def test_the_error_tells_the_place(text: str, offset: int, what: str) -> None:
    error = refusal(text)
    assert what in error.summary
    near = ascii(text[offset : offset + 24]) if offset < len(text) else "its end"
    assert error.where == f"header selector, column {offset + 1} (offset {offset}), at {near}"


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ('a = "x"', "Write strings in single quotes"),
        ("a == 1", "Write = for equality."),
        ("a = 1 && b", "Write AND."),
        ("a = 1 || b", "Write OR."),
        ("in = 1", "A header named IN goes in back quotes."),
        ("a > '10'", "numbers have no quotes"),
        ("a:b = 1", "hyphenated_props:"),
        ("a = 'it's'", "' is written twice"),
    ],
)
def test_the_error_tells_what_to_do(text: str, fix: str) -> None:
    assert fix in refusal(text).fix


class TestHostile:
    def test_parentheses(self) -> None:
        deep = "(" * 100 + "a = 1" + ")" * 100
        assert compile_selector(deep).matches(Message("/queue/a", {"a": "1"}, b"", 0))
        error = refusal("(" + deep + ")")
        assert "more than 100 parentheses in each other" in error.summary
        assert "column 101 " in error.where
        assert "more than 100 parentheses" in refusal("(" * 60000).summary

    @pytest.mark.parametrize(
        ("before", "inner", "behind", "end"),
        [
            ("a = 2 OR a = 1 AND NOT (", "a = 2", ") IS NOT NULL", ""),
            ("a = 2 OR a = 1 AND NOT (", "a = 2", ") = TRUE", ""),
            ("a + 2 * - (", "a", ")", " <> a"),
        ],
    )
    def test_every_level_of_the_deepest(self, before: str, inner: str, behind: str, end: str) -> None:
        selector = compile_selector(before * 100 + inner + behind * 100 + end)
        assert selector.matches(Message("/queue/a", {"a": "1"}, b"", 0)) in (True, False)

    @pytest.mark.parametrize(
        ("text", "matches"),
        [
            (" AND ".join(["a=1"] * 7000), True),
            (" OR ".join(["a=2"] * 7000) + " OR a=1", True),
            (" OR ".join(["a=2 AND a=1"] * 4000), False),
            ("NOT " * 16001 + "a=2", True),
            ("- " * 30000 + "a = 1", True),
            ("a" + " + 1" * 10000 + " = 10001", True),
            ("a" + " * 2" * 10000 + " > 0", False),
            ("a" + " / 2.0 * 2" * 5000 + " = 1", True),
            ("1" + " + 1" * 10000 + " = 10001", True),
            ("b IN (" + ", ".join(f"'{n}'" for n in range(7000)) + ")", False),
            ("a IN (" + ", ".join(str(n) for n in range(7000)) + ")", True),
        ],
        ids=lambda value: ascii(value[:20]) if isinstance(value, str) else "",
    )
    def test_chains(self, text: str, matches: bool) -> None:
        assert len(text) <= LONGEST
        selector = compile_selector(text)
        assert selector.matches(Message("/queue/a", {"a": "1", "b": "x"}, b"", 0)) is matches

    def test_length(self) -> None:
        compile_selector("a = '" + "x" * (LONGEST - 6) + "'")
        error = refusal("a = '" + "x" * (LONGEST - 5) + "'")
        assert f"longer than {LONGEST} characters" in error.summary
        assert error.where == f"header selector, {LONGEST + 1} characters"

    def test_patterns_together(self) -> None:
        clause = "a LIKE '" + "x" * 500 + "'"
        compile_selector(" OR ".join([clause] * 4))
        error = refusal(" OR ".join([clause] * 5))
        assert "its LIKE patterns have more than 2000 characters together" in error.summary
        assert f"(offset {4 * (len(clause) + 4) + 7})" in error.where

    @pytest.mark.parametrize(
        "pattern", ["%a" * 990 + "b%", "%_" * 990 + "b", "%a_a" * 490 + "%b%", "_a" * 990 + "%b"]
    )
    def test_patterns_that_go_back_elsewhere(self, pattern: str) -> None:
        # A matcher that tries every way of sharing the text between the % would not end.
        selector = compile_selector(f"a LIKE '{pattern}'")
        assert not selector.matches(Message("/queue/a", {"a": "a" * 60000}, b"", 0))

    def test_places_looked_at(self) -> None:
        class Counted(str):
            """Counts the searches; compiled code may not ask it."""

            __slots__ = ("calls",)
            calls: int

            def find(self, *args: object) -> int:
                self.calls += 1
                return str.find(self, *args)

        text = Counted("a" * 1000)
        text.calls = 0
        selector = compile_selector("a LIKE '" + "%a" * 500 + "%b%'")
        assert not selector.matches(Message("/queue/a", {"a": text}, b"", 0))
        assert text.calls <= 501
