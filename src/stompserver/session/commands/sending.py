"""A SEND that says more than where to: time, order, properties, several destinations."""

from __future__ import annotations

from typing import Final

from stompserver.broker.broker import SEND, Action
from stompserver.broker.commit import UNDER_WAY
from stompserver.broker.message import DATED, DUPLICATE, Message
from stompserver.broker.names.destination import QUEUE
from stompserver.broker.names.durable import ARTEMIS, Key
from stompserver.broker.schedule.plan import Plan
from stompserver.errors import Refused
from stompserver.session import asking
from stompserver.session.client import Client, Occupied
from stompserver.session.commands import expiring, management, subscribing
from stompserver.session.committing import Committing
from stompserver.session.dialect import faults, lenience, naming, values
from stompserver.session.dialect import headers as dialect
from stompserver.session.principal import SEND as SENDING
from stompserver.session.reply import Reply

TEMPORARY: Final = ("/temp-queue/", "/temp-topic/", "temp-queue://", "temp-topic://")


def send(session: Client, message: Message, reply: Reply) -> int:
    """Do what a SEND of ``message`` asks for; its destination and headers are still the client's. The ``reply`` is
    given before what follows from the message is sent.

    Raises ProtocolError for a value that cannot be obeyed, Refused for what this server does not do now.
    """
    broker = session.broker
    headers = message.headers
    text = message.destination
    if dialect.SENDER in headers and broker.rules.policies.says_user:
        del headers[dialect.SENDER]
    known = session.routes.knows(text)
    names = [text] if known else _names(session, message)
    if not known:
        for name in names:
            broker.naming.check(name)
        if names[0] in management.DESTINATIONS:
            if session.occupied:
                raise Occupied
            if names[0] != management.OURS or headers.get("action") != expiring.ACTION:
                asking.ask(session, SENDING, names[0])
        else:
            asking.to_send(session, names)
    marked = not known and _mark(session, message, names)
    transaction: str | None = None
    plan: Plan | None = None
    if not dialect.SPECIAL.isdisjoint(headers):
        transaction = headers.get("transaction")
        plan = _prepare(session, message)
        if dialect.LAST_VALUE[0] in headers:
            _check_last_value(session, message, names, reply)
        wanted = values.properties(headers)
        if wanted is not None:
            given: dict[str, dict[str, str]] = {}
            for name in names:
                if broker.naming.kind(name) == QUEUE:
                    taken = asking.to_shape(session, name, wanted, reply)
                    if taken:
                        given[name] = taken
            fresh = [name for name in given if name not in broker.queues]
            if fresh:
                # All of them or none.
                broker.check_room(len(fresh))
            for name, taken in given.items():
                session.warn(reply, broker.properties.ask(name, taken))
    if names[0] in management.DESTINATIONS:
        return management.manage(session, message, names[0], transaction, reply)
    if not dialect.PRIVATE.isdisjoint(headers):
        for name in dialect.PRIVATE.intersection(headers):
            del headers[name]
    actions: list[Action] = []
    id = message.extras.get(DUPLICATE, "") if message.extras is not None else ""
    for name in names:
        if not _reachable(session, name):
            session.warn(reply, "Nobody has the temporary destination " + name[:80])
            continue
        twin = message if not actions else message.copy()
        twin.address(name)
        if id and twin.extras is not None:
            # Else a stranger who is first with an id has the message that was meant dropped.
            apart = naming.level(session.login or "") + " " if naming.is_private(name) else ""
            twin.extras[DUPLICATE] = apart + id
        if naming.temp_owner(name):
            twin.persistent = False
        if plan is not None:
            # Later nobody could be told that the name is none.
            broker.naming.kind(name)
            broker.schedule.examine(plan)
            broker.schedule.examine_end(plan, message.expires)
        actions.append(Action(SEND, twin, plan=plan))
    number: int = 0
    if transaction is not None:
        # The clock may be set before the COMMIT: the number tells whether it was.
        if message.expires:
            for action in actions:
                if action.message is not None:
                    action.message.number = broker.fresh()
        session.queue_up(transaction, actions, message.size)
    elif len(actions) == 1 and plan is None:
        number = broker.send(message, session)
        if session.settings.bare == "topic":
            _note_unheard(session, message, text)
    elif actions:
        committing = Committing(session, actions, 0)
        number = broker.apply(actions, session, committer=committing)
        if number == UNDER_WAY:
            committing.start(reply)
            number = 0
    if not known and not marked and naming.is_plain(text):
        # Now that there is a queue, if it is one.
        session.routes.remember(text)
    session.tell_unheard(reply)
    session.answer(reply, number)
    return number


def _note_unheard(session: Client, message: Message, text: str) -> None:
    """Note a ``message`` to a bare name, ``text``, that is a topic to the client alone, when nobody listens: its name
    says now that it is one.
    """
    name = message.destination
    if name != text and name == "/topic/" + text.lstrip("/") and not text.startswith("VirtualTopic."):
        fanout = session.broker.fanout
        if fanout.find(message) is None:
            fanout.unheard.note(text, session)


