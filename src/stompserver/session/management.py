"""Frames that ask the server about itself, or tell it what to do: SEND to a management destination."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from stompserver.broker.browse_schedule import BrowseSchedule
from stompserver.broker.destination import DURABLE, QUEUE
from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.queue import Queue
from stompserver.broker.redrive import Asker, Redrive
from stompserver.broker.schedule import JOB, Entry
from stompserver.broker.subscription import Consumer
from stompserver.errors import ProtocolError, Refused, Teaching
from stompserver.session import naming, values
from stompserver.session.naming import Speaker

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker
    from stompserver.session.session import Session

OURS: Final = "/queue/stompserver.management"
SCHEDULER: Final = "ActiveMQ.Scheduler.Management"
"""ActiveMQ's own, which understands AMQ_SCHEDULER_ACTION."""

DESTINATIONS: Final = frozenset((OURS, SCHEDULER, "/queue/" + SCHEDULER, "/topic/" + SCHEDULER))

LOCAL: Final = "local"
ALL: Final = "all"
OFF: Final = "off"
"""Who may: clients of this machine, everybody who may connect, nobody."""

LISTED: Final = 1000
"""Things in one answer when the question does not say how many."""

_ACTION: Final = "AMQ_SCHEDULER_ACTION"
_START: Final = "ACTION_START_TIME"
_END: Final = "ACTION_END_TIME"
_NEVER: Final = 1 << 62


class _Owed(Consumer):
    """An answer that waits until what it tells of is durable: a debtor of the log, which consumes nothing."""

    __slots__ = ("_answer", "_broker", "_number")

    def __init__(self, broker: Broker, answer: Message) -> None:
        super().__init__()
        self._broker = broker
        self._answer = answer
        self._number: int = broker.log.number

    def durable(self, number: int) -> None:
        """Send it, or go on waiting."""
        if number < self._number:
            self._broker.log.debtors.append(self)
            return
        try:
            self._broker.send(self._answer)
        except Refused:
            # There is no room for it, or nobody to hear it.
            return


class Answer(Asker):
    """Where an answer goes, and by which ``correlation-id`` the asker knows it. It is given when all that was done by
    then is durable.
    """

    __slots__ = ("_broker", "_correlation", "_destination")

    def __init__(self, broker: Broker, destination: str, correlation: str) -> None:
        self._broker = broker
        self._destination = destination
        self._correlation = correlation

    def give(self, content: dict[str, Any]) -> None:
        """Send ``content`` as JSON, if anybody wants to know."""
        if not self._destination:
            return
        body = json.dumps(content).encode()
        headers = {"content-type": "application/json"}
        if self._correlation:
            headers["correlation-id"] = self._correlation
        message = Message(self._destination, headers, body, OVERHEAD + len(body))
        message.persistent = False
        owed = _Owed(self._broker, message)
        log = self._broker.log
        if log.durable < log.number:
            log.debtors.append(owed)
        else:
            owed.durable(log.number)

    def redriven(self, moved: int, left: int, problem: str) -> None:
        """Tell the end of a redrive."""
        content: dict[str, Any] = {"action": "redrive", "moved": moved, "left": left}
        if problem:
            content["error"] = problem
        self.give(content)


def manage(session: Session, message: Message, name: str, transaction: str | None) -> int:
    """Do what a SEND to the management destination ``name`` says; return the newest op's number.

    Raises Refused to those who may not, ProtocolError for what is no question at all.
    """
    _admit(session)
    if transaction is not None:
        raise ProtocolError(
            "A management frame in a transaction",
            where="header transaction",
            rule="What the server is told to do is done at once, and cannot be taken back",
            mend="Send it without transaction.",
        )
    headers = message.headers
    if name != OURS:
        return _scheduler(session, headers)
    word = headers.get("action", "")
    action = _ACTIONS.get(word)
    if action is None:
        raise ProtocolError(
            f"Not an action of this server: {word[:40]!r}" if word else "A management frame without action",
            where="header action",
            rule=f"Frames to {OURS} say what to do",
            mend="Send action with one of " + ", ".join(_ACTIONS) + ".",
        )
    answer = Answer(session.broker, _reply_to(session, headers), headers.get("correlation-id", ""))
    try:
        content = action(session, headers, answer)
    except Teaching as problem:
        # It could not be done, but the connection is in order.
        content = {"error": problem.summary, "rule": problem.rule, "mend": problem.mend}
    if content is not None:
        answer.give({"action": word, **content})
    return session.broker.log.number


