"""RabbitMQ's exported definitions (definitions.json) as policies of this server."""

from __future__ import annotations

import re
from typing import Any, Final

from stompserver.ctl.others.fragment import NEVER, Fragment, NotReadable, Value

Row = dict[str, Any]

COUNTS: Final = {
    # RabbitMQ's name (without x-): ours, the least that means the same here, the most
    "expires": ("idle-expiry", 1, 1 << 62),
    "max-length": ("max-messages", 1, 1 << 62),
    "max-length-bytes": ("max-bytes", 1, 1 << 62),
    "max-priority": ("max-priority", 1, 31),
    "consumer-timeout": ("ack-timeout", 1, 1 << 62),
}
OVERFLOW: Final = {"drop-head": "drop-head", "reject-publish": "reject", "reject-publish-dlx": "reject"}
ONE_KIND: Final = "there is one kind of queue, on disk and in one place"
REASONS: Final = {
    "queue-type": ONE_KIND,
    "queue-mode": ONE_KIND,
    "queue-version": ONE_KIND,
    "queue-leader-locator": ONE_KIND,
    "queue-master-locator": ONE_KIND,
    "quorum-initial-group-size": ONE_KIND,
    "ha-mode": ONE_KIND,
    "ha-params": ONE_KIND,
    "ha-sync-mode": ONE_KIND,
    "ha-promote-on-failure": ONE_KIND,
    "ha-promote-on-shutdown": ONE_KIND,
    "dead-letter-strategy": "dead letters are moved in one step, and never lost between",
    "alternate-exchange": "there are no exchanges that something could fall through",
    "federation-upstream": "servers are not connected with each other",
    "federation-upstream-set": "servers are not connected with each other",
    "message-ttl": "0 means there that a message nobody waits for is gone at once",
    "delivery-limit": "not a number of times",
}


def convert(content: Row, vhost: str) -> Fragment:
    """The policies in definitions of the virtual host ``vhost`` ("": the only one, or `/`).

    Raises NotReadable when it is no export, or does not say which virtual host is meant.
    """
    rows = {
        key: _rows(content, key)
        for key in ("queues", "exchanges", "bindings", "policies", "users", "parameters", "permissions")
    }
    if not (rows["queues"] or rows["policies"] or "rabbit_version" in content or "vhosts" in content):
        raise NotReadable(
            "this JSON is no export of RabbitMQ's definitions: it has no queues, policies or vhosts"
        )
    return _Definitions(rows, _chosen(rows, vhost), content).read()


