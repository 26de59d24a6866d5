"""What a destination in a frame means: the field's many forms, mapped to queues and topics."""

from __future__ import annotations

from typing import Final

from stompserver.broker.names.destination import DURABLE, SYSTEM, neither
from stompserver.broker.names.pattern import HIDDEN, levels_of
from stompserver.errors import ProtocolError, Refused

TEMP_QUEUE: Final = "/queue/$temp/"
TEMP_TOPIC: Final = "/topic/$temp/"
"""With the session's id behind it: the temporary destinations of a connection."""

USER_QUEUE: Final = "/queue/$user/"
USER_TOPIC: Final = "/topic/$user/"
"""With the login behind it: what only that login may subscribe to."""

ANYCAST: Final = "ANYCAST"
MULTICAST: Final = "MULTICAST"
TYPES: Final = (ANYCAST, MULTICAST)
"""Artemis' words for queue and topic (``destination-type``, ``subscription-type``)."""

MANAGED: Final = ("/topic/ActiveMQ.", "/queue/ActiveMQ.", "/queue/stompserver.", "/topic/stompserver.")
"""How names begin that may be looked at on their way: management, advisories."""

_KEPT: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-@")
_OPTION: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")


class Form:
    """One way to write a destination: an example, whose it is, and what it becomes here."""

    __slots__ = ("becomes", "brokers", "written")

    def __init__(self, written: str, brokers: str, becomes: str) -> None:
        self.written = written
        self.brokers = brokers
        self.becomes = becomes


FORMS: Final = (
    Form("/queue/a, /queue/a/b, /queuea", "all", "a queue of that name"),
    Form("/topic/a.b, /topic/a/b", "all", "a topic of that name"),
    Form("a", "all", "what bare-destination says: topic, queue (then it is /queue/a) or ERROR"),
    Form("/queue/a%2Fb", "RabbitMQ", "a queue of that very name; /queue/a/b needs no escape"),
    Form("queue/a, queue://a, jms.queue.a", "Artemis, JMS", "/queue/a"),
    Form("topic/a, topic://a, jms.topic.a", "Artemis, JMS", "/topic/a"),
    Form("/amq/queue/a", "RabbitMQ", "/queue/a"),
    Form("/exchange/amq.topic/k", "RabbitMQ", "/topic/k"),
    Form("/exchange/amq.direct/k", "RabbitMQ", "/queue/k"),
    Form("/exchange/amq.fanout", "RabbitMQ", "/topic/amq.fanout, whatever key follows"),
    Form("/exchange/name/k, /exchange/name", "RabbitMQ", "/topic/name/k, /topic/name"),
    Form("/temp-queue/a, temp-queue://a", "ActiveMQ, Apollo, RabbitMQ", "a queue of this connection alone"),
    Form("/temp-topic/a, temp-topic://a", "ActiveMQ, Apollo", "a topic of this connection alone"),
    Form(
        "/reply-queue/s.a, /remote-temp-queue/s.a, /remote-temp-topic/s.a",
        "RabbitMQ, ActiveMQ",
        "another connection's temporary destination, as in reply-to; also /reply-queue/s/a, /queue/$temp/s/a",
    ),
    Form("/dsub/a", "Apollo", "the queue of the durable subscription a"),
    Form("/queue/a,/topic/b", "ActiveMQ, Apollo", "each of them; a comma divides only before another form"),
    Form("/topic/a.*, a.>, a.#, a.**", "all", "all that fit: * one level, the others any number of them"),
    Form("/topic/a.{regex}", "Apollo", "ERROR: a regular expression could stop the server"),
    Form("VirtualTopic.a", "ActiveMQ", "/topic/VirtualTopic.a"),
    Form("Consumer.g.VirtualTopic.a", "ActiveMQ", "/queue/Consumer.g.VirtualTopic.a, fed by the topic"),
    Form("/topic/a::b", "Artemis", "SUBSCRIBE: the durable subscription b of /topic/a; SEND: its queue"),
    Form("/queue/a::a", "Artemis", "/queue/a; with another name behind the colons, a queue of its own"),
    Form("/user/queue/a, /user/topic/a, /user/a", "Spring", "private to the login that the connection has"),
    Form("/user/bob/queue/a, /user/bob/topic/a", "Spring", "SEND: what bob has as /user/queue/a"),
    Form("/queue/a?consumer.prefetchSize=1", "ActiveMQ", "/queue/a with the header activemq.prefetchSize:1"),
    Form("/queue/monitor", "stompserver", "the server's reports"),
    Form("/queue/stompserver.management", "stompserver", "tells and does what stompctl does"),
    Form("/topic/ActiveMQ.Scheduler.Management", "ActiveMQ", "lists and cancels what is scheduled"),
    Form(
        "/topic/ActiveMQ.Advisory.a, ActiveMQ.Statistics.a, activemq.management",
        "ActiveMQ, Artemis",
        "names like others: the server sends and does nothing there",
    ),
    Form("/queue/deadletter", "stompserver", "the dead letter queue, as the option deadletter says"),
    Form("ActiveMQ.DLQ, DLQ, DLQ.a, dlq.a", "ActiveMQ, Artemis, Apollo", "/queue/ and that name"),
)
"""The forms of destinations in docs/reference/dialects.md, and what they become."""

