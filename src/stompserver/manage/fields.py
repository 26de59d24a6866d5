"""What is told of each thing: one list of fields, with name, unit and meaning, for all who show it.

The names of what frames answer are what ``stompctl`` shows, too. They do not change; new ones may come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from stompserver.broker.message import OVERHEAD
from stompserver.broker.names.destination import DURABLE as DURABLES
from stompserver.broker.names.durable import JMS, WAYS
from stompserver.broker.queues.queue import queue_of

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.broker.queues.queue import Queue
    from stompserver.broker.schedule.schedule import Entry
    from stompserver.broker.subscription import Subscription
    from stompserver.broker.topics.feed import Fed
    from stompserver.broker.topics.topic import Topic
    from stompserver.manage.connection import Connection

ACKS: Final = ("auto", "client", "client-individual")
"""Acknowledgement modes by their numbers in the broker."""

MOST: Final = 1 << 32
"""A credit above it has no limit."""

Value = str | int | bool
Row = dict[str, Value]

T = TypeVar("T")


class Field(Generic[T]):
    """One thing that is known: its ``name``, its ``unit`` ("" for what has none), what it means, and how to ``read``
    it of what has it; None where that has none. ``framed`` fields are in the answers of management frames.
    ``counter`` ones only grow while the server runs; others go up and down.
    """

    __slots__ = ("counter", "framed", "meaning", "name", "read", "unit")

    def __init__(
        self,
        name: str,
        unit: str,
        meaning: str,
        read: Callable[[T], Value | None],
        framed: bool = False,
        counter: bool = False,
    ) -> None:
        self.name = name
        self.unit = unit
        self.meaning = meaning
        self.read = read
        self.framed = framed
        self.counter = counter


def row(fields: tuple[Field[T], ...], thing: T) -> Row:
    """What ``fields`` say of ``thing``, by their names."""
    found: Row = {}
    for field in fields:
        value = field.read(thing)
        if value is not None:
            found[field.name] = value
    return found


def framed(fields: tuple[Field[T], ...]) -> tuple[Field[T], ...]:
    """Those of ``fields`` that are in the answers of management frames."""
    return tuple([field for field in fields if field.framed])


def named(fields: tuple[Field[T], ...], *names: str) -> tuple[Field[T], ...]:
    """Those of ``fields`` with these names, in that order. Raises KeyError when there is none of a name."""
    known = {field.name: field for field in fields}
    return tuple([known[name] for name in names])


Bound = tuple["Fed", "Queue | None"]
"""A durable subscription: what feeds it, and the queue that it feeds."""


# In functions, whose bodies mypy looks at when it knows the types of all attributes.


def _queue() -> tuple[Field[Queue], ...]:
    return (
        Field("queue", "", "its name", lambda queue: queue.name, True),
        Field(
            "messages",
            "messages",
            "that wait, those that wait for their redelivery too",
            lambda queue: queue.waiting + queue.delayed,
            True,
        ),
        Field("waiting", "messages", "that can be delivered now", lambda queue: queue.waiting),
        Field(
            "delayed", "messages", "that wait for the time of their redelivery", lambda queue: queue.delayed
        ),
        Field("stored", "messages", "that wait and are only in the store", lambda queue: queue.paged),
        Field("unacked", "messages", "delivered and not settled", lambda queue: queue.unacked, True),
        Field(
            "bytes",
            "bytes",
            "of its messages, as counted against memory-limit, also of those in the store",
            lambda queue: queue.total,
            True,
        ),
        Field("memory", "bytes", "of its messages that are in memory", lambda queue: queue.bytes),
        Field(
            "subscriptions",
            "subscriptions",
            "that take from it",
            lambda queue: len(queue.subscriptions),
            True,
        ),
        Field("browsers", "subscriptions", "that only look", lambda queue: len(queue.browsers)),
        Field(
            "enqueued",
            "messages",
            "that came since the start, and those that were there at the start",
            lambda queue: queue.enqueued + queue.passed,
            True,
            True,
        ),
        Field(
            "dequeued",
            "messages",
            "that left it since the start: consumed, expired, purged or dead",
            lambda queue: queue.dequeued + queue.passed,
            True,
            True,
        ),
        Field(
            "paused", "", "whether it delivers nothing until it is resumed", lambda queue: queue.paused, True
        ),
    )


def _durable() -> tuple[Field[Bound], ...]:
    return (
        Field(
            "name", "", "its name, which no other has: that of its queue", lambda bound: bound[0].name, True
        ),
        Field(
            "way",
            "",
            "how clients ask for it: " + ", ".join(WAYS),
            lambda bound: "" if bound[0].key is None else bound[0].key.way,
            True,
        ),
        Field(
            "client_id",
            "",
            "part of what it is known by, with jms; else the client-id it was made with",
            _client_of,
            True,
        ),
        Field(
            "id",
            "",
            "the name or id in its client's headers",
            lambda bound: "" if bound[0].key is None else bound[0].key.name,
            True,
        ),
        Field(
            "topic",
            "",
            "the topics, or patterns of topics, it has messages of, with commas",
            lambda bound: ",".join(bound[0].topics()),
            True,
        ),
        Field(
            "selector", "", "which messages it has; empty for all", lambda bound: bound[0].condition(), True
        ),
        Field(
            "messages",
            "messages",
            "that wait for it, those that wait for their redelivery too",
            lambda bound: 0 if bound[1] is None else bound[1].waiting + bound[1].delayed,
            True,
        ),
        Field(
            "unacked",
            "messages",
            "delivered and not settled",
            lambda bound: 0 if bound[1] is None else bound[1].unacked,
            True,
        ),
        Field(
            "subscriptions",
            "subscriptions",
            "connections that are subscribed to it now",
            lambda bound: 0 if bound[1] is None else len(bound[1].subscriptions),
            True,
        ),
        Field("bytes", "bytes", "of its messages", lambda bound: 0 if bound[1] is None else bound[1].total),
    )


def _client_of(bound: Bound) -> str:
    fed = bound[0]
    if fed.key is not None and fed.key.way == JMS:
        return fed.key.client
    return fed.feeds[0].client_id if fed.feeds else ""


def _named_durable(subscription: Subscription) -> str:
    if subscription.wish.durable is None or subscription.queue is None:
        return ""
    return queue_of(subscription).name.removeprefix(DURABLES)


def _scheduled() -> tuple[Field[Entry], ...]:
    return (
        Field("id", "", "its scheduledJobId", lambda entry: str(entry.job), True),
        Field("destination", "", "where it goes", lambda entry: entry.destination, True),
        Field("due", "Unix time in ms", "when it goes there", lambda entry: entry.due, True),
        Field("bytes", "bytes", "of its body and header text", lambda entry: entry.size - OVERHEAD, True),
        Field(
            "cron",
            "",
            "the cron line that begins it again, if one does",
            lambda entry: entry.plan.cron if entry.plan is not None and entry.plan.cron else None,
            True,
        ),
        Field(
            "period",
            "ms",
            "between two of its series, if it is one",
            lambda entry: entry.plan.period if entry.plan is not None and entry.plan.repeat else None,
            True,
        ),
        Field(
            "repeat",
            "messages",
            "that are still to come of its series; -1 for ever",
            lambda entry: entry.plan.repeat if entry.plan is not None and entry.plan.repeat else None,
            True,
        ),
    )


def _topic() -> tuple[Field[Topic], ...]:
    return (
        Field("topic", "", "its name, or pattern", lambda topic: topic.name),
        Field(
            "subscriptions",
            "subscriptions",
            "to this name; those to patterns are the patterns'",
            lambda topic: topic.subscriptions,
        ),
        Field(
            "durables", "subscriptions", "that outlive their connections", lambda topic: len(topic.own_feeds)
        ),
        Field(
            "enqueued",
            "messages",
            "sent to it since somebody subscribed",
            lambda topic: topic.enqueued,
            False,
            True,
        ),
    )


def _broker() -> tuple[Field[Broker], ...]:
    return (
        Field("memory", "bytes", "counted against memory-limit", lambda broker: broker.memory.used, True),
        Field("memory_limit", "bytes", "memory-limit", lambda broker: broker.memory.limit, True),
        Field(
            "enqueued",
            "messages",
            "taken from senders since the start",
            lambda broker: broker.enqueued,
            True,
            True,
        ),
        Field(
            "unheard",
            "messages",
            "among them that are gone, sent to a bare name, which is a topic, while nobody listened to it",
            lambda broker: broker.fanout.unheard.messages,
            True,
            True,
        ),
        Field(
            "denied",
            "requests",
            "for which the client had no right, also where that is only observed",
            lambda broker: broker.denied,
            True,
            True,
        ),
        Field(
            "queues",
            "queues",
            "there are, also those that nobody uses",
            lambda broker: len(broker.queues),
            True,
        ),
        Field("idle", "queues", "that nobody uses", lambda broker: len(broker.idle), True),
        Field("topics", "topics", "that somebody is subscribed to", lambda broker: len(broker.topics), True),
        Field(
            "durables",
            "subscriptions",
            "that outlive their connections",
            lambda broker: len(broker.fanout.durables.fed),
            True,
        ),
        Field(
            "scheduled",
            "messages",
            "that wait for their time",
            lambda broker: len(broker.schedule.entries),
            True,
        ),
        Field(
            "pending",
            "changes",
            "that the store has not made durable yet",
            lambda broker: max(0, broker.log.position - broker.log.durable),
            True,
        ),
        Field("pending_bytes", "bytes", "of the messages among them", lambda broker: broker.log.bytes, True),
    )


def _subscription() -> tuple[Field[Subscription], ...]:
    return (
        Field("id", "", "what its consumer knows it by", lambda each: each.id),
        Field("destination", "", "what it gets messages of", lambda each: each.destination),
        Field(
            "client_id", "", "who it is; empty where it does not say", lambda each: each.consumer.client_id
        ),
        Field("ack", "", "auto, client or client-individual", lambda each: ACKS[each.mode]),
        Field(
            "prefetch",
            "messages",
            "that may be delivered and not settled; 0: any number",
            lambda each: each.wish.prefetch,
        ),
        Field(
            "credit",
            "messages",
            "that it may be handed now, where that is limited",
            lambda each: None if each.credit > MOST else each.credit,
        ),
        Field("ready", "", "whether its socket takes more", lambda each: each.consumer.ready),
        Field(
            "selector",
            "",
            "which messages it has; empty for all",
            lambda each: "" if each.wish.selector is None else each.wish.selector.text,
        ),
        Field("priority", "", "the higher is served first", lambda each: each.wish.priority),
        Field("exclusive", "", "whether it asked to be served alone", lambda each: each.wish.exclusive),
        Field("browser", "", "whether it only looks", lambda each: each.wish.browser),
        Field("durable", "", "the name it is remembered under; empty for none", _named_durable),
    )


def _connection() -> tuple[Field[Connection], ...]:
    return (
        Field("id", "", "of its session, as logs and the client have it", lambda each: each.id),
        Field("address", "", "where it comes from", lambda each: each.address),
        Field("age", "s", "since it was accepted", lambda each: each.age),
        Field(
            "login", "", "who it says it is, or was found to be; empty for nobody", lambda each: each.login
        ),
        Field("client_id", "", "who it is; empty where it does not say", lambda each: each.client_id),
        Field("version", "", "of STOMP; empty before CONNECTED", lambda each: each.version),
        Field("subscriptions", "subscriptions", "that it has", lambda each: each.subscriptions),
        Field("unsettled", "messages", "delivered and not settled", lambda each: each.unsettled),
        Field("waiting", "bytes", "that it has not taken from the server", lambda each: each.waiting),
        Field("held", "", "whether the server reads nothing from it for now", lambda each: each.held),
        Field("tls", "", "its version and cipher; empty without", lambda each: each.tls),
    )


QUEUE: Final[tuple[Field[Queue], ...]] = _queue()
DURABLE: Final[tuple[Field[Bound], ...]] = _durable()
SCHEDULED: Final[tuple[Field[Entry], ...]] = _scheduled()
TOPIC: Final[tuple[Field[Topic], ...]] = _topic()
SUBSCRIPTION: Final[tuple[Field[Subscription], ...]] = _subscription()
CONNECTION: Final[tuple[Field[Connection], ...]] = _connection()
BROKER: Final[tuple[Field[Broker], ...]] = _broker()
