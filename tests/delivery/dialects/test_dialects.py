"""Other brokers' headers and destinations as clients see them, on memory and over a kill."""

from __future__ import annotations

from typing import Any


def test_to_several_destinations_all_or_none_of_it_survives(house: Any) -> None:
    client = house.connect()
    client.subscribe("/topic/b", id="b")
    client.send("SEND\ndestination:/queue/a,/topic/b,queue://c\nreceipt:r\n\nhello\0")
    assert {client.frame().command, client.frame().command} == {"MESSAGE", "RECEIPT"}
    house.restart()
    client = house.connect()
    client.subscribe("/queue/a,/queue/c", ack="client")
    first, second = client.message("hello"), client.message("hello")
    assert {first["destination"], second["destination"]} == {"/queue/a", "/queue/c"}
    assert first["message-id"] != second["message-id"]
    client.receipt(f"ACK\nid:{second['ack']}\n\n\0")
    client.close()
    house.restart()
    client = house.connect()
    client.subscribe("/queue/a,/queue/c")
    client.nothing()


def test_question_and_answer(house: Any) -> None:
    """With a subscription (ActiveMQ) and without one (RabbitMQ); to whoever is gone an answer does no harm."""
    service, asker, other = (house.connect() for _ in range(3))
    service.subscribe("/queue/service")
    asker.subscribe("/temp-queue/answers", "mine")
    for client in (asker, other):
        client.publish("/queue/service", "ask", "reply-to:/temp-queue/answers\ncorrelation-id:7\n")
        question = service.message("ask")
        service.publish(question["reply-to"], "answer", f"correlation-id:{question['correlation-id']}\n")
        answer = client.message("answer")
        assert answer["destination"] == "/temp-queue/answers"
        assert answer["correlation-id"] == "7"
        assert answer["subscription"] == ("mine" if client is asker else "/temp-queue/answers")
    other.receipt("DISCONNECT\n\n\0")
    assert other.socket.recv(1) == b""
    assert "temporary" in service.publish(question["reply-to"], "too late")["warning"]
    asker.nothing()


def test_nothing_of_a_temporary_queue_survives(house: Any) -> None:
    client = house.connect()
    client.subscribe("/temp-queue/r", ack="client")
    client.publish("/queue/a", "kept", "reply-to:/temp-queue/r\n")
    client.send("SEND\ndestination:/temp-queue/r\npersistent:true\n\nhello\0")
    client.message("hello")
    house.restart()
    client = house.connect()
    if house.keeps:
        client.subscribe("/queue/a")
        name = client.message("kept")["reply-to"]
        assert "temporary" in client.publish(name, "answer")["warning"]


def test_private_destinations(house: Any) -> None:
    alice, again, bob = (
        house.connect("login:alice\n"),
        house.connect("login:alice\n"),
        house.connect("login:bob\n"),
    )
    for client in (alice, again, bob):
        client.subscribe("/user/topic/news", "news")
        client.subscribe("/user/queue/tasks", "tasks")
        client.subscribe("/topic/>", "all")
    bob.publish("/user/alice/topic/news", "hello")
    for client in (alice, again):
        assert client.message("hello")["subscription"] == "news"
    bob.send("SEND\ndestination:/user/queue/tasks\n\nown\0")
    assert bob.message("own")["destination"] == "/user/queue/tasks"
    bob.send("SUBSCRIBE\nid:x\ndestination:/queue/$user/alice/tasks\n\n\0")
    assert "somebody else" in bob.error()["message"]
    for client in (alice, again):
        client.receipt("UNSUBSCRIBE\nid:all\n\n\0")


def test_a_client_id_is_taken_over_with_its_durable_subscription(house: Any) -> None:
    named = "activemq.subscriptionName:news\n"
    first, sender = house.connect("client-id:me\n"), house.connect()
    first.subscribe("/topic/a", more=named, ack="client")
    sender.publish("/topic/a", "1")
    first.message("1")
    second = house.connect("client-id:me\n")
    first.nothing()
    second.send(f"SUBSCRIBE\nid:0\ndestination:/topic/a\nack:client\n{named}\n\0")
    assert "took over" in first.error()["message"]
    assert second.message("1")["redelivered"] == "true"
    house.restart()
    third = house.connect("client-id:me\n")
    if house.keeps:
        third.subscribe("/topic/a", more=named)
        third.message("1")


def test_two_workers_with_one_client_id_share_a_queue(house: Any) -> None:
    """Some libraries take the module's name as client-id."""
    one, two = house.connect("client-id:module\n"), house.connect("client-id:module\n")
    for worker in (one, two):
        worker.subscribe("/queue/work", more="prefetch-count:1\n", ack="client")
    house.connect().publish("/queue/work", "1")
    house.connect().publish("/queue/work", "2")
    one.message("1")
    two.message("2")
    # One leaves its durable subscription: the other may have it, and nobody ends.
    named = "activemq.subscriptionName:n\n"
    one.subscribe("/topic/t", "d", named)
    one.receipt("UNSUBSCRIBE\nid:d\n\n\0")
    two.subscribe("/topic/t", "d", named)
    one.nothing()
    one.publish("/topic/t", "3")
    two.message("3")


def test_the_properties_of_a_queue_survive_with_it(house: Any) -> None:
    client = house.connect()
    assert not client.publish("/queue/a", "1", "x-max-length:2\n").has("warning")
    house.restart()
    client = house.connect()
    if not house.keeps:
        return
    for body in ("2", "3"):
        client.publish("/queue/a", body)
    client.subscribe("/queue/a")
    client.message("2")
    client.message("3")
    client.nothing()


def test_what_is_tolerated_is_logged(house: Any) -> None:
    client = house.connect()
    client.send("SEND\ndestination:/queue/a?consumer.x=1\nurl:http://x\n\n\0")
    client.receipt("DISCONNECT\n\n\0")
    assert client.socket.recv(1) == b""
    house.server.wait_for_log("Tolerated protocol errors of 127.0.0.1: colon 1, option 1")
