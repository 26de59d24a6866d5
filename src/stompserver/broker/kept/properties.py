"""Properties that a queue takes from the first frame that asks for them, in RabbitMQ's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.kept.register import Register
from stompserver.broker.message import LANES, OVERHEAD, Message
from stompserver.broker.names.destination import MONITOR, SYSTEM
from stompserver.broker.names.pattern import is_pattern
from stompserver.broker.names.policy import Policy, Value

if TYPE_CHECKING:
    from stompserver.broker.desk import Desk
    from stompserver.broker.queues.queue import Queue

PROPERTIES: Final = SYSTEM + "shapes"
"""The queue of the store that has them."""

GRAVE: Final = "x-dead-letter-routing-key"

_NUMBERS: Final = {
    "x-expires": "idle_expiry",
    "x-max-length": "max_messages",
    "x-max-length-bytes": "max_bytes",
}
_LIMITS: Final = frozenset(("idle_expiry", "max_bytes", "max_messages", "max_ttl", "ttl"))
"""Options of which less is stricter, and 0 no limit."""

_OVERFLOWS: Final = {
    "drop-head": "drop-head",
    "reject-publish": "reject",
    "reject-publish-dlx": "dead-letter",
}
_HIGHEST: Final = 255
"""The most that x-max-priority may be in RabbitMQ."""

_SWITCHES: Final = {"auto-delete": "auto_delete", "x-single-active-consumer": "exclusive"}


class Properties:
    """What each queue took, as options of a Policy; ``register`` keeps it over restarts."""

    __slots__ = ("_desk", "given", "register")

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.given: dict[str, dict[str, Value]] = {}
        self.register = Register(desk, PROPERTIES, self._restore)

    def policy(self, name: str) -> Policy:
        """What holds for the queue ``name``."""
        found = self._desk.rules.policies.find(name)
        options = self.given.get(name)
        return found if options is None else _within(found, options)

    def ask(self, name: str, wanted: dict[str, str]) -> str:
        """Give the queue ``name`` the properties ``wanted``, unless it is in use with others; return what of them
        could not be had, "" for nothing.
        """
        options, faults = options_of(wanted)
        desk = self._desk
        wrong = _wrong_grave(grave_of(wanted, name), str(options.get("deadletter", "")), desk.rules.max_bytes)
        if wrong:
            del options["deadletter"]
            faults.append(wrong)
        if options:
            queue = desk.queues.get(name)
            wished = _within(desk.rules.policies.find(name), options)
            less = _differing(wished, options)
            if less:
                faults.append(f"the server allows less ({less})")
            if queue is None or not queue.in_use():
                if name not in self.given or self.given[name] != options:
                    self._give(name, options)
            else:
                others = _differing(queue.policy, {option: getattr(wished, option) for option in options})
                if others:
                    faults.append(f"queue {name[:80]} is in use with other properties ({others})")
        return "; ".join(faults)

    def _give(self, name: str, options: dict[str, Value]) -> None:
        desk = self._desk
        # Raises where there may be no more queues.
        queue = desk.queue(name)
        self.given[name] = options
        self._follow(queue, options)
        if queue.idle:
            # Its time to go is another, and begins now.
            desk.use(queue)
            desk.retire(queue)
        headers = {option: str(value) for option, value in options.items()}
        size = OVERHEAD + sum([len(option) + len(value) for option, value in headers.items()])
        entry = Message(name, headers, b"", size)
        desk.place(entry)
        self.register.set(name, entry)

    def forget(self, name: str) -> None:
        """The queue is no more."""
        if self.given.pop(name, None) is not None:
            self.register.remove(name)

    def _restore(self, name: str, messages: list[Message]) -> list[str]:
        """Take back what an earlier run kept. What its queue did not survive, because it was empty, is forgotten: the
        next frame that names it says it again.
        """
        self.register.restore(messages)
        for given, entry in list(self.register.entries.items()):
            queue = self._desk.queues.get(given)
            options = _regained(entry.headers)
            grave = str(options.get("deadletter", ""))
            if _wrong_grave(Policy().changed({"deadletter": grave}).deadletter_of(given), "", 0):
                # Earlier versions took it.
                del options["deadletter"]
            if queue is None or not options:
                self.register.remove(given)
                continue
            self.given[given] = options
            self._follow(queue, options)
            if queue.bound:
                # If it is empty, its time begins now.
                self._desk.retire(queue)
        return []

    def _follow(self, queue: Queue, options: dict[str, Value]) -> None:
        policy = self.policy(queue.name)
        queue.follow(policy)
        queue.expiry = policy.idle_expiry if "idle_expiry" in options else 0


def _within(policy: Policy, options: dict[str, Value]) -> Policy:
    """``policy`` with ``options``, but no limit of it raised: it is the administrator's, they are a client's."""
    taken: dict[str, Value] = {}
    for option, value in options.items():
        if option in _LIMITS:
            limit = getattr(policy, option)
            taken[option] = min(limit, value) if limit else value
        else:
            taken[option] = value
    return policy.changed(taken)


def _differing(policy: Policy, options: dict[str, Value]) -> str:
    differing = [option for option, value in options.items() if getattr(policy, option) != value]
    return ", ".join(sorted([option.replace("_", "-") for option in differing]))


def grave_of(wanted: dict[str, str], name: str) -> str:
    """The dead letter queue that the properties ``wanted`` of the queue ``name`` speak of, "" for none."""
    if GRAVE not in wanted:
        return ""
    return Policy().changed({"deadletter": _queue(wanted[GRAVE].strip())}).deadletter_of(name)


def _queue(word: str) -> str:
    return word if word.startswith("/queue") else "/queue/" + word


def _wrong_grave(name: str, said: str, most: int) -> str:
    """What is wrong with the name of a dead letter queue, ``said`` with a % for that of its queue; "" for nothing."""
    if len(said.encode("utf-8", "replace")) > most:
        return f"{GRAVE} is longer than {most} bytes"
    if said.count("%") > 1:
        return f"{GRAVE} has more than one %"
    if name == MONITOR or is_pattern(name) or name in ("/queue", "/queue/"):
        return f"{GRAVE} is not the name of a queue"
    return ""


def options_of(wanted: dict[str, str]) -> tuple[dict[str, Value], list[str]]:
    """RabbitMQ's properties as options of a Policy, and what is wrong with the others."""
    options: dict[str, Value] = {}
    faults: list[str] = []
    for name, value in wanted.items():
        word = value.strip()
        if name in _NUMBERS or name == "x-message-ttl":
            if not word.isascii() or not word.isdigit() or len(word) > 15:
                faults.append(f"{name} is not a number")
            elif name == "x-message-ttl":
                # 0 is at once in RabbitMQ, and no limit in a policy.
                options["ttl"] = options["max_ttl"] = max(int(word), 1)
            elif int(word) == 0:
                faults.append(f"{name} has to be 1 or more")
            else:
                options[_NUMBERS[name]] = int(word)
        elif name == "x-max-priority":
            if not word.isascii() or not word.isdigit() or len(word) > 15 or int(word) > _HIGHEST:
                faults.append(f"{name} is not a number from 0 to {_HIGHEST}")
            else:
                options["max_priority"] = min(int(word), LANES - 1)
                if int(word) >= LANES:
                    faults.append(f"{name} is {LANES - 1} at most here, and what is higher counts as that")
        elif name in _SWITCHES:
            options[_SWITCHES[name]] = word.lower() in ("true", "1", "yes")
        elif name == "x-overflow":
            if word in _OVERFLOWS:
                options["overflow"] = _OVERFLOWS[word]
            else:
                faults.append(f"{name} is none of {', '.join(_OVERFLOWS)}")
        elif name == GRAVE:
            options["deadletter"] = _queue(word)
    if ("max_messages" in options or "max_bytes" in options) and "overflow" not in options:
        # RabbitMQ's own default.
        options["overflow"] = "drop-head"
    return options, faults


def _regained(headers: dict[str, str]) -> dict[str, Value]:
    """Options as they were kept; what this version does not know is left out."""
    options: dict[str, Value] = {}
    for name, value in headers.items():
        if name in ("idle_expiry", "max_messages", "max_bytes", "max_priority", "ttl", "max_ttl"):
            if value.isascii() and value.isdigit():
                options[name] = int(value)
        elif name in ("auto_delete", "exclusive"):
            options[name] = value == "True"
        elif name in ("overflow", "deadletter"):
            options[name] = value
    return options
