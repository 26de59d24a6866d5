"""What can be wrong with a frame, as errors that tell a stranger what to fix."""

from __future__ import annotations

from typing import Final

from stompserver.errors import ProtocolError, Refused
from stompserver.session.principal import BROWSE, CONSUME, CREATE, DURABLE, MANAGE, SEND, VIEW
from stompserver.session.state import CONNECTED, NAMES, SERVER_COMMANDS, TABLE
from stompserver.session.versions import OFFERED, Version
from stompserver.wire.frame import Frame
from stompserver.wire.parser import OPENING

_HTTP: Final = ("GET ", "POST ", "PUT ", "HEAD ", "OPTIONS ", "DELETE ", "PRI ", "CONNECT ")


class VersionError(ProtocolError):
    """No common version; its ERROR carries the versions there are (STOMP 1.2, Protocol Negotiation)."""


_DOING: Final = {
    SEND: "send to",
    CONSUME: "subscribe to",
    BROWSE: "browse",
    CREATE: "create",
    DURABLE: "have the durable subscription",
    MANAGE: "manage",
    VIEW: "view",
}


class NotAllowed(Refused):
    """The client has no right to what it asks for."""


def not_allowed(verb: str, name: str) -> NotAllowed:
    """The client may not do ``verb`` with the destination ``name``; who may is not told."""
    return NotAllowed(
        f"You may not {_DOING[verb]} {name[:80]}",
        where=f"destination {name[:80]}",
        rule=f"permissions: {verb}",
        fix="Ask the administrator for this right, or use a destination that you have it for.",
    )


def not_allowed_all(verb: str, pattern: str) -> NotAllowed:
    """The client may not do ``verb`` with all topics of the durable subscription's ``pattern``."""
    return NotAllowed(
        f"You may not {_DOING[verb]} all of {pattern[:80]}",
        where=f"destination {pattern[:80]}",
        rule=f"permissions: {verb}. A durable subscription gets what comes while nobody is there to be asked, so it"
        " needs the right for all that fits",
        fix="Subscribe durably to a narrower pattern, or without a durable name, which leaves out what you may not"
        " have.",
    )


def only_reports(name: str) -> Refused:
    """A SEND to the monitor."""
    return Refused(
        f"Destination {name[:80]!r} is the server's own",
        where="header destination",
        rule="Only the server sends its reports there",
        fix="Use a queue of another name.",
    )


def no_durable(name: str) -> Refused:
    """A durable subscription to what does not outlive its connection."""
    return Refused(
        f"Temporary topic {name[:80]!r} has no durable subscriptions",
        where="header destination",
        rule="A temporary destination goes with its connection (JMS, createDurableSubscriber)",
        fix="Subscribe without a durable name, or to a topic that stays.",
    )


def missing(name: str, frame: Frame, version: Version) -> ProtocolError:
    """A required header is not there, or empty."""
    return ProtocolError(
        f"{frame.command} without {name}",
        where="header " + name,
        rule=f"{version.section}, {frame.command.upper()}: the {name} header is required",
        fix=f"Send {name}.",
    )


def needless_body(frame: Frame) -> ProtocolError:
    """A body on a command that has none (strict mode)."""
    return ProtocolError(
        frame.command[:20] + " with a body",
        where=f"{len(frame.body)} octets of body",
        rule="STOMP 1.2, Body: only SEND, MESSAGE and ERROR have one",
        fix="End the frame with a NUL right after the empty line.",
    )


def no_version(accept: str) -> VersionError:
    """The client speaks no version that we do."""
    return VersionError(
        "Supported protocol versions are " + OFFERED.replace(",", " "),
        where="header accept-version: " + accept[:60],
        rule="STOMP 1.2, Protocol Negotiation",
        fix="Send accept-version with one of them.",
    )


def not_of_certificate() -> Refused:
    """Another login than that of the certificate, without its passcode."""
    return Refused(
        "The login is not that of your certificate",
        where="headers login and passcode",
        rule="A client with a certificate is who that says (tls-login), or a login with its own right passcode",
        fix="Leave login and passcode out, or send both of another login.",
    )


def first_command(frame: Frame, version: Version, state: int) -> ProtocolError:
    """Something else than CONNECT or STOMP came first."""
    command = frame.command
    if command.startswith(_HTTP) and "HTTP/" in command:
        return ProtocolError(
            "This looks like HTTP, and this port speaks STOMP",
            where="command " + repr(command[:40]),
            rule="STOMP, Connecting: the first frame is CONNECT or STOMP",
            fix="Use a STOMP client.",
        )
    if command in TABLE[CONNECTED]:
        return ProtocolError(
            "Not connected",
            where="command " + command,
            rule="STOMP, Connecting: the first frame is CONNECT or STOMP",
            fix="Send CONNECT and wait for CONNECTED.",
        )
    return unknown_command(frame, version, state)


