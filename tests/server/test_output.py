"""A log that nobody takes: nobody waits for it, and what is lost is counted."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from stompserver.server.process import output
from stompserver.server.process.output import Output

LIMIT = 30.0


class Pipe:
    """A pipe and what was read from it."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def read_until(self, last: bytes) -> list[bytes]:
        """Lines up to the last one."""
        data = b""
        while not data.endswith(last + b"\n"):
            chunk = os.read(self.reader, 65536)
            assert chunk, data[-200:]
            data += chunk
        return data.splitlines()

    def close(self) -> None:
        os.close(self.writer)
        os.close(self.reader)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def lost(lines: int) -> bytes:
    return b"lost %d\n" % lines


def test_a_line_is_there_at_once(pipe: Pipe) -> None:
    written = Output()
    written.write(pipe.writer, b"one\n", lost)
    assert os.read(pipe.reader, 100) == b"one\n"


def test_a_long_line_does_not_wait_either(pipe: Pipe) -> None:
    written = Output()
    line = b"x" * 300_000
    written.write(pipe.writer, line + b"\n", lost)
    written.write(pipe.writer, b"end\n", lost)
    assert pipe.read_until(b"end") == [line, b"end"]
    written.flush(LIMIT)


def test_what_nobody_takes_is_kept_up_to_a_limit_and_counted_beyond(pipe: Pipe) -> None:
    written = Output()
    count = 0
    while not written._lost:
        count += 1
        written.write(pipe.writer, b"line %d %b\n" % (count, b"x" * 200), lost)
    for _ in range(9):
        written.write(pipe.writer, b"too many\n" + b"x" * 1000, lost)
    written.flush(0)
    assert written._size <= output.MOST
    got = pipe.read_until(b"lost 10")
    assert [line.split()[1] for line in got[:-1]] == [b"%d" % number for number in range(1, count)]
    written.flush(LIMIT)
    written.write(pipe.writer, b"after\n", lost)
    assert os.read(pipe.reader, 100) == b"after\n"


def test_a_reader_that_left_is_no_reason_to_fail(pipe: Pipe) -> None:
    written = Output()
    while not written._waiting:
        written.write(pipe.writer, b"x" * 1000 + b"\n", lost)
    os.close(pipe.reader)
    written.flush(LIMIT)
    assert not written._waiting
    written.write(pipe.writer, b"nobody\n", lost)
    pipe.reader = os.open(os.devnull, os.O_RDONLY)


def test_a_file_that_is_closed_is_no_reason_to_fail() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    Output().write(writer, b"x\n", lost)
    Output().write(-1, b"x\n", lost)


def test_a_file_that_does_not_block_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    written = Output()
    for number in range(2000):
        written.write(pipe.writer, b"%d %b\n" % (number, b"x" * 100), lost)
    got = pipe.read_until(b"1999 " + b"x" * 100)
    assert [int(line.split()[0]) for line in got] == list(range(2000))
    written.flush(LIMIT)
