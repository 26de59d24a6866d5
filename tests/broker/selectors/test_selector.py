"""What selectors match: every production of the grammar, with its three truth values."""

from __future__ import annotations

import pytest

from stompserver.broker.message import Message
from stompserver.broker.selectors.selector import Selector, compile_selector

HEADERS = {
    "colour": "red",
    "price": "12",
    "weight": "2.50",
    "fresh": "true",
    "sold": "False",
    "empty": "",
    "quote": "it's",
    "reply-code": "7",
    "a.b": "dotted",
    "x-2": "odd",
    "half": ".5",
    "minus": "-3",
    "large": "9223372036854775807",
    "beyond": "9223372036854775808",
    "price2": "12.0",
    "AND": "taken",
    "größe": "XL",
    "percent": "50%",
    "under_score": "a_b",
    "lines": "one\ntwo",
    "timestamp": "1700000000000",
    "correlation-id": "c-1",
    "reply-to": "/temp-queue/r",
    "type": "order",
    "JMSXUserID": "alice",
}


def message(headers: dict[str, str] | None = None) -> Message:
    made = Message("/queue/orders", dict(HEADERS if headers is None else headers), b"12345", 5)
    made.number = 77
    return made


def truth(text: str, of: Message) -> bool | None:
    """True, False or None (unknown), as only NOT and IS NULL can tell from outside."""
    is_true = compile_selector(text).matches(of)
    is_false = compile_selector(f"NOT ({text})").matches(of)
    is_unknown = compile_selector(f"(({text}) = TRUE) IS NULL").matches(of)
    assert [is_true, is_false, is_unknown].count(True) == 1
    return None if is_unknown else is_true


