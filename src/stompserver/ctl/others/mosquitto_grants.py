"""Mosquitto's acl file as permissions of this server.

There all lines that fit a topic count together, and ``deny`` before all others (man mosquitto.conf, acl_file). MQTT
has topics only: ``/topic/`` and the name, with ``/`` between its levels.
"""

from __future__ import annotations

from typing import Final

from stompserver.ctl.others.fragment import NotReadable
from stompserver.ctl.others.grants import Grants

ACCESS: Final = {"read": ("consume",), "write": ("send",), "readwrite": ("consume", "send")}


def convert(text: str) -> Grants:
    """The lines. Raises NotReadable for what is no such file."""
    out = Grants("From an acl file of Mosquitto, by stompctl permissions import.")
    user = ""
    found = 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        origin = f"line {number}, {line}"
        if word == "user" and rest:
            user = out.login(rest, origin)
            if not user:
                # What follows is nobody's here.
                user = " "
        elif word in ("topic", "pattern") and rest:
            _rule(out, word, rest, user, origin)
        else:
            raise NotReadable(f"line {number} is no line of an acl file: {line[:60]!r}")
        found += 1
    if not found:
        raise NotReadable("there is no line of an acl file in it")
    out.unite()
    return out


def _rule(out: Grants, word: str, rest: str, user: str, origin: str) -> None:
    first, _, other = rest.partition(" ")
    access, topic = (
        (first, other.strip()) if first in (*ACCESS, "deny") and other.strip() else ("readwrite", rest)
    )
    if topic.startswith("$"):
        out.note(origin, "there are no such topics here")
        return
    levels = topic.split("/")
    if any("." in level for level in levels):
        out.note(origin, "a point divides levels here, as / does")
    pattern = "/topic/" + "/".join("*" if level == "+" else level for level in levels)
    if word == "pattern":
        if "%c" in topic:
            out.note(origin, "nothing stands for a client-id here")
            return
        if "%u" in levels:
            who = "%u"
        elif "%u" in topic:
            out.note(origin, "%u is a whole level here")
            return
        else:
            who = "everybody"
    elif not user:
        out.note(origin, "it is for clients without a login; say it of everybody, or of nobody")
        return
    elif user == " ":
        return
    else:
        who = user
    if access == "deny":
        for verb in ("consume", "send"):
            out.deny(pattern, verb, who, origin)
        return
    for verb in ACCESS[access]:
        out.add(pattern, verb, [who], origin)
