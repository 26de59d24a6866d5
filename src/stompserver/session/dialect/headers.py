"""The field's many header names and what we do with each: the one table of them."""

from __future__ import annotations

from typing import Final

from stompserver.broker.dead import letter as deadletter
from stompserver.broker.schedule.schedule import JOB
from stompserver.broker.topics.history import OFFSET
from stompserver.broker.topics.retained import SIGN
from stompserver.wire.frame import stripped

OBEYED: Final = "obeyed"
PASSED: Final = "passed on"
"""Kept with the message and shown to its consumers as it came."""
IGNORED: Final = "ignored"
"""Taken without complaint; the table says why nothing follows from it."""
SENT: Final = "sent"

ACK_MODES: Final = {"auto": 0, "none": 0, "client": 1, "client-individual": 2}
"""``ack`` of SUBSCRIBE (Apollo knows ``none`` for ``auto``)."""

# CONNECT
HOST: Final = ("host", "vhost")
CLIENT_ID: Final = ("client-id",)
TOKEN: Final = ("Authorization", "X-Authorization", "token")

# SEND
PERSISTENT: Final = ("persistent", "persist")
RELATIVE: Final = ("ttl", "expiration", "x-message-ttl")
GROUP: Final = ("JMSXGroupID", "message_group", "_AMQ_GROUP_ID")
GROUP_SEQ: Final = ("JMSXGroupSeq", "_AMQ_GROUP_SEQUENCE")
AT: Final = ("AMQ_SCHEDULED_TIME", "_AMQ_SCHED_DELIVERY")
DELAY: Final = ("AMQ_SCHEDULED_DELAY", "x-delay")
PERIOD: Final = ("AMQ_SCHEDULED_PERIOD",)
REPEAT: Final = ("AMQ_SCHEDULED_REPEAT",)
CRON: Final = ("AMQ_SCHEDULED_CRON",)
MANAGEMENT: Final = ("AMQ_SCHEDULER_ACTION", "scheduledJobId", "ACTION_START_TIME", "ACTION_END_TIME")
DUPLICATE: Final = ("_AMQ_DUPL_ID", "x-deduplication-header", "dedup-id")
LAST_VALUE: Final = ("_AMQ_LVQ_NAME",)
RETAIN: Final = ("retain", "ActiveMQ.Retain")
KIND: Final = ("destination-type",)
PROPERTIES: Final = (
    "x-dead-letter-routing-key",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-message-ttl",
    "x-overflow",
    "x-single-active-consumer",
    "auto-delete",
)
"""Properties that a queue takes from the first frame that has them."""
NO_PROPERTIES: Final = (
    "x-dead-letter-exchange",
    "x-queue-type",
    "x-max-age",
    "x-stream-max-segment-size-bytes",
    "x-stream-filter-size-bytes",
    "durable",
    "exclusive",
)

# SUBSCRIBE
PREFETCH: Final = ("prefetch-count", "activemq.prefetchSize", "consumer.prefetchSize", "credit")
"""How many messages a subscription may have unsettled: RabbitMQ, ActiveMQ, a frequent misspelling, Apollo."""
WINDOW: Final = ("consumer-window-size",)
DURABLE: Final = ("durable", "persistent")
DURABLE_NAME: Final = (
    "activemq.subscriptionName",
    "durable-subscription-name",
    "durable-subscriber-name",
    "activemq.subcriptionName",
)
QUEUE_NAME: Final = ("x-queue-name",)
PRIORITY: Final = ("x-priority", "activemq.priority", "consumer-priority")
EXCLUSIVE: Final = ("activemq.exclusive", "exclusive")
NO_LOCAL: Final = ("activemq.noLocal", "no-local")
PENDING: Final = ("activemq.maximumPendingMessageLimit",)
REPLAY: Final = ("x-stream-offset", "from-seq")
SUBSCRIPTION_KIND: Final = ("subscription-type", "destination-type")
MAXIMUM: Final = ("activemq.maximumRedeliveries",)
FIRST_DELAY: Final = ("activemq.initialRedeliveryDelay", "activemq.redeliveryDelay")
LONGEST_DELAY: Final = ("activemq.maximumRedeliveryDelay",)
BACK_OFF: Final = ("activemq.useExponentialBackOff",)
MULTIPLIER: Final = ("activemq.backOffMultiplier",)
JITTER: Final = ("activemq.collisionAvoidancePercent",)
REDELIVERY: Final = (*MAXIMUM, *FIRST_DELAY, *LONGEST_DELAY, *BACK_OFF, *MULTIPLIER, *JITTER)

