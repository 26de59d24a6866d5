"""The options of policies, once: ``policies:`` of the file, --check and docs/reference/policies.md use this table."""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

from pydantic import Field
from pydantic.fields import FieldInfo

from stompserver.config import values
from stompserver.config.option import Option, Table, fields_of, folded

Expired = Literal["drop", "deadletter"]
Nack = Literal["", "again", "deadletter"]
Overflow = Literal["reject", "drop-head", "drop-tail", "dead-letter", "block"]
Slow = Literal["disconnect", "drop-oldest", "block"]

REDELIVERY, TIME, LIMITS, CONTENT = "Redelivery", "Time", "Limits", "Order and content"
UNSET = -1
"""What a delay is that nobody says."""

CENTURY = 100 * 365 * 86_400_000


class PolicyOptions(Table):
    """The options that one pattern sets are those in ``model_fields_set``; times in ms, sizes in bytes."""

    # fmt: off
    # Redelivery
    max_redeliveries: Annotated[int, Option(
        REDELIVERY, "How often a message is delivered again before it goes to the dead letter queue; 0 is for ever,"
        " never is not once",
        values.redeliveries, unit="times")] = Field(0, ge=values.NEVER)
    redelivery_delay: Annotated[int, Option(
        REDELIVERY, "How long a message waits before it is delivered again; 0 is at once; where nobody sets it, it is"
        " at once three times, then after 10 ms, doubled each time up to 1 s",
        values.duration, unit="time")] = Field(UNSET, le=CENTURY)
    redelivery_multiplier: Annotated[float, Option(
        REDELIVERY, "What the delay is multiplied by for each further redelivery",
        values.number)] = Field(1.0, ge=1, le=1000)
    max_redelivery_delay: Annotated[int, Option(
        REDELIVERY, "What the delay does not grow above; 0 is no bound",
        values.duration, unit="time")] = Field(0, ge=0, le=CENTURY)
    redelivery_jitter: Annotated[float, Option(
        REDELIVERY, "The share of the delay by which chance makes it longer or shorter, so that not all come at once",
        values.number)] = Field(0.0, ge=0, le=1)
    deadletter: Annotated[str, Option(
        REDELIVERY, "The dead letter queue; % in it is the queue's name without /queue/; empty: drop such messages",
        values.optional_queue_destination, "QUEUE")] = "/queue/deadletter"
    nack: Annotated[Nack, Option(
        REDELIVERY, "What becomes of a message when NACK does not say: again, or deadletter at once",
        values.optional_one_of(("again", "deadletter"), "choice"), "CHOICE")] = ""
    ack_timeout: Annotated[int, Option(
        REDELIVERY, "How long a message may stay un-acknowledged before it returns to the queue; 0 is for ever",
        values.duration, unit="time")] = Field(0, ge=0, le=CENTURY)
    strict_order: Annotated[bool, Option(
        REDELIVERY, "Whether a message that waits for its redelivery holds back all messages behind it",
        values.boolean)] = False

    # Time
    ttl: Annotated[int, Option(
        TIME, "How long a message lives that does not say itself when it expires; 0 is for ever",
        values.duration, unit="time")] = Field(0, ge=0, le=CENTURY)
    max_ttl: Annotated[int, Option(
        TIME, "The longest life of a message, whatever it says itself; 0 is no bound",
        values.duration, unit="time")] = Field(0, ge=0, le=CENTURY)
    expired: Annotated[Expired, Option(
        TIME, "What becomes of an expired message: drop, or deadletter to keep it in the dead letter queue",
        values.one_of(get_args(Expired), "choice"))] = "drop"
    idle_expiry: Annotated[int, Option(
        TIME, "How long an empty queue without subscriptions stays; 0 is until there are too many (idle-queues)",
        values.duration, unit="time")] = Field(0, ge=0, le=CENTURY)
    auto_delete: Annotated[bool, Option(
        TIME, "Whether a queue goes, with its messages, when its last subscription ends",
        values.boolean)] = False

    # Limits
    max_messages: Annotated[int, Option(
        LIMITS, "Messages in a queue; 0 is no bound",
        values.whole_number, unit="messages")] = Field(0, ge=0)
    max_bytes: Annotated[int, Option(
        LIMITS, "Bytes of the messages in a queue; 0 is no bound",
        values.size, unit="bytes")] = Field(0, ge=0)
    overflow: Annotated[Overflow, Option(
        LIMITS, "What happens above these: reject (ERROR), drop-head (the oldest goes), drop-tail (the new one goes),"
        " dead-letter (the oldest moves there) or block (the sender waits)",
        values.one_of(get_args(Overflow), "choice"))] = "reject"
    prefetch: Annotated[int, Option(
        LIMITS, "Un-acknowledged messages a subscription may hold if the client does not say; 0 is the server's",
        values.whole_number, unit="messages")] = Field(0, ge=0, le=1_000_000)
    slow: Annotated[Slow, Option(
        LIMITS, "A topic's subscriber who falls behind more than slow-subscriber-limit: disconnect it, drop-oldest of"
        " what waits for it, or block the senders",
        values.one_of(get_args(Slow), "choice"))] = "disconnect"

    # Order and content
    priorities: Annotated[bool, Option(
        CONTENT, "Whether a queue delivers messages of a higher priority first: 0 to 9, and 4 for those that name"
        " none; else it is first in, first out, whatever they say",
        values.boolean)] = False
    max_priority: Annotated[int, Option(
        CONTENT, "The same as RabbitMQ has it (x-max-priority): 0 to this, which is 31 at most; 0 for those that name"
        " none, and what is higher counts as this; 0 is not so",
        values.whole_number)] = Field(0, ge=0, le=31)
    exclusive: Annotated[bool, Option(
        CONTENT, "Whether only one subscription at a time gets messages, the next one when it ends",
        values.boolean)] = False
    group_rebalance: Annotated[bool, Option(
        CONTENT, "Whether message groups are shared out anew when a subscription comes or goes",
        values.boolean)] = False
    last_value: Annotated[str, Option(
        CONTENT, "The header that is the key of a last-value queue: a new message replaces the waiting one with"
        " the same value; empty: an ordinary queue",
        values.header_name, "HEADER")] = ""
    duplicate_window: Annotated[int, Option(
        CONTENT, "How many ids are remembered to detect duplicates; 0 switches that off",
        values.whole_number, unit="messages")] = Field(10_000, ge=0, le=10_000_000)
    duplicate_time: Annotated[int, Option(
        CONTENT, "How long an id is remembered; 0 is until so many others came",
        values.duration, unit="time")] = Field(0, ge=0, le=CENTURY)
    retain: Annotated[bool, Option(
        CONTENT, "Whether each message of a topic is kept as the retained one, for who subscribes later",
        values.boolean)] = False
    history_messages: Annotated[int, Option(
        CONTENT, "How many messages a topic remembers for replay; 0 is no such bound, and none at all where"
        " none of the three is set",
        values.whole_number, unit="messages")] = Field(0, ge=0)
    history_bytes: Annotated[int, Option(
        CONTENT, "How many bytes of messages a topic remembers",
        values.size, unit="bytes")] = Field(0, ge=0)
    history_age: Annotated[int, Option(
        CONTENT, "How long a topic remembers its messages",
        values.duration, unit="time")] = Field(0, ge=0, le=CENTURY)
    timestamp: Annotated[bool, Option(
        CONTENT, "Whether MESSAGE carries the broker's time of the SEND as timestamp (ms since 1970)",
        values.boolean)] = False
    user: Annotated[bool, Option(
        CONTENT, "Whether MESSAGE carries the sender's login as JMSXUserID",
        values.boolean)] = False
    # fmt: on


