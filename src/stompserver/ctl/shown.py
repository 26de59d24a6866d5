"""What clients made up, as it may be shown on a terminal."""

from __future__ import annotations


def one_line(text: str) -> str:
    """``text`` with an escape for each line end and other character that is none to be seen. STOMP 1.1 and 1.2 can
    write them in names, which would forge lines here, or tell the terminal what to do.
    """
    if text.isprintable():
        return text
    return "".join([letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text])
