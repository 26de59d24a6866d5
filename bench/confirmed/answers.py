"""Counting what a server answers in a protocol of lines, and what it delivers.

Whatever is not an answer that was due ends the run with its text: an error is never counted.
"""

from __future__ import annotations

import re
import socket
from abc import abstractmethod
from collections.abc import Sequence

from bench.frames import DIGITS, numbers
from bench.receiver import BUFFER_BYTES, TAIL_SHOWN, CountError, explain

END = b"\r\n"
Form = Sequence[bytes]
"""One regular expression for each line of an answer."""


def joined(form: Form) -> bytes:
    """The regular expression of a whole answer."""
    return b"".join(line + END for line in form)


class Forms:
    """The kinds of answers that are due on a connection."""

    def __init__(self, *forms: Form) -> None:
        # Possessive: what was matched is never looked at again, however much there is.
        self._run = re.compile(b"(?:" + b"|".join(joined(form) for form in forms) + b")*+").match
        self._lines = [[re.compile(line).fullmatch for line in form] for form in forms]

    def end(self, data: bytes) -> int:
        """Where the last whole answer of `data` ends.

        Raises CountError when what stands behind it cannot become one of these forms.
        """
        found = self._run(data)
        end = found.end() if found else 0
        rest = data[end:]
        *lines, _ = rest.split(END)
        if lines and not any(
            len(lines) < len(form)
            and all(fits(line) for fits, line in zip(form[: len(lines)], lines, strict=True))
            for form in self._lines
        ):
            raise CountError(f"the server answered {rest[:TAIL_SHOWN]!r}")
        return end


class Reader:
    """Reads a socket and keeps what is not yet whole."""

    def __init__(self, forms: Forms) -> None:
        self.count = 0
        self._forms = forms
        self._rest = b""

    def more(self, sock: socket.socket) -> bytes:
        """The whole answers that have come by one more read."""
        new = sock.recv(BUFFER_BYTES)
        if not new:
            raise CountError(f"the server closed the connection after {self.count:,} answers")
        data = self._rest + new
        end = self._forms.end(data)
        self._rest = data[end:]
        return data[:end]


class Answers(Reader):
    """Counts a producer's confirmations, of which each has `mark` in it once; they come in the order of the requests.

    `others` are answers that may come between them and count for nothing.
    """

    def __init__(self, total: int, form: Form, mark: bytes, *others: Form) -> None:
        super().__init__(Forms(form, *others))
        self.total = total
        self._mark = mark

    def read(self, sock: socket.socket) -> bytes:
        self.count += self.more(sock).count(self._mark)
        if self.count > self.total:
            raise CountError(f"{self.count:,} messages were confirmed, {self.total:,} sent")
        return b""


class Deliveries(Reader):
    """Counts numbered messages, which must come in order, and acknowledges each.

    The expression `message` has two groups: by what a message is acknowledged, and its number.
    `settled` is the answer to an acknowledgement, with its `mark` once; None where there is none.
    """

    def __init__(self, total: int, message: Form, settled: Form | None, mark: bytes, *others: Form) -> None:
        super().__init__(Forms(message, *(() if settled is None else (settled,)), *others))
        self.total = total
        self.settled = 0
        self.answered = settled is not None
        self._mark = mark
        self._find = re.compile(joined(message)).findall
        self._settlements = re.compile(joined(settled)).findall if settled else None
        self._expected = numbers(total)

    def read(self, sock: socket.socket) -> bytes:
        data = self.more(sock)
        found = self._find(data)
        digits = b"".join([number for _, number in found])
        first = self.count * DIGITS
        if self._expected[first : first + len(digits)] != digits:
            raise CountError(explain(self.count, [number for _, number in found], self.total))
        self.count += len(found)
        if self._settlements is not None and self._mark in data:
            self.settled += len(self._settlements(data))
        return self.answer([name for name, _ in found], data)

    @abstractmethod
    def answer(self, names: list[bytes], data: bytes) -> bytes:
        """The acknowledgements of the messages `names`, and the request for more if one is needed.

        `data` is all that these answers were read from.
        """

    def done(self) -> bool:
        """Whether all messages have come, and all acknowledgements are answered if they are at all."""
        return self.count == self.total and (not self.answered or self.settled == self.total)