TRUE = """
    colour = 'red'
    'red' = colour
    colour <> 'blue'
    colour != 'blue'
    quote = 'it''s'
    empty = ''
    empty IS NOT NULL
    missing IS NULL
    colour IS NOT NULL
    price = 12
    price = 12.0
    price = '12'
    price <> '12.0'
    12 = price
    price > 11
    11 < price
    price >= 12
    price <= 12
    price < 1e3
    price < 12.5
    weight = 2.5
    half = .5
    half = 0.5
    minus = -3
    minus < 0
    minus = - 3
    minus = +(-3)
    price = 1.2E+1
    price = 120e-1
    price = 12.
    price = 12.e0
    price = 12L
    price = 12f
    price = 12.0D
    price = 0xC
    price = 0Xc
    price = 014
    price > 0
    large = 9223372036854775807
    large > 9223372036854775806
    beyond > 9.2e18
    beyond = 9223372036854775808
    price = price2
    price2 = price
    price <> weight
    colour = colour
    price + 1 = 13
    price - 1 = 11
    price-1 = 11
    price - -1 = 13
    price * 2 = 24
    price / 5 = 2
    minus / 2 = -1
    price / 5.0 = 2.4
    price % 5 = 2
    minus % 2 = -1
    weight % 2 = 0.5
    2 + 3 * 4 = 14
    (2 + 3) * 4 = 20
    20 - 3 - 4 = 13
    100 / 10 / 5 = 2
    -price = -12
    - (price + 1) = -13
    +price = 12
    price + weight = 14.5
    9223372036854775807 + 1 = 9223372036854775808.0
    large + 1 > large
    price BETWEEN 10 AND 12
    price BETWEEN 12 AND 12
    price NOT BETWEEN 13 AND 20
    price + 1 BETWEEN 6 * 2 AND 6 * 3
    weight BETWEEN minus AND price
    colour IN ('red')
    colour IN ('blue', 'red')
    colour NOT IN ('blue', 'green')
    price IN (1, 12)
    price IN (12.0)
    price IN ('12')
    minus IN (1, -3)
    minus NOT IN (+3)
    price + 1 IN ('13')
    colour IN (1, 'red')
    5 IN (5, 6)
    'a' IN ('a')
    colour LIKE 'red'
    colour LIKE 'r%'
    colour LIKE '%d'
    colour LIKE '%e%'
    colour LIKE 'r_d'
    colour LIKE '___'
    colour LIKE '%'
    colour LIKE '%%'
    colour LIKE '_%_'
    colour LIKE 'red%'
    colour NOT LIKE '____%'
    colour NOT LIKE 'R%'
    colour NOT LIKE 're'
    colour NOT LIKE 'red%d'
    empty LIKE ''
    empty LIKE '%'
    empty NOT LIKE '_'
    percent LIKE '%!%' ESCAPE '!'
    percent NOT LIKE '5%!_' ESCAPE '!'
    percent LIKE '50\\%' ESCAPE '\\'
    under_score LIKE 'a!_b' ESCAPE '!'
    colour NOT LIKE 'r!_d' ESCAPE '!'
    under_score LIKE '%!_%' ESCAPE '!'
    colour LIKE '!r%' ESCAPE '!'
    lines LIKE 'one_two'
    lines LIKE 'o%o'
    price LIKE '1_'
    quote LIKE '%''%'
    fresh
    fresh = TRUE
    TRUE = fresh
    fresh <> FALSE
    sold = FALSE
    NOT sold
    fresh AND NOT sold
    fresh <> sold
    fresh = 'true'
    sold <> 'false'
    TRUE
    NOT FALSE
    TRUE = TRUE
    TRUE <> FALSE
    (price = 12) = TRUE
    (price = 1) = FALSE
    (price = 1) = (colour = 'blue')
    (price = 12) = fresh
    (price = 12) = 'true'
    (missing = 1) IS NULL
    (price = 1) IS NOT NULL
    NOT price = 13
    NOT price = 13 AND price = 12
    NOT (price = 13 OR price = 14)
    NOT NOT price = 12
    colour = 'red' AND price = 12
    colour = 'blue' OR price = 12
    price = 12 OR price = 13 AND price = 14
    (price = 12 OR price = 13) AND NOT price = 14
    missing = 1 OR price = 12
    NOT (missing = 1 AND price = 13)
    (missing = 1 AND price = 13) = FALSE
    ((((price)))) = 12
    ((colour = 'red'))
    reply-code = 7
    reply-code - 1 = 6
    reply-code-1 = 6
    reply-code -1 = 6
    a.b = 'dotted'
    `x-2` = 'odd'
    `AND` = 'taken'
    `reply-code` = 7
    größe = 'XL'
    colour is not null and price between 1 and 20
    Colour Is Null
    price In (12) aNd nOt false
    '1' = '1'
    '1' <> '1.0'
    '5' = 5
    'true' = TRUE
    1 = 1.0
    1 <> 2
    'a' LIKE 'a%'
    NULL IS NULL
    1 / 0 IS NULL
    colour + 1 IS NULL
    JMSType = 'order'
    JMSCorrelationID = 'c-1'
    JMSReplyTo LIKE '/temp-queue/%'
    JMSTimestamp = 1700000000000
    JMSReplyTo LIKE 'temp-queue://%'
    JMSReplyTo NOT LIKE 'queue://%'
    JMSDestination = '/queue/orders'
    JMSDestination = 'queue://orders'
    'queue://orders' = JMSDestination
    JMSDestination <> 'topic://orders'
    JMSDestination IN ('queue://a', 'queue://orders')
    JMSDestination IN ('/queue/orders', 5)
    JMSDestination NOT IN ('queue://a', 'topic://orders')
    JMSDestination LIKE 'queue://ord%'
    JMSDestination LIKE '/queue/ord%'
    JMSDestination LIKE '%://orders'
    JMSDestination LIKE 'queue:!/!/orders' ESCAPE '!'
    JMSDestination NOT LIKE '/queue/ord%' ESCAPE '/'
    JMSDestination <> JMSReplyTo
    destination = '/queue/orders'
    destination <> 'queue://orders'
    JMSMessageID = '77'
    JMSMessageID = 77
    message-id > 76
    JMSXUserID = 'alice'
    JMSPriority = 4
    JMSPriority = '4'
    JMSPriority IN ('4', '5')
    JMSPriority BETWEEN 0 AND 9
    JMSDeliveryMode = 'PERSISTENT'
    JMSExpiration = 0
    JMSRedelivered = FALSE
    NOT JMSRedelivered
    JMSXDeliveryCount = 1
    JMSXGroupID IS NULL
    JMSMessageID = 'ID:77'
    JMSMessageID <> 'ID:78'
    JMSMessageID LIKE 'ID:%'
    JMSMessageID LIKE '7_'
    JMSMessageID LIKE '%7'
    JMSMessageID LIKE 'I%'
    JMSMessageID NOT LIKE 'ID:host-%'
    JMSMessageID IN ('ID:1', 'ID:77')
    JMSMessageID IN ('1', 77)
    JMSMessageID = message-id
    message-id = '77'
    message-id NOT LIKE 'ID:%'
    AMQUserID = 'ID:77'
    AMQTimestamp > 1.6e12
    AMQPriority = 4
    AMQExpiration = 0
    AMQDurable = 'DURABLE'
    AMQSize = 5
    AMQAddress LIKE '/queue/%'
    AMQGroupID IS NULL
"""

