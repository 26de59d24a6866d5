"""beanstalkd's protocol: put, reserve, delete."""

from __future__ import annotations

import re
from functools import cache

from bench.confirmed.answers import Answers, Deliveries
from bench.confirmed.speaker import BODY, NAME, Requests, Session, message_line
from bench.receiver import CountError

RESERVES = 100
"""How many `reserve` lie ahead: each waits for a job, and a `delete` waits for those before it."""
RESERVE = b"reserve\r\n"
JOB = (rb"RESERVED (\d+) %d" % BODY, message_line())
DELETED = (rb"DELETED",)


class Puts(Requests):
    """`put` with an hour to do the job in."""

    def request(self, number: bytes) -> bytes:
        return b"put 0 0 3600 %d\r\n" % BODY


class Jobs(Deliveries):
    """A `delete` for each job, and one more `reserve` while more are to come than have been asked for."""

    def __init__(self, total: int) -> None:
        super().__init__(total, JOB, DELETED, b"DELETED")
        self._asked = min(RESERVES, total)

    def answer(self, names: list[bytes], data: bytes) -> bytes:
        more = min(len(names), self.total - self._asked)
        self._asked += more
        return b"".join(
            [b"delete %b\r\nreserve\r\n" % name for name in names[:more]]
            + [b"delete %b\r\n" % name for name in names[more:]]
        )


class BeanstalkSession(Session):
    def ask(self, line: bytes, wanted: bytes) -> bytes:
        """The answer's line, which must start with `wanted`, else CountError."""
        self.sock.sendall(line + b"\r\n")
        answer = self.line()
        if not answer.startswith(wanted):
            raise CountError(f"the server answered {answer[:300]!r} to {line!r}")
        return answer

    def server_name(self) -> str:
        size = self.ask(b"stats", b"OK ").split()[1]
        found = re.search(rb'\nversion: "?([^"\s]+)', self.octets(int(size)))
        return f"beanstalkd/{found[1].decode()}" if found else ""

    def produce(self) -> None:
        self.ask(b"use " + NAME, b"USING ")

    def consume(self, total: int) -> bytes:
        self.ask(b"watch " + NAME, b"WATCHING ")
        return RESERVE * min(RESERVES, total)

    def check_done(self, total: int) -> None:
        # A tube that nobody uses and that holds nothing does not exist.
        self.sock.sendall(b"stats-tube " + NAME + b"\r\n")
        answer = self.line()
        if answer == b"NOT_FOUND":
            return
        found = self.octets(int(answer.split()[1]))
        left = {
            kind: int(count)
            for kind, count in re.findall(rb"\ncurrent-jobs-(ready|reserved|buried|delayed): (\d+)", found)
        }
        if len(left) != 4 or any(left.values()):
            raise CountError(f"the tube still has jobs: {left}")


class Beanstalk:
    """put, reserve, delete."""

    def open(self, port: int, timeout: float) -> Session:
        return BeanstalkSession(port, timeout)

    @cache  # noqa: B019 there is one of it
    def requests(self) -> Requests:
        return Puts()

    def answers(self, total: int) -> Answers:
        return Answers(total, (rb"INSERTED \d+",), b"INSERTED")

    def deliveries(self, total: int) -> Deliveries:
        return Jobs(total)
