"""RabbitMQ's permissions, in exported definitions (definitions.json), as permissions of this server.

There the right to ``write`` is to an exchange: SEND to a queue goes by ``amq.default``, SEND to a topic by
``amq.topic``; ``read`` is of a queue, and of an exchange that a queue is bound to (Access Control in RabbitMQ's
documentation).
"""

from __future__ import annotations

import re
from typing import Any, Final

from stompserver.ctl.others.fragment import NotReadable
from stompserver.ctl.others.grants import Grants
from stompserver.ctl.others.rabbitmq import pattern_of

Row = dict[str, Any]

QUEUES: Final = "/queue/#"
TOPICS: Final = "/topic/#"
NOTHING: Final = ("", "^$")


def convert(content: Row, vhost: str) -> Grants:
    """The permissions in definitions of the virtual host ``vhost`` ("": the only one, or `/`).

    Raises NotReadable when there are none, or it is not said which virtual host is meant.
    """
    rows = _rows(content, "permissions")
    if not rows:
        raise NotReadable(
            "this JSON has no permissions of RabbitMQ: export all definitions, not those of one host"
        )
    found = sorted({str(row.get("vhost", "/")) for row in rows})
    if not vhost and len(found) > 1:
        raise NotReadable(
            f"say which virtual host is meant with --vhost: {', '.join(found)}; each is a server here"
        )
    if vhost and vhost not in found:
        raise NotReadable(f"no permission is for the virtual host {vhost}, but for {', '.join(found)}")
    here = vhost or found[0]
    version = content.get("rabbitmq_version") or content.get("rabbit_version") or "?"
    out = Grants(
        f"From definitions of RabbitMQ {version}, virtual host {here}, by stompctl permissions import."
    )
    topics = [row for row in _rows(content, "topic_permissions") if row.get("vhost", "/") == here]
    for row in rows:
        if row.get("vhost", "/") == here:
            _user(out, row, topics)
    for user in _rows(content, "users"):
        _tags(out, user)
    out.unite()
    return out


def _rows(content: Row, key: str) -> list[Row]:
    rows = content.get(key, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise NotReadable(f"{key} of the definitions is not a list of objects")
    return rows


def _user(out: Grants, row: Row, topics: list[Row]) -> None:
    user = str(row.get("user", ""))
    who = [out.login(user, f"permissions of {user}")]
    if not who[0]:
        return
    configure, write, read = (str(row.get(key, "")) for key in ("configure", "write", "read"))
    _names(out, "create", configure, who, f"configure {configure} of {user}")
    _names(out, "consume", read, who, f"read {read} of {user}")
    mine = [each for each in topics if each.get("user") == user and each.get("exchange") in ("amq.topic", "")]
    for verb, expression, key in (("send", write, "write"), ("consume", read, "read")):
        if _matches(expression, "amq.topic"):
            limits = [str(each.get(key, "")) for each in mine]
            for limit in limits or [".*"]:
                _keys(out, verb, limit, who, f"topic permission {key} {limit} of {user}")
    if _matches(write, "amq.default"):
        out.add(QUEUES, "send", who, f"write of {user}")
    elif write not in NOTHING:
        out.note(
            f"write {write} of {user}",
            "it is of exchanges, and has not amq.default, by which queues are sent to: the login may send to none"
            " here, as there",
        )
    exchanges = {str(each.get("exchange")) for each in topics if each.get("user") == user} - {"amq.topic", ""}
    for exchange in sorted(exchanges):
        out.note(
            f"topic permission of {user} at {exchange}",
            "there are no exchanges; say it of /topic/" + exchange,
        )


def _names(out: Grants, verb: str, expression: str, who: list[str], origin: str) -> None:
    """What a regular expression means as names of queues."""
    for each in _alternatives(expression):
        if each in NOTHING or re.match(r"\^?amq\\?\.", each):
            # What the server names itself is temporary here.
            continue
        pattern = pattern_of(each)
        if not pattern:
            out.note(origin, f"{each} is no pattern of whole levels; write who may {verb} by hand")
            continue
        if pattern.endswith(".>"):
            out.note(origin, f"{pattern} means {pattern.removesuffix('.>')} as well, which {each} does not")
        out.add(QUEUES if pattern == "/queue/>" else pattern, verb, who, origin)


def _keys(out: Grants, verb: str, expression: str, who: list[str], origin: str) -> None:
    """What a regular expression means as routing keys of amq.topic, which are topics here."""
    for each in _alternatives(expression):
        if each in NOTHING:
            continue
        meant = each.replace("{username}", "USERNAME")
        pattern = pattern_of(meant)
        if not pattern or "{" in meant:
            out.note(origin, f"{each} is no pattern of whole levels; write who may {verb} by hand")
            continue
        topic = TOPICS if pattern == "/queue/>" else "/topic/" + pattern.removeprefix("/queue/")
        levels = ["%u" if level == "USERNAME" else level for level in re.split(r"([./])", topic)]
        if "USERNAME" in "".join(levels):
            out.note(origin, f"{each} has the login as a part of a level")
            continue
        # Each login has a rule of its own there.
        out.add("".join(levels).replace("%u", who[0]) if "%u" in levels else topic, verb, who, origin)


def _alternatives(expression: str) -> list[str]:
    """The parts of ``a|b`` and ``^(a|b)$``, each by itself."""
    whole = re.fullmatch(r"\^\(([^()]*)\)(\$?)", expression)
    if whole:
        return [f"^{each}{whole[2]}" for each in whole[1].split("|")]
    return expression.split("|") if "(" not in expression and "|" in expression else [expression]


def _matches(expression: str, name: str) -> bool:
    if expression in NOTHING:
        return False
    try:
        return re.search(expression, name) is not None
    except re.error:
        return False


def _tags(out: Grants, user: Row) -> None:
    name = str(user.get("name", ""))
    said = user.get("tags", [])
    tags = said.split(",") if isinstance(said, str) else [str(tag) for tag in said]
    for tag in (tag.strip() for tag in tags):
        who = [name]
        if tag == "administrator":
            out.add("#", "manage", who, f"tag administrator of {name}")
            out.add("#", "view", who, f"tag administrator of {name}")
        elif tag == "monitoring":
            out.add("#", "view", who, f"tag monitoring of {name}")
        elif tag:
            out.note(f"tag {tag} of {name}", "say what it may manage or view")
    out.note("users", "their hashes are of another kind; write .passwd by stompserver --hash-password")
