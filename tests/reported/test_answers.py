"""Reports about temporary queues, reply-to and answers."""

from __future__ import annotations

from typing import Any


def test_an_answer_without_a_subscription(place: Any) -> None:
    """stomp-js/stompjs#99: how the answer to a temporary queue arrives, to which nobody subscribed."""
    asker, server = place.connect(), place.connect()
    server.subscribe(place.queue)
    asker.publish(place.queue, "?", "reply-to:/temp-queue/foo\n")
    (question,) = server.take(1)
    server.publish(question["reply-to"], "!")
    (answer,) = asker.take(1)
    assert (answer.body, answer["subscription"]) == ("!", "/temp-queue/foo")


def test_a_temporary_queue_can_be_subscribed(place: Any) -> None:
    """stomp-js/ng2-stompjs#85: SUBSCRIBE to the temporary queue of reply-to was an error."""
    asker, server = place.connect(), place.connect()
    server.subscribe(place.queue)
    asker.subscribe("/temp-queue/foo", id="answers")
    asker.publish(place.queue, "?", "reply-to:/temp-queue/foo\n")
    (question,) = server.take(1)
    server.publish(question["reply-to"], "!")
    (answer,) = asker.take(1)
    assert (answer.body, answer["subscription"]) == ("!", "answers")


def test_the_asker_chooses_the_name_of_its_queue(place: Any) -> None:
    """rabbitmq/rabbitmq-stomp#135: two temporary queues, and which answer is for which could not be seen."""
    asker, server = place.connect(), place.connect()
    server.subscribe(place.queue)
    for name in ("one", "two"):
        asker.publish(place.queue, name, f"reply-to:/temp-queue/{name}\n")
    for question in reversed(server.take(2)):
        server.publish(question["reply-to"], question.body)
    assert [(frame["subscription"], frame.body) for frame in asker.take(2)] == [
        ("/temp-queue/two", "two"),
        ("/temp-queue/one", "one"),
    ]


def test_an_answer_to_someone_who_is_gone(place: Any) -> None:
    """stompgem/stomp#100: an answer to the temporary queue of a client that had left broke the service's
    connection.
    """
    asker, server = place.connect(), place.connect()
    server.subscribe(place.queue)
    asker.publish(place.queue, "?", "reply-to:/temp-queue/foo\n")
    (question,) = server.take(1)
    asker.part()
    assert server.publish(question["reply-to"], "!").has("warning")
    server.nothing()


def test_a_temporary_queue_with_acknowledgements(place: Any) -> None:
    """rabbitmq/rabbitmq-stomp#95: answers in a temporary queue could not be acknowledged."""
    asker, server = place.connect(), place.connect()
    server.subscribe(place.queue)
    asker.subscribe("/temp-queue/foo", id="answers", ack="client-individual")
    asker.publish(place.queue, "?", "reply-to:/temp-queue/foo\n")
    (question,) = server.take(1)
    server.publish(question["reply-to"], "!")
    (answer,) = asker.take(1)
    asker.settle(answer, "NACK")
    (answer,) = asker.take(1)
    assert answer["redelivered"] == "true"
    asker.settle(answer)
    asker.nothing()