FALSE = """
    colour = 'Red'
    colour <> 'red'
    price > 12
    price = '12.0'
    price <> price2
    colour = price
    colour <> colour
    large + 1 = large
    price BETWEEN 13 AND 11
    price NOT BETWEEN 10 AND 12
    price BETWEEN 13 AND missing
    price BETWEEN missing AND 11
    colour IN ('blue')
    colour NOT IN ('red')
    price IN (1, 2)
    colour LIKE 'R%'
    colour LIKE 'r'
    colour LIKE 'r_'
    colour LIKE '%rr%'
    colour LIKE 'red_%'
    colour LIKE 're%ed'
    colour IS NULL
    missing IS NOT NULL
    NOT fresh
    sold
    FALSE
    1 = 2
    '1' = '1.0'
    TRUE = 'false'
    colour = 'red' AND price = 13
    missing = 1 AND price = 13
    NULL AND FALSE
    JMSRedelivered
    JMSDeliveryMode = 'NON_PERSISTENT'
"""

UNKNOWN = """
    missing = 1
    missing = 'x'
    missing <> 'x'
    missing = missing
    missing = TRUE
    missing
    NOT missing
    missing > 1
    missing LIKE '%'
    missing NOT LIKE '%'
    missing IN ('x')
    missing NOT IN ('x')
    missing BETWEEN 1 AND 2
    missing + 1 = 2
    -missing = 2
    Colour = 'red'
    colour = 5
    colour <> 5
    colour > 5
    colour > price
    colour IN (1, 2)
    colour IN (1, 'blue')
    colour BETWEEN 1 AND 2
    colour
    colour = TRUE
    price = TRUE
    price
    empty = 0
    empty > 0
    price BETWEEN 10 AND missing
    price NOT BETWEEN missing AND 20
    price = NULL
    price <> NULL
    NULL = NULL
    NULL
    price > NULL
    NULL IN ('a')
    NULL LIKE 'a'
    NULL BETWEEN 1 AND 2
    price + NULL = 1
    price / 0 = 1
    price / 0.0 = 1
    price % 0 = 1
    price % 0.0 = 1
    1 / 0 = 1 / 0
    1e308 * 10 = 1
    -1e308 * 10 < 1
    missing = 1 AND price = 12
    missing = 1 OR price = 13
    NULL AND TRUE
    FALSE OR NULL
    reply - code = 7
    x-2 = 1
    JMSRedelivered = price
"""


def rows(table: str) -> list[str]:
    return [line.strip() for line in table.strip().splitlines()]


@pytest.mark.parametrize("text", rows(TRUE))
def test_true(text: str) -> None:
    assert truth(text, message()) is True


@pytest.mark.parametrize("text", rows(FALSE))
def test_false(text: str) -> None:
    assert truth(text, message()) is False


