"""Frames that ask the server about itself, or tell it what to do: SEND to a management destination."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from stompserver.broker.message import OVERHEAD, Message
from stompserver.broker.names.destination import DURABLE
from stompserver.broker.oplog import Debtor
from stompserver.broker.schedule.schedule import JOB
from stompserver.errors import ClientError, ProtocolError, Refused
from stompserver.manage import durables, fields, queues, scheduled
from stompserver.manage.browse import BrowseSchedule
from stompserver.manage.fields import QUEUE, SCHEDULED, framed
from stompserver.manage.listing import Listing
from stompserver.session import asking
from stompserver.session.client import Client
from stompserver.session.commands import expiring
from stompserver.session.dialect import faults, naming, values
from stompserver.session.dialect.naming import Speaker
from stompserver.session.events import Managed
from stompserver.session.principal import BROWSE, MANAGE, SERVER, VERBS, VIEW
from stompserver.session.renewal import Asker
from stompserver.session.reply import Reply

if TYPE_CHECKING:
    from stompserver.broker.broker import Broker

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

_CHANGES: Final = frozenset(
    (
        "pause",
        "resume",
        "purge",
        "delete",
        "redrive",
        "schedule-cancel",
        "durable-delete",
        "REMOVE",
        "REMOVEALL",
    )
)
"""Actions that change something."""

ALL_NAMES: Final = "#"
"""What is asked for when all destinations are meant."""


class _Owed(Debtor):
    """An answer that waits until what it tells of is durable."""

    __slots__ = ("_answer", "_broker", "_position")

    def __init__(self, broker: Broker, answer: Message) -> None:
        self._broker = broker
        self._answer = answer
        self._position: int = broker.log.position

    def durable(self, position: int) -> None:
        """Send it, or go on waiting."""
        if position < self._position:
            self._broker.log.debtors.append(self)
            return
        try:
            self._broker.send(self._answer)
        except Refused:
            # There is no room for it, or nobody to hear it.
            return


class Answer(Asker):
    """Where an answer goes, and by which ``correlation-id`` the asker knows it. It is given when all that was done by
    then is durable, and so is the RECEIPT that the asker wants.
    """

    __slots__ = ("_broker", "_correlation", "_destination", "_given", "_reply", "_session")

    def __init__(self, session: Client, destination: str = "", correlation: str = "") -> None:
        self._session = session
        self._broker = session.broker
        self._destination = destination
        self._correlation = correlation
        self._given = False
        self._reply: Reply | None = None
        """The RECEIPT that waits until what was asked for is done."""

    @property
    def size(self) -> int:
        """Bytes of the client's words that it keeps."""
        return len(self._destination) + len(self._correlation)

    def with_receipt(self, reply: Reply) -> None:
        """Give the RECEIPT that ``reply`` wants with the answer: now, if that was given."""
        if not self._given:
            self._reply = reply.take()
            # One at a time for each who asks: what many of them found would be a lot of memory.
            self._session.occupied += 1
        else:
            self._session.answer(reply, self._broker.log.position)

    def give(self, action: str, content: dict[str, Any]) -> None:
        """Send ``content`` as JSON, if anybody wants to know what came of ``action``, and the RECEIPT."""
        self._give(json.dumps({"action": action, **content}))

    def give_list(self, action: str, name: str, texts: list[str], count: int) -> None:
        """Likewise: under ``name`` a list of which ``texts`` are the JSON, and the ``count``."""
        head = json.dumps({"action": action, name: []}).removesuffix("]}")
        self._give(f'{head}{", ".join(texts)}], "count": {count}}}')

    def refuse(self, action: str, problem: ClientError) -> None:
        """Say why nothing came of ``action``, also in the RECEIPT."""
        if self._reply is not None:
            self._reply.warn(problem.summary)
        self.give(action, {"error": problem.summary, "rule": problem.rule, "fix": problem.fix})

    def _give(self, text: str) -> None:
        self._given = True
        if self._destination:
            self._send(text)
        # After DISCONNECT and its RECEIPT nothing more is said.
        if self._reply is not None:
            if self._session.live:
                self._session.answer(self._reply, self._broker.log.position)
            self._session.vacate()

    def _send(self, text: str) -> None:
        body = text.encode()
        headers = {"content-type": "application/json"}
        if self._correlation:
            headers["correlation-id"] = self._correlation
        message = Message(self._destination, headers, body, OVERHEAD + len(body))
        message.persistent = False
        owed = _Owed(self._broker, message)
        log = self._broker.log
        if log.durable < log.position:
            log.debtors.append(owed)
        else:
            owed.durable(log.position)