def _admit(session: Session) -> None:
    access = session.settings.management
    if access == ALL or (access == LOCAL and session.local):
        return
    raise Refused(
        "You may not manage this server",
        where="header destination",
        rule=f"management: {access}. "
        + ("Nobody may by frames" if access == OFF else "Only connections from the server's own machine may"),
        mend="Run stompctl on the server's machine, or ask the administrator for the option management.",
    )


def _reply_to(session: Session, headers: dict[str, str]) -> str:
    text = headers.get("reply-to", "")
    if not text:
        return ""
    name = naming.resolve(text, Speaker(session.id, session.login, session.broker.naming.bare)).name
    # Later nobody could be told that it is none.
    session.broker.naming.kind(name)
    return name


# ActiveMQ's scheduler


def _scheduler(session: Session, headers: dict[str, str]) -> int:
    """BROWSE, REMOVE, REMOVEALL, as ActiveMQ has them."""
    broker = session.broker
    word = headers.get(_ACTION, "")
    start, end = _range(headers, _START, _END)
    if word == "BROWSE":
        answer = _reply_to(session, headers)
        if not answer:
            raise ProtocolError(
                "A look at the schedule without reply-to",
                where="header reply-to",
                rule="Each scheduled message is sent there",
                mend="Send reply-to, for example /temp-queue/schedule.",
            )
        BrowseSchedule(broker, answer, headers.get("correlation-id", ""), start, end).start()
    elif word == "REMOVE":
        broker.schedule.cancel(_number(headers, JOB))
    elif word == "REMOVEALL":
        broker.schedule.clear(start, end)
    else:
        raise ProtocolError(
            f"Not an action of the scheduler: {word[:40]!r}",
            where="header " + _ACTION,
            rule=f"Frames to {SCHEDULER} have {_ACTION}, as in ActiveMQ",
            mend="Send BROWSE, REMOVE or REMOVEALL in it.",
        )
    return broker.log.number


def _range(headers: dict[str, str], first: str, last: str) -> tuple[int, int]:
    start = values.number(headers, first) if first in headers else -_NEVER
    end = values.number(headers, last) if last in headers else _NEVER
    return start, end


def _number(headers: dict[str, str], name: str) -> int:
    if name not in headers:
        raise ProtocolError(
            f"A management frame without {name}",
            where="header " + name,
            rule="It says which one is meant",
            mend=f"Send {name}.",
        )
    word = headers[name].strip()
    if not word.isascii() or not word.isdigit() or len(word) > 19:
        raise ProtocolError(
            f"Header {name} is no number of a message {word[:40]!r}",
            where="header " + name,
            rule="Messages are numbered: scheduledJobId, message-id",
            mend="Send the number as it was shown.",
        )
    return int(word)


# Our own actions


def _queues(session: Session, headers: dict[str, str], answer: Answer) -> dict[str, Any]:
    found = [
        {
            "queue": queue.name,
            "messages": queue.waiting + queue.delayed,
            "unacked": queue.unacked,
            "bytes": queue.total,
            "subscriptions": len(queue.subscriptions),
            "enqueued": queue.enqueued + queue.passed,
            "dequeued": queue.dequeued + queue.passed,
            "paused": queue.paused,
        }
        for queue in session.broker.queues.values()
        if not naming.temp_owner(queue.name)
    ]
    found.sort(key=lambda row: str(row["queue"]))
    return _listed("queues", found, headers)


def _listed(what: str, found: list[dict[str, Any]], headers: dict[str, str]) -> dict[str, Any]:
    most = max(0, values.number(headers, "limit")) if "limit" in headers else LISTED
    return {what: found[:most], "count": len(found)}


def _pause(session: Session, headers: dict[str, str], answer: Answer) -> dict[str, Any]:
    name = _name(session, headers)
    if session.broker.naming.kind(name) != QUEUE:
        raise _no_queue(name)
    session.broker.pauses.pause(name)
    return {"queue": name, "paused": True}


def _resume(session: Session, headers: dict[str, str], answer: Answer) -> dict[str, Any]:
    queue = _queue(session, headers)
    session.broker.pauses.resume(queue.name)
    return {"queue": queue.name, "paused": False}


def _purge(session: Session, headers: dict[str, str], answer: Answer) -> dict[str, Any]:
    queue = _queue(session, headers)
    return {"queue": queue.name, "removed": queue.purge()}