def _rows(content: Row, key: str) -> list[Row]:
    rows = content.get(key, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise NotReadable(f"{key} of the definitions is not a list of objects")
    return rows


def _chosen(rows: dict[str, list[Row]], vhost: str) -> str:
    found = sorted({str(row.get("vhost", "/")) for key in ("queues", "policies") for row in rows[key]})
    if vhost:
        if vhost not in found:
            raise NotReadable(
                f"no queue or policy is in the virtual host {vhost}, but in {', '.join(found) or 'none'}"
            )
        return vhost
    if len(found) > 1:
        raise NotReadable(
            f"say which virtual host is meant with --vhost: {', '.join(found)}; each is a server here"
        )
    return found[0] if found else "/"


class _Definitions:
    def __init__(self, rows: dict[str, list[Row]], vhost: str, content: Row) -> None:
        version = content.get("rabbitmq_version") or content.get("rabbit_version") or "?"
        self._out = Fragment(
            f"From definitions of RabbitMQ {version}, virtual host {vhost}, by stompctl convert."
        )
        here = {key: [row for row in rows[key] if row.get("vhost", "/") == vhost] for key in rows}
        self._queues = {str(row.get("name", "")): row for row in here["queues"]}
        self._exchanges = {str(row.get("name", "")): row for row in here["exchanges"]}
        self._bindings = here["bindings"]
        self._policies = sorted(here["policies"], key=lambda row: -_priority(row))
        self._parameters = here["parameters"]
        self._users = rows["users"]
        self._rights = bool(here["permissions"])

    def read(self) -> Fragment:
        """All of it."""
        self._out.options = {"queue": "lmdb", "dialect": "rabbitmq"}
        for policy in self._policies:
            self._policy(policy)
        for name, queue in self._queues.items():
            self._queue(name, queue)
        for name, exchange in self._exchanges.items():
            count = sum(1 for binding in self._bindings if binding.get("source") == name)
            self._out.note(
                f"exchange {name} ({exchange.get('type', '?')}, {count} bindings)",
                "there are none but amq.topic, amq.direct and amq.fanout; let senders use a topic, and consumers"
                " a durable subscription of it",
            )
        for row in self._parameters:
            self._out.note(
                f"{row.get('component', 'parameter')} {row.get('name', '')}", "there is nothing of the kind"
            )
        if self._users:
            names = ", ".join(str(row.get("name", "?")) for row in self._users)
            self._out.note(
                f"users {names}",
                "their hashes are of another kind; write .passwd by stompserver --hash-password",
            )
        if self._rights:
            self._out.note(
                "permissions", "stompctl permissions import makes sections groups and permissions of them"
            )
        return self._out

    def _policy(self, policy: Row) -> None:
        name, pattern = str(policy.get("name", "?")), str(policy.get("pattern", ""))
        origin = f"policy {name}"
        if policy.get("apply-to") == "exchanges":
            self._out.note(origin, "it is for exchanges, and there are none")
            return
        definition = policy.get("definition", {})
        if not isinstance(definition, dict):
            raise NotReadable(f"the definition of {origin} is not an object")
        ours = pattern_of(pattern)
        if ours:
            if ours.endswith(".>"):
                self._out.note(origin, f"{ours} means {ours[:-2]} as well, which {pattern} does not")
            self._options(ours, definition, origin, "")
            return
        try:
            expression = re.compile(pattern)
        except re.error:
            self._out.note(origin, f"its pattern {pattern} cannot be read")
            return
        matched = [queue for queue in self._queues if expression.search(queue)]
        for queue in matched:
            self._options(f"/queue/{queue}", definition, origin, queue)
        self._out.note(
            origin,
            f"there are no regular expressions here, so {pattern} is written out for the {len(matched)} queues that"
            " are there; new ones need a pattern of their own, in which levels are divided by . or /",
        )

    def _queue(self, name: str, queue: Row) -> None:
        arguments = queue.get("arguments", {})
        if not isinstance(arguments, dict):
            raise NotReadable(f"the arguments of queue {name} are not an object")
        options = {key.removeprefix("x-"): value for key, value in arguments.items()}
        origin = f"queue {name}"
        if options.get("queue-type") == "stream" or queue.get("type") == "stream":
            self._out.note(
                origin,
                "a stream: use a topic with history-messages, -bytes or -age, and x-stream-offset",
            )
            return
        applying = [row for row in self._policies if _applies(row, name)]
        if len(applying) > 1:
            self._out.note(
                origin,
                f"of its policies RabbitMQ obeys only {applying[0].get('name')}; here each option comes from the most"
                " specific pattern that sets it",
            )
        if queue.get("auto_delete") is True:
            self._out.set(f"/queue/{name}", "auto-delete", True, origin)
        self._options(f"/queue/{name}", options, origin, name)

    def _options(self, pattern: str, options: Row, origin: str, queue: str) -> None:
        """What a policy or a queue's arguments say; ``queue`` is empty where that is more than one queue."""
        out = self._out
        dead = self._dead_letters(options, origin, queue)
        if dead:
            out.set(pattern, "deadletter", f"/queue/{dead}", origin)
            # There what expires is a dead letter as well.
            out.set(pattern, "expired", "deadletter", origin)
        for key, value in options.items():
            what = f"{key} of {origin}"
            if key in COUNTS:
                ours, least, most = COUNTS[key]
                if not _is_count(value) or value < least:
                    out.note(what, f"{value!r} has no equal here")
                    continue
                if value > most:
                    out.note(what, f"{most} is the most here")
                out.set(pattern, ours, min(value, most), what)
            elif key == "message-ttl" and _is_count(value) and value > 0:
                # The earlier of the message's own time and this one counts.
                out.set(pattern, "ttl", value, what)
                out.set(pattern, "max-ttl", value, what)
            elif key == "delivery-limit" and _is_count(value):
                limit: Value = NEVER if value == 0 else max(value, 0)
                out.set(pattern, "max-redeliveries", limit, what)
            elif key == "single-active-consumer" and isinstance(value, bool):
                out.set(pattern, "exclusive", value, what)
            elif key == "overflow":
                if value == "reject-publish-dlx":
                    out.note(what, "what is rejected is refused to the sender, and is no dead letter")
            elif key not in ("dead-letter-exchange", "dead-letter-routing-key"):
                out.note(what, REASONS.get(key, "not known here"))
        if "max-length" in options or "max-length-bytes" in options:
            overflow = OVERFLOW.get(str(options.get("overflow", "drop-head")), "drop-head")
            out.set(
                pattern, "overflow", "dead-letter" if dead and overflow == "drop-head" else overflow, origin
            )

    def _dead_letters(self, options: Row, origin: str, queue: str) -> str:
        """The queue that dead letters end in, by way of the exchange; "" when that is none, or not only one."""
        exchange = options.get("dead-letter-exchange")
        if exchange is None:
            return ""
        key = options.get("dead-letter-routing-key", queue or None)
        targets = {str(key)} if exchange == "" and key is not None else self._bound(str(exchange), key)
        if len(targets) == 1:
            return targets.pop()
        what = (
            f"{len(targets)} queues are bound to it" if targets else "no queue can be found that it leads to"
        )
        self._out.note(
            f"dead-letter-exchange {exchange or '(default)'} of {origin}",
            f"{what}; deadletter names one queue here, and without it dead letters go to /queue/deadletter",
        )
        return ""

    def _bound(self, exchange: str, key: object) -> set[str]:
        """The queues that a message with this key reaches through that exchange."""
        kind = self._exchanges.get(exchange, {}).get("type", exchange.removeprefix("amq."))
        found = set()
        for binding in self._bindings:
            if binding.get("source") != exchange or binding.get("destination_type", "queue") != "queue":
                continue
            bound = str(binding.get("routing_key", ""))
            if (
                kind == "fanout"
                or (kind == "direct" and bound == key)
                or (kind == "topic" and _leads(bound, key))
            ):
                found.add(str(binding.get("destination", "")))
        return found


def pattern_of(expression: str) -> str:
    """Our pattern that means the same queues as a regular expression of RabbitMQ; "" when there is none."""
    if expression in ("", "^", ".*", "^.*", "^.*$", ".*$", "^.+", ".+", "^.+$"):
        return "/queue/>"
    exact = re.fullmatch(r"\^((?:[\w-]|\\\.)+)\$", expression)
    if exact:
        return "/queue/" + exact[1].replace("\\.", ".")
    below = re.fullmatch(r"\^((?:[\w-]|\\\.)+)\\\.(?:\.[*+]\$?)?", expression)
    if below:
        return "/queue/" + below[1].replace("\\.", ".") + ".>"
    return ""


def _leads(bound: str, key: object) -> bool:
    """Whether a topic exchange's binding takes a key."""
    if not isinstance(key, str):
        return False
    if bound == "#":
        return True
    if "#" in bound:
        return False
    levels, words = bound.split("."), key.split(".")
    return len(levels) == len(words) and all(a in ("*", b) for a, b in zip(levels, words, strict=True))


def _priority(row: Row) -> int:
    value = row.get("priority", 0)
    return value if _is_count(value) else 0


def _applies(policy: Row, queue: str) -> bool:
    try:
        return policy.get("apply-to") != "exchanges" and bool(
            re.search(str(policy.get("pattern", "")), queue)
        )
    except re.error:
        return False


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