def manage(session: Client, message: Message, name: str, transaction: str | None, reply: Reply) -> int:
    """Do what a SEND to the management destination ``name`` says; return the newest op's position. The ``reply`` is
    given when it is done, which for what is done in slices is later.

    Raises Refused to those who may not, ProtocolError for what is no question at all.
    """
    renews = name == OURS and message.headers.get("action") == expiring.ACTION
    if not renews:
        # Whoever is in may go on to show who he is.
        _admit(session)
    if transaction is not None:
        raise ProtocolError(
            "A management frame in a transaction",
            where="header transaction",
            rule="What the server is told to do is done at once, and cannot be taken back",
            fix="Send it without transaction.",
        )
    headers = message.headers
    if name != OURS:
        asked = _scheduler(session, headers)
        word = headers.get(_ACTION, "")
        session.happened.append(Managed(word, headers.get(JOB, ""), "", word in _CHANGES))
        asked.with_receipt(reply)
        return session.broker.log.position
    word = headers.get("action", "")
    action = _ACTIONS.get(word)
    if action is None:
        raise ProtocolError(
            f"Not an action of this server: {word[:40]!r}" if word else "A management frame without action",
            where="header action",
            rule=f"Frames to {OURS} say what to do",
            fix="Send action with one of " + ", ".join(_ACTIONS) + ".",
        )
    answer = Answer(session, _reply_to(session, headers), headers.get("correlation-id", ""))
    try:
        action(session, headers, answer)
    except faults.NotAllowed:
        raise
    except ClientError as problem:
        # It could not be done, but the connection is in order.
        _note(session, word, headers, problem.summary)
        answer.give(word, {"error": problem.summary, "rule": problem.rule, "fix": problem.fix})
    else:
        _note(session, word, headers, "")
    answer.with_receipt(reply)
    return session.broker.log.position


def _note(session: Client, word: str, headers: dict[str, str], problem: str) -> None:
    if word == expiring.ACTION:
        # Not before it is known what came of it.
        return
    target = next((headers[name] for name in ("queue", "name", "id", "all") if name in headers), "")
    session.happened.append(Managed(word, target, problem, word in _CHANGES))


def _admit(session: Client) -> None:
    access = session.settings.management
    if access == ALL or (access == LOCAL and session.local):
        return
    raise Refused(
        "You may not manage this server",
        where="header destination",
        rule=f"management: {access}. "
        + ("Nobody may by frames" if access == OFF else "Only connections from the server's own machine may"),
        fix="Run stompctl on the server's machine, or ask the administrator for the option management.",
    )


def _reply_to(session: Client, headers: dict[str, str]) -> str:
    text = headers.get("reply-to", "")
    if not text:
        return ""
    name = naming.resolve(text, session.speak()).name
    # Later nobody could be told that it is none, or none of the client's.
    session.broker.naming.kind(name)
    asking.to_answer(session, name)
    return name


# ActiveMQ's scheduler


def _scheduler(session: Client, headers: dict[str, str]) -> Answer:
    """BROWSE, REMOVE, REMOVEALL, as ActiveMQ has them: a RECEIPT is all that says it is done."""
    broker = session.broker
    done = Answer(session)
    word = headers.get(_ACTION, "")
    start, end = _range(headers, _START, _END)
    if word == "BROWSE":
        target = _reply_to(session, headers)
        if not target:
            raise ProtocolError(
                "A look at the schedule without reply-to",
                where="header reply-to",
                rule="Each scheduled message is sent there",
                fix="Send reply-to, for example /temp-queue/schedule.",
            )
        asking.ask(session, BROWSE, ALL_NAMES)
        browse = BrowseSchedule(
            broker, target, headers.get("correlation-id", ""), start, end, asking.sight(session, BROWSE)
        )
        browse.start(lambda: done.give(word, {}))
    elif word == "REMOVE":
        number = _number(headers, JOB)
        _ask_to_cancel(session, number)
        broker.schedule.cancel(number)
        done.give(word, {})
    elif word == "REMOVEALL":
        asking.ask(session, MANAGE, ALL_NAMES)
        scheduled.Cancel(broker, start, end, asking.sight(session, MANAGE)).start(lambda: done.give(word, {}))
    else:
        raise ProtocolError(
            f"Not an action of the scheduler: {word[:40]!r}",
            where="header " + _ACTION,
            rule=f"Frames to {SCHEDULER} have {_ACTION}, as in ActiveMQ",
            fix="Send BROWSE, REMOVE or REMOVEALL in it.",
        )
    return done