_ALIASES: Final = (
    ("queue://", "/queue/"),
    ("topic://", "/topic/"),
    ("queue/", "/queue/"),
    ("topic/", "/topic/"),
    ("jms.queue.", "/queue/"),
    ("jms.topic.", "/topic/"),
    ("/amq/queue/", "/queue/"),
)
_REMOTE: Final = (
    ("/reply-queue/", TEMP_QUEUE),
    ("/remote-temp-topic/", TEMP_TOPIC),
    ("/remote-temp-queue/", TEMP_QUEUE),
)
"""How others name a temporary destination. The first of each kind is what they are told in reply-to."""

_TEMPORARY: Final = (
    ("/temp-queue/", TEMP_QUEUE),
    ("/temp-topic/", TEMP_TOPIC),
    ("temp-queue://", TEMP_QUEUE),
    ("temp-topic://", TEMP_TOPIC),
)
_OPENINGS: Final = (
    "/queue/",
    "/topic/",
    "/temp-queue/",
    "/temp-topic/",
    "/remote-temp-queue/",
    "/remote-temp-topic/",
    "/reply-queue/",
    "/exchange/",
    "/amq/queue/",
    "/dsub/",
    "/user/",
    "queue://",
    "topic://",
    "temp-queue://",
    "temp-topic://",
    "queue/",
    "topic/",
    "jms.queue.",
    "jms.topic.",
)


class Target:
    """One destination that a frame means: ``name`` is the broker's, ``shown`` what the client calls it,
    ``durable`` the durable subscription that it names too, or "". Each of its messages says by itself where it was
    sent, with ``several``.
    """

    __slots__ = ("durable", "name", "several", "shown")

    def __init__(self, name: str, shown: str, durable: str = "", several: bool = False) -> None:
        self.name = name
        self.shown = shown
        self.durable = durable
        self.several = several

    @property
    def aliased(self) -> bool:
        """Whether the client calls it by another name."""
        return self.name != self.shown

    @property
    def headed(self) -> bool:
        """Whether each of its messages says that name as its destination."""
        return self.name != self.shown and not self.several


class Speaker:
    """Who names a destination: ``session`` and ``login`` (None: nobody), ``bare`` as in Naming, ``kind`` of bare
    names (ANYCAST, MULTICAST or "": as ``bare`` says), and whether ``bare`` is its listener's ``own`` and not the
    broker's.
    """

    __slots__ = ("bare", "kind", "login", "own", "session")

    def __init__(self, session: str, login: str | None, bare: str, kind: str = "", own: bool = False) -> None:
        self.session = session
        self.login = login
        self.bare = bare
        self.kind = kind
        self.own = own


def is_plain(text: str) -> bool:
    """Whether a name means itself, whoever says it."""
    if not (text.startswith("/queue/") or text.startswith("/topic/")) or len(text) < 8:
        return False
    if "," in text or "?" in text or "$" in text or "::" in text:
        return False
    return not text.startswith(MANAGED)


