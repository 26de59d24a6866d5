"""Artemis' security-settings, in broker.xml, as permissions of this server.

There the most specific match takes the place of all others, with all verbs: what it does not say nobody may
(docs/user-manual/security.adoc).
"""

from __future__ import annotations

from typing import Final

from stompserver.ctl.others.fragment import NotReadable
from stompserver.ctl.others.grants import Grants
from stompserver.ctl.others.tree import Element

TYPES: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    # Of queues, and of topics
    "send": (("send",), ("send",)),
    "consume": (("consume",), ("consume",)),
    "browse": (("browse",), ()),
    "createAddress": ((), ()),
    "deleteAddress": ((), ()),
    "createDurableQueue": (("create",), ("durable",)),
    "deleteDurableQueue": ((), ()),
    "createNonDurableQueue": ((), ()),
    "deleteNonDurableQueue": ((), ()),
    "manage": (("manage",), ("manage",)),
    "view": (("view",), ("view",)),
    "edit": (("manage",), ("manage",)),
}
REASONS: Final = {
    "createAddress": "addresses need not be made",
    "deleteAddress": "an address is gone when nobody uses it",
    "deleteDurableQueue": "who may make a durable subscription (durable) may delete it, and manage deletes a queue",
    "createNonDurableQueue": "who may consume from a topic needs no more, and a queue is made by create",
    "deleteNonDurableQueue": "what is not durable goes by itself",
}
EXPLICIT: Final = (
    ("send", "consume", "browse", "create", "manage", "view"),
    ("send", "consume", "durable", "manage", "view"),
)
"""What each pattern sets, so that nothing is left to a less specific one."""

MANAGEMENT: Final = "activemq.management"
PREFIXES: Final = (("jms.queue.", True, False), ("jms.topic.", False, True))


def convert(root: Element) -> Grants:
    """The settings. Raises NotReadable when there are none."""
    settings = [setting for setting in root.all("security-setting") if "match" in setting.attributes]
    if not settings:
        raise NotReadable("this XML has no security-setting of Artemis")
    out = Grants("From broker.xml of Artemis, by stompctl permissions import.")
    kinds = _kinds(root)
    for setting in settings:
        _setting(out, setting, kinds)
    for mapping in root.all("role-mapping"):
        out.note(
            f"role-mapping from {mapping.attributes.get('from', '?')}",
            f"put those into the group {mapping.attributes.get('to', '?')}",
        )
    enabled = root.first("security-enabled")
    if enabled is not None and enabled.text.strip() == "false":
        out.note("security-enabled", "is false there: none of this was in force")
    if root.first("wildcard-addresses") is not None:
        out.note(
            "wildcard-addresses",
            "the wildcards of these matches are not the usual ones: look at each pattern",
        )
    out.note(
        "roles",
        "who is in them stands in another file, such as artemis-roles.properties: write it into groups",
    )
    return out


def _kinds(root: Element) -> dict[str, tuple[bool, bool]]:
    """By address whether it is for queues, and for topics, where the file has it."""
    found = {}
    for address in root.all("address"):
        name = address.attributes.get("name", "")
        if name:
            found[name] = (address.first("anycast") is not None, address.first("multicast") is not None)
    return found


def _setting(out: Grants, setting: Element, kinds: dict[str, tuple[bool, bool]]) -> None:
    match = setting.attributes["match"]
    origin = f"security-setting match={match}"
    said: tuple[dict[str, dict[str, None]], dict[str, dict[str, None]]] = ({}, {})
    for permission in setting.all("permission"):
        kind = permission.attributes.get("type", "")
        verbs = TYPES.get(kind)
        if verbs is None:
            out.note(f"{origin}: permission type={kind}", "there is no such type")
            continue
        if kind in REASONS:
            out.note(f"permission type={kind}", REASONS[kind])
        roles = [role.strip() for role in permission.attributes.get("roles", "").split(",") if role.strip()]
        who = [out.group(role, [], origin) for role in roles]
        for place, names in zip(said, verbs, strict=True):
            for verb in names:
                place.setdefault(verb, {}).update(dict.fromkeys(who))
    if setting.first("setting") is not None or setting.attributes.get("plugin"):
        out.note(f"{origin}: a plug-in", "what it says stands elsewhere")
    name, queues, topics = match, True, True
    for prefix, queue, topic in PREFIXES:
        if match.startswith(prefix):
            name, queues, topics = match.removeprefix(prefix), queue, topic
    if match in kinds and any(kinds[match]):
        queues, topics = kinds[match]
    if match.startswith(MANAGEMENT):
        out.note(
            origin,
            "management frames go to /queue/stompserver.management; who may send there by this:"
            f" {', '.join(each for each in said[0].get('manage', ()) if each) or 'nobody'}",
        )
        out.add("/queue/stompserver.management", "send", list(said[0].get("manage", ())), origin)
        return
    for wanted, kind, verbs_of, place in (
        (queues, "/queue/", EXPLICIT[0], said[0]),
        (topics, "/topic/", EXPLICIT[1], said[1]),
    ):
        for verb in verbs_of if wanted else ():
            out.add(kind + name, verb, list(place.get(verb, ())), origin)
