"""A queue that gets a copy of what is sent to a topic: a durable subscription's, or a consumer group's of a virtual
topic."""

from __future__ import annotations

from typing import Final

from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.names.destination import DURABLE
from stompserver.broker.names.pattern import Pattern, is_pattern
from stompserver.broker.selectors.selector import TEXT, TREE, Selector, compile_selector
from stompserver.broker.subscription import Consumer

FEED: Final = 1500
"""Bytes of memory that a feed takes beside its names and selector, with what the register keeps of it."""

_GROUP: Final = "/queue/Consumer."
_VIRTUAL: Final = "VirtualTopic."


class Feed:
    """``queue`` gets what is sent to ``topic``, a name or a pattern, as far as ``selector`` matches.

    With ``no_local`` it gets nothing that a connection with ``client_id`` sent.
    """

    __slots__ = ("client_id", "no_local", "pattern", "queue", "selector", "topic")

    def __init__(
        self,
        queue: str,
        topic: str,
        selector: Selector | None = None,
        no_local: bool = False,
        client_id: str = "",
    ) -> None:
        self.queue: str = queue
        self.topic: str = topic
        self.pattern: Pattern | None = Pattern(topic) if is_pattern(topic) else None
        self.selector: Selector | None = selector
        self.no_local: bool = no_local
        self.client_id: str = client_id

    @property
    def durable(self) -> bool:
        """Whether it is a durable subscription's."""
        return self.queue.startswith(DURABLE)

    def takes(self, message: Message, sender: Consumer | None) -> bool:
        """Whether the queue gets ``message``, which ``sender`` sent."""
        if self.no_local and self.client_id and sender is not None and sender.client_id == self.client_id:
            return False
        return self.selector is None or self.selector.matches(message)

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
        if self.selector is not None:
            size += TREE + (TEXT + 1) * len(self.selector.text)
        return size

    def condition(self) -> str:
        """The selector's text; empty without one."""
        return self.selector.text if self.selector is not None else ""

    def entry(self) -> Message:
        """What a register keeps of it."""
        text = self.condition()
        message = Message(self.topic, {}, b"", OVERHEAD + len(text), plain=True)
        message.extras = {"selector": text, "client-id": self.client_id}
        if self.no_local:
            message.extras["no-local"] = "true"
        return message


def feed_of(queue: str, entry: Message) -> Feed:
    """The feed that a register kept as ``entry``. Raises ProtocolError for a selector that is none."""
    extras = entry.extras or {}
    text = extras.get("selector", "")
    return Feed(
        queue,
        entry.destination,
        compile_selector(text) if text else None,
        "no-local" in extras,
        extras.get("client-id", ""),
    )


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
