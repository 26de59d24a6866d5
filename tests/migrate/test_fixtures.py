"""Every storage that the original wrote, compared with what the restarted original delivered from it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from stompserver.broker.message import Message
from stompserver.migrate import read
from stompserver.session.dialect.headers import PRIVATE

STORAGES = ("file/ruby18", "file/debian31", "dbm/ruby18", "dbm/debian31")
DATABASES = ("activerecord/ruby18", "activerecord/debian31")


def taken(fixtures: Any, name: str) -> dict[str, list[Message]]:
    return {queue.name: [item.message for item in queue.items] for queue in read(fixtures.path(name)).queues}


@pytest.mark.parametrize("name", STORAGES + DATABASES)
def test_order_headers_and_bodies_are_those_that_the_original_delivered(fixtures: Any, name: str) -> None:
    found = taken(fixtures, name)
    delivered = fixtures.delivered(name)
    assert {queue for queue, messages in delivered.items() if messages} == set(found)
    for queue, wanted in delivered.items():
        messages = found.get(queue, [])
        assert len(messages) == len(wanted)
        for message, (headers, body) in zip(messages, wanted, strict=True):
            kept = {name: value for name, value in headers.items() if name not in PRIVATE}
            assert message.headers == kept
            if "debian31" in name:
                # Ruby 1.8 has no order of headers, later ones keep it.
                assert list(message.headers) == list(kept)
            assert message.destination == headers["destination"] == queue
            if name != "activerecord/ruby18":
                assert message.body == body
            elif message.body != body:
                # Syck lost these when it read them; the stored text still has them.
                assert message.body.replace(b"\r\n", b"\n") == body or (message.body, body) == (b"\n", b"")
            assert message.persistent


@pytest.mark.parametrize("name", DATABASES)
def test_rows_give_the_bodies_that_were_sent(fixtures: Any, name: str) -> None:
    sent = [base64.b64decode(one) for one in fixtures.manifest(name)["yaml_edge_bodies_as_sent_base64"]]
    bodies = [message.body for message in taken(fixtures, name)["/queue/yaml-edge"]]
    assert bodies[: len(sent)] == sent
    orders = [message.body for message in taken(fixtures, name)["/queue/orders"]]
    assert orders == [body for _, body in fixtures.delivered("file/ruby18")["/queue/orders"]]


@pytest.mark.parametrize("name", STORAGES)
def test_queues_come_in_the_order_of_the_index(fixtures: Any, name: str) -> None:
    listed = fixtures.manifest(name)["qinfo_decoded"]["queues"]
    assert [queue.name for queue in read(fixtures.path(name)).queues] == list(listed)


@pytest.mark.parametrize("name", STORAGES + DATABASES)
def test_ids_are_the_originals_and_returns_are_counted(fixtures: Any, name: str) -> None:
    original = read(fixtures.path(name))
    for queue in original.queues:
        wanted = fixtures.delivered(name)[queue.name]
        assert [item.id for item in queue.items] == [headers["message-id"] for headers, _ in wanted]
    (returned,) = [queue.items for queue in original.queues if queue.name == "/queue/requeued"]
    bodies = [(item.message.body[:4], item.message.attempts) for item in returned]
    if name in DATABASES:
        assert bodies == [(b"rq-2", 0), (b"rq-1", 0)]
    else:
        assert bodies == [(b"rq-1", 1), (b"rq-2", 0)]
    (orders,) = [queue.items for queue in original.queues if queue.name == "/queue/orders"]
    assert [item.message.exceptions for item in orders] == [-1, -1, -1, -1, 3, -1]


@pytest.mark.parametrize("name", ["file/ruby18", "file/debian31", *DATABASES])
def test_nothing_is_to_be_noted_about_a_sound_storage(fixtures: Any, name: str) -> None:
    assert read(fixtures.path(name)).notes == []


@pytest.mark.parametrize("name", ["dbm/ruby18", "dbm/debian31"])
def test_keys_of_consumed_messages_stay(fixtures: Any, name: str) -> None:
    (note,) = read(fixtures.path(name)).notes
    assert note.kind == "left"
    assert "consumed" in note.reason
    assert len(note.places) == 1


def test_a_stale_index_loses_nothing_that_is_there(fixtures: Any) -> None:
    original = read(fixtures.path("file/ruby18_checkpoint60"))
    manifest = fixtures.manifest("file/ruby18_checkpoint60")
    (queue,) = original.queues
    waiting = [body for body in manifest["sent_in_order"] if body not in manifest["consumed_and_acked"]]
    assert [item.message.body.decode() for item in queue.items] == waiting
    assert queue.name == "/queue/cp"
    assert {(note.kind, len(note.places)) for note in original.notes} == {("left", 1), ("repaired", 3)}
