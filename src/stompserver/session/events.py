"""What happened in a session that an administrator may want to know: values for whoever writes logs or counts.

``CLASSES`` lists all of them. The server has a line of its log for each.
"""

from __future__ import annotations

from typing import Final

from stompserver.errors import ClientError


class Event:
    """Something that happened in a session."""

    __slots__ = ()


class Connected(Event):
    """CONNECTED was sent: the client speaks STOMP ``version``, and says that it is, or was found to be,
    ``login`` (None: neither).
    """

    __slots__ = ("login", "version")

    def __init__(self, version: str, login: str | None) -> None:
        self.version = version
        self.login = login


class Failed(Event):
    """The session ended with an ERROR; ``text`` is its summary and place, ``error`` what was the matter. ``login`` is
    who the client says that it is, or, where it was ``connected`` already, was found to be.
    """

    __slots__ = ("connected", "error", "login", "text")

    def __init__(
        self,
        text: str,
        login: str | None = None,
        connected: bool = False,
        error: ClientError | None = None,
    ) -> None:
        self.text = text
        self.login = login
        self.connected = connected
        self.error = error


class Managed(Event):
    """The client had something done, or told, by a management frame: the ``action`` and the ``target`` that it names;
    ``problem`` is why it was not done, "" where it is done or under way. ``changes``: it was no mere question.
    """

    __slots__ = ("action", "changes", "problem", "target")

    def __init__(self, action: str, target: str, problem: str, changes: bool) -> None:
        self.action = action
        self.target = target
        self.problem = problem
        self.changes = changes


class Warned(Event):
    """Something was done otherwise than a frame asked for; ``text`` tells what."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Denied(Event):
    """The client, who is ``login`` (None: nobody in particular), may not do ``verb`` with ``destination``, the
    broker's name; ``why`` says what decided that. It was done where that is only ``observed``.
    """

    __slots__ = ("destination", "login", "observed", "verb", "why")

    def __init__(self, login: str | None, verb: str, destination: str, why: str, observed: bool) -> None:
        self.login = login
        self.verb = verb
        self.destination = destination
        self.why = why
        self.observed = observed


class Tolerated(Event):
    """At the end of a session: how often it did what is against the rules and was tolerated, by kind
    (see dialect.headers.TOLERATED).
    """

    __slots__ = ("times",)

    def __init__(self, times: dict[str, int]) -> None:
        self.times = times


class Subscribed(Event):
    """The client subscribed to ``destination``, the broker's name of it."""

    __slots__ = ("destination",)

    def __init__(self, destination: str) -> None:
        self.destination = destination


class Unsubscribed(Event):
    """A subscription of the client to ``destination`` ended at its wish."""

    __slots__ = ("destination",)

    def __init__(self, destination: str) -> None:
        self.destination = destination


class Renewing(Event):
    """The client sent a new token, which the shell is to check."""

    __slots__ = ()


class Renewed(Event):
    """A new token of ``login`` was taken, or refused for the reason ``problem``."""

    __slots__ = ("login", "problem")

    def __init__(self, login: str | None, problem: str) -> None:
        self.login = login
        self.problem = problem


class Traced(Event):
    """A frame was received or is to be sent; ``text`` is its form for logs. Traced sessions have these."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


CLASSES: Final = (
    Connected, Failed, Managed, Warned, Denied, Tolerated, Subscribed, Unsubscribed, Renewing, Renewed, Traced,
)  # fmt: skip
