"""Several versions on one server (lines 189 and 190)."""

from __future__ import annotations

import itertools

import pytest


def written(text, version):
    """A header text as a client or the server of that version writes it."""
    if version == "1.0":
        return text
    return text.replace("\\", "\\\\").replace(":", "\\c")


@pytest.mark.line(189)
@pytest.mark.parametrize(("sender", "receiver"), list(itertools.product(["1.0", "1.1", "1.2"], repeat=2)))
@pytest.mark.parametrize("kind", ["queue", "topic", "stored"])
def test_189_from_each_to_each(connect, queue, topic, sender, receiver, kind):
    destination = (topic if kind == "topic" else queue) + ":é"
    client, other = connect(sender), connect(receiver)
    if kind != "stored":
        other.subscribe(written(destination, receiver), "s:1" if receiver == "1.0" else r"s\c1", "client")
    value = r"a:b\nc\\ d"
    end = "\r\n" if sender == "1.2" else "\n"
    client.send(
        f"SEND{end}destination:{written(destination, sender)}{end}x:{written(value, sender)}{end}{end}\r\n:\\\0"
    )
    client.nothing()
    if kind == "stored":
        other.subscribe(written(destination, receiver), "s:1" if receiver == "1.0" else r"s\c1", "client")
    message = other.message("\r\n:\\", destination=written(destination, receiver), x=written(value, receiver))
    assert message["subscription"] == written("s:1", receiver)
    assert message.has("ack") == (receiver == "1.2")
    assert b"\r" not in message.head()
    other.ack(message)
    other.nothing()


@pytest.mark.line(189)
def test_189_all_at_once_on_a_topic(connect, topic):
    clients = {version: connect(version) for version in ("1.0", "1.1", "1.2")}
    for version, client in clients.items():
        client.subscribe(topic, f"of {version}")
    for version, client in clients.items():
        client.publish(topic, version, more="x:" + written("back\\slash", version) + "\n")
    for receiver, client in clients.items():
        frames = [client.message(sender) for sender in clients]
        assert [frame["x"] for frame in frames] == [written("back\\slash", receiver)] * 3
        assert [frame["subscription"] for frame in frames] == [f"of {receiver}"] * 3


@pytest.mark.line(189)
def test_189_one_queue_shared(connect, queue):
    clients = {version: connect(version) for version in ("1.0", "1.1", "1.2")}
    for client in clients.values():
        client.subscribe(queue, ack="client", more="prefetch-count:1\n")
    clients["1.0"].publish(queue, *"123456")
    got = []
    for _ in range(2):
        for client in clients.values():
            message = client.message()
            got.append(message.body.decode())
            client.ack(message)
            client.send("\n")
        for client in clients.values():
            client.pending.extend(client.barrier())
    assert sorted(got) == list("123456")


@pytest.mark.line(190)
@pytest.mark.versions("1.0")
def test_190_accept_version_1_0(dial, version, queue):
    client = dial(version=version)
    client.send("CONNECT\naccept-version:1.0\nhost:x\nheart-beat:100,100\n\n\0")
    assert client.expect("CONNECTED", version="1.0").has("session")
    client.send(f"SUBSCRIBE\ndestination:{queue}\n\n\0SEND\ndestination:{queue}\nx:\\t\n\nhello\0")
    client.message("hello", x="\\t")


@pytest.mark.line(190)
@pytest.mark.versions("1.0")
def test_190_without_it_plain_1_0(dial, version):
    client = dial(version=version)
    client.send("CONNECT\n\n\0")
    connected = client.expect("CONNECTED")
    assert connected.has("session")
    assert not connected.has("heart-beat")
