"""A queue that gets a copy of what is sent to topics: a durable subscription's, or a consumer group's of a virtual
topic."""

from __future__ import annotations

from collections import deque
from typing import Final

from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.names.destination import DURABLE
from stompserver.broker.names.durable import EARLIER, Key
from stompserver.broker.names.pattern import Pattern, is_pattern
from stompserver.broker.selectors.selector import TEXT, TREE, Selector, compile_selector
from stompserver.broker.subscription import Consumer

FEED: Final = 1500
"""Bytes of memory that a feed takes beside its names and selector, with what the register keeps of it."""

_GROUP: Final = "/queue/Consumer."
_VIRTUAL: Final = "VirtualTopic."


_FORM: Final = "2"
"""The number of the form in which a register keeps the feed of a durable subscription. In form 1, without a number,
the one feed was named by its queue, and nothing said in which way it was known. Consumer groups are kept so.
"""


class Feed:
    """``queue`` gets what is sent to ``topic``, a name or a pattern, as far as ``selector`` matches.

    With ``no_local`` it gets nothing that a connection with ``client_id`` sent. ``key`` is what the durable
    subscription is known by whose queue it is, None for a consumer group's of a virtual topic; with ``passing`` it
    goes with its last subscription. ``entry`` is its name in the register, "" for none yet; ``coming`` is there
    while its queue gets what its topic kept first: what is sent meanwhile waits there, with the feed that it came by.
    """

    __slots__ = (
        "client_id",
        "coming",
        "entry",
        "key",
        "no_local",
        "passing",
        "pattern",
        "queue",
        "selector",
        "topic",
    )

    def __init__(
        self,
        queue: str,
        topic: str,
        selector: Selector | None = None,
        no_local: bool = False,
        client_id: str = "",
        key: Key | None = None,
        passing: bool = False,
    ) -> None:
        self.queue: str = queue
        self.topic: str = topic
        self.pattern: Pattern | None = Pattern(topic) if is_pattern(topic) else None
        self.selector: Selector | None = selector
        self.no_local: bool = no_local
        self.client_id: str = client_id
        self.key: Key | None = key
        self.passing: bool = passing
        self.entry: str = ""
        self.coming: deque[tuple[Feed, Message]] | None = None

    def known_by(self, queue: str, key: Key) -> Feed:
        """The same for another ``queue``, or under another ``key``."""
        return Feed(queue, self.topic, self.selector, self.no_local, self.client_id, key, self.passing)

    @property
    def alone(self) -> bool:
        """Whether nobody but topics sends to its queue."""
        return self.queue.startswith(DURABLE)

    def takes(self, message: Message, sender: Consumer | None) -> bool:
        """Whether the queue gets ``message``, which ``sender`` sent."""
        if self.no_local and self.client_id and sender is not None and sender.client_id == self.client_id:
            return False
        return self.selector is None or self.selector.matches(message)

    def has(self, name: str) -> bool:
        """Whether the topic ``name`` is the one, or fits the pattern."""
        return name == self.topic if self.pattern is None else self.pattern.matches(name)

    def same(self, other: Feed) -> bool:
        """Whether ``other`` asks for the same messages."""
        return (
            self.topic == other.topic
            and self.no_local == other.no_local
            and self.condition() == other.condition()
        )

    @property
    def cost(self) -> int:
        """What its selector costs."""
        return self.selector.cost if self.selector is not None else 0

    @property
    def weight(self) -> int:
        """Bytes of memory that it takes."""
        size: int = FEED + 2 * (len(self.queue) + len(self.topic)) + len(self.client_id)
        if self.key is not None:
            size += 2 * sum([len(part) for part in self.key.parts])
        if self.selector is not None:
            size += TREE + (TEXT + 1) * len(self.selector.text)
        return size

    def condition(self) -> str:
        """The selector's text; empty without one."""
        return self.selector.text if self.selector is not None else ""

    def kept(self) -> Message:
        """What a register keeps of it."""
        text = self.condition()
        message = Message(self.topic, {}, b"", OVERHEAD + len(text), plain=True)
        extras = {"selector": text, "client-id": self.client_id}
        if self.no_local:
            extras["no-local"] = "true"
        key = self.key
        if key is not None and key.way != EARLIER:
            extras["form"] = _FORM
            extras["queue"] = self.queue
            extras["way"] = key.way
            extras["client"] = key.client
            extras["known"] = key.name
            for number, place in enumerate(key.places):
                extras[f"place-{number}"] = place
            if self.passing:
                extras["passing"] = "true"
        message.extras = extras
        return message


