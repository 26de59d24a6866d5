"""What clients of the field say, and what hostile ones say in the same places: names, values, destinations.

Everything is chosen by a `random.Random`, so that a seed says what was sent.
"""

from __future__ import annotations

import re
from random import Random
from urllib.parse import unquote_to_bytes

from fuzz_judge import FORGED, LOGINS

PLACES = ("a", "b", "a.b", "a/b", "c", "deep.er.name", "\u00fcmlaut", "with space", "a%2Fb", "VirtualTopic.v")
LOGGED_IN = (*LOGINS, None)

FRAMES_INSIDE = (
    "\n\nx\0\nMESSAGE\nsubscription:0\nmessage-id:1\ndestination:/queue/a\n\nforged",
    "x\nsubscription:s1\nmessage-id:99",
    "x\r\n\r\nMESSAGE\r\nsubscription:s0\r\n",
    "\0\nERROR\nmessage:forged\n\n\0",
    "x\nredelivered:true",
    "\\n\\nMESSAGE",
    "\\",
    "\\\\c\\n",
    "a:b:c",
    ":",
    "%0A%0Aforged%00%0AMESSAGE%0A",
    "\n",
    "\r",
    "",
    " blank before",
    "blank behind ",
    "\t",
    "\u00fc\u20ac\U0001f600",
    "\u2028",
    "\x7f\x1b[31m",
    "n" * 2000,
)
NUMBERS = (
    "0",
    "1",
    "2",
    "10",
    "100",
    "-1",
    "00",
    "1.5",
    "1e3",
    " 5",
    "999999999999999",
    "-999999999999999",
    "x",
    "",
)
SPANS = ("0", "1", "5", "50", "500", "5000", "86400000", "-1", "x")
BOOLEANS = ("true", "false", "1", "0", "TRUE", "yes", "")

SEND = {
    "persistent": BOOLEANS,
    "persist": BOOLEANS,
    "ttl": ("1", "50", "60000", "86400000", "0"),
    "expiration": ("50", "60000"),
    "expires": ("0", "1", "4102444800000"),
    "priority": ("0", "4", "9", "255", "x"),
    "correlation-id": None,
    "type": None,
    "timestamp": None,
    "content-type": None,
    "content-encoding": None,
    "app-id": None,
    "amqp-message-id": None,
    "JMSXGroupID": ("g1", "g2", "g3", None),
    "_AMQ_GROUP_ID": ("g1", "g4"),
    "message_group": ("g1", "g5"),
    "JMSXGroupSeq": ("1", "-1", "x"),
    "AMQ_SCHEDULED_DELAY": ("1", "20", "200", "3600000"),
    "x-delay": ("1", "20"),
    "AMQ_SCHEDULED_PERIOD": ("10", "1000"),
    "AMQ_SCHEDULED_REPEAT": ("1", "2", "5"),
    "AMQ_SCHEDULED_CRON": ("* * * * *", "0 0 1 1 *"),
    "AMQ_SCHEDULED_TIME": ("1", "4102444800000"),
    "dedup-id": ("d1", "d2", "d3", None),
    "_AMQ_DUPL_ID": ("d1", "d4", None),
    "_AMQ_LVQ_NAME": ("k1", "k2", None),
    "retain": ("true", "set", "remove", "last"),
    "ActiveMQ.Retain": ("true",),
    "destination-type": ("ANYCAST", "MULTICAST"),
    "max-exceptions": ("0", "1", "3", "x"),
    "transformation": None,
    "client-id": None,
    "x-max-length": ("1", "3", "100"),
    "x-max-length-bytes": ("100", "10000"),
    "x-overflow": ("drop-head", "reject-publish", "reject-publish-dlx"),
    "x-dead-letter-routing-key": ("a", "b", "dead", "monitor", "deadletter"),
    "x-expires": ("1000", "60000"),
    "x-message-ttl": ("10", "60000"),
    "x-single-active-consumer": BOOLEANS,
    "auto-delete": BOOLEANS,
    "x-queue-type": ("quorum", "stream"),
    "durable": BOOLEANS,
    "exclusive": BOOLEANS,
    "c-custom": None,
    "c-\u00fc": None,
    "c-odd:name": None,
    "c-line\nend": None,
    "c-back\\slash": None,
    "c-cr\rname": None,
}
"""Header -> values to choose from, among them None for a hostile one; None alone: only hostile and plain text."""

RESERVED = (
    *("redelivered", "delivery-count", "JMSXDeliveryCount", "original-destination", "dead-letter-reason"),
    *("dead-letter-cause", "dlqDeliveryFailureCause", "first-failure", "scheduledJobId", "JMSXUserID"),
    *("original-expires", "original-ttl"),
    *("x-stream-offset", "ActiveMQ.Retained", "message-id", "subscription", "ack", "browser", "x-sanitized"),
    *(" redelivered", "redelivered ", " message-id", "message-id "),
)
"""Headers that the server says, some with a blank that could hide them."""