def _names(session: Client, message: Message) -> list[str]:
    """The broker's names of all destinations; their options become headers where there are none yet."""
    broker = session.broker
    headers = message.headers
    text = message.destination
    if naming.is_plain(text):
        return [text]
    names: list[str] = []
    kind = values.choice(headers, dialect.KIND[0], naming.TYPES)
    speaker = session.speak(kind)
    parts = naming.split(text)
    if len(parts) > session.settings.max_destinations:
        raise faults.too_many_destinations(len(parts), session.settings.max_destinations)
    for part in parts:
        part, options = naming.options_of(part)
        if options:
            lenience.take_options(session, headers, options, dialect.SPECIAL)
        target = naming.resolve(part, speaker)
        name = target.name
        if target.durable:
            name = broker.fanout.durables.queue_for(Key(ARTEMIS, target.durable, "", (name,)), [name])
        if name not in names:
            names.append(name)
    return names


def _mark(session: Client, message: Message, names: list[str]) -> bool:
    """Add the headers that the policies of its destinations ask for; return whether one does."""
    broker = session.broker
    headers = message.headers
    marked = False
    for name in names:
        policy = broker.rules.policies.find(name)
        if policy.timestamp:
            marked = True
            headers["timestamp"] = str(broker.now)
        if policy.user:
            marked = True
            headers.pop(dialect.SENDER, None)
            login = session.login
            if login:
                headers[dialect.SENDER] = login
    return marked


def _reachable(session: Client, name: str) -> bool:
    """Whether a name has somebody behind it: a temporary one goes with its session."""
    owner = naming.temp_owner(name)
    if not owner:
        return True
    if owner == session.id:
        session.roster.own(session.id, name, session.settings.max_subscriptions)
        return True
    return session.roster.exists(name)


def _expect_answers(session: Client, text: str) -> str:
    """The broker's name of a temporary destination that others may answer to. Who has not subscribed to it is, as
    RabbitMQ does it: the subscription's id is then the destination as the client calls it.
    """
    target = naming.resolve(text, session.speak())
    name = target.name
    session.roster.own(session.id, name, session.settings.max_subscriptions)
    for subscription in session.subscriptions.values():
        if subscription.destination == name:
            return name
    subscribing.subscribe_to(session, target, text)
    return name


def _prepare(session: Client, message: Message) -> Plan | None:
    """Set what the headers say about ``message``; return when it is to be sent, None for now."""
    headers = message.headers
    broker = session.broker
    persistent = values.first(headers, dialect.PERSISTENT)
    if persistent is not None:
        if not values.is_truth(persistent):
            lenience.tolerate(session, "truth", "persistent", persistent)
        message.persistent = values.truth(persistent, True)
    if "max-exceptions" in headers:
        message.exceptions = values.exceptions(headers)
        if message.exceptions < 0:
            lenience.tolerate(session, "max-exceptions", "max-exceptions", headers["max-exceptions"])
    if "priority" in headers:
        _rank(session, message)
    group = values.first(headers, dialect.GROUP)
    if group:
        message.group = group
        sequence = values.first(headers, dialect.GROUP_SEQ)
        if sequence is not None:
            place = values.whole(sequence)
            if place is None:
                lenience.tolerate(session, "group-sequence", "JMSXGroupSeq", sequence)
            elif place < 0:
                _extra(message, "group-close", "1")
    id = values.first(headers, dialect.DUPLICATE)
    if id:
        _extra(message, DUPLICATE, id)
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
            fix="Send your login in it, or leave it out.",
        )
    answer = headers.get("reply-to")
    if answer is not None and answer.startswith(TEMPORARY):
        headers["reply-to"] = naming.told(_expect_answers(session, answer))
    plan = values.plan(headers)
    if not dialect.TIMED.isdisjoint(headers):
        message.expires = values.expires(headers)
        if message.expires and message.expires <= broker.now:
            # No error in strict mode either: it may have been in time when it was sent.
            session.tolerate("expired")
        life = values.lifetime(headers)
        if plan is not None:
            plan.ttl = max(life, 0)
            if session.settings.delayed_spans and message.expires > broker.now:
                # As in ActiveMQ: what was left at the SEND is left at each delivery.
                span: int = message.expires - broker.now
                plan.ttl = min(span, plan.ttl) if plan.ttl else span
                message.expires = 0
        elif life >= 0 and (not message.expires or broker.now + life < message.expires):
            message.expires = broker.now + life
        elif message.expires:
            _extra(message, DATED, "1")
    for name in dialect.SCHEDULE.intersection(headers):
        # Whoever sends the message on does not mean to delay it again.
        del headers[name]
    return plan


def _check_last_value(session: Client, message: Message, names: list[str], reply: Reply) -> None:
    """Of who may not subscribe to a queue, a key makes no last-value queue of it. Where it is one, it counts."""
    broker = session.broker
    for name in names:
        queue = broker.queues.get(name)
        if broker.naming.kind(name) != QUEUE or (queue is not None and queue.values is not None):
            continue
        if not asking.may_shape(session, name):
            session.warn(
                reply, f"{name[:80]} is made a last-value queue only by those who may subscribe to it"
            )
            if message.extras is not None:
                message.extras.pop("last-value", None)
                message.extras = message.extras or None


def _rank(session: Client, message: Message) -> None:
    asked = values.priority(message.headers)
    if asked >= 0:
        message.priority = asked
    if asked < 0 or values.whole(message.headers["priority"]) != asked:
        lenience.tolerate(session, "priority", "priority", message.headers["priority"])


def _extra(message: Message, name: str, value: str) -> None:
    if message.extras is None:
        message.extras = {}
    message.extras[name] = value
