"""The recorded shapes as load: the files, the messages made of them, the ACKs, the table, and one tiny run."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from bench.case import RATE, Metric, Sample
from bench.receiver import Ack, CountError
from bench.report import Results
from bench.run import main
from bench.shapes import table
from bench.shapes.parts import SHAPES, Part, parts
from bench.shapes.shape import NUMBER, QUEUE, RECORDED, SUFFIX, UUID, shape_of, text_of
from bench.shapes.stream import ShapeStream, ack_of, subscribe_of
from bench.subjects import SUBJECTS

from bench import core

UUIDS = re.compile(rb"9b2d5b4e-[-0-9a-f]{14}-\d{12}")
each_shape = pytest.mark.parametrize("name", SHAPES)


@each_shape
def test_a_file_says_all_of_its_shape(name: str) -> None:
    assert text_of(SHAPES[name]) == (RECORDED / f"{name}{SUFFIX}").read_text()


def test_line_ends_behind_a_frame_are_part_of_it() -> None:
    shape = replace(
        SHAPES["stompit"], frames={"SEND": b"SEND\na:b\n\n\n\nx\0\n\n", "ACK client": b"ACK\n\n\0"}
    )
    assert shape_of("stompit", text_of(shape)) == shape


@pytest.mark.parametrize("frame", [b"SEND\r\n\n\0", b"SEND\n\n", b"SEND\n\n\0\0", b"SEND\na:^@\n\n\0"])
def test_a_frame_that_text_would_change_is_refused(frame: bytes) -> None:
    with pytest.raises(ValueError, match="not to be written as text"):
        text_of(replace(SHAPES["stompit"], frames={"SEND": frame}))


def test_a_file_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="odd: not the file of a shape"):
        shape_of("odd", "client: c 1\nabout: a\nversion: 1.2\n")


@each_shape
def test_messages_are_as_recorded_and_each_has_its_number(name: str) -> None:
    """In two laps: the second replaces the digits of the first."""
    shape = SHAPES[name]
    stream = ShapeStream(shape, b"/queue/other")
    count = 2 * stream.block_size
    data = b"".join(b"".join(stream.chunk(index)) for index in range(2 * stream.chunks_per_lap))
    assert re.findall(rb"\nseq:(\d{12})", data) == [b"%012d" % number for number in range(count)]
    sends = re.findall(rb"SEND\n.*?\0\n*", data, re.DOTALL)
    wanted = shape.frames["SEND"].replace(QUEUE, b"/queue/other")
    for number in (0, 1, 9_999, 10_000, count - 1):
        frame = UUIDS.sub(UUID, sends[number])
        assert frame == wanted.replace(NUMBER, b"%012d" % number)


def test_each_hundred_lies_in_a_transaction_of_its_own() -> None:
    shape = SHAPES["stomp.py-transactions"]
    stream = ShapeStream(shape, QUEUE)
    seen = set()
    for index in range(2 * stream.chunks_per_lap):
        frames = b"".join(stream.chunk(index)).split(b"\0")[:-1]
        for start in range(0, len(frames), 102):
            begin, *sends, commit = frames[start : start + 102]
            (made_up,) = UUIDS.findall(begin)
            assert len(sends) == 100
            assert begin == b"BEGIN\ntransaction:%b\n\n" % made_up
            assert commit == b"COMMIT\ntransaction:%b\n\n" % made_up
            assert all(b"\ntransaction:%b\n" % made_up in frame for frame in sends)
            seen.add(made_up)
    assert len(seen) == 2 * stream.block_size // 100


def test_a_subscribe_asks_for_what_the_benchmark_needs_besides() -> None:
    frame = subscribe_of(SHAPES["stompman"], "client", b"/queue/other", b"receipt:r\n")
    assert re.fullmatch(
        rb"SUBSCRIBE\nreceipt:r\nack:client\ndestination:/queue/other\nid:9b2d5b4e-[-0-9a-f]{27}\n\n\0\n?",
        frame,
    )


MESSAGES = b"".join(
    b"MESSAGE\nack:a%d\nsubscription:1\nmessage-id:m%d\nseq:%012d\n\nx\0\n" % (number, number, number)
    for number in range(3)
)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("stomp.py", b"ACK\nmessage-id:m0\nsubscription:1\n\n\0"),
        ("stompit", b"ACK\nsubscription:1\nmessage-id:m0\nid:a0\n\n\0\n"),
        ("php-stomp", b"ACK\ndestination:/queue/other\nmessage-id:m0\n\n\0"),
    ],
)
def test_messages_are_acknowledged_as_that_client_does_it(name: str, first: bytes) -> None:
    ack = Ack(ack_of(SHAPES[name], "client-individual", b"/queue/other"))
    values = ack.values(MESSAGES, len(MESSAGES), 3)
    more = [first.replace(b"m0", b"m%d" % number).replace(b"a0", b"a%d" % number) for number in (1, 2)]
    assert ack.frames(values) == b"".join([first, *more])
    assert ack.frames([[] for _ in values]) == b""
    with pytest.raises(CountError, match="4 messages came with 3"):
        ack.values(MESSAGES, len(MESSAGES), 4)


def test_an_ack_names_a_message() -> None:
    with pytest.raises(ValueError, match="names no message"):
        Ack(b"ACK\nsubscription:1\n\n\0")


def test_the_own_shape_is_measured_in_each_mode_of_those_that_are_chosen() -> None:
    assert [part.metric for part in parts(["stompest", "stomp.py-url"])] == [
        "own shape",
        "stompest",
        "stomp.py-url",
        "own shape, individual",
        "stompest, individual",
    ]


def test_the_table_has_the_best_shape_first_and_ratios_of_rounds() -> None:
    results = Results()
    # Rates of two rounds, with a server that is busy all the time: us each are a million by the rate.
    for part, rates in (
        (Part("own shape", "auto"), (1000, 500)),
        (Part("stompest", "auto"), (250, 125)),
        (Part("stompjs", "auto"), (500, 250)),
        (Part("own shape", "client"), (100, 100)),
        (Part("stompjs", "client"), (100, 100)),
    ):
        for round, rate in enumerate(rates):
            metric = Metric(part.metric, RATE)
            sample = Sample({part.metric: rate}, rate, 1.0, 0.1, 1.0)
            results.add(round, part.metric, "stompserver", (metric,), sample)
    rows = [line.split() for line in table.render(results, ["stompserver", "nats"]).splitlines()[2:]]
    assert [row[0] for row in rows] == ["own", "stompjs", "stompest", "own", "stompjs,"]
    assert rows[2][1:7] == ["stompserver", "187.5", "6000.00", "4.00", "0.25", "stompest"]
    assert table.render(Results(), ["stompserver"]) == ""


def test_who_cannot_be_measured_has_a_reason() -> None:
    assert "own protocol" in (SUBJECTS["nats"].reason_against("clients") or "")
    assert "own frames only" in (SUBJECTS["prototype"].reason_against("clients") or "")
    assert SUBJECTS["rabbitmq"].reason_against("clients") is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--scenario", "clients", "--shape", "stompy"], "unknown shape 'stompy'; known: net-stomp"),
        (["--scenario", "auto", "--shape", "stomp.py"], "--shape needs --scenario clients"),
    ],
)
def test_a_wrong_shape_is_one_line(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(options) == 2
    assert words in capsys.readouterr().err


def test_a_tiny_run_of_our_own_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An ACK that the server did not take would be found after the run."""
    path = tmp_path / "result.json"
    options = [
        "--scenario",
        "clients",
        "--shape",
        "stompit,stomp.py-transactions",
        "--subjects",
        "stompserver",
    ]
    options += ["--python", sys.executable, "--quick", "--no-pin", "--messages", "1000", "--json", str(path)]
    assert main(options) == 0
    report = json.loads(path.read_text())
    assert [entry["metric"] for entry in report["summary"]] == [
        part.metric for part in parts(["stompit", "stomp.py-transactions"])
    ]
    assert all(entry["subjects"]["stompserver"]["median"] > 0 for entry in report["summary"])
    assert "Real clients' shapes" in capsys.readouterr().out


def test_the_core_alone_takes_a_shape(capsys: pytest.CaptureFixture[str]) -> None:
    assert core.main(["--shape", "stompit", "--seconds", "0"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^  stompit, cumulative +\d+ +\d\.\d\d x own$", said, re.MULTILINE)
    with pytest.raises(SystemExit):
        core.main(["--shape", "stompy"])
    assert "unknown shape 'stompy'" in capsys.readouterr().err