def split(text: str) -> list[str]:
    """The parts of a composite destination. A comma is text unless another known form begins behind it."""
    if "," not in text:
        return [text]
    pieces = text.split(",")
    parts = [pieces[0]]
    for piece in pieces[1:]:
        if piece.strip().startswith(_OPENINGS):
            parts.append(piece)
        else:
            parts[-1] += "," + piece
    if len(parts) == 1:
        return parts
    return list(dict.fromkeys([part.strip() for part in parts]))


def options_of(text: str) -> tuple[str, dict[str, str]]:
    """A name and the options behind its question mark, as headers; none when that is no list of options."""
    name, mark, tail = text.partition("?")
    options: dict[str, str] = {}
    if not mark or not name or not tail:
        return text, options
    for pair in tail.split("&"):
        option, equals, value = pair.partition("=")
        if not equals or not option or not _OPTION.issuperset(option):
            return text, {}
        if option.startswith("consumer."):
            option = "activemq." + option[9:]
        if option == "activemq.selector":
            option = "selector"
        options[option] = _decoded(value)
    return name, options


def resolve(text: str, speaker: Speaker) -> Target:
    """The destination that one part, without options, means to ``speaker``.

    Raises ProtocolError for one without a name, Refused for one that nobody may name.
    """
    name = _canonical(text, speaker)
    if name.startswith(SYSTEM) or (name.startswith(DURABLE) and name != DURABLE):
        return Target(name, text)
    if name in ("/queue/", "/topic/", DURABLE):
        raise _nameless(text)
    address, colons, queue = name.partition("::")
    if colons and address and queue:
        if not name.startswith("/queue") and (name.startswith("/topic") or speaker.bare == "topic"):
            return Target(address, text, queue)
        if address.removeprefix("/queue/") == queue:
            return Target(address, text)
    return Target(name, text)


def in_full(target: Target) -> Target:
    """The same destination as RabbitMQ and ActiveMQ show it: /queue/ or /topic/ and the name. What is one client's or
    one login's, or another exchange than amq.topic, they show as it is called; nor have they a name for a durable
    subscription's queue.
    """
    name, shown = target.name, target.shown
    if is_private(name) or not (name.startswith("/queue/") or name.startswith("/topic/")):
        return target
    if shown.startswith("/exchange/") and not shown.startswith("/exchange/amq.topic/"):
        return target
    return Target(name, name, target.durable, target.several)


def _canonical(text: str, speaker: Speaker) -> str:
    if text.startswith("/queue") or text.startswith("/topic"):
        return text
    for opening, meaning in _ALIASES:
        if text.startswith(opening):
            return meaning + text[len(opening) :]
    for opening, meaning in _REMOTE:
        if text.startswith(opening):
            return meaning + _remote(text[len(opening) :])
    for opening, meaning in _TEMPORARY:
        if text.startswith(opening):
            if len(text) == len(opening):
                raise _nameless(text)
            return meaning + speaker.session + "/" + text[len(opening) :]
    if text.startswith("/exchange/"):
        return _exchange(text)
    if text.startswith("/user/"):
        return _user(text, speaker)
    if text.startswith(DURABLE) or text.startswith(SYSTEM):
        return text
    if text.startswith("/"):
        return _otherwise(text, speaker) if speaker.own else text
    return _bare(text, speaker)


def _remote(rest: str) -> str:
    """A temporary destination behind its kind; a point or a slash is between its session, which has neither, and
    its name.
    """
    point = rest.find(".")
    if point < 0 or "/" in rest[:point]:
        return rest
    return rest[:point] + "/" + rest[point + 1 :]


def told(name: str) -> str:
    """What others are to call the temporary destination ``name``. Two levels, as RabbitMQ has: there are clients that
    know no others.
    """
    for opening, meaning in _REMOTE:
        if name.startswith(meaning):
            session, _, own = name[len(meaning) :].partition("/")
            return f"{opening}{session}.{own}"
    return name


def _exchange(text: str) -> str:
    name, slash, key = text[len("/exchange/") :].partition("/")
    if not name:
        raise _nameless(text)
    if name == "amq.fanout":
        return "/topic/amq.fanout"
    if name == "amq.direct" or name == "amq.topic":
        if not key:
            raise _nameless(text)
        return ("/queue/" if name == "amq.direct" else "/topic/") + key
    return "/topic/" + name + ("/" + key if slash and key else "")


