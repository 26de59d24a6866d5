"""A login that expires, as one by a token may: the warning before its end, and the new token that prolongs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stompserver.errors import ClientError, ProtocolError
from stompserver.session.dialect import faults, naming
from stompserver.session.events import Renewed, Renewing, Warned
from stompserver.session.renewal import Asker, Renewal

if TYPE_CHECKING:
    from stompserver.session.client import Client
    from stompserver.session.principal import Principal

ACTION: Final = "token"
"""Of a management frame that has a new token."""

WARNINGS: Final = "/temp-queue/stompserver.session"
"""Where a client gets the warning, if it is subscribed there."""

PROMPT: Final = 0.1
"""Seconds after which it is looked again at the earliest: the two clocks do not go exactly alike."""


def left(session: Client) -> float | None:
    """Seconds until its login expires; None when it does not."""
    expires = session.account.expires
    if expires is None:
        return None
    rest: float = expires - session.broker.clock.now / 1000
    return max(0.0, rest)


def begin(session: Client, headers: dict[str, str], answer: Asker) -> None:
    """Have the new token of a management frame checked. Raises ProtocolError."""
    passcode = headers.pop("passcode", "")
    if not passcode:
        raise ProtocolError(
            "A management frame without passcode",
            where="header passcode",
            rule="action:token has the new token in it",
            fix="Send the token as passcode.",
        )
    session.renewal = Renewal(passcode, answer)
    session.happened.append(Renewing())


def end(session: Client, principal: Principal | None, problem: ClientError | None) -> None:
    """It was found whose the token is: nobody's where it is None, unknown with a ``problem``."""
    renewal = session.renewal
    if renewal is None:
        return
    session.renewal = None
    if problem is None and principal is None:
        problem = faults.invalid_login()
    elif principal is not None and principal.login != session.account.login:
        problem = faults.other_login()
    if problem is not None or principal is None:
        assert problem is not None
        session.happened.append(Renewed(session.login, problem.summary))
        renewal.answer.refuse(ACTION, problem)
        return
    session.account = principal
    session.warned = False
    session.happened.append(Renewed(session.login, ""))
    content: dict[str, Any] = {"login": principal.login}
    rest = left(session)
    if rest is not None:
        content["expires-in"] = int(rest)
    renewal.answer.give(ACTION, content)


def warn(session: Client, seconds: float) -> str:
    """Warn that so many seconds are left, and return where to tell the client so; "" where it does not listen."""
    session.warned = True
    session.happened.append(Warned(f"The login expires in {seconds:.0f} s"))
    name = naming.resolve(WARNINGS, session.speak()).name
    return name if name in session.broker.queues else ""