def _ask_to_cancel(session: Client, job: int) -> None:
    """Ask for the end of a job: to manage where its messages go. There is nothing to ask when there is none."""
    entry = session.broker.schedule.of_job(job)
    if entry is not None:
        asking.ask(session, MANAGE, entry.destination)


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
            fix=f"Send {name}.",
        )
    word = headers[name].strip()
    if not word.isascii() or not word.isdigit() or len(word) > 19:
        raise ProtocolError(
            f"Header {name} is no number of a message {word[:40]!r}",
            where="header " + name,
            rule="Messages are numbered: scheduledJobId, message-id",
            fix="Send the number as it was shown.",
        )
    return int(word)


# Our own actions


def _queues(session: Client, headers: dict[str, str], answer: Answer) -> None:
    asking.ask(session, VIEW, ALL_NAMES)
    hidden = (naming.TEMP_QUEUE,)
    broker = session.broker
    limit = _limit(headers)
    seen = asking.sight(session, VIEW)
    _list(
        session,
        lambda: queues.Queues(broker, framed(QUEUE), "queue", limit=limit, without=hidden, seen=seen),
        "queues",
        "queues",
        answer,
    )


def _list(
    session: Client, make: Callable[[], Listing[Any, Any]], action: str, name: str, answer: Answer
) -> None:
    """Have the list made that ``make`` begins, and answered under ``name``: in its turn, because what it notes on its
    way may be long.
    """
    memory = session.broker.memory
    lists = session.roster.lists

    def begin() -> None:
        if memory.used + memory.fixed > memory.high:
            answer.give(
                action,
                {
                    "error": "The server is too busy to make a list",
                    "rule": f"Lists need memory, and most of memory-limit ({memory.limit} bytes) is in use",
                    "fix": "Ask again when messages, or earlier answers, were consumed.",
                },
            )
            lists.done(session.broker.slices)
            return
        listing = make()
        listing.write = _text_of

        def tell() -> None:
            answer.give_list(action, name, listing.texts, listing.count)
            lists.done(session.broker.slices)

        listing.start(tell)

    lists.add(begin, memory, answer.size)


def _text_of(row: fields.Row) -> str:
    return json.dumps(row)


def _limit(headers: dict[str, str]) -> int:
    return max(0, values.number(headers, "limit")) if "limit" in headers else LISTED


def _server(session: Client, headers: dict[str, str], answer: Answer) -> None:
    asking.ask(session, VIEW, SERVER)
    answer.give("server", fields.row(framed(fields.BROKER), session.broker))


def _pause(session: Client, headers: dict[str, str], answer: Answer) -> None:
    name = _name(session, headers)
    asking.ask(session, MANAGE, name)
    queues.pause(session.broker, name)
    answer.give("pause", {"queue": name, "paused": True})


def _resume(session: Client, headers: dict[str, str], answer: Answer) -> None:
    name = _name(session, headers)
    asking.ask(session, MANAGE, name)
    queues.resume(session.broker, name)
    answer.give("resume", {"queue": name, "paused": False})


def _purge(session: Client, headers: dict[str, str], answer: Answer) -> None:
    name = _name(session, headers)
    asking.ask(session, MANAGE, name)
    purge = queues.purge(session.broker, name)
    purge.start(lambda: answer.give("purge", {"queue": name, "removed": purge.removed}))


def _delete(session: Client, headers: dict[str, str], answer: Answer) -> None:
    name = _name(session, headers)
    asking.ask(session, MANAGE, name)
    job = queues.delete(session.broker, name)

    def tell() -> None:
        content: dict[str, Any] = {"queue": name, "removed": job.removed}
        if name.startswith(DURABLE):
            content = {"name": name.removeprefix(DURABLE)}
        if job.problem:
            content["error"] = job.problem
        answer.give("delete", content)

    job.start(tell)