SAID: Final = frozenset(
    (
        *deadletter.ADDED,
        JOB,
        OFFSET,
        SIGN,
        "JMSXDeliveryCount",
        "delivery-count",
        "redelivered",
    )
)
"""What only the server says of a message: how often it was delivered, which job it was, its place in a history, that
it was retained, of a dead letter where it came from and why.
"""

SENDER: Final = "JMSXUserID"
"""The sender's login. Where some policy has the server say it, nobody else does."""

PRIVATE: Final = SAID | frozenset(
    (
        "ack",
        "browser",
        "content-length",
        "destination",
        "login",
        "message-id",
        "passcode",
        "receipt",
        "subscription",
        "transaction",
        "x-sanitized",
    )
)
"""Headers of a SEND that never reach a consumer: they are ours to set, or the sender's own affair."""

SCHEDULE: Final = frozenset((*AT, *DELAY, *PERIOD, *REPEAT, *CRON))

TIMED: Final = frozenset(("expires", *RELATIVE))

SPECIAL: Final = (
    PRIVATE
    | SCHEDULE
    | TIMED
    | frozenset(
        (
            *PERSISTENT,
            *GROUP,
            *GROUP_SEQ,
            *DUPLICATE,
            *LAST_VALUE,
            *RETAIN,
            *KIND,
            *PROPERTIES,
            *MANAGEMENT[:1],
            SENDER,
            "max-exceptions",
            "priority",
            "reply-to",
            "user-id",
        )
    )
)
"""Headers for which a SEND takes the long way; all others only travel with the message."""

_OURS: Final = PRIVATE | frozenset((SENDER, "timestamp", "user-id"))


def drop_lookalikes(headers: dict[str, str]) -> None:
    """Take out of ``headers`` what some receivers would read as if the server had said it, or looked at it: a name
    of such a header with blanks and the like around it.
    """
    for name in [name for name in headers if name not in _OURS and stripped(name) in _OURS]:
        del headers[name]


class Header:
    """A header of the field: its names (aliases of each other), the commands that have it, what we do with it
    (OBEYED, PASSED, IGNORED, SENT), and what that means or why.
    """

    __slots__ = ("commands", "does", "meaning", "names")

    def __init__(self, names: tuple[str, ...], commands: str, does: str, meaning: str) -> None:
        self.names = names
        self.commands: tuple[str, ...] = tuple(commands.split())
        self.does = does
        self.meaning = meaning


