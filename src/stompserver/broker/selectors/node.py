"""The parts of a compiled selector that have values: literals, headers, fields of a message, arithmetic."""

from __future__ import annotations

from typing import Final

from stompserver.broker.message import Message
from stompserver.broker.moment import came_at
from stompserver.broker.selectors.number import MINUS, Number, calculate, parse_number

FALSE: Final = 0
TRUE: Final = 1
UNKNOWN: Final = 2

# What is known of a value before there is a message.
ANY: Final = 0
"""A header's text, which is compared as a number or truth value where the other side is one."""
TEXT: Final = 1
NUMBER: Final = 2
BOOLEAN: Final = 3
NULL: Final = 4

KINDS: Final = ("a header", "a string", "a number", "a condition", "NULL")

NOTHING: Final = Message("", {}, b"", 0)
"""What a constant is evaluated with."""


def truth_of(text: str) -> int:
    """TRUE or FALSE where a header says so, in letters of any case; UNKNOWN otherwise."""
    if len(text) <= 5:
        word = text.lower()
        if word == "true":
            return TRUE
        if word == "false":
            return FALSE
    return UNKNOWN


class Node:
    """A part of a selector. ``kind`` says what its values are; ``constant`` that no message changes them."""

    __slots__ = ("constant", "kind")

    def __init__(self, kind: int, constant: bool = False) -> None:
        self.kind: int = kind
        self.constant: bool = constant

    def value(self, message: Message) -> object:
        """A str, int, float or bool; None for NULL and for unknown."""
        return None

    def written(self, text: str) -> str:
        """How a string that it is compared with is written to be compared, which is done once."""
        return text

    def number(self, message: Message) -> Number | None:
        """Its value as a number; None where it is not one."""
        value = self.value(message)
        if isinstance(value, str):
            return parse_number(value)
        if isinstance(value, bool):
            return None
        if isinstance(value, int):
            return value
        return value if isinstance(value, float) else None

    def truth(self, message: Message) -> int:
        """TRUE, FALSE or UNKNOWN, as a condition."""
        value = self.value(message)
        if isinstance(value, bool):
            return TRUE if value else FALSE
        return truth_of(value) if isinstance(value, str) else UNKNOWN


class Constant(Node):
    """A literal, or what does not depend on the message."""

    __slots__ = ("literal",)

    def __init__(self, kind: int, literal: object) -> None:
        super().__init__(kind, True)
        self.literal: object = literal

    def value(self, message: Message) -> object:
        return self.literal


class Header(Node):
    """The header ``name``, as the sender sent it."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__(ANY)
        self.name: str = name

    def value(self, message: Message) -> object:
        return message.headers.get(self.name)

    def number(self, message: Message) -> Number | None:
        text = message.headers.get(self.name)
        return None if text is None else parse_number(text)


class Standard(Header):
    """The header ``name`` that JMS has another name for, ``own``. Some send it by that one, as ActiveMQ lets them."""

    __slots__ = ("own",)

    def __init__(self, name: str, own: str) -> None:
        super().__init__(name)
        self.own: str = own

    def value(self, message: Message) -> object:
        headers = message.headers
        text = headers.get(self.name)
        return headers.get(self.own) if text is None else text

    def number(self, message: Message) -> Number | None:
        text = self.value(message)
        return parse_number(text) if isinstance(text, str) else None


class Moment(Header):
    """When the message was sent: what its sender said, or else when it came."""

    __slots__ = ()

    def value(self, message: Message) -> object:
        text = message.headers.get(self.name)
        return str(came_at(message.number)) if text is None else text

    def number(self, message: Message) -> Number | None:
        text = message.headers.get(self.name)
        return came_at(message.number) if text is None else parse_number(text)


NAMES: Final = {
    "JMSCorrelationID": "correlation-id",
    "JMSReplyTo": "reply-to",
    "JMSTimestamp": "timestamp",
    "JMSType": "type",
    "AMQTimestamp": "timestamp",
}
"""Identifiers of JMS and Artemis for what is a header in STOMP."""

_DESTINATION: Final = 0
_ID: Final = 1
MODE: Final = 2
DURABLE: Final = 3
GROUP: Final = 4
PRIORITY: Final = 5
EXPIRES: Final = 6
COUNT: Final = 7
SIZE: Final = 8
REDELIVERED: Final = 9

FIELDS: Final = {
    "destination": _DESTINATION,
    "message-id": _ID,
    "JMSDestination": _DESTINATION,
    "JMSMessageID": _ID,
    "JMSDeliveryMode": MODE,
    "JMSPriority": PRIORITY,
    "JMSExpiration": EXPIRES,
    "JMSRedelivered": REDELIVERED,
    "JMSXDeliveryCount": COUNT,
    "JMSXGroupID": GROUP,
    "AMQAddress": _DESTINATION,
    "AMQDurable": DURABLE,
    "AMQExpiration": EXPIRES,
    "AMQGroupID": GROUP,
    "AMQPriority": PRIORITY,
    "AMQSize": SIZE,
    "AMQUserID": _ID,
}
"""Identifiers for what the broker knows of a message."""


class Field(Node):
    """What the broker knows of a message, by one of FIELDS' numbers."""

    __slots__ = ("field",)

    def __init__(self, field: int) -> None:
        super().__init__(ANY if field < PRIORITY else BOOLEAN if field == REDELIVERED else NUMBER)
        self.field: int = field

    def value(self, message: Message) -> object:
        field = self.field
        if field == PRIORITY:
            return message.priority
        if field == REDELIVERED:
            return message.attempts > 0
        if field == COUNT:
            return message.tried + 1
        if field == GROUP:
            return message.group or None
        if field == _DESTINATION:
            return message.destination
        if field == _ID:
            return str(message.number)
        if field == EXPIRES:
            return message.expires
        if field == SIZE:
            return len(message.body)
        mode = "PERSISTENT" if field == MODE else "DURABLE"
        return mode if message.persistent else "NON_" + mode


