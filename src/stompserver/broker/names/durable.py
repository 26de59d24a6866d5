"""What a durable subscription is known by: parts, of which no two are ever joined to one text and compared.

What its queue is called follows from the parts, and no other parts lead to that name.
"""

from __future__ import annotations

from typing import Final

from stompserver.broker.names.destination import DURABLE

JMS: Final = "jms"
"""Known by client-id and name (ActiveMQ, Artemis), or by the name alone where nobody says a client-id."""

RABBITMQ: Final = "rabbitmq"
"""Known by destination and id."""

APOLLO: Final = "apollo"
"""Known by id alone."""

ARTEMIS: Final = "artemis"
"""Known by address and queue (``address::queue``)."""

QUEUE_NAME: Final = "x-queue-name"
"""Known by the name of its queue, which is one like others (RabbitMQ)."""

EARLIER: Final = "earlier"
"""Made by a version of the server that knew it by one text, and not asked for since."""

WAYS: Final = (JMS, RABBITMQ, APOLLO, ARTEMIS, QUEUE_NAME, EARLIER)

Parts = tuple[str, ...]

_MARKS: Final = frozenset("=~:,?*>#{}$%\0")
"""What has a meaning in a destination, or in what is made here."""

_LEVELS: Final = frozenset("./")


class Key:
    """The parts: the ``way`` in which the client's dialect names durable subscriptions, the ``client`` whose it is
    ("" for everybody's), the ``name``, or id, and the ``places`` it belongs to: the destinations in RabbitMQ's way,
    the address in Artemis', the queue that ``x-queue-name`` stands for; none in the others.
    """

    __slots__ = ("client", "name", "parts", "places", "way")

    def __init__(self, way: str, name: str, client: str = "", places: tuple[str, ...] = ()) -> None:
        self.way = way
        self.client = client
        self.name = name
        self.places: tuple[str, ...] = places
        self.parts: Parts = (way, client, name, *places)
        """All of them: two keys are the same when these are."""

    @property
    def queue(self) -> str:
        """What its queue is called, unless one of an earlier version is called so."""
        way = self.way
        if way == QUEUE_NAME:
            return self.places[0]
        if way == JMS:
            return DURABLE + _level(self.client) + "." + _levels(self.name)
        if way in (RABBITMQ, ARTEMIS):
            places = "~".join([_place(place) for place in self.places])
            return DURABLE + ("~" if way == ARTEMIS else "") + _level(self.name) + "/" + places
        return DURABLE + (self.name if way == EARLIER else _level(self.name))

    @property
    def short(self) -> str:
        """What an earlier version called it, and people may still: several can have the same."""
        return self.client + "." + self.name if self.client else self.name


def _level(text: str) -> str:
    """``text`` as a part of a queue's name that cannot be two."""
    return _without(text, _MARKS | _LEVELS)


def _levels(text: str) -> str:
    """``text`` as the last part of a queue's name."""
    return _without(text, _MARKS)


def _place(destination: str) -> str:
    """A destination likewise; what is behind its first slash where that is always the same."""
    return _levels(destination.removeprefix("/") if destination.startswith("/topic") else "/" + destination)


def _without(text: str, marks: frozenset[str]) -> str:
    if marks.isdisjoint(text):
        return text
    return "".join([f"={ord(letter):x}=" if letter in marks else letter for letter in text])
