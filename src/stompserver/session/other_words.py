"""ACK and NACK in the words of another version than that of the connection.

Some clients were written for one version and speak another: they say ``id`` in 1.1, ``message-id`` and
``subscription`` in 1.2, or leave ``subscription`` out.
"""

from __future__ import annotations

from stompserver.broker.subscription import AUTO
from stompserver.session.client import Client
from stompserver.session.dialect import faults
from stompserver.session.versions import BY_ACK_ID, BY_MESSAGE_ID_AND_SUBSCRIPTION, pair
from stompserver.wire.frame import Frame


def reworded(session: Client, frame: Frame) -> dict[str, str]:
    """The headers of an ACK or NACK that lacks one which its version requires, in the words of that version.

    Raises ProtocolError when they do not say which delivery is meant, and in strict mode.
    """
    version = session.version
    headers = dict(frame.headers)
    if not session.settings.strict:
        if version.settles == BY_ACK_ID:
            _move(headers, "message-id", "id")
        else:
            _move(headers, "id", "message-id")
            if version.settles == BY_MESSAGE_ID_AND_SUBSCRIPTION and "subscription" not in headers:
                holder = _only_holder(session, headers.get("message-id", ""))
                if holder:
                    headers["subscription"] = holder
    for name in version.required[frame.command.upper()]:
        if name not in headers:
            raise faults.missing(name, frame, version)
    session.tolerate("ack-words")
    return headers


def _move(headers: dict[str, str], said: str, meant: str) -> None:
    """What stands under the name that was ``said`` gets the one that is ``meant``, unless that is there."""
    if meant not in headers and said in headers:
        headers[meant] = headers.pop(said)


def _only_holder(session: Client, message_id: str) -> str:
    """The subscription with the one unsettled delivery of that message; where none has one, a subscription for which
    an ACK is late or not needed. "" when there is none, or several could be meant.
    """
    session.broker.work += len(session.subscriptions)
    found = ""
    harmless = ""
    for id, subscription in session.subscriptions.items():
        name = pair(message_id, id)
        if name in session.deliveries:
            if found:
                return ""
            found = id
        elif name in session.lapsed or subscription.mode == AUTO:
            harmless = id
    return found or harmless