ADDRESSES: Final = ("JMSDestination", "JMSReplyTo")
"""Identifiers whose values are destinations as JMS writes them."""

_WRITTEN: Final = (
    ("/queue/$temp/", "temp-queue://"),  # in front of /queue/: another connection's is written so
    ("/topic/$temp/", "temp-topic://"),
    ("/reply-queue/", "temp-queue://"),
    ("/remote-temp-queue/", "temp-queue://"),
    ("/remote-temp-topic/", "temp-topic://"),
    ("/queue/", "queue://"),
    ("/topic/", "topic://"),
    ("/temp-queue/", "temp-queue://"),
    ("/temp-topic/", "temp-topic://"),
)
"""How destinations begin here, and in JMS."""


def address(text: str) -> str:
    """A destination as JMS writes it: queue://a for /queue/a; ``text`` itself where it begins in no such way."""
    for start, written in _WRITTEN:
        if text.startswith(start):
            return written + text[len(start) :]
    return text


class Address(Node):
    """A destination as JMS writes it. Literals that it is compared with pass through ``address`` once, when the
    selector is compiled, so that either way of writing one holds.
    """

    __slots__ = ("named",)

    def __init__(self, named: Node) -> None:
        super().__init__(ANY)
        self.named: Node = named

    def value(self, message: Message) -> object:
        value = self.named.value(message)
        return address(value) if isinstance(value, str) else None

    def written(self, text: str) -> str:
        return address(text)


ID: Final = "ID:"
"""What the name of a message begins with in JMS."""


class Identity(Node):
    """The number of the message, written as the names of messages are in JMS. A string that begins with a digit is
    the number alone, as the ``message-id`` header has it.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(ANY)

    def value(self, message: Message) -> object:
        return ID + str(message.number)

    def written(self, text: str) -> str:
        return ID + text if text[:1].isdigit() else text

    def number(self, message: Message) -> Number | None:
        return message.number


MOMENTS: Final = ("JMSTimestamp", "AMQTimestamp")
IDENTITIES: Final = ("JMSMessageID", "AMQUserID")


def identifier(name: str) -> Node:
    """The node of an identifier."""
    if name in IDENTITIES:
        return Identity()
    if name in MOMENTS:
        return Moment(NAMES[name])
    field = FIELDS.get(name)
    if field is not None:
        node: Node = Field(field)
    elif name in NAMES:
        node = Standard(NAMES[name], name)
    else:
        node = Header(name)
    return Address(node) if name in ADDRESSES else node


def plain(node: Node) -> Node:
    """What is compared with another header for ``node``: of the name of a message the number alone."""
    return Field(_ID) if isinstance(node, Identity) else node


class Arithmetic(Node):
    """Operators of one precedence, left to right: ``first``, then each of ``operators`` with its term."""

    __slots__ = ("first", "operators", "terms")

    def __init__(self, first: Node, operators: list[int], terms: list[Node]) -> None:
        super().__init__(NUMBER, first.constant and all(term.constant for term in terms))
        self.first: Node = first
        self.operators: list[int] = operators
        self.terms: list[Node] = terms

    def value(self, message: Message) -> object:
        return self.number(message)

    def number(self, message: Message) -> Number | None:
        result = self.first.number(message)
        operators = self.operators
        for i, term in enumerate(self.terms):
            if result is None:
                return None
            right = term.number(message)
            if right is None:
                return None
            result = calculate(operators[i], result, right)
        return result


class Negative(Node):
    """A minus in front of a value."""

    __slots__ = ("operand",)

    def __init__(self, operand: Node) -> None:
        super().__init__(NUMBER, operand.constant)
        self.operand: Node = operand

    def value(self, message: Message) -> object:
        return self.number(message)

    def number(self, message: Message) -> Number | None:
        number = self.operand.number(message)
        return None if number is None else calculate(MINUS, 0, number)


def folded(node: Node) -> Node:
    """``node``, or the constant that it comes to whatever the message is."""
    if not node.constant or isinstance(node, Constant):
        return node
    if node.kind != BOOLEAN:
        return Constant(node.kind, node.value(NOTHING))
    truth = node.truth(NOTHING)
    return Constant(BOOLEAN, None if truth == UNKNOWN else truth == TRUE)
