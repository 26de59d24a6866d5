"""Brings what is in queues of one broker to queues of another.

A message is acknowledged at the old broker only after the RECEIPT of the new one, so at any time it is in one of
them, or, for that moment, in both. Acknowledgements are sent in the order of the deliveries of the whole connection,
whatever the order of the receipts is: for one broker an ACK means that message, for another all before it in its
subscription, for a third (RabbitMQ) all before it on the connection.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

from stompserver.ctl.client import Unanswered
from stompserver.ctl.others.letter import Headers, changed_by, headers_for
from stompserver.ctl.others.link import WINDOW, Link, said_by, wait
from stompserver.wire.frame import Frame

GOODBYE: Final = 10.0
"""Seconds for what is under way when it ends: receipts of the new broker, and the old one's word that it is done."""

STEP: Final = 0.25
"""Seconds after which signals and progress are looked at."""


class Way:
    """From a queue of the old broker to one of the new; ``moved`` counts what was acknowledged."""

    __slots__ = ("moved", "source", "target")

    def __init__(self, source: str, target: str) -> None:
        self.source = source
        self.target = target
        self.moved = 0


class Delivery:
    """A message under way: how it is acknowledged, and whether the new broker has it."""

    __slots__ = ("ack", "message_id", "received", "way")

    def __init__(self, way: Way, ack: Headers, message_id: str) -> None:
        self.way = way
        self.ack = ack
        self.message_id = message_id
        self.received = False


