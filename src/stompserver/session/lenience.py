"""What a lenient listener forgives and counts, and a strict one answers with an ERROR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stompserver.errors import ProtocolError
from stompserver.session import dialect

if TYPE_CHECKING:
    from stompserver.session.session import Session


def forgive(session: Session, sin: str, header: str, value: str) -> None:
    """Count a wrong header value under ``sin`` (see dialect.SINS). Raises ProtocolError in strict mode."""
    if session.settings.strict:
        raise ProtocolError(
            f"Header {header} has a value that is not taken here {value[:40]!r}",
            where="header " + header,
            rule="Not forgiven in strict mode: " + dialect.SINS[sin],
            mend="Send a value that docs/reference/dialects.md has for it, or leave it out.",
        )
    session.sin(sin)


def take_options(
    session: Session, headers: dict[str, str], options: dict[str, str], known: frozenset[str]
) -> None:
    """Options behind a destination's question mark are headers, unless there are such headers."""
    for name, value in options.items():
        if name not in known:
            forgive(session, "option", "destination", name)
        elif name not in headers:
            headers[name] = value


def confess(session: Session) -> None:
    """Note all that was forgiven, at the end of the connection."""
    session.sin("colon", session.parser.colons)
    session.sin("stray-octets", session.parser.strays)
    if session.sins:
        told = [f"{name} {times}" for name, times in sorted(session.sins.items())]
        session.notes.append(("sins", ", ".join(told)))
