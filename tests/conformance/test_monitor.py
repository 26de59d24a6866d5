"""/queue/monitor: the original's statistics."""

from __future__ import annotations

import pytest

OPTIONS = ("--monitor-interval=0.15",)


@pytest.fixture
def watched(serve):
    return serve(*OPTIONS)


def block(text, queue):
    """The lines about that queue."""
    return next(lines for lines in text.split("\n\n") if lines.startswith(f"Queue: {queue}\n"))


@pytest.mark.parametrize("ack", ["auto", "client"])
def test_the_text_of_the_man_page(connect, watched, version, queue, ack):
    client, monitor = connect(version, to=watched), connect(version, to=watched)
    client.publish(queue, *"123")
    client.subscribe(queue, ack="client", more="prefetch-count:1\n")
    client.ack(client.message("1"))
    client.message("2")
    client.nothing()
    monitor.subscribe("/queue/monitor", ack=ack)
    for _ in range(3):  # un-acknowledged reports hold nothing up
        report = monitor.message(destination="/queue/monitor")
        assert report.body.endswith(b"\n\n")
        lines = block(report.body.decode(), queue).split("\n")
        assert lines[0] == f"Queue: {queue}"
        assert [line.split(": ")[0] for line in lines[1:]] == ["size", "dequeued", "enqueued"]
        assert lines[2:] == ["dequeued: 1", "enqueued: 3"]


def test_a_report_for_everybody(connect, watched, version, queue):
    monitors = [connect(version, to=watched) for _ in range(3)]
    monitors[0].publish(queue, "1")
    for monitor in monitors:
        monitor.subscribe("/queue/monitor")
    for monitor in monitors:
        assert queue in monitor.message().body.decode()


def test_reports_are_never_stored(connect, watched, queue):
    first, second = connect(to=watched), connect(to=watched)
    first.publish(queue, "1")
    first.subscribe("/queue/monitor")
    for _ in range(3):
        first.message()
    first.disconnect()
    second.publish(queue, "2")
    second.subscribe("/queue/monitor")
    assert "size: 2\n" in block(second.message().body.decode(), queue)


def test_nothing_to_tell_without_queues(serve, connect, queue):
    server = serve("--monitor-interval=0.2")  # of no other test
    monitor, client = connect(to=server), connect(to=server)
    monitor.subscribe("/queue/monitor")
    fast = serve(*OPTIONS)
    clock = connect(to=fast)
    clock.publish(queue, "1")
    clock.subscribe("/queue/monitor")
    for _ in range(4):  # more than two intervals of the other
        clock.message()
    monitor.nothing()
    client.publish(queue, "1")
    assert monitor.message().body == f"Queue: {queue}\nsize: 1\ndequeued: 0\nenqueued: 1\n\n".encode()