class Carrier:
    """Moves along all ``ways`` until none has brought anything for ``idle`` seconds (None: until it is stopped).

    ``prefetch`` messages at most are out for each way; ``show`` is called now and then with how many were moved.
    """

    def __init__(
        self,
        old: Link,
        new: Link,
        ways: list[Way],
        idle: float | None,
        prefetch: int,
        dedup: bool,
        show: Callable[[int], None],
    ) -> None:
        self.problem = ""
        """What ended it, where that is not emptiness or ``stop``."""
        self.remarks: dict[str, None] = {}
        """What is to be known besides, each once."""
        self.stopped = False
        self.doubtful = False
        """Whether something may be in both brokers now."""
        self._old = old
        self._new = new
        self._ways = ways
        self._idle = idle
        self._prefetch = prefetch
        self._dedup = dedup
        self._show = show
        self._by_id = {f"move-{number}": way for number, way in enumerate(ways)}
        self._by_source = {way.source: way for way in ways}
        self._subscribing = set(self._by_id)
        self._under_way: deque[Delivery] = deque()
        self._by_receipt: dict[str, Delivery] = {}
        self._sent = 0
        self._since = 0.0
        self._unheard = False
        """Whether the old broker has not answered a SUBSCRIBE, neither by a RECEIPT nor by a MESSAGE."""

    @property
    def moved(self) -> int:
        """How many messages the old broker was told to forget."""
        return sum(way.moved for way in self._ways)

    def stop(self) -> None:
        """Take no further message. What is under way is brought to its end."""
        self.stopped = True

    def run(self) -> None:
        """Move, until it ends. See ``problem``, ``doubtful`` and ``remarks`` then."""
        try:
            for name, way in self._by_id.items():
                self._subscribe(name, way)
            self._since = time.monotonic()
            self._move()
        except Unanswered as problem:
            self.problem = str(problem)
        self._leave()

    def _subscribe(self, name: str, way: Way) -> None:
        headers = [("destination", way.source), ("id", name), ("ack", "client"), ("receipt", name)]
        count = str(self._prefetch)
        # RabbitMQ and we, ActiveMQ, Artemis (which takes ActiveMQ's for bytes, when this one is not there).
        headers += [("prefetch-count", count), ("activemq.prefetchSize", count)]
        headers += [("consumer-window-size", str(WINDOW))]
        self._old.write("SUBSCRIBE", headers)

    def _move(self) -> None:
        """Until it is empty, stopped, or something is wrong. Raises Unanswered for that."""
        old, new = self._old, self._new
        shown = stopping = 0.0
        while True:
            now = time.monotonic()
            if now - shown >= 2 * STEP:
                self._show(self.moved)
                shown = now
            if self.stopped:
                stopping = stopping or now
                if not self._under_way or now - stopping > GOODBYE:
                    return
            elif self._is_empty(now):
                return
            crowded = len(new.out) > WINDOW
            if crowded:
                # That we do not listen is no silence of his.
                old.heard = now
            old.live(now)
            new.live(now)
            old.flush()
            new.flush()
            reading = [new] if crowded else [new, old]
            wait(reading, [link for link in (old, new) if link.out], self._patience(now))
            # Receipts first: what they let us acknowledge is settled, whatever comes from the other side.
            for frame in new.read():
                self._from_new(frame)
            if not crowded:
                for frame in old.read():
                    self._from_old(frame)
            for link in (new, old):
                if link.ended:
                    raise Unanswered(f"{link.name} {link.ended}")

    def _is_empty(self, now: float) -> bool:
        """Whether nothing has come for long enough."""
        if self._subscribing and now - self._since > GOODBYE:
            # go-stomp's server has no RECEIPT for SUBSCRIBE.
            self._subscribing.clear()
            self._unheard = True
        if self._idle is None or self._under_way or self._subscribing:
            return False
        return now - self._since >= self._idle

    def _patience(self, now: float) -> float:
        """Seconds until there is something to do, if nothing comes."""
        if self._idle is None or self._under_way or self._subscribing or self.stopped:
            return STEP
        return min(STEP, max(0.0, self._since + self._idle - now))

    def _from_old(self, frame: Frame) -> None:
        if frame.command == "MESSAGE":
            if not self.stopped:
                self._send_on(frame)
        elif frame.command == "RECEIPT":
            self._subscribing.discard(frame.headers.get("receipt-id", ""))
            self._since = time.monotonic()
        elif frame.command == "ERROR":
            raise Unanswered(f"{self._old.name} said: {said_by(frame)}")

    def _send_on(self, message: Frame) -> None:
        old, new = self._old, self._new
        said = message.headers
        way = self._by_id.get(said.get("subscription", "")) or self._by_source.get(
            said.get("destination", "")
        )
        if way is None and len(self._ways) == 1:
            # In 1.0 a MESSAGE may have no subscription, and the old one may know the queue by another name.
            way = self._ways[0]
        if way is None or "message-id" not in said:
            raise Unanswered(
                f"{old.name} sent a message that does not say which queue or which message it is"
            )
        if "transformation-error" in said:
            raise Unanswered(
                f"{old.name} cannot say message {said['message-id']} of {way.source} in STOMP"
                f" ({said['transformation-error']}); it is still there, move it by its own protocol"
            )
        # Whoever sends a message has answered the SUBSCRIBE.
        self._subscribing.clear()
        self._unheard = False
        ack = [("message-id", said["message-id"])]
        if "subscription" in said:
            ack.append(("subscription", said["subscription"]))
        if old.version == "1.2":
            # The others are for those that say 1.2 and mean 1.1: CoilMQ, go-stomp's server.
            ack.insert(0, ("id", said.get("ack", said["message-id"])))
        delivery = Delivery(way, ack, said["message-id"])
        headers = headers_for(message, way.target, self._dedup)
        if changed_by(new.text, headers):
            self.remarks[
                f"headers of some messages hold what STOMP {new.version}, which {new.name} speaks, cannot say;"
                " blanks or question marks stand there now"
            ] = None
        self._sent += 1
        receipt = f"moved-{self._sent}"
        headers.append(("receipt", receipt))
        self._under_way.append(delivery)
        self._by_receipt[receipt] = delivery
        new.write("SEND", headers, message.body)

    def _from_new(self, frame: Frame) -> None:
        name = frame.headers.get("receipt-id", "")
        delivery = self._by_receipt.get(name)
        if frame.command == "ERROR":
            which = ""
            if delivery is not None:
                which = f" to message {delivery.message_id} of {delivery.way.source}, which stays there"
            raise Unanswered(f"{self._new.name} said{which}: {said_by(frame)}")
        if frame.command != "RECEIPT" or delivery is None:
            return
        if "warning" in frame.headers:
            self._warned(delivery, frame.headers["warning"])
        del self._by_receipt[name]
        delivery.received = True
        self._since = time.monotonic()
        while self._under_way and self._under_way[0].received:
            done = self._under_way.popleft()
            self._old.write("ACK", done.ack)
            done.way.moved += 1

    def _warned(self, delivery: Delivery, warning: str) -> None:
        """The new broker did not do all as it was asked. Raises Unanswered where that may mean a loss."""
        if not delivery.way.target.startswith("/"):
            raise Unanswered(
                f"{self._new.name} warns of message {delivery.message_id}, which stays in {delivery.way.source}:"
                f" {warning}"
            )
        self.remarks[f"{self._new.name} warns: {warning}"] = None

    def _leave(self) -> None:
        """Say goodbye, and learn whether the old broker has heard everything."""
        self._show(self.moved)
        old, new = self._old, self._new
        self.doubtful = bool(self._under_way)
        if not old.ended:
            old.write("DISCONNECT", [("receipt", "goodbye")])
            until = time.monotonic() + GOODBYE
            said = False
            while not said and not old.ended and (left := until - time.monotonic()) > 0:
                said = any(frame.headers.get("receipt-id") == "goodbye" for frame in old.wait_frames(left))
            if not said and self.moved:
                self.doubtful = True
            if not said and self._unheard and not self.problem:
                self.problem = f"{old.name} answers neither SUBSCRIBE nor DISCONNECT"
        elif self.moved:
            self.doubtful = True
        if not new.ended:
            new.write("DISCONNECT", [])
            new.flush()
