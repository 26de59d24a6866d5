"""One measurement: the messages of a shape through a queue to the same client's consumer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from bench.case import PREFETCH, Sample, open_link, subscribe_headers
from bench.flows import through_queue
from bench.shapes.shape import Shape
from bench.shapes.stream import ack_of, shape_stream, subscribe_of
from bench.target import Target


def shaped(metric: str, shape: Shape, mode: str = "auto") -> Callable[[Target, int], Sample]:
    """As `flows.one_queue`, but both sides say what the client says, in its version of STOMP.

    SUBSCRIBE has a receipt and the prefetch of the other scenarios besides.
    """

    def run(target: Target, messages: int) -> Sample:
        destination = f"{target.subject.queue_prefix}{shape.name}".encode()
        more = [("receipt", "subscribed"), *subscribe_headers(target, PREFETCH)]
        lines = "".join(f"{name}:{value}\n" for name, value in more).encode()
        with ExitStack() as stack:
            consumer = open_link(stack, target, shape.version)
            producer = open_link(stack, target, shape.version)
            consumer.ask(subscribe_of(shape, mode, destination, lines))
            return through_queue(
                metric,
                target,
                shape_stream(shape, destination),
                destination,
                messages,
                producer,
                consumer,
                ack=mode,
                ack_frame=ack_of(shape, mode, destination),
            )

    return run