def unknown_command(frame: Frame, version: Version, state: int) -> ProtocolError:
    """A command that is not allowed in this state and version."""
    command = frame.command
    if state == CONNECTED and command in OPENING:
        return ProtocolError(
            "Already connected",
            where="command " + command,
            rule="STOMP, Connecting: one CONNECT opens a connection's only session",
            fix="Open another connection for another session.",
        )
    allowed = sorted(version.commands) if state == CONNECTED else sorted(OPENING)
    fix = "Allowed here: " + " ".join(allowed) + "."
    if command in SERVER_COMMANDS:
        fix = "Only servers send this. " + fix
    elif command.upper() in allowed:
        fix = "Commands are case sensitive. " + fix
    return ProtocolError(
        f"Unknown command {command[:40]!r}",
        where=f"state {NAMES[state]}, {version.section}",
        rule="STOMP, Client Frames",
        fix=fix,
    )


def long_name(header: str, limit: int) -> Refused:
    """What the client is called by is longer than ``limit`` characters."""
    return Refused(
        f"Header {header} is too long",
        where="header " + header,
        rule=f"This server takes {limit} characters",
        fix="Choose a shorter one.",
    )


def invalid_login() -> Refused:
    """The same words whichever part was wrong (the original's)."""
    return Refused(
        "Invalid Login",
        where="headers login and passcode",
        rule="This server wants a valid login (option auth)",
        fix="Check login and passcode, or ask the server's administrator.",
    )


def login_expired() -> Refused:
    """What proved the login is valid no more."""
    return Refused(
        "Your login has expired",
        where="the connection",
        rule="The token that you logged in with was valid until now (exp; expires-in of CONNECTED)",
        fix="Connect with a new token. While one is valid, SEND action:token to /queue/stompserver.management.",
    )


def other_login() -> Refused:
    """A new token is somebody else's."""
    return Refused(
        "The new token is not of your login",
        where="header passcode",
        rule="A connection stays with the login that it began with",
        fix="Open another connection for another login.",
    )


def late_login(seconds: float) -> Refused:
    """No CONNECT within the login timeout."""
    return Refused(
        "No CONNECT in time",
        where="the connection",
        rule=f"This server waits {seconds:g} s for a login (login-timeout)",
        fix="Send CONNECT at once after connecting, and the passcode with it.",
    )


def no_heartbeat(silent: float, agreed: float, version: Version) -> Refused:
    """The client was silent (s) for too long, against what was agreed (s)."""
    return Refused(
        "No heart-beat in time",
        where=f"the connection, silent for {silent:.1f} s",
        rule=f"{version.section}, Heart-beating: data at least every {agreed:g} s was agreed",
        fix="Send a line feed that often, or agree on a longer heart-beat.",
    )


def no_host(version: Version) -> ProtocolError:
    """CONNECT without host (strict mode)."""
    return ProtocolError(
        "CONNECT without host",
        where="header host",
        rule=version.section + ", CONNECT or STOMP Frame: host is required",
        fix="Send host with the name of the virtual host, for example the server's name.",
    )


def too_slow(destination: str, label: str, limit: int) -> Refused:
    """A topic's subscriber fell behind by more than ``limit`` bytes."""
    return Refused(
        "Too slow for topic " + destination[:80],
        where="subscription " + label[:80],
        rule=f"This server keeps {limit} bytes for a subscriber that does not read or acknowledge"
        " (slow-subscriber-limit)",
        fix="Read faster, subscribe to less, use a queue, or ask the administrator to raise that option.",
    )


def out_of_memory(limit: int, where: str) -> Refused:
    """No room for more, from a client that is not made to wait because it owes ACKs or a COMMIT."""
    return Refused(
        "Out of memory for messages",
        where=where,
        rule=f"This server holds {limit} bytes of messages (memory-limit)",
        fix="Consume first, acknowledge what was delivered, or ask the administrator to raise that option.",
    )


def transaction_too_old(id: str, limit: float) -> Refused:
    """A transaction is open for ``limit`` seconds."""
    return Refused(
        f"Transaction open for too long {id[:80]!r}",
        where="BEGIN of that transaction",
        rule=f"A transaction is open for at most {limit:g} s (transaction-timeout); nothing of it was done",
        fix="COMMIT or ABORT earlier, or ask the administrator to raise that option.",
    )


def id_in_use(id: str, version: Version) -> ProtocolError:
    """A second subscription under one id."""
    return ProtocolError(
        f"Subscription id is in use {id[:80]!r}",
        where="header id",
        rule=version.section + ", SUBSCRIBE id Header: ids of a connection differ",
        fix="Take another id, or UNSUBSCRIBE first.",
    )


