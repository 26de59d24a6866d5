"""ActiveMQ's authorizationPlugin, in activemq.xml, as permissions of this server.

There all entries that fit a destination count together; ``admin`` is the right to make and delete it (Security in
ActiveMQ's documentation).
"""

from __future__ import annotations

from typing import Final

from stompserver.ctl.others.fragment import NotReadable
from stompserver.ctl.others.grants import Grants
from stompserver.ctl.others.tree import Element

VERBS: Final = {"read": ("consume",), "write": ("send",), "admin": ("create", "manage")}
ADVISORY: Final = "ActiveMQ.Advisory"


def convert(root: Element) -> Grants:
    """The entries. Raises NotReadable when there are none."""
    entries = [*root.all("authorizationEntry")]
    if not entries:
        raise NotReadable("this XML has no authorizationEntry of ActiveMQ")
    out = Grants("From activemq.xml of ActiveMQ, by stompctl permissions import.")
    members: dict[str, list[str]] = {}
    users = [*root.all("authenticationUser")]
    for user in users:
        for group in _names(user.attributes.get("groups", "")):
            members.setdefault(group, []).append(user.attributes.get("username", ""))
    for entry in entries:
        _entry(out, entry, members)
    for entry in root.all("tempDestinationAuthorizationEntry"):
        said = ", ".join(f"{key}={value}" for key, value in entry.attributes.items())
        out.note(
            f"tempDestinationAuthorizationEntry {said}",
            "temporary destinations are for everybody: their connection consumes, everybody sends",
        )
    for plugin in (
        "jaasAuthenticationPlugin",
        "jaasCertificateAuthenticationPlugin",
        "jaasDualAuthenticationPlugin",
    ):
        if root.first(plugin) is not None:
            out.note(
                plugin,
                "who is in a group stands in another file, such as groups.properties: write it into groups",
            )
    if users:
        out.note("simpleAuthenticationPlugin", "write .passwd by stompserver --hash-password")
    out.unite()
    return out


def _entry(out: Grants, entry: Element, members: dict[str, list[str]]) -> None:
    said = entry.attributes
    for kind in ("queue", "topic"):
        for name in _names(said.get(kind, "")):
            origin = f"authorizationEntry {kind}={name}"
            if name.startswith(ADVISORY):
                out.note(origin, "nobody needs it: there are no advisories")
                continue
            for key, verbs in VERBS.items():
                if key not in said:
                    continue
                who = [_role(out, role, members, origin) for role in _names(said[key])]
                for verb in verbs:
                    out.add(f"/{kind}/{name}", verb, who, origin)
    if not said.get("queue") and not said.get("topic"):
        out.note(
            "authorizationEntry", "names neither a queue nor a topic: write the tempQueue or other by hand"
        )


def _role(out: Grants, role: str, members: dict[str, list[str]], origin: str) -> str:
    if role in ("*", "anonymous"):
        if role == "anonymous":
            out.note(
                f"{origin}: anonymous",
                "who has no login is not let in with auth; everybody means all who are",
            )
            return ""
        return "everybody"
    return out.group(role, members.get(role, []), origin)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