HEADERS: Final = (
    # CONNECT, CONNECTED
    Header(("accept-version",), "CONNECT", OBEYED, "versions; the highest that both know"),
    Header(HOST, "CONNECT", IGNORED, "there are no virtual hosts; strict mode wants one"),
    Header(("login", "passcode"), "CONNECT", OBEYED, "who it is; checked when `auth` is on"),
    Header(("heart-beat",), "CONNECT CONNECTED", OBEYED, "milliseconds: can send, wants"),
    Header(
        CLIENT_ID,
        "CONNECT",
        OBEYED,
        "part of what durable subscriptions are known by; a second connection that wants one takes it over",
    ),
    Header(("request-id", "response-id"), "CONNECT CONNECTED", OBEYED, "comes back as `response-id`"),
    Header(("receipt", "receipt-id"), "CONNECT CONNECTED", OBEYED, "comes back as `receipt-id` of CONNECTED"),
    Header(("activemq.*",), "CONNECT", IGNORED, "options of ActiveMQ's own clients"),
    Header(TOKEN, "CONNECT", IGNORED, "no bearer tokens; never shown in a log"),
    Header(("server", "session", "version"), "CONNECTED", SENT, "`server` is an option of the listener"),
    # SEND
    Header(PERSISTENT, "SEND", OBEYED, "`false`: need not survive a restart; without it a message is kept"),
    Header(("expires",), "SEND", OBEYED, "Unix time in ms after which nobody wants it; 0: never"),
    Header(RELATIVE, "SEND", OBEYED, "ms from now; of several, and `expires`, the earliest counts"),
    Header(
        ("priority",),
        "SEND",
        OBEYED,
        "in a queue that has priorities; 0 to 9, 4 without it; with `x-max-priority:N` 0 to N, 0",
    ),
    Header(
        (
            "correlation-id",
            "type",
            "timestamp",
            "content-encoding",
            "content-type",
            "app-id",
            "amqp-message-id",
        ),
        "SEND",
        PASSED,
        "the sender's affair",
    ),
    Header(("reply-to",), "SEND", OBEYED, "a `/temp-queue/` in it becomes a name that others can send to"),
    Header(("user-id",), "SEND", OBEYED, "must be the login, else ERROR"),
    Header(GROUP, "SEND", OBEYED, "the message group"),
    Header(GROUP_SEQ, "SEND", OBEYED, "`-1` closes the group"),
    Header(DELAY, "SEND", OBEYED, "ms until it is sent"),
    Header(AT, "SEND", OBEYED, "Unix time in ms at which it is sent"),
    Header(PERIOD, "SEND", OBEYED, "ms between repetitions"),
    Header(REPEAT, "SEND", OBEYED, "how often more; -1: for ever"),
    Header(CRON, "SEND", OBEYED, "when it is sent, as in crontab"),
    Header(
        MANAGEMENT,
        "SEND",
        OBEYED,
        "to `/topic/ActiveMQ.Scheduler.Management`: list, cancel",
    ),
    Header(
        DUPLICATE, "SEND", OBEYED, "a second one with the same value is answered as the first and dropped"
    ),
    Header(LAST_VALUE, "SEND", OBEYED, "the key in a last-value queue (`last-value` of its policy)"),
    Header(
        RETAIN, "SEND", OBEYED, "`true`, `set`, `last`, `all`: the topic keeps it; `remove`: and forgets it"
    ),
    Header(KIND, "SEND", OBEYED, "`ANYCAST` or `MULTICAST`: what a bare name is"),
    Header(("max-exceptions",), "SEND", OBEYED, "how often it may come back before it is a dead letter"),
    Header(
        ("transformation", "transformation-error", "amq-msg-type"),
        "SEND SUBSCRIBE",
        PASSED,
        "bodies are never changed",
    ),
    Header(CLIENT_ID, "SEND", PASSED, "the original only stored it"),
    Header(
        PROPERTIES, "SEND SUBSCRIBE", OBEYED, "the queue's, when it is used first; later others: a warning"
    ),
    Header(
        NO_PROPERTIES,
        "SEND",
        PASSED,
        "queues outlive restarts, belong to nobody and have one kind; there are no exchanges for dead letters",
    ),
    Header(("transaction",), "SEND ACK NACK", OBEYED, "part of that transaction"),
    # SUBSCRIBE
    Header(("id", "ack"), "SUBSCRIBE", OBEYED, "`ack:none` is `auto`"),
    Header(("selector",), "SUBSCRIBE", OBEYED, "SQL-92 as in JMS; both prefixes always hold"),
    Header(
        PREFETCH, "SUBSCRIBE", OBEYED, "messages; 0 or -1: no limit; the second number of `credit`: bytes"
    ),
    Header(WINDOW, "SUBSCRIBE", OBEYED, "bytes; 0: one message at a time; -1: no limit"),
    Header(
        DURABLE,
        "SUBSCRIBE UNSUBSCRIBE",
        OBEYED,
        "on a topic: a durable subscription known by destination and `id` (`persistent`: by `id`)",
    ),
    Header(
        DURABLE_NAME,
        "SUBSCRIBE UNSUBSCRIBE",
        OBEYED,
        "on a topic: a durable one, known by `client-id` and this",
    ),
    Header(
        QUEUE_NAME,
        "SUBSCRIBE UNSUBSCRIBE",
        OBEYED,
        "on a topic: a durable one with the queue `/queue/` of this name, shared by all",
    ),
    Header(CLIENT_ID, "SUBSCRIBE UNSUBSCRIBE", OBEYED, "where CONNECT had none"),
    Header(
        ("exclusive",),
        "SUBSCRIBE",
        OBEYED,
        "queue: exclusive consumer; topic: always so without a durable name",
    ),
    Header(("activemq.exclusive",), "SUBSCRIBE", OBEYED, "exclusive consumer"),
    Header(PRIORITY, "SUBSCRIBE", OBEYED, "consumer priority: the higher is served first"),
    Header(("activemq.retroactive",), "SUBSCRIBE", OBEYED, "what the topic remembers comes first"),
    Header(NO_LOCAL, "SUBSCRIBE", OBEYED, "nothing that this connection sent to the topic"),
    Header(PENDING, "SUBSCRIBE", OBEYED, "messages of a topic that may wait; more: the oldest go"),
    Header(
        ("activemq.dispatchAsync", "activemq.optimizedAcknowledge"), "SUBSCRIBE", IGNORED, "it is always so"
    ),
    Header(("browser",), "SUBSCRIBE", OBEYED, "looks through the queue, takes nothing"),
    Header(("browser-end",), "SUBSCRIBE", OBEYED, "`false`: follows what comes"),
    Header(
        REPLAY, "SUBSCRIBE", OBEYED, "`first`, `last`, `next`, `offset=N`, `timestamp=N`, `-10m`, a number"
    ),
    Header(("include-seq",), "SUBSCRIBE", IGNORED, "`x-stream-offset` shows the place"),
    Header(
        ("x-stream-filter", "x-stream-match-unfiltered"),
        "SUBSCRIBE",
        IGNORED,
        "use `selector`, which is exact",
    ),
    Header(SUBSCRIPTION_KIND, "SUBSCRIBE", OBEYED, "`ANYCAST` or `MULTICAST`: what a bare name is"),
    Header(("temp",), "SUBSCRIBE", OBEYED, "`true`: as `auto-delete:true`"),
    Header(MAXIMUM, "SUBSCRIBE", OBEYED, "redeliveries before a message is a dead letter; -1: no limit"),
    Header(FIRST_DELAY, "SUBSCRIBE", OBEYED, "ms before the first redelivery"),
    Header(LONGEST_DELAY, "SUBSCRIBE", OBEYED, "ms that a redelivery waits at most; -1: no limit"),
    Header(
        (*BACK_OFF, *MULTIPLIER),
        "SUBSCRIBE",
        OBEYED,
        "the delay grows by this factor (5 where none is given)",
    ),
    Header(JITTER, "SUBSCRIBE", OBEYED, "percent by which a delay may vary"),
    Header(("ack-timeout",), "SUBSCRIBE", OBEYED, "ms in which a delivery is settled, or it returns"),
    # UNSUBSCRIBE, ACK, NACK
    Header(
        ("id", "destination"),
        "UNSUBSCRIBE",
        OBEYED,
        "with a durable name it deletes the durable subscription",
    ),
    Header(("id", "message-id", "subscription"), "ACK NACK", OBEYED, "as the version says"),
    Header(("credit",), "ACK", IGNORED, "an ACK always gives its own place back"),
    Header(("requeue",), "NACK", OBEYED, "`false`: a dead letter at once"),
    Header(("delay",), "NACK", OBEYED, "ms until it is delivered again"),
    Header(("reason",), "NACK", OBEYED, "kept with the dead letter"),
    Header(("touch",), "NACK", OBEYED, "`true`: it is not given back, its `ack-timeout` begins anew"),
    # MESSAGE, RECEIPT, ERROR
    Header(
        ("redelivered",),
        "MESSAGE",
        SENT,
        "`true`; a first delivery has none, or `false` by `message-headers`",
    ),
    Header(
        ("delivery-count", "JMSXDeliveryCount"), "MESSAGE", SENT, "deliveries with this one; a first has none"
    ),
    Header(
        ("expires", "priority", "persistent", "type", "correlation-id", "reply-to", "destination-type"),
        "MESSAGE",
        SENT,
        "as the sender had them",
    ),
    Header(
        ("timestamp",),
        "MESSAGE",
        SENT,
        "the broker's time in ms where the policy says `timestamp`, or `message-headers`",
    ),
    Header(("JMSXUserID",), "MESSAGE", SENT, "the sender's login where the policy says `user`"),
    Header(("browser",), "MESSAGE", SENT, "`end`: the queue was seen to its end"),
    Header(("x-stream-offset",), "MESSAGE", SENT, "to those who asked for a replay"),
    Header(("original-destination", "dlqDeliveryFailureCause"), "MESSAGE", SENT, "on dead letters"),
    Header(
        ("x-first-death-queue", "x-first-death-reason", "x-first-death-exchange"),
        "MESSAGE",
        SENT,
        "on dead letters, with `x-first-death` in `message-headers`",
    ),
    Header(
        ("original-expiration", "original-expires"),
        "MESSAGE",
        SENT,
        "on dead letters: when it was to expire; it does not any more",
    ),
    Header(("ingress-timestamp",), "MESSAGE", IGNORED, "`timestamp` says it"),
    Header(("_AMQ_ORIG_ADDRESS", "_AMQ_ORIG_QUEUE"), "MESSAGE", IGNORED, "`original-destination` says it"),
    Header(("JMSXGroupFirstForConsumer",), "MESSAGE", IGNORED, "a group's consumer changes without a word"),
    Header(("warning",), "RECEIPT", SENT, "done, but not all of it as asked"),
    Header(("message", "receipt-id", "content-type"), "ERROR", SENT, "in every version"),
    Header(("version",), "ERROR", SENT, "when no version fits"),
    Header(
        ("subscription", "redirect"), "ERROR", IGNORED, "every ERROR ends the connection, as STOMP wants it"
    ),
)
"""Every header of other brokers that is known; docs/reference/dialects.md has the same list."""

TOLERATED: Final = {
    "ack-again": "an ACK in a transaction of what its cumulative ACK covers already",
    "ack-by-message-id": "an ACK or NACK (1.2) with the message-id in place of the ack value",
    "ack-of-auto": "an ACK or NACK of a message that needs none",
    "ack-words": "an ACK or NACK with the headers of another version, or in 1.1 without subscription",
    "blanks": "blanks in accept-version",
    "body": "a body on a command that has none",
    "colon": "a colon in a header value that is not escaped (1.1 and 1.2)",
    "command-case": "a command in lower case (1.0)",
    "content-length": "a content-length on a command that has no body, and came without one",
    "expired": "expires with a time that is over: often seconds, or no time but a span",
    "group-sequence": "JMSXGroupSeq is no number",
    "max-exceptions": "max-exceptions is no number",
    "no-host": "CONNECT without host (1.1 and 1.2)",
    "option": "an option behind a question mark that is no header we know",
    "priority": "a priority that is not 0 to 9",
    "stray-octets": "NULs or blanks between frames",
    "truth": "a boolean that is neither true nor false",
    "unsubscribe": "UNSUBSCRIBE of nothing",
}
"""What lenience tolerates: counted per connection, and logged when it ends."""