def _delete(session: Session, headers: dict[str, str], answer: Answer) -> dict[str, Any]:
    queue = _queue(session, headers)
    if queue.name.startswith(DURABLE):
        return _forget_durable(session, queue.name)
    if queue.subscriptions:
        raise Refused(
            f"Queue {queue.name[:80]} is in use",
            where="header queue",
            rule=f"It has {len(queue.subscriptions)} subscriptions",
            mend="End them first, or purge it.",
        )
    count = queue.waiting + queue.delayed
    session.broker.pauses.forget(queue.name)
    session.broker.delete(queue)
    return {"queue": queue.name, "removed": count}


def _redrive(session: Session, headers: dict[str, str], answer: Answer) -> dict[str, Any] | None:
    broker = session.broker
    if "queue" not in headers:
        headers["queue"] = broker.rules.deadletter
    queue = _queue(session, headers)
    only = _number(headers, "id") if "id" in headers else 0
    most = values.number(headers, "count") if "count" in headers else 0
    Redrive(broker, queue, only, most, answer).start()
    return None


def _schedule_list(session: Session, headers: dict[str, str], answer: Answer) -> dict[str, Any]:
    start, end = _range(headers, "start", "end")
    return _listed("messages", [_row(entry) for entry in session.broker.schedule.jobs(start, end)], headers)


def _row(entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": str(entry.job),
        "destination": entry.destination,
        "due": entry.due,
        "bytes": entry.size - OVERHEAD,
    }
    plan = entry.plan
    if plan is not None:
        if plan.cron:
            row["cron"] = plan.cron
        if plan.repeat:
            row["period"] = plan.period
            row["repeat"] = plan.repeat
    return row


def _schedule_cancel(session: Session, headers: dict[str, str], answer: Answer) -> dict[str, Any]:
    schedule = session.broker.schedule
    if "id" not in headers and values.truth(headers.get("all"), False):
        start, end = _range(headers, "start", "end")
        return {"cancelled": schedule.clear(start, end)}
    number = _number(headers, "id")
    count = schedule.cancel(number)
    if not count:
        raise Refused(
            f"Nothing is scheduled under {number}",
            where="header id",
            rule="It is the scheduledJobId of a message that was not delivered for the last time",
            mend="Look with action:schedule-list.",
        )
    return {"cancelled": count}


def _durables(session: Session, headers: dict[str, str], answer: Answer) -> dict[str, Any]:
    broker = session.broker
    found: list[dict[str, Any]] = []
    for name, feed in broker.fanout.durables.feeds.items():
        if not feed.durable:
            continue
        queue = broker.queues.get(name)
        found.append(
            {
                "name": name.removeprefix(DURABLE),
                "topic": feed.topic,
                "selector": feed.condition(),
                "messages": 0 if queue is None else queue.waiting + queue.delayed,
                "unacked": 0 if queue is None else queue.unacked,
                "subscriptions": 0 if queue is None else len(queue.subscriptions),
            }
        )
    found.sort(key=lambda row: str(row["name"]))
    return _listed("durables", found, headers)


def _durable_delete(session: Session, headers: dict[str, str], answer: Answer) -> dict[str, Any]:
    name = headers.get("name", "")
    return _forget_durable(session, name if name.startswith(DURABLE) else DURABLE + name)


def _forget_durable(session: Session, name: str) -> dict[str, Any]:
    session.broker.forget_durable(name.removeprefix(DURABLE))
    return {"name": name.removeprefix(DURABLE)}


def _name(session: Session, headers: dict[str, str]) -> str:
    text = headers.get("queue", "")
    if not text:
        raise ProtocolError(
            "A management frame without queue",
            where="header queue",
            rule="It names the queue that is meant",
            mend="Send queue, for example queue:/queue/a.",
        )
    if not text.startswith("/"):
        text = "/queue/" + text
    return naming.resolve(text, Speaker(session.id, session.login, session.broker.naming.bare)).name


def _queue(session: Session, headers: dict[str, str]) -> Queue:
    name = _name(session, headers)
    queue = session.broker.queues.get(name)
    if queue is None:
        raise _no_queue(name)
    return queue


def _no_queue(name: str) -> Refused:
    return Refused(
        f"There is no queue {name[:80]}",
        where="header queue",
        rule="Queues are there from their first message or subscription on",
        mend="Look with action:queues.",
    )


_Action = Callable[["Session", dict[str, str], Answer], dict[str, Any] | None]

_ACTIONS: Final[dict[str, _Action]] = {
    "queues": _queues,
    "pause": _pause,
    "resume": _resume,
    "purge": _purge,
    "delete": _delete,
    "redrive": _redrive,
    "schedule-list": _schedule_list,
    "schedule-cancel": _schedule_cancel,
    "durables": _durables,
    "durable-delete": _durable_delete,
}
