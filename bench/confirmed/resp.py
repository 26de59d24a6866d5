"""Redis's protocol, RESP: streams (XADD, XREADGROUP, XACK) and lists (LPUSH, RPOP)."""

from __future__ import annotations

import re
from functools import cache
from typing import cast

from bench.confirmed.answers import Answers, Deliveries, Form
from bench.confirmed.speaker import AHEAD, BODY, NAME, Requests, Session, message_line
from bench.receiver import CountError

XACKED = (rb":1",)


def command(*words: bytes) -> bytes:
    """A command as an array of bulk strings."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Added(Requests):
    """XADD of one field."""

    def request(self, number: bytes) -> bytes:
        return b"*5\r\n$4\r\nXADD\r\n$5\r\nbench\r\n$1\r\n*\r\n$1\r\nm\r\n$%d\r\n" % BODY


class Pushed(Requests):
    """LPUSH of one element."""

    def request(self, number: bytes) -> bytes:
        return b"*3\r\n$5\r\nLPUSH\r\n$5\r\nbench\r\n$%d\r\n" % BODY


READ = command(
    *(b"XREADGROUP", b"GROUP", b"g", b"c", b"COUNT", b"%d" % AHEAD, b"BLOCK", b"0", b"STREAMS", NAME, b">")
)
ENTRY = (rb"\*2", rb"\$\d+", rb"(\d+-\d+)", rb"\*2", rb"\$1", rb"m", rb"\$%d" % BODY, message_line())
ENTRIES = (rb"\*1", rb"\*2", rb"\$5", rb"bench", rb"\*(\d+)")
POP = command(b"RPOP", NAME, b"%d" % AHEAD)
# The empty group stands where others have what an acknowledgement names.
ELEMENT = (rb"()\$%d" % BODY, message_line())
ELEMENTS = (rb"\*(\d+)",)


class Batches(Deliveries):
    """Messages that come by the batch; the next is asked for when one is complete."""

    def __init__(self, total: int, message: Form, head: Form, ask: bytes, settled: Form | None) -> None:
        super().__init__(total, message, settled, b":1\r\n", head)
        self._heads = re.compile(b"".join(line + b"\r\n" for line in head)).findall
        self._ask = ask
        self._due = 0

    def answer(self, names: list[bytes], data: bytes) -> bytes:
        self._due += sum(map(int, self._heads(data))) - len(names)
        # Behind a read that waits nothing else is answered, so one is sent only when more must come.
        ask = self._ask if not self._due and names and self.count < self.total else b""
        return self.settle(names) + ask

    def settle(self, names: list[bytes]) -> bytes:
        """What acknowledges them; what is popped from a list is gone."""
        return b""


class Entries(Batches):
    """Of a stream: an XACK for each."""

    def settle(self, names: list[bytes]) -> bytes:
        return b"".join(
            [
                b"*4\r\n$4\r\nXACK\r\n$5\r\nbench\r\n$1\r\ng\r\n$%d\r\n%b\r\n" % (len(name), name)
                for name in names
            ]
        )


class RedisSession(Session):
    """What streams and lists have in common."""

    def ask(self, *words: bytes) -> object:
        """A command's answer: bytes, int, None or a list; raises CountError for an error."""
        self.sock.sendall(command(*words))
        return self._answer()

    def _answer(self) -> object:
        line = self.line()
        kind, text = line[:1], line[1:]
        if kind == b"+":
            return text
        if kind == b":":
            return int(text)
        if kind in b"$*" and text == b"-1":
            return None
        if kind == b"$":
            return self.octets(int(text))
        if kind == b"*":
            return [self._answer() for _ in range(int(text))]
        raise CountError(f"the server answered {line[:300]!r}")

    def server_name(self) -> str:
        # While it reads its files it answers by an error, and is not ready.
        found = re.search(rb"redis_version:(\S+)", cast(bytes, self.ask(b"INFO", b"server")))
        return f"redis/{found[1].decode()}" if found else ""

    def produce(self) -> None:
        self.ask(b"DEL", NAME)


class StreamSession(RedisSession):
    def produce(self) -> None:
        super().produce()
        self.ask(b"XGROUP", b"CREATE", NAME, b"g", b"0", b"MKSTREAM")

    def consume(self, total: int) -> bytes:
        return READ

    def check_done(self, total: int) -> None:
        pending = self.ask(b"XPENDING", NAME, b"g")
        if pending != [0, None, None, None]:
            raise CountError(f"messages are pending that had been acknowledged: {pending}")
        more = self.ask(b"XREADGROUP", b"GROUP", b"g", b"c", b"COUNT", b"1", b"STREAMS", NAME, b">")
        kept = self.ask(b"XLEN", NAME)
        if more is not None or kept != total:
            raise CountError(f"the stream has {kept} entries of {total}, and as a next one {more}")
        self.ask(b"DEL", NAME)


class ListSession(RedisSession):
    def consume(self, total: int) -> bytes:
        return POP

    def check_done(self, total: int) -> None:
        if left := self.ask(b"LLEN", NAME):
            raise CountError(f"the list still has {left} elements")


class Streams:
    """XADD, XREADGROUP, XACK."""

    def open(self, port: int, timeout: float) -> Session:
        return StreamSession(port, timeout)

    @cache  # noqa: B019 there is one of it
    def requests(self) -> Requests:
        return Added()

    def answers(self, total: int) -> Answers:
        return Answers(total, (rb"\$\d+", rb"\d+-\d+"), b"-")

    def deliveries(self, total: int) -> Deliveries:
        return Entries(total, ENTRY, ENTRIES, READ, XACKED)


class Lists:
    """LPUSH, RPOP."""

    def open(self, port: int, timeout: float) -> Session:
        return ListSession(port, timeout)

    @cache  # noqa: B019 there is one of it
    def requests(self) -> Requests:
        return Pushed()

    def answers(self, total: int) -> Answers:
        return Answers(total, (rb":\d+",), b":")

    def deliveries(self, total: int) -> Deliveries:
        return Batches(total, ELEMENT, ELEMENTS, POP, None)
