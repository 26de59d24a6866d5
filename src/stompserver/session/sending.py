"""A SEND that says more than where to: time, order, properties, several destinations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stompserver.broker.broker import SEND, Action
from stompserver.broker.destination import DURABLE, QUEUE
from stompserver.broker.message import Message
from stompserver.broker.plan import Plan
from stompserver.errors import Refused
from stompserver.session import dialect, lenience, management, naming, temporary, values
from stompserver.session.naming import Speaker

if TYPE_CHECKING:
    from stompserver.session.session import Session

_TEMPORARY: Final = ("/temp-queue/", "/temp-topic/", "temp-queue://", "temp-topic://")


def send(session: Session, message: Message) -> int:
    """Do what a SEND of ``message`` asks for; its destination and headers are still the client's.

    Raises ProtocolError for a value that cannot be obeyed, Refused for what this server does not do now.
    """
    broker = session.broker
    headers = message.headers
    names = _names(session, message)
    transaction: str | None = None
    plan: Plan | None = None
    if not dialect.SPECIAL.isdisjoint(headers):
        transaction = headers.get("transaction")
        plan = _prepare(session, message)
        wanted = values.properties(headers)
        if wanted is not None:
            for name in names:
                if broker.naming.kind(name) == QUEUE:
                    session.warn(broker.shapes.wish(name, wanted))
        for name in dialect.PRIVATE.intersection(headers):
            del headers[name]
    if names[0] in management.DESTINATIONS:
        done: int = management.manage(session, message, names[0], transaction)
        session.answer(done)
        return done
    actions: list[Action] = []
    for name in names:
        if not temporary.reachable(session, name):
            session.warn("Nobody has the temporary destination " + name[:80])
            continue
        twin = message if not actions else message.copy()
        twin.destination = name
        if naming.temp_owner(name):
            twin.persistent = False
        if plan is not None:
            # Later nobody could be told that the name is none.
            broker.naming.kind(name)
            broker.schedule.examine(plan)
        actions.append(Action(SEND, twin, plan=plan))
    number: int = 0
    if transaction is not None:
        session.queue_up(transaction, actions, message.size)
    elif len(actions) == 1 and plan is None:
        number = broker.send(message, session)
    elif actions:
        number = broker.apply(actions, session)
    session.answer(number)
    return number


def _names(session: Session, message: Message) -> list[str]:
    """The broker's names of all destinations; their options become headers where there are none yet."""
    broker = session.broker
    headers = message.headers
    text = message.destination
    known = broker.naming.plain
    if text in known:
        return [text]
    names: list[str] = []
    plain = naming.is_plain(text)
    if plain:
        names.append(text)
    else:
        kind = values.choice(headers, dialect.KIND[0], naming.TYPES)
        speaker = Speaker(session.id, session.login, broker.naming.bare, kind)
        for part in naming.split(text):
            part, options = naming.options_of(part)
            if options:
                lenience.take_options(session, headers, options, dialect.SPECIAL)
            target = naming.resolve(part, speaker)
            name = DURABLE + target.durable if target.durable else target.name
            if name not in names:
                names.append(name)
    marked = False
    for name in names:
        policy = broker.rules.policies.find(name)
        if policy.timestamp:
            marked = True
            headers["timestamp"] = str(broker.now)
        if policy.user:
            marked = True
            headers.pop("JMSXUserID", None)
            login = session.login
            if login:
                headers["JMSXUserID"] = login
                if not login.isalnum() or not login.isascii():
                    message.plain = False
    if plain and not marked:
        queue = broker.queues.get(text)
        if queue is not None:
            queue.open = True
        else:
            naming.remember(known, text)
    return names


def _prepare(session: Session, message: Message) -> Plan | None:
    """Set what the headers say about ``message``; return when it is to be sent, None for now."""
    headers = message.headers
    broker = session.broker
    persistent = values.first(headers, dialect.PERSISTENT)
    if persistent is not None:
        if not values.is_truth(persistent):
            lenience.forgive(session, "truth", "persistent", persistent)
        message.persistent = values.truth(persistent, True)
    if "max-exceptions" in headers:
        message.exceptions = values.exceptions(headers)
        if message.exceptions < 0:
            lenience.forgive(session, "max-exceptions", "max-exceptions", headers["max-exceptions"])
    if "priority" in headers:
        _rank(session, message)
    group = values.first(headers, dialect.GROUP)
    if group:
        message.group = group
        sequence = values.first(headers, dialect.GROUP_SEQ)
        if sequence is not None:
            place = values.whole(sequence)
            if place is None:
                lenience.forgive(session, "group-sequence", "JMSXGroupSeq", sequence)
            elif place < 0:
                _extra(message, "group-close", "1")
    id = values.first(headers, dialect.DUPLICATE)
    if id:
        _extra(message, "dedup", id)
    key = values.first(headers, dialect.LAST_VALUE)
    if key is not None:
        _extra(message, "last-value", key)
    retain = values.retain(headers)
    if retain:
        _extra(message, "retain", retain)
    user = headers.get("user-id")
    if user is not None and user != (session.login or ""):
        raise Refused(
            f"user-id is not your login {user[:80]!r}",
            where="header user-id",
            rule="Consumers may trust a user-id, so it is the login of the connection (as in RabbitMQ)",
            mend="Send your login in it, or leave it out.",
        )
    answer = headers.get("reply-to")
    if answer is not None and answer.startswith(_TEMPORARY):
        headers["reply-to"] = temporary.expect_answers(session, answer)
    plan = values.plan(headers)
    if not dialect.TIMED.isdisjoint(headers):
        message.expires = values.expires(headers)
        if message.expires and message.expires <= broker.now:
            # No error in strict mode either: it may have been in time when it was sent.
            session.sin("expired")
        life = values.lifetime(headers)
        if plan is not None:
            plan.ttl = max(life, 0)
        elif life >= 0 and (not message.expires or broker.now + life < message.expires):
            message.expires = broker.now + life
    for name in dialect.SCHEDULE.intersection(headers):
        # Whoever sends the message on does not mean to delay it again.
        del headers[name]
    return plan


def _rank(session: Session, message: Message) -> None:
    asked = values.priority(message.headers)
    if asked >= 0:
        message.priority = asked
    if asked < 0 or values.whole(message.headers["priority"]) != asked:
        lenience.forgive(session, "priority", "priority", message.headers["priority"])


def _extra(message: Message, name: str, value: str) -> None:
    if message.extras is None:
        message.extras = {}
    message.extras[name] = value
