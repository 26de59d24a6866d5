"""How the peers are configured, what they are sent that a STOMP server is not, and one tiny run of our own."""

from __future__ import annotations

import json
import re
import socket
import sys
from pathlib import Path

import pytest
from bench.frames import Stream, body_of
from bench.receiver import CountError, FrameCounter
from bench.run import main
from bench.subjects import SUBJECTS, Home, known

from bench import nats, peers


def test_rabbitmq_keeps_to_its_directory_and_to_loopback(tmp_path: Path) -> None:
    files = peers.rabbitmq_files(1, 2, 3, tmp_path)
    assert "listeners.tcp = none" in files["rabbitmq.conf"]
    assert "stomp.listeners.tcp.1 = 127.0.0.1:1\n" in files["rabbitmq.conf"]
    assert files["enabled_plugins"] == "[rabbitmq_stomp].\n"
    start = files["start.sh"]
    for name in ("HOME", "RABBITMQ_MNESIA_BASE", "RABBITMQ_LOG_BASE", "RABBITMQ_CONFIG_FILE"):
        assert f"export {name}='{tmp_path}" in start
    assert "export RABBITMQ_DIST_PORT='3'" in start
    assert "inet_dist_use_interface {127,0,0,1}" in start
    assert "epmd -address 127.0.0.1 -port 2 &" in start


def test_every_peer_gets_its_port_on_loopback_and_its_directory(tmp_path: Path) -> None:
    for name, expected in (("activemq", "stomp://127.0.0.1:5/"), ("nats", '"127.0.0.1:5"')):
        place = tmp_path / name
        place.mkdir()
        SUBJECTS[name].command(5, place)
        written = "".join(path.read_text() for path in place.iterdir() if path.is_file())
        assert expected.rstrip("/") in written
        assert "0.0.0.0" not in written
    (tmp_path / "coilmq").mkdir()
    command = SUBJECTS["coilmq"].command(5, tmp_path / "coilmq")
    assert command[1:5] == ["-b", "127.0.0.1", "-p", "5"]
    assert str(tmp_path) in (tmp_path / "coilmq" / "coilmq.cfg").read_text()


def test_a_restart_finds_the_files_of_the_first_start(tmp_path: Path) -> None:
    SUBJECTS["rabbitmq"].command(1, tmp_path)
    before = (tmp_path / "start.sh").read_text()
    SUBJECTS["rabbitmq"].command(1, tmp_path)
    assert (tmp_path / "start.sh").read_text() == before


def test_another_interpreter_s_server_needs_no_source() -> None:
    subjects = known(Home("/usr/bin/another", ""))
    own, pure = subjects["stompserver-lmdb"], subjects["stompserver-lmdb-pure"]
    assert own.command(1, Path("/tmp"))[0] == "/usr/bin/another"
    assert "PYTHONPATH" not in own.environment
    assert pure.environment["PYTHONPATH"].endswith("src")
    assert own.missing() == "/usr/bin/another does not exist"


def test_a_nats_message_is_as_long_as_it_says_and_numbered() -> None:
    stream = nats.NatsStream((b"a",), body_of(100))
    data = b"".join(stream.chunk(stream.chunks_per_lap))
    rest, count = data, stream.block_size
    while rest:
        line, _, rest = rest.partition(b"\r\n")
        length = int(line.split()[-1])
        assert length == 100
        payload, rest = rest[:length], rest[length:]
        assert payload.startswith(b"\nseq:%012d\n" % count)
        assert payload.endswith(b"\0")
        assert rest.startswith(b"\r\n")
        rest = rest[2:]
        count += 1


def test_a_transaction_lies_in_one_chunk() -> None:
    stream = Stream((b"/queue/a",), body_of(100), transaction=100)
    for index in (0, 1, stream.chunks_per_lap):
        frames = b"".join(stream.chunk(index)).split(b"\0")[:-1]
        for start in range(0, len(frames), 102):
            begin, *sends, commit = frames[start : start + 102]
            name = begin.removeprefix(b"BEGIN\n").strip()
            assert commit == b"COMMIT\n" + name + b"\n\n"
            assert len(sends) == 100
            assert all(frame.startswith(b"SEND\n") and b"\n" + name + b"\n" in frame for frame in sends)


def test_one_ack_of_1_1_is_for_all_before_it() -> None:
    wire = [b"MESSAGE\nmessage-id:m%d\nseq:%012d\n\nx\0" % (index, index) for index in range(8)]
    producer, consumer = socket.socketpair()
    with producer, consumer:
        receiver = FrameCounter(8, cumulative=3)
        answers = []
        for start, end in ((0, 2), (2, 7), (7, 8)):
            producer.sendall(b"".join(wire[start:end]))
            answers.append(re.findall(rb"message-id:(\w+)", receiver.read(consumer)))
        assert answers == [[], [b"m2", b"m5"], [b"m7"]]
        producer.sendall(b"MESSAGE\nseq:000000000008\n\nx\0")
        with pytest.raises(CountError, match="came after all 8"):
            receiver.read(consumer)


def test_a_tiny_run_of_our_own_server_writes_everything_down(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "result.json"
    # That of this Python, wherever it is: the tests also run beside an installed wheel, where there is no src.
    options = ["--scenario", "cumulative", "--subjects", "stompserver", "--python", sys.executable]
    options += ["--quick", "--no-pin"]
    assert main([*options, "--messages", "1000", "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    assert report["failures"] == []
    assert report["servers"]["stompserver"].startswith("stompserver/")
    assert report["settings"]["steps"] == [{"scenario": "cumulative", "subjects": ["stompserver"]}]
    (summary,) = report["summary"]
    assert summary["subjects"]["stompserver"]["median"] > 0
    assert {"cpu", "cores", "python", "commit", "time"} <= set(report["machine"])
    assert "cumulative" in capsys.readouterr().out


def test_a_server_that_does_nothing_answers_in_the_scenario_it_is_for(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    options = ["--scenario", "latency,auto", "--subjects", "echo", "--rounds", "1", "--quick", "--no-pin"]
    assert main([*options, "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    assert report["servers"]["echo"] == "echo"
    found = {entry["metric"]: entry["subjects"]["echo"] for entry in report["summary"]}
    assert 0 < found["latency p50"]["median"] <= found["latency p99"]["median"]
    assert found["auto"]["dash"] == "made for latency only"