PolicyEntries = tuple[tuple[str, PolicyOptions], ...]
"""Patterns with what they set, in the order of the file."""

POLICY_FIELDS: dict[str, tuple[FieldInfo, Option]] = fields_of(PolicyOptions)
GLOBAL = frozenset({"max-redeliveries", "deadletter", "priorities"})
"""Options of the server that hold where no pattern sets them."""
OF_LISTENERS = frozenset({"nack"})
"""Options of the listener that hold where no pattern sets them."""

_TOPICS_ONLY = ("retain", "history-messages", "history-bytes", "history-age", "slow")
_LEVEL = re.compile(r"[^./]+")
_EXPRESSION = re.compile(r"\{[^}]*[\[\]()*+?\\|^$][^}]*\}")


def policy_key(name: str) -> str:
    """The canonical key of any spelling, or ""."""
    key = folded(name)
    return key if key in POLICY_FIELDS else ""


def check_pattern(text: str) -> None:
    """Raises ValueError for what cannot be meant as a destination or a pattern of them."""
    if not text.strip() or not text.isprintable():
        raise ValueError(f"{values.shown(text)} is not the name or pattern of a destination")
    if _EXPRESSION.search(text):
        raise ValueError(
            "regular expressions are not taken; write * for one level, > for any number of levels"
        )
    for level in _LEVEL.findall(text):
        if level not in ("*", ">", "#", "**") and any(each in level for each in "*>#"):
            raise ValueError(
                f"{values.shown(level)} is not a whole level; * stands for one level between . or /,"
                " and > (or # or **) for any number of levels"
            )


def meaning_of(pattern: str) -> str:
    """The same text for patterns that mean the same destinations."""
    levels = pattern.replace("/", ".").split(".")
    if not any(level in ("*", ">", "#", "**") for level in levels):
        return pattern
    return ".".join("#" if level in (">", "**") else level for level in levels)


def contradiction(pattern: str, options: PolicyOptions) -> tuple[str, str] | None:
    """The key and the reason of what cannot hold together for a pattern; None when all is well."""
    given = {name.replace("_", "-") for name in options.model_fields_set}
    if pattern.startswith("/queue"):
        for key in _TOPICS_ONLY:
            if key in given:
                return key, f"only topics have it, and {pattern} means queues"
    if "deadletter" in given and options.deadletter == pattern:
        return "deadletter", "a queue cannot be its own dead letter queue"
    if options.max_redelivery_delay and options.max_redelivery_delay < options.redelivery_delay:
        return "max-redelivery-delay", "is less than redelivery-delay"
    if options.max_ttl and options.max_ttl < options.ttl:
        return "max-ttl", "is less than ttl"
    if "deadletter" in given and not options.deadletter:
        if options.expired == "deadletter":
            return "expired", "there is no dead letter queue, since deadletter is empty"
        if options.nack == "deadletter":
            return "nack", "there is no dead letter queue, since deadletter is empty"
        if options.overflow == "dead-letter":
            return "overflow", "there is no dead letter queue, since deadletter is empty"
    if options.duplicate_time and "duplicate-window" in given and not options.duplicate_window:
        return "duplicate-time", "has no effect, since duplicate-window is 0"
    return None


def value_as_text(key: str, value: object) -> str:
    """A value as a person would write it in the file."""
    parse = POLICY_FIELDS[key][1].parse
    if parse is values.duration and isinstance(value, int):
        return values.duration_as_text(value)
    if parse is values.size and isinstance(value, int):
        return values.size_as_text(value)
    if parse is values.redeliveries and isinstance(value, int):
        return values.redeliveries_as_text(value)
    return values.as_text(value)