def unknown_subscription(id: str, version: Version) -> ProtocolError:
    """UNSUBSCRIBE of nothing."""
    return ProtocolError(
        f"No such subscription {id[:80]!r}",
        where="header id",
        rule=version.section + ", UNSUBSCRIBE: the id of an existing subscription",
        fix="Send the id of the SUBSCRIBE, on the same connection.",
    )


def unknown_ack_mode(asked: str) -> ProtocolError:
    """An ``ack`` header that no version knows."""
    return ProtocolError(
        f"Unknown ack mode {asked[:40]!r}",
        where="header ack",
        rule="STOMP, SUBSCRIBE ack Header: auto, client or client-individual",
        fix="Send one of them, or leave the header out for auto.",
    )


def too_many_of_login(most: int) -> Refused:
    """More subscriptions than all connections of the login may have together."""
    return Refused(
        "Too many subscriptions of your login",
        where="command SUBSCRIBE",
        rule=f"This login may have {most} subscriptions, on all of its connections together",
        fix="UNSUBSCRIBE from what is not used, or ask the administrator for max-subscriptions in users.",
    )


def too_many_subscriptions(limit: int) -> Refused:
    """One subscription more than a connection may have."""
    return Refused(
        "Too many subscriptions",
        where="header id",
        rule=f"This server takes {limit} on a connection (max-subscriptions)",
        fix="Subscribe to less, or ask the administrator to raise that option.",
    )


def too_many_destinations(count: int, limit: int) -> Refused:
    """One SEND or SUBSCRIBE to more destinations than it may name."""
    return Refused(
        "Too many destinations",
        where=f"header destination, {count} of them",
        rule=f"This server takes {limit} in one frame (max-destinations)",
        fix="Send several frames, or to one topic that all of them subscribe to, or ask the administrator to raise"
        " that option.",
    )


def subscriptions_too_large(size: int, most: int) -> Refused:
    """No room for subscriptions of ``size`` bytes, where all take at most ``most``."""
    return Refused(
        "Subscriptions take too much memory",
        where=f"SUBSCRIBE, which takes {size} bytes",
        rule=f"This server keeps {most} bytes of subscriptions and their selectors (3/32 of memory-limit)",
        fix="Use shorter selectors and ids, subscribe to less, or ask the administrator to raise that option.",
    )


def too_many_temporary(limit: int) -> Refused:
    """One temporary destination more than a connection may have."""
    return Refused(
        "Too many temporary destinations",
        where="headers destination and reply-to",
        rule=f"This server keeps {limit} for a connection (max-subscriptions)",
        fix="Use one for many answers and tell them apart by correlation-id, or ask the administrator to raise"
        " that option.",
    )


def no_queue_name(name: str) -> Refused:
    """An x-queue-name that makes no queue."""
    return Refused(
        f"There can be no queue {name[:80]!r} for a durable subscription",
        where="header x-queue-name",
        rule="x-queue-name is the name of a queue that others can subscribe to as /queue/NAME",
        fix="Send a name without wildcards (*, >, #, **) as levels, which is not one of the server's own.",
    )


def several_durables(id: str) -> Refused:
    """UNSUBSCRIBE of a durable subscription by an id that several have."""
    return Refused(
        f"Several durable subscriptions have the id {id[:80]!r}",
        where="header destination",
        rule="With durable:true it is known by its destination and its id together",
        fix="Send destination too, as in its SUBSCRIBE.",
    )


def no_wildcard(name: str, word: str, allowed: frozenset[str]) -> Refused:
    """A pattern with a wildcard of another broker."""
    known = " and ".join([each for each in ("*", ">", "#", "**") if each in allowed]) or "none"
    meant = "one level" if word == "*" else "any number of levels"
    return Refused(
        f"Pattern {name[:80]!r} has {word} in it, which is no wildcard here",
        where="header destination",
        rule=f"The wildcards of this listener: {known} (wildcards)",
        fix=f"Write what stands for {meant} here, or ask the administrator to add {word} to that option.",
    )


def client_id_in_use(id: str) -> Refused:
    """A client-id that another login has."""
    return Refused(
        f"Client id is in use {id[:80]!r}",
        where="header client-id",
        rule="A client-id names live connections of one login",
        fix="Choose another client-id.",
    )


def second_client_id(id: str) -> Refused:
    """A client-id that another connection of the same login has, where that is not taken."""
    return Refused(
        f"Client id is in use {id[:80]!r}",
        where="header client-id",
        rule="A client-id names one live connection here (client-id-in-use: refuse)",
        fix="Give each process a client-id of its own. That of a connection which broke is free as soon as the server"
        " notices, for which heart-beats are good.",
    )


def client_id_taken(id: str) -> Refused:
    """To the connection that had a durable subscription of a client-id before."""
    return Refused(
        f"Another connection took over client id {id[:80]!r}",
        where="header client-id",
        rule="One connection of a client-id has a durable subscription of it, the newest that asks (JMS)",
        fix="Give each process a client-id of its own, or share one by x-queue-name.",
    )