@pytest.mark.parametrize("text", rows(UNKNOWN))
def test_unknown(text: str) -> None:
    assert truth(text, message()) is None


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("5", "5"),
        ("+5", "5"),
        (" 5 ", "5"),
        ("005", "5"),
        ("5.", "5"),
        ("5e0", "5"),
        ("0.5E1", "5"),
        ("-0", "0"),
        ("1e308", "1e308"),
        ("0" * 99 + "5", "5"),
    ],
)
def test_headers_that_are_numbers(value: str, number: str) -> None:
    assert truth(f"n = {number}", message({"n": value})) is True


@pytest.mark.parametrize(
    "value",
    ["", " ", "x", "0x5", "5L", "5f", "1_0", "5 5", "--5", ".", "e5", "5e", "1e999", "-1e999", "inf", "nan",
     "NaN", "Infinity", "\u0665", "\u00b2", "5\n", "0" * 401, "9" * 5000],
    ids=lambda value: ascii(value[:20]),
)  # fmt: skip
def test_headers_that_are_no_numbers(value: str) -> None:
    assert truth("n = 5", message({"n": value})) is None
    assert truth("n <> 5", message({"n": value})) is None


@pytest.mark.parametrize(("value", "is_true"), [("TRUE", True), ("tRuE", True), ("false", False)])
def test_headers_that_are_truth_values(value: str, is_true: bool) -> None:
    assert truth("flag", message({"flag": value})) is is_true
    assert truth("flag = TRUE", message({"flag": value})) is is_true


@pytest.mark.parametrize("value", ["1", "0", "yes", "", " true", "truely"])
def test_headers_that_are_no_truth_values(value: str) -> None:
    assert truth("flag", message({"flag": value})) is None


def test_what_the_broker_knows() -> None:
    told = message({})
    told.priority = 9
    told.expires = 1_700_000_000_000
    told.group = "g1"
    told.attempts = 2
    told.persistent = False
    for text in (
        "JMSPriority = 9 AND AMQPriority > 8",
        "JMSExpiration = 1700000000000 AND AMQExpiration > 0",
        "JMSXGroupID = 'g1' AND AMQGroupID LIKE 'g_'",
        "JMSRedelivered AND JMSXDeliveryCount = 3",
        "JMSRedelivered = TRUE AND JMSRedelivered = 'TRUE'",
        "JMSDeliveryMode = 'NON_PERSISTENT' AND AMQDurable = 'NON_DURABLE'",
    ):
        assert truth(text, told) is True, text


def test_a_header_changes_nothing_of_what_the_broker_knows() -> None:
    lying = message({"JMSPriority": "1", "destination": "/queue/other", "JMSType": "lie", "type": "order"})
    assert truth("JMSPriority = 4 AND destination = '/queue/orders' AND JMSType = 'order'", lying) is True


@pytest.mark.parametrize(
    "text",
    [
        "price=12",
        "\tprice\n=\r12\f",
        "  price = 12  ",
        "price\n  BETWEEN 1\n  AND 20",
        "(price=12)AND(colour='red')",
        "NOT(price=13)",
        "colour IN('red')",
        "convert_string_expressions:price = 12",
        "hyphenated_props:reply-code = 7",
        "convert_string_expressions:hyphenated_props:reply-code = 7",
        "hyphenated_props:convert_string_expressions:reply-code = 7",
        " convert_string_expressions: hyphenated_props: reply-code = 7",
        "convert_string_expressions:convert_string_expressions:price = 12",
        "",
        "   ",
        "\n",
        "convert_string_expressions:",
        "hyphenated_props: ",
    ],
    ids=ascii,
)
def test_blanks_and_prefixes(text: str) -> None:
    assert compile_selector(text).matches(message())


def test_a_selector_keeps_its_text() -> None:
    text = "hyphenated_props: colour = 'red'"
    selector = compile_selector(text)
    assert isinstance(selector, Selector)
    assert selector.text == text


def test_one_selector_for_many_messages() -> None:
    selector = compile_selector("n > 2 OR m LIKE '%x%'")
    assert [selector.matches(message({"n": str(n)})) for n in range(5)] == [False, False, False, True, True]
    assert [selector.matches(message({"m": m})) for m in ("axa", "a", "x")] == [True, False, True]