def _user(text: str, speaker: Speaker) -> str:
    rest = text[len("/user/") :]
    kind, _, name = rest.partition("/")
    login = speaker.login
    if kind != "queue" and kind != "topic":
        other, _, after = rest.partition("/")
        kind, _, name = after.partition("/")
        if (kind == "queue" or kind == "topic") and name:
            login = other
        else:
            kind = "queue" if speaker.bare == "queue" else "topic"
            name = rest
    if not name:
        raise _nameless(text)
    if not login:
        raise Refused(
            f"Destination {text[:80]!r} is a login's, and you have none",
            where="header destination",
            rule="What is below /user belongs to the login of the connection",
            fix="Send login with CONNECT.",
        )
    return (USER_QUEUE if kind == "queue" else USER_TOPIC) + level(login) + "/" + name


def _bare(text: str, speaker: Speaker) -> str:
    if text.startswith("VirtualTopic."):
        return "/topic/" + text
    if text == "DLQ" or text.startswith(("ActiveMQ.DLQ", "DLQ.", "dlq.")):
        return "/queue/" + text
    if text.startswith("Consumer.") and ".VirtualTopic." in text:
        return "/queue/" + text
    if speaker.kind == ANYCAST:
        return "/queue/" + text
    if speaker.kind == MULTICAST and speaker.bare != "topic":
        return "/topic/" + text
    if speaker.bare == "queue":
        return "/queue/" + text
    return _otherwise(text, speaker) if speaker.own else text


def _otherwise(text: str, speaker: Speaker) -> str:
    """A bare name that is something else to the speaker than to the broker, which is told so by the name."""
    if speaker.bare == "error":
        raise neither(text)
    return ("/queue/" if speaker.bare == "queue" else "/topic/") + text.lstrip("/")


def level(text: str) -> str:
    """A text as one level of a name, so that it cannot be a wildcard or several levels."""
    if _KEPT.issuperset(text):
        return text
    return "".join([letter if letter in _KEPT else f"={ord(letter):x}=" for letter in text])


def is_private(name: str) -> bool:
    """Whether a name, or pattern, has to do with private destinations."""
    return "$" in name and not HIDDEN.isdisjoint(levels_of(name))


def owns(name: str, session: str, login: str | None) -> bool:
    """Whether a private destination, or pattern of them, is the session's or its login's."""
    for prefix in (TEMP_QUEUE, TEMP_TOPIC):
        if name.startswith(prefix + session + "/"):
            return True
    if login:
        for prefix in (USER_QUEUE, USER_TOPIC):
            if name.startswith(prefix + level(login) + "/"):
                return True
    return False


def temp_owner(name: str) -> str:
    """The session whose temporary destination that name is; "" when it is none."""
    if name.startswith(TEMP_QUEUE) or name.startswith(TEMP_TOPIC):
        return name[len(TEMP_QUEUE) :].partition("/")[0]
    return ""


def foreign(text: str) -> Refused:
    """A SUBSCRIBE to what is somebody else's."""
    return Refused(
        f"Destination {text[:80]!r} is somebody else's",
        where="header destination",
        rule="Only its own connection, or its own login, subscribes to a private destination",
        fix="Subscribe to /temp-queue/... or /user/... on your own connection; others may be sent to.",
    )


def _nameless(text: str) -> ProtocolError:
    return ProtocolError(
        f"Destination {text[:80]!r} has no name",
        where="header destination",
        rule="A destination is its kind and a name, for example /queue/a",
        fix="Write the name behind it.",
    )


def _decoded(value: str) -> str:
    """The value of an option, with %XX undone."""
    if "%" not in value:
        return value
    pieces = value.split("%")
    octets = pieces[0].encode("utf-8", "surrogateescape")
    for piece in pieces[1:]:
        digits = piece[:2]
        if len(digits) == 2 and digits.isalnum() and digits.isascii():
            try:
                octets += bytes([int(digits, 16)]) + piece[2:].encode("utf-8", "surrogateescape")
                continue
            except ValueError:
                pass
        octets += b"%" + piece.encode("utf-8", "surrogateescape")
    return octets.decode("utf-8", "replace")
