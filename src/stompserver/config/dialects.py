"""What ``dialect`` sets: for each broker that people come from, a row of options as they know them.

A row is data: each value is written as in the configuration file, and holds where nobody sets that option. What is
not in a row is as by default. The row of a listener has the options that listeners have, all of them; so a listener
may have the ``original`` dialect where the server has another.

What the others do was seen in frames of RabbitMQ 3.10.8 and ActiveMQ 5.17.2, and read of Artemis 2.32 and Apollo 1.7
(their manuals, and frames in reports of their users).
"""

from __future__ import annotations

from typing import Final

from stompserver.config.listeners import LISTENER_FIELDS

ORIGINAL: Final = "original"
"""The one whose row is the defaults: stompserver's own."""

ROWS: Final[dict[str, dict[str, str]]] = {
    ORIGINAL: {
        "server-header": "",
        "bare-destination": "topic",
        "prefetch": "100",
        "prefetch-stomp10": "1",
        "prefetch-bytes": "0",
        "priorities": "false",
        "wildcards": "*,>,#,**",
        "nack": "again",
        "deadletter": "/queue/deadletter",
        "max-redeliveries": "0",
        "message-headers": "none",
        "destination-header": "subscribed",
        "delayed-expires": "time",
        "client-id-in-use": "takeover",
    },
    "rabbitmq": {
        "server-header": "RabbitMQ/3.10.8",
        "bare-destination": "queue",
        "prefetch": "0",
        "prefetch-stomp10": "0",
        "wildcards": "*,#",
        "message-headers": "redelivered,x-first-death",
        "destination-header": "full",
        "client-id-in-use": "share",
    },
    "activemq": {
        "server-header": "ActiveMQ/5.17.2",
        "bare-destination": "queue",
        "prefetch": "1000",
        "prefetch-stomp10": "1000",
        "wildcards": "*,>",
        "nack": "deadletter",
        "deadletter": "/queue/ActiveMQ.DLQ",
        "message-headers": "timestamp,priority,expires",
        "destination-header": "full",
        "delayed-expires": "span",
        "client-id-in-use": "refuse",
    },
    "artemis": {
        "server-header": "ActiveMQ-Artemis/2.32.0",
        "prefetch": "0",
        "prefetch-stomp10": "0",
        "prefetch-bytes": "10KiB",
        "priorities": "true",
        "wildcards": "*,#",
        # There it is taken for an ACK, and the message is lost. Its consumer sees no difference.
        "nack": "deadletter",
        "deadletter": "/queue/DLQ",
        "max-redeliveries": "9",
        "message-headers": "redelivered,timestamp,priority,expires",
        "client-id-in-use": "share",
    },
    "apollo": {
        "server-header": "apache-apollo/1.7.1",
        "bare-destination": "error",
        "prefetch": "655360",
        "prefetch-stomp10": "655360",
        "prefetch-bytes": "640KiB",
        "wildcards": "*,**",
        "deadletter": "/queue/dlq.%",
        "client-id-in-use": "share",
    },
}
"""By the word, the options of the server that it sets."""


def of_server(word: str) -> dict[str, str]:
    """The options of the server that a dialect sets; none where it is the original, or no word that is known."""
    return {} if word == ORIGINAL else ROWS.get(word, {})


def of_server_alone(word: str) -> list[tuple[str, str]]:
    """What a dialect sets for a server and not for a listener, whose word it is in any case."""
    row = ROWS.get(word.strip().lower(), {})
    return [(key, text) for key, text in row.items() if key not in LISTENER_FIELDS]


def of_listener(word: str) -> dict[str, str]:
    """The options of a listener that a dialect sets; none where it is no word that is known."""
    if word not in ROWS:
        return {}
    row = {**ROWS[ORIGINAL], **ROWS[word]}
    return {key: text for key, text in row.items() if key in LISTENER_FIELDS}