SUBSCRIBE = {
    "selector": (
        *(
            "c-custom = 'x'",
            "priority > 3",
            "JMSXGroupID IS NULL",
            "c-custom LIKE '%a%_b'",
            "x IN ('a', 'b')",
        ),
        *("NOT (a = 1 OR b <> 2)", "hyphenated_props:c-custom = '1'", "a BETWEEN 1 AND 2"),
    ),
    "prefetch-count": ("1", "2", "10", "0", "-1", "1000000"),
    "activemq.prefetchSize": ("1", "100"),
    "credit": ("5", "5,1000"),
    "consumer-window-size": ("0", "100", "-1"),
    "activemq.exclusive": BOOLEANS,
    "exclusive": BOOLEANS,
    "x-priority": ("1", "-5", "10"),
    "browser": BOOLEANS,
    "browser-end": BOOLEANS,
    "no-local": BOOLEANS,
    "durable": BOOLEANS,
    "activemq.subscriptionName": ("n1", "n2", None),
    "x-queue-name": ("q1", "q2"),
    "activemq.retroactive": BOOLEANS,
    "x-stream-offset": ("first", "last", "next", "offset=1", "0", "-10m", "timestamp=1"),
    "activemq.maximumPendingMessageLimit": ("1", "10"),
    "activemq.maximumRedeliveries": ("0", "1", "3", "-1"),
    "activemq.redeliveryDelay": ("0", "5", "50"),
    "activemq.useExponentialBackOff": BOOLEANS,
    "activemq.backOffMultiplier": ("1", "2", "1.5"),
    "ack-timeout": ("5", "50", "5000"),
    "x-max-length": ("2", "50"),
    "x-overflow": ("drop-head", "reject-publish-dlx"),
    "x-dead-letter-routing-key": ("a", "dead", "monitor"),
    "auto-delete": BOOLEANS,
    "temp": BOOLEANS,
    "subscription-type": ("ANYCAST", "MULTICAST"),
    "client-id": ("i1", "i2"),
    "c-custom": None,
}

MANAGEMENT = (
    ("queues", ("limit",)),
    ("pause", ("queue",)),
    ("resume", ("queue",)),
    ("purge", ("queue",)),
    ("delete", ("queue",)),
    ("redrive", ("queue", "id", "count")),
    ("schedule-list", ("limit", "start", "end")),
    ("schedule-cancel", ("id", "all", "start", "end")),
    ("durables", ("limit",)),
    ("durable-delete", ("name",)),
    ("no-such-action", ()),
)
MANAGER = "/queue/stompserver.management"
SCHEDULER = "/topic/ActiveMQ.Scheduler.Management"

ALIASES = (
    (re.compile(r"(?:queue://|queue/|jms\.queue\.|/amq/queue/|/exchange/amq\.direct/)(.+)", re.S), "/queue/"),
    (re.compile(r"(?:topic://|topic/|jms\.topic\.|/exchange/amq\.topic/)(.+)", re.S), "/topic/"),
    (re.compile(r"/exchange/(?:amq\.fanout)(?:/.*)?()", re.S), "/topic/amq.fanout"),
    (re.compile(r"/exchange/(.+)", re.S), "/topic/"),
    (re.compile(r"temp-queue://(.+)", re.S), "/temp-queue/"),
    (re.compile(r"temp-topic://(.+)", re.S), "/temp-topic/"),
    (re.compile(r"((?:ActiveMQ\.DLQ|DLQ|dlq|Consumer\.).*)", re.S), "/queue/"),
    (re.compile(r"(VirtualTopic\..*)", re.S), "/topic/"),
)


def text(random: Random) -> str:
    """A value that somebody hopes to break out with, or a harmless one."""
    if random.random() < 0.5:
        return random.choice(("x", "1", "value", "text/plain", "two words"))
    if random.random() < 0.7:
        return random.choice(FRAMES_INSIDE)
    alphabet = "ab:\\\n\r \0\t%\u00e9\u20ac"
    return "".join(random.choice(alphabet) for _ in range(random.randrange(12)))


def value(random: Random, choices: tuple[str | None, ...] | None) -> str:
    if choices is None:
        return text(random)
    if random.random() < 0.01:
        return random.choice((*NUMBERS, *SPANS, *FRAMES_INSIDE))
    chosen = random.choice(choices)
    return text(random) if chosen is None else chosen


def options(random: Random) -> str:
    """What stands behind the question mark of a destination."""
    parts = []
    for _ in range(random.randrange(1, 3)):
        name = random.choice(
            (
                *("consumer.prefetchSize", "consumer.exclusive", "consumer.selector", "ttl", "priority"),
                *(
                    "_AMQ_LVQ_NAME",
                    "dedup-id",
                    "JMSXGroupID",
                    "correlation-id",
                    "type",
                    "reply-to",
                    "max-exceptions",
                ),
                *("no-such-option", "redelivered", "message-id", "x-message-ttl", "persistent", "user-id"),
            )
        )
        said = random.choice(("1", "true", "x", text(random)))
        quoted = "".join(
            f"%{octet:02X}" if octet < 33 or octet in b"%&,;?:" or random.random() < 0.05 else chr(octet)
            for octet in said.encode()
            if octet < 128
        )
        parts.append(f"{name}={quoted}")
    return "?" + "&".join(parts)


