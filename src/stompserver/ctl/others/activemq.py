"""ActiveMQ's activemq.xml as policies of this server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from stompserver.ctl.others.fragment import NEVER, Fragment, NotReadable
from stompserver.ctl.others.tree import Element

TRUE: Final = "true"
DLQ: Final = "ActiveMQ.DLQ"
UNITS: Final = {
    "": 1,
    "b": 1,
    "k": 1 << 10,
    "kb": 1 << 10,
    "m": 1 << 20,
    "mb": 1 << 20,
    "g": 1 << 30,
    "gb": 1 << 30,
}

NO_ADVISORIES: Final = "there are no advisories; management frames and /queue/monitor tell such things"
CURSORS: Final = "nothing to set: what does not fit into memory is on disk by itself"
ALREADY: Final = "nothing to set: it is always so"

REASONS: Final = {
    "alwaysRetroactive": "subscribers say activemq.retroactive:true",
    "consumersBeforeDispatchStarts": "a message goes to the first consumer that comes",
    "timeBeforeDispatchStarts": "a message goes to the first consumer that comes",
    "maxDestinations": "max-queues of the server is for all of them",
    "sendFailIfNoSpace": "overflow says for each queue what happens above its max-bytes",
    "sendFailIfNoSpaceAfterTimeout": "overflow: block has no end, reject is at once",
    "strictOrderDispatch": "consumers are served in turn",
    "enableAudit": "duplicates are told by dedup-id, not by message-id",
    "expireMessagesPeriod": ALREADY,
    "useConsumerPriority": ALREADY,
    "persistJMSRedelivered": "after a crash of the server what was out comes without redelivered:true",
}
"""Of attributes that become nothing. Those that are not here and not known are about tuning the broker."""

TUNING: Final = frozenset(
    (
        *(
            "cursorMemoryHighWaterMark",
            "lazyDispatch",
            "maxBrowsePageSize",
            "maxExpirePageSize",
            "maxPageSize",
        ),
        *(
            "maxAuditDepth",
            "maxProducersToAudit",
            "minimumMessageSize",
            "optimizedDispatch",
            "reduceMemoryFootprint",
        ),
        *("storeUsageHighWaterMark", "useCache", "usePrefetchExtension", "useTopicSubscriptionInflightStats"),
        *(
            "blockedProducerWarningInterval",
            "maxQueueAuditDepth",
            "doOptimzeMessageStorage",
            "includeBodyForAdvisory",
        ),
    )
)
KNOWN: Final = frozenset(
    (
        *("queue", "topic", "tempQueue", "tempTopic", "memoryLimit", "producerFlowControl", "queuePrefetch"),
        *("topicPrefetch", "durableTopicPrefetch", "prioritizedMessages", "allConsumersExclusiveByDefault"),
        *("gcInactiveDestinations", "inactiveTimeoutBeforeGC", "inactiveTimoutBeforeGC", "id"),
    )
)
PARTS: Final = {
    "dispatchPolicy": "consumers are served in turn, those of a higher priority first",
    "messageGroupMapFactory": ALREADY,
    "networkBridgeFilterFactory": "servers are not connected with each other",
    "pendingQueuePolicy": CURSORS,
    "pendingSubscriberPolicy": CURSORS,
    "pendingDurableSubscriberPolicy": CURSORS,
}
BROKER: Final = {
    "authorizationPlugin": "there are no permissions by destination",
    "simpleAuthenticationPlugin": "write the logins into .passwd (stompserver --hash-password), and auth: true",
    "jaasAuthenticationPlugin": "write the logins into .passwd (stompserver --hash-password), and auth: true",
    "compositeQueue": "let senders name several destinations, /queue/a,/queue/b",
    "compositeTopic": "let senders name several destinations, /topic/a,/topic/b",
    "mirroredQueue": "let senders name the queue and a topic, /queue/a,/topic/b",
    "networkConnector": "servers are not connected with each other",
    "timeStampingBrokerPlugin": "ttl and max-ttl of a policy are for times to live; expires is believed",
    "storeUsage": "storage-reserve keeps some of the disk free; a queue has max-bytes",
    "tempUsage": "there are no other files than those of the storage",
    "jobSchedulerUsage": "max-scheduled is a number of messages",
    "sslContext": "there is no TLS; put a proxy in front",
}


def convert(root: Element) -> Fragment:
    """The policies in activemq.xml. Raises NotReadable when it has no broker."""
    broker = root if root.name == "broker" else root.first("broker")
    if broker is None:
        raise NotReadable("this XML has no element broker, which activemq.xml has")
    return _Broker(broker).read()


class _Broker:
    def __init__(self, broker: Element) -> None:
        self._broker = broker
        self._out = Fragment("From activemq.xml of ActiveMQ, by stompctl convert.")

    def read(self) -> Fragment:
        """All of it."""
        out, broker = self._out, self._broker
        out.options = {
            "queue": "memory" if broker.attributes.get("persistent") == "false" else "lmdb",
            "dialect": "activemq",
        }
        for entry in broker.all("policyEntry"):
            self._entry(entry)
        for entry in broker.all("redeliveryPolicy"):
            self._redelivery(entry)
        for entry in broker.all("discardingDLQBrokerPlugin"):
            self._discarding(entry)
        if not out.has("/queue/>", "expired") and not out.has("/queue/>", "deadletter"):
            # Without a strategy of its own what expires is a dead letter there.
            out.set("/queue/>", "expired", "deadletter", "the default strategy for dead letters")
        for entry in broker.all("virtualTopic"):
            name, prefix = (
                entry.attributes.get("name", "VirtualTopic.>"),
                entry.attributes.get("prefix", "Consumer.*."),
            )
            if (name, prefix) != ("VirtualTopic.>", "Consumer.*."):
                out.note(
                    f"virtualTopic {name} with {prefix}",
                    "virtual topics are VirtualTopic.> here, and their queues Consumer.*.VirtualTopic.>",
                )
        self._rest()
        return out

    def _rest(self) -> None:
        out, broker = self._out, self._broker
        for entry in _settings(broker, "memoryUsage"):
            limit = _bytes(entry.attributes.get("limit", ""))
            if limit >= 1 << 20:
                out.options["memory-limit"] = f"{limit >> 20}MiB"
            else:
                out.note("memoryUsage", "memory-limit is bytes, or percent of the machine's memory")
        for name, why in BROKER.items():
            for entry in _settings(broker, name):
                shown = (
                    entry.attributes.get("name")
                    or entry.attributes.get("uri")
                    or entry.attributes.get("limit")
                    or ""
                )
                out.note(f"{name} {shown}".strip(), why)
        for entry in broker.all("transportConnector"):
            uri = entry.attributes.get("uri", "")
            if uri.startswith(("stomp", "auto")):
                out.note(f"transportConnector {uri}", "say host and port, and listeners for more than one")
            else:
                out.note(f"transportConnector {uri}", "STOMP over TCP is all that is spoken here")

    def _entry(self, entry: Element) -> None:
        said = entry.attributes
        if said.get("tempQueue") == TRUE or said.get("tempTopic") == TRUE:
            self._out.note("policyEntry of temporary destinations", "they have no policy of their own")
            return
        names = [("queue", name) for name in _names(said.get("queue"))]
        names += [("topic", name) for name in _names(said.get("topic"))]
        for kind, name in names:
            self._one(entry, kind, f"/{kind}/{name}", f"policyEntry {kind}={name}")
        if not names:
            self._out.note("a policyEntry", "it names neither a queue nor a topic in an attribute")

    def _one(self, entry: Element, kind: str, pattern: str, origin: str) -> None:
        out, said = self._out, entry.attributes
        if kind == "queue":
            if said.get("prioritizedMessages") == TRUE:
                out.set(pattern, "priorities", True, origin)
            if said.get("allConsumersExclusiveByDefault") == TRUE:
                out.set(pattern, "exclusive", True, origin)
        for name in ("queuePrefetch",) if kind == "queue" else ("topicPrefetch", "durableTopicPrefetch"):
            if name in said:
                count = _count(said[name])
                if count > 0:
                    out.set(pattern, "prefetch", count, f"{name} of {origin}")
                else:
                    out.note(
                        f"{name}={said[name]} of {origin}",
                        "clients that fetch one by one say prefetch-count:1",
                    )
        if said.get("gcInactiveDestinations") == TRUE:
            idle = said.get("inactiveTimeoutBeforeGC", said.get("inactiveTimoutBeforeGC", "60000"))
            out.set(pattern, "idle-expiry", max(1, _count(idle)), origin)
        if "memoryLimit" in said:
            self._memory(said["memoryLimit"], kind, origin)
        for name in said:
            if name.startswith("advisory") and said[name] == TRUE:
                out.note(f"{name} of {origin}", NO_ADVISORIES)
            elif name in REASONS:
                out.note(f"{name} of {origin}", REASONS[name])
            elif name not in KNOWN and name not in TUNING and not name.startswith("advisory"):
                out.note(f"{name} of {origin}", "not known here")
        for part in entry.children:
            self._part(part, kind, pattern, origin)

    def _memory(self, limit: str, kind: str, origin: str) -> None:
        what = f"memoryLimit={limit} of {origin}"
        if kind == "topic":
            self._out.note(
                what, "slow, and slow-subscriber-limit of the server, bound what waits for a subscriber"
            )
            return
        size = _bytes(limit)
        self._out.note(
            what,
            "it bounds what is in memory, and more is on disk, as here without a limit; to bound the queue itself,"
            f" write max-bytes{f': {size}' if size > 0 else ''}, and overflow: block to let senders wait",
        )

    def _part(self, part: Element, kind: str, pattern: str, origin: str) -> None:
        out = self._out
        inner = part.children[0] if part.children else None
        if part.name == "deadLetterStrategy" and inner is not None:
            self._strategy(inner, pattern, origin)
        elif part.name == "pendingMessageLimitStrategy" and inner is not None:
            out.set(pattern, "slow", "drop-oldest", origin)
            out.note(
                f"{inner.name} of {origin}",
                "how far a subscriber may fall behind is slow-subscriber-limit of the server, in bytes",
            )
        elif part.name == "subscriptionRecoveryPolicy" and inner is not None:
            self._history(inner, pattern, origin)
        elif part.name in ("slowConsumerStrategy",) and inner is not None:
            longest = _count(inner.attributes.get("maxTimeSinceLastAck", "30000"))
            if inner.name == "abortSlowAckConsumerStrategy" and kind == "queue" and longest > 0:
                out.set(pattern, "ack-timeout", longest, origin)
            else:
                out.note(
                    f"{inner.name} of {origin}",
                    "ack-timeout of a queue and slow of a topic are what there is",
                )
        else:
            out.note(f"{part.name} of {origin}", PARTS.get(part.name, "not known here"))

    def _strategy(self, strategy: Element, pattern: str, origin: str) -> None:
        out, said = self._out, strategy.attributes
        queue = pattern.startswith("/queue/")
        if strategy.name == "individualDeadLetterStrategy":
            prefix = said.get(
                "queuePrefix" if queue else "topicPrefix", f"{DLQ}.{'Queue' if queue else 'Topic'}."
            )
            if not queue:
                out.note(
                    f"{strategy.name} of {origin}",
                    "dead letters of a topic are those of its durable subscriptions; a pattern for /dsub/NAME says"
                    " where they go",
                )
            elif "%" in prefix + said.get("queueSuffix", ""):
                out.note(
                    f"{strategy.name} of {origin}", "a % in the name stands for the name of the queue here"
                )
            else:
                out.set(pattern, "deadletter", f"/queue/{prefix}%{said.get('queueSuffix', '')}", origin)
        elif strategy.name == "sharedDeadLetterStrategy":
            name = _physical(strategy)
            if name and queue:
                out.set(pattern, "deadletter", f"/queue/{name}", origin)
        elif strategy.name == "discarding":
            out.set(pattern, "deadletter", "", origin)
            return
        else:
            out.note(f"{strategy.name} of {origin}", "not known here")
            return
        if queue:
            out.set(
                pattern, "expired", "drop" if said.get("processExpired") == "false" else "deadletter", origin
            )
        if said.get("processNonPersistent") != TRUE:
            out.note(
                f"{strategy.name} of {origin}",
                "messages that are not persistent become dead letters, too (processNonPersistent=true)",
            )
        if _count(said.get("expiration", "0")) > 0:
            out.note(f"expiration of {origin}", "set ttl for the dead letter queue")

    def _history(self, policy: Element, pattern: str, origin: str) -> None:
        said = policy.attributes
        key, value = {
            "fixedCountSubscriptionRecoveryPolicy": (
                "history-messages",
                _count(said.get("maximumSize", "100")),
            ),
            "fixedSizedSubscriptionRecoveryPolicy": (
                "history-bytes",
                _bytes(said.get("maximumSize", "64kb")),
            ),
            "lastImageSubscriptionRecoveryPolicy": ("history-messages", 1),
            "timedSubscriptionRecoveryPolicy": ("history-age", _count(said.get("recoverDuration", "60000"))),
            "retainedMessageSubscriptionRecoveryPolicy": ("retain", 0),
        }.get(policy.name, ("", 0))
        if key == "retain":
            self._out.note(f"{policy.name} of {origin}", "nothing to set: a message with retain:true is kept")
        elif key and value > 0:
            self._out.set(pattern, key, value, origin)
        elif policy.name != "noSubscriptionRecoveryPolicy":
            self._out.note(
                f"{policy.name} of {origin}", "a topic remembers by history-messages, -bytes and -age"
            )

    def _redelivery(self, policy: Element) -> None:
        out, said = self._out, policy.attributes
        name = said.get("queue") or (">" if "topic" not in said else "")
        origin = f"redeliveryPolicy {name or said.get('topic', '')}"
        if not name:
            out.note(
                origin,
                "a topic's is that of its durable subscriptions; a pattern for /dsub/NAME says it",
            )
            return
        pattern = f"/queue/{name}"
        most = _count(said.get("maximumRedeliveries", "6"))
        out.set(pattern, "max-redeliveries", NEVER if most == 0 else max(0, most), origin)
        out.set(
            pattern, "redelivery-delay", max(0, _count(said.get("initialRedeliveryDelay", "1000"))), origin
        )
        if said.get("useExponentialBackOff") == TRUE:
            factor = said.get("backOffMultiplier", "5")
            out.set(pattern, "redelivery-multiplier", _number(factor), origin)
        longest = _count(said.get("maximumRedeliveryDelay", "-1"))
        if longest > 0:
            out.set(pattern, "max-redelivery-delay", longest, origin)
        if said.get("useCollisionAvoidance") == TRUE:
            out.set(
                pattern,
                "redelivery-jitter",
                _number(said.get("collisionAvoidancePercent", "15")) / 100,
                origin,
            )

    def _discarding(self, plugin: Element) -> None:
        if plugin.attributes.get("dropAll", TRUE) == TRUE:
            self._out.set("/queue/>", "deadletter", "", "discardingDLQBrokerPlugin")
        else:
            self._out.note(
                "discardingDLQBrokerPlugin",
                'write deadletter: "" for each queue that it names',
            )


def _settings(broker: Element, name: str) -> Iterator[Element]:
    """Those of that name that are no wrapping around one of the same name, as in systemUsage."""
    return (entry for entry in broker.all(name) if not any(child.name == name for child in entry.children))


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()] if text else []


def _physical(strategy: Element) -> str:
    """The name of a shared dead letter queue, as an attribute or as an element; "" for the default."""
    name = strategy.attributes.get("deadLetterQueue", "")
    for inner in strategy.all("queue"):
        name = inner.attributes.get("physicalName", name)
    for inner in strategy.all("bean"):
        name = next((each.attributes.get("value", name) for each in inner.all("constructor-arg")), name)
    return name.removeprefix("queue://").lstrip("#")


def _count(text: str) -> int:
    """A whole number; -1 for what is none, such as a placeholder."""
    return int(text) if re.fullmatch(r"\s*-?\d{1,18}\s*", text) else -1


def _number(text: str) -> float:
    return float(text) if re.fullmatch(r"\s*\d{1,9}(\.\d{1,9})?\s*", text) else -1.0


def _bytes(text: str) -> int:
    """Bytes of a text such as ``64 mb``; -1 for what is none."""
    match = re.fullmatch(r"\s*(\d{1,15})\s*([a-z]*)\s*", text.lower())
    return int(match[1]) * UNITS[match[2]] if match and match[2] in UNITS else -1
