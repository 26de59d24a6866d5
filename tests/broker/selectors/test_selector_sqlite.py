"""Generated selectors mean what SQLite makes of the same text."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stompserver.broker.message import Message
from stompserver.broker.selectors.selector import compile_selector


def answer(sql: str, values: Sequence[float | str | None]) -> object:
    """The one value of the one row; an open connection would outlive the test."""
    with closing(sqlite3.connect(":memory:")) as database:
        (value,) = database.execute(sql, values).fetchone()
    return value


# Small letters only: SQLite's LIKE takes capitals for the same.
letters = st.text("ab_%'", max_size=6)

# Quarters are exact in both; SQLite's own reading of decimals is not.
whole = st.integers(-9, 9)
quarters = st.integers(-40, 40).map(lambda n: n / 4)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def bracketed(text: str) -> str:
    return f"({text})"


def joined(parts: tuple[str, ...]) -> str:
    return " ".join(parts)


# A number of one token; "- 1" and not "-1", for "--" begins a comment in SQL.
literal = st.integers(0, 9).map(str) | st.integers(0, 40).map(lambda n: str(n / 4))
signed = st.tuples(st.sampled_from(["", "- ", "+ "]), literal).map("".join)
atom = st.sampled_from(["n1", "n2", "n3"]) | signed


def operations(operand: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    chain = st.lists(st.tuples(st.sampled_from("+-*/"), operand).map(joined), min_size=1, max_size=3)
    return st.one_of(
        st.tuples(operand, chain.map(" ".join)).map(joined),
        operand.map(bracketed),
        operand.map(lambda text: f"- ({text})"),
    )


number = st.recursive(atom, operations, max_leaves=4)
text_value = st.sampled_from(["t1", "t2"])
negation = st.sampled_from(["", "NOT "])


def pattern(drawn: tuple[str, bool]) -> str:
    text, with_escape = drawn
    if not with_escape:
        return quoted(text.replace("!", ""))
    # SQLite takes an escape at the end, which is an error here.
    return f"{quoted(text + 'a' if text.endswith('!') else text)} ESCAPE '!'"


comparison = st.one_of(
    st.tuples(number, st.sampled_from(["=", "<>", "!=", "<", "<=", ">", ">="]), number).map(joined),
    st.tuples(text_value, st.sampled_from(["=", "<>"]), letters.map(quoted)).map(joined),
    st.tuples(text_value, st.sampled_from(["=", "<>"]), text_value).map(joined),
    st.tuples(number, negation, number, number).map(lambda d: f"{d[0]} {d[1]}BETWEEN {d[2]} AND {d[3]}"),
    st.tuples(text_value, negation, st.lists(letters.map(quoted), min_size=1, max_size=4)).map(
        lambda d: f"{d[0]} {d[1]}IN ({', '.join(d[2])})"
    ),
    st.tuples(number, negation, st.lists(signed, min_size=1, max_size=4)).map(
        lambda d: f"{d[0]} {d[1]}IN ({', '.join(d[2])})"
    ),
    st.tuples(text_value, negation, st.tuples(st.text("ab_%!'", max_size=6), st.booleans()).map(pattern)).map(
        lambda d: f"{d[0]} {d[1]}LIKE {d[2]}"
    ),
    st.tuples(number | text_value | st.just("b1"), negation).map(lambda d: f"{d[0]} IS {d[1]}NULL"),
    st.sampled_from(["b1", "b2", "b1 = b2", "b1 = TRUE", "b2 <> FALSE", "TRUE", "FALSE", "NULL"]),
)


def conditions(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    chain = st.lists(st.tuples(st.sampled_from(["AND", "OR"]), negation, part).map(joined), max_size=3)
    return st.one_of(
        st.tuples(negation, part, chain.map(" ".join)).map(joined),
        part.map(bracketed),
        part.map(lambda text: f"NOT ({text})"),
        part.map(lambda text: f"(({text}) IS NULL)"),
        st.tuples(part, part).map(lambda d: f"(({d[0]}) = ({d[1]}))"),
        part.map(lambda text: f"(({text}) <> TRUE)"),
    )


condition = st.recursive(comparison, conditions, max_leaves=8)
maybe_number = st.none() | whole | quarters
row = st.fixed_dictionaries(
    {
        "n1": maybe_number,
        "n2": maybe_number,
        "n3": maybe_number,
        "t1": st.none() | letters,
        "t2": st.none() | letters,
        "b1": st.none() | st.booleans(),
        "b2": st.none() | st.booleans(),
    }
)
NAMES = ("n1", "n2", "n3", "t1", "t2", "b1", "b2")
SOURCE = ", ".join(f"? AS {name}" for name in NAMES)


def header(value: float | str | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(condition, row)
def test_the_same_truth(text: str, values: dict[str, float | str | bool | None]) -> None:
    said = answer(f"SELECT ({text}) FROM (SELECT {SOURCE})", [values[name] for name in NAMES])
    headers = {name: header(value) for name, value in values.items() if value is not None}
    of = Message("/queue/a", headers, b"", 0)
    ours = (
        compile_selector(text).matches(of),
        compile_selector(f"NOT ({text})").matches(of),
        compile_selector(f"(({text}) = TRUE) IS NULL").matches(of),
    )
    assert ours == (said == 1, said == 0, said is None)


@settings(max_examples=200)
@given(st.text("ab_%!", max_size=12), st.text("ab_%!\n", max_size=14))
def test_the_same_like(text: str, value: str) -> None:
    if text.endswith("!"):
        text += "a"
    said = answer("SELECT ? LIKE ? ESCAPE '!'", [value, text])
    selector = compile_selector(f"t LIKE {quoted(text)} ESCAPE '!'")
    assert selector.matches(Message("/queue/a", {"t": value}, b"", 0)) == bool(said)