def feed_of(name: str, entry: Message) -> Feed:
    """The feed that a register kept as ``entry`` under ``name``. Raises ProtocolError for a selector that is none."""
    extras = entry.extras or {}
    text = extras.get("selector", "")
    queue = name
    key: Key | None = None
    if "form" in extras:
        queue = extras.get("queue", "")
        places: list[str] = []
        while f"place-{len(places)}" in extras:
            places.append(extras[f"place-{len(places)}"])
        key = Key(extras.get("way", ""), extras.get("known", ""), extras.get("client", ""), tuple(places))
    elif name.startswith(DURABLE):
        key = Key(EARLIER, name[len(DURABLE) :])
    feed = Feed(
        queue,
        entry.destination,
        compile_selector(text) if text else None,
        "no-local" in extras,
        extras.get("client-id", ""),
        key,
        "passing" in extras,
    )
    feed.entry = name
    return feed


class Fed:
    """A queue that topics feed, by ``feeds``: of each topic, or pattern, at most one.

    ``key`` is what it is known by as a durable subscription, None for a consumer group of virtual topics alone.
    ``past`` is an earlier version's queue of the same subscription, while what waits there is brought here and its
    topic feeds that still, and ``heir`` is this one to that. It is ``filling`` while it gets what its topics kept.
    """

    __slots__ = ("feeds", "filling", "heir", "key", "past", "queue")

    def __init__(self, queue: str, key: Key | None) -> None:
        self.queue = queue
        self.key: Key | None = key
        self.feeds: list[Feed] = []
        self.filling = False
        self.past: Fed | None = None
        self.heir: Fed | None = None

    @property
    def name(self) -> str:
        """What people call it: unlike those of all others."""
        return self.queue.removeprefix(DURABLE)

    def topics(self) -> list[str]:
        """All that it gets messages of."""
        found = [feed.topic for feed in self.feeds]
        if self.past is not None:
            found.extend(self.past.topics())
        return found

    def of(self, topic: str) -> Feed | None:
        """The feed of ``topic``, here or where it was before."""
        for feed in self.feeds:
            if feed.topic == topic:
                return feed
        return self.past.of(topic) if self.past is not None else None

    def condition(self) -> str:
        """Which messages it has: the selector, or those of each topic where they differ; "" for all."""
        texts = [feed.condition() for feed in self.feeds]
        if self.past is not None:
            texts.extend([feed.condition() for feed in self.past.feeds])
        if not texts or texts.count(texts[0]) == len(texts):
            return texts[0] if texts else ""
        return "; ".join(
            [f"{topic}: {text}" for topic, text in zip(self.topics(), texts, strict=True) if text]
        )

    def same(self, wanted: list[Feed]) -> bool:
        """Whether ``wanted`` ask for the same messages."""
        if len(wanted) != len(self.feeds):
            return False
        return all(self.has_same(feed) for feed in wanted)

    def has_same(self, wanted: Feed) -> bool:
        """Whether it has what ``wanted`` asks for of its topic."""
        mine = self.of(wanted.topic)
        return mine is not None and mine.same(wanted)


class Change:
    """What becomes of the durable subscription ``key`` that somebody wishes for: ``old`` is what there is of it,
    which ``moves`` when an earlier version made it. It gets the feeds ``more`` in the place of ``instead``, or all
    of it is begun ``anew``, which drops what waits. ``warnings`` say what cannot be had as wished. ``fresh``: there
    is no queue of it yet; ``spared`` are bytes of the memory that are given back first.
    """

    __slots__ = ("anew", "fresh", "instead", "key", "more", "moves", "old", "spared", "warnings")

    def __init__(self, key: Key, old: Fed | None, moves: bool) -> None:
        self.key = key
        self.old: Fed | None = old
        self.moves = moves
        self.more: list[Feed] = []
        self.instead: list[Feed] = []
        self.anew = False
        self.fresh = False
        self.spared: int = 0
        self.warnings: list[str] = []


def virtual_topic(queue: str) -> str:
    """The topic, or pattern, whose messages a queue gets by its name: ``/queue/Consumer.G.VirtualTopic.X`` has those
    of ``/topic/VirtualTopic.X``. Empty for other names.
    """
    if not queue.startswith(_GROUP):
        return ""
    group, _, topic = queue[len(_GROUP) :].partition(".")
    if not group or is_pattern(group) or not topic.startswith(_VIRTUAL) or len(topic) == len(_VIRTUAL):
        return ""
    return "/topic/" + topic