def _redrive(session: Client, headers: dict[str, str], answer: Answer) -> None:
    name = _name(session, headers) if "queue" in headers else ""
    only = _number(headers, "id") if "id" in headers else 0
    most = values.number(headers, "count") if "count" in headers else 0
    asking.ask(session, MANAGE, name or session.broker.rules.deadletter)
    redrive = queues.redrive(session.broker, name, only, most)

    def tell() -> None:
        content: dict[str, Any] = {"moved": redrive.moved, "left": redrive.left}
        if redrive.stayed:
            content["stayed"] = [{"id": str(number), "reason": reason} for number, reason in redrive.stayed]
        if redrive.problem:
            content["error"] = redrive.problem
        answer.give("redrive", content)

    redrive.start(tell)


def _schedule_list(session: Client, headers: dict[str, str], answer: Answer) -> None:
    start, end = _range(headers, "start", "end")
    asking.ask(session, VIEW, ALL_NAMES)
    broker = session.broker
    limit = _limit(headers)
    seen = asking.sight(session, VIEW)
    _list(
        session,
        lambda: scheduled.Scheduled(broker, start, end, framed(SCHEDULED), limit, seen),
        "schedule-list",
        "messages",
        answer,
    )


def _schedule_cancel(session: Client, headers: dict[str, str], answer: Answer) -> None:
    if "id" not in headers and values.truth(headers.get("all"), False):
        start, end = _range(headers, "start", "end")
        asking.ask(session, MANAGE, ALL_NAMES)
        job = scheduled.Cancel(session.broker, start, end, asking.sight(session, MANAGE))
        job.start(lambda: answer.give("schedule-cancel", {"cancelled": job.cancelled}))
        return
    number = _number(headers, "id")
    _ask_to_cancel(session, number)
    count = scheduled.cancel(session.broker, number)
    answer.give("schedule-cancel", {"cancelled": count})


def _durables(session: Client, headers: dict[str, str], answer: Answer) -> None:
    asking.ask(session, VIEW, ALL_NAMES)
    broker = session.broker
    limit = _limit(headers)
    seen = asking.sight(session, VIEW)
    _list(
        session,
        lambda: durables.Durables(broker, framed(fields.DURABLE), limit, seen),
        "durables",
        "durables",
        answer,
    )


def _durable_delete(session: Client, headers: dict[str, str], answer: Answer) -> None:
    said = headers.get("name", "")
    fed = session.broker.fanout.durables.find(said)
    asking.ask(session, MANAGE, fed.queue if fed is not None else DURABLE + said.removeprefix(DURABLE))
    if fed is None:
        raise session.broker.fanout.durables.unknown(said)
    name = fed.name
    durables.delete(session.broker, fed.queue)
    answer.give("durable-delete", {"name": name})


def _can(session: Client, headers: dict[str, str], answer: Answer) -> None:
    asking.ask(session, VIEW, SERVER)
    verb = headers.get("verb", "")
    text = headers.get("queue", "")
    if verb not in VERBS or not text:
        raise ProtocolError(
            f"Not a verb of permissions: {verb[:40]!r}" if text else "A question about rights without queue",
            where="header verb" if text else "header queue",
            rule="It asks whether a login may do something with a destination",
            fix="Send login, verb (one of " + ", ".join(VERBS) + "), and queue with the destination.",
        )
    login = headers.get("who") or None
    name = naming.resolve(text, Speaker(session.id, login, session.broker.naming.bare)).name
    topics = session.broker.fanout.durables.topics_of(name)
    allowed, why = session.principal.judge(login, headers.get("address", ""), verb, name, topics)
    answer.give("can", {"login": login, "verb": verb, "destination": name, "allowed": allowed, "why": why})


def _name(session: Client, headers: dict[str, str]) -> str:
    text = headers.get("queue", "")
    if not text:
        raise ProtocolError(
            "A management frame without queue",
            where="header queue",
            rule="It names the queue that is meant",
            fix="Send queue, for example queue:/queue/a.",
        )
    if not text.startswith("/"):
        text = "/queue/" + text
    name = naming.resolve(text, session.speak()).name
    if name.startswith(DURABLE):
        fed = session.broker.fanout.durables.find(name)
        return fed.queue if fed is not None else name
    return name


_Action = Callable[[Client, dict[str, str], Answer], None]

_ACTIONS: Final[dict[str, _Action]] = {
    "server": _server,
    expiring.ACTION: expiring.begin,
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
    "can": _can,
}