def one_destination(random: Random) -> str:
    place = random.choice(PLACES[:3] if random.random() < 0.6 else PLACES)
    form = random.choices(
        (
            *("/queue/{}", "/topic/{}", "{}", "queue://{}", "topic://{}", "jms.queue.{}", "/temp-queue/{}"),
            *(
                "/temp-topic/{}",
                "/user/queue/{}",
                "/user/topic/{}",
                "/user/alice/queue/{}",
                "/user/bob/topic/{}",
            ),
            *("/dsub/{}", "/exchange/amq.topic/{}", "/exchange/amq.direct/{}", "/amq/queue/{}", "DLQ.{}"),
            *("/topic/a::{}", "/queue/a::{}", "Consumer.g.VirtualTopic.{}", "/queue/$temp/1/{}"),
            *("/remote-temp-queue/1/{}", "/queue/monitor", "/queue/deadletter", "$stompserver/{}", "/queue/"),
            "/queue/Consumer.g1.VirtualTopic.v",
        ),
        (
            30,
            20,
            3,
            1,
            1,
            1,
            3,
            1,
            3,
            2,
            1,
            1,
            0.1,
            1,
            1,
            1,
            0.5,
            0.2,
            0.3,
            1,
            0.1,
            0.1,
            0.5,
            1,
            0.02,
            0.02,
            3,
        ),
    )[0]
    return form.format(place)


def destination(random: Random) -> str:
    """Where a SEND goes to; one in ten goes to several."""
    if random.random() < 0.1:
        return ",".join(one_destination(random) for _ in range(random.randrange(2, 4)))
    found = one_destination(random)
    if random.random() < 0.1:
        found += options(random)
    elif random.random() < 0.02:
        found += random.choice(FRAMES_INSIDE)
    return found


def source(random: Random) -> str:
    """Where a SUBSCRIBE listens."""
    if random.random() < 0.2:
        return random.choice(
            (
                *("/queue/>", "/queue/*", "/topic/#", "/topic/a.*", "/topic/>", "/topic/**.b", "/queue/a.>"),
                *("/topic/#.a.#.b.#", "/topic/a.{x}", "/queue/deadletter", "/queue/monitor", "DLQ.>"),
            )
        )
    return destination(random)


def forms(destination: str) -> frozenset[str]:
    """The names by which a client may see `destination` again: as written, and in this server's words."""
    found = {destination}
    bare, _, _ = destination.partition("?")
    found.add(bare)
    for part in [bare, *_parts(bare)]:
        found.add(part)
        known = part
        for alias, prefix in ALIASES:
            match = alias.fullmatch(part)
            if match:
                known = prefix + match[1]
                break
        found.add(known)
        if not known.startswith("/"):
            found.update(("/queue/" + known, "/topic/" + known))
        address, colons, queue = known.partition("::")
        if colons:
            kind = "/queue/" if known.startswith("/queue") else "/topic/"
            found.update((address, kind + queue, "/queue/" + queue, "/dsub/" + queue, queue))
    return frozenset(found)


def _parts(destination: str) -> list[str]:
    """Each of several destinations, and what is left when one has a comma in its name."""
    parts = destination.split(",")
    return [
        ",".join(parts[start:end]) for start in range(len(parts)) for end in range(start + 1, len(parts) + 1)
    ]


def of_options(destination: str) -> dict[str, set[str]]:
    """The headers that the options behind destinations become, each with its values."""
    found: dict[str, set[str]] = {}
    for part in destination.split("?")[1:]:
        for option in part.split("&"):
            name, _, quoted = option.partition("=")
            for words in (quoted, quoted.rpartition(",")[0]):
                found.setdefault(name, set()).add(unquote_to_bytes(words).decode("utf-8", "replace"))
    return found


def private_to(destination: str, login: str | None) -> str | None:
    """The login that alone may receive what is sent to `destination`; None when anybody may, or several kinds."""
    if "," in destination or "?" in destination:
        return None
    match = re.fullmatch(r"/user/(?:(.+?)/)?(queue|topic)/.+", destination, re.S)
    if match:
        return match[1] or login
    return None


def of_connection(destination: str) -> bool:
    """Whether only the connection that sent there may receive it."""
    return "," not in destination and destination.startswith(("/temp-queue/", "/temp-topic/"))


def reserved(random: Random) -> tuple[str, str]:
    return random.choice(RESERVED), FORGED


def escape(words: str, version: str) -> str:
    """A header's text as a client of `version` writes it; what that cannot express is left out."""
    words = words.replace("\0", "")
    if version == "1.0":
        return words.replace("\n", "").replace("\r", "")
    words = words.replace("\\", "\\\\").replace("\n", "\\n").replace(":", "\\c")
    if version == "1.1":
        return words.replace("\r", "")
    return words.replace("\r", "\\r")


def read_back(written: str, version: str) -> str:
    """What a server of `version` reads of it."""
    if version == "1.0":
        return written.strip(" \t\r")
    names = {"\\\\": "\\", "\\n": "\n", "\\c": ":", "\\r": "\r"}
    return re.sub(r"\\[\\ncr]", lambda match: names[match[0]], written)
