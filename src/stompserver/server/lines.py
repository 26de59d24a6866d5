"""The lines of the log that tell what happened in a session: one for each class of event."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from stompserver.server.log_rate import LogRate
from stompserver.server.origin import origin_of
from stompserver.server.process.logs import shortened
from stompserver.session.events import (
    Connected,
    Denied,
    Event,
    Failed,
    Managed,
    Renewed,
    Renewing,
    Subscribed,
    Tolerated,
    Traced,
    Unsubscribed,
    Warned,
)

log = logging.getLogger("stompserver.connection")
frames_log = logging.getLogger("stompserver.frames")


MOST: Final = 200
"""Lines of one event that a client may cause within LogRate's window, where nothing else is said."""

MOST_WARNINGS: Final = 20
"""The same of warnings."""


class Line(NamedTuple):
    """A line: ``text`` with ``values`` for its percent signs, ``event`` and ``data`` are fields of JSON."""

    event: str
    level: int
    text: str
    values: tuple[object, ...]
    data: dict[str, object]


def _connected(event: Connected, address: str) -> Line:
    return Line(
        "connected",
        logging.INFO,
        "Connected %s with STOMP %s as %s",
        (address, event.version, event.login or "nobody"),
        {"version": event.version, "login": event.login},
    )


def _failed(event: Failed, address: str) -> Line:
    return Line("error", logging.WARNING, "Refused %s: %s", (address, event.text), {})


def _warned(event: Warned, address: str) -> Line:
    return Line("warning", logging.WARNING, "Not as asked by %s: %s", (address, event.text), {})


def _denied(event: Denied, address: str) -> Line:
    text = "Would be denied to %s at %s: %s %s (%s)" if event.observed else "Denied to %s at %s: %s %s (%s)"
    data: dict[str, object] = {
        "login": event.login,
        "verb": event.verb,
        "destination": event.destination,
        "why": event.why,
    }
    return Line(
        "observed" if event.observed else "denied",
        logging.WARNING,
        text,
        (event.login or "nobody", address, event.verb, event.destination, event.why),
        data,
    )


def _tolerated(event: Tolerated, address: str) -> Line:
    told = ", ".join([f"{kind} {times}" for kind, times in sorted(event.times.items())])
    text = "Tolerated protocol errors of %s: %s"
    return Line("tolerated", logging.INFO, text, (address, told), {"tolerated": told})


def _subscribed(event: Subscribed, address: str) -> Line:
    name = event.destination
    return Line("subscribed", logging.INFO, "Subscribing to %s", (name,), {"destination": name})


def _managed(event: Managed, address: str) -> Line:
    level = logging.INFO if event.changes or event.problem else logging.DEBUG
    data: dict[str, object] = {"action": event.action, "target": event.target}
    text = "Managed by %s: %s %s"
    values: tuple[object, ...] = (address, event.action, event.target)
    if event.problem:
        data["problem"] = event.problem
        return Line("managed", level, text + ": not done: %s", (*values, event.problem), data)
    return Line("managed", level, text, values, data)


def _renewing(event: Renewing, address: str) -> Line:
    return Line("renewing", logging.DEBUG, "Checking a new token of %s", (address,), {})


def _renewed(event: Renewed, address: str) -> Line:
    data: dict[str, object] = {"login": event.login}
    if event.problem:
        values = (event.login or "nobody", address, event.problem)
        return Line("renewal_refused", logging.WARNING, "Refused a new token of %s at %s: %s", values, data)
    return Line("renewed", logging.INFO, "Renewed the login of %s at %s", (event.login, address), data)


def _unsubscribed(event: Unsubscribed, address: str) -> Line:
    name = event.destination
    return Line("unsubscribed", logging.INFO, "Unsubscribing from %s", (name,), {"destination": name})


LINES: Final[dict[type[Event], Callable[[Any, str], Line]]] = {
    Connected: _connected,
    Failed: _failed,
    Managed: _managed,
    Warned: _warned,
    Denied: _denied,
    Tolerated: _tolerated,
    Subscribed: _subscribed,
    Unsubscribed: _unsubscribed,
    Renewing: _renewing,
    Renewed: _renewed,
}
"""What is said of each event, from it and the client's address; frames (Traced) have a log of their own."""


BY_ADDRESS: Final[dict[type[Event], int]] = {Connected: 1000, Failed: 100, Tolerated: 1000}
"""Events of which a connection has one: their lines are counted by the client's address, up to so many."""


def tell(event: Event, session: str, address: str, rate: LogRate) -> None:
    """Write ``event`` of the session with that id to the log, unless ``rate`` says that there were too many like it.
    Raises KeyError for a class that has no line.
    """
    if isinstance(event, Traced):
        frames_log.debug("%s %s", session, event.text, extra={"connection": session})
        return
    line = LINES[type(event)](event, address)
    most = BY_ADDRESS.get(type(event))
    if most is not None:
        allowed = rate.allows(origin_of(address), line.event, most, address)
    else:
        most = MOST_WARNINGS if line.level == logging.WARNING else MOST
        allowed = rate.allows(session, line.event, most, address)
    if not allowed:
        return
    extra = {"event": line.event, "connection": session, "address": address, **_shortened(line.data)}
    log.log(line.level, line.text, *map(_short, line.values), extra=extra)


def _short(value: object) -> object:
    return shortened(value) if isinstance(value, str) else value


def _shortened(data: dict[str, object]) -> dict[str, object]:
    return {name: _short(value) for name, value in data.items()}
