"""What a lenient listener tolerates and counts, and a strict one answers with an ERROR."""

from __future__ import annotations

from stompserver.errors import ProtocolError
from stompserver.session.client import Client
from stompserver.session.dialect import headers as dialect


def tolerate(session: Client, kind: str, header: str, value: str) -> None:
    """Count a wrong header value under ``kind`` (see dialect.TOLERATED). Raises ProtocolError in strict mode."""
    if session.settings.strict:
        raise ProtocolError(
            f"Header {header} has a value that is not taken here {value[:40]!r}",
            where="header " + header,
            rule="Not tolerated in strict mode: " + dialect.TOLERATED[kind],
            fix="Send a value that docs/reference/dialects.md has for it, or leave it out.",
        )
    session.tolerate(kind)


def take_options(
    session: Client, headers: dict[str, str], options: dict[str, str], known: frozenset[str]
) -> None:
    """Options behind a destination's question mark are headers, unless there are such headers.

    Raises ProtocolError for a value that no header of the session's version can have.
    """
    text = session.text()
    for name, value in options.items():
        if name not in known:
            tolerate(session, "option", "destination", name)
        elif "\0" in value or text.loses(name, value):
            raise ProtocolError(
                f"Option {name} has a line end or a NUL in it {value[:40]!r}",
                where="header destination",
                rule="What stands behind a destination's question mark is a header, and "
                + session.version.section
                + " has none with that in its value",
                fix="Leave %00, %0A and %0D out of it.",
            )
        elif name not in headers:
            headers[name] = value
