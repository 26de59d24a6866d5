"""Who may do what: rules against a model that has no cleverness, and the traps by name."""

from __future__ import annotations

import ipaddress
import itertools
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stompserver.broker.names.pattern import Pattern, contains, meets
from stompserver.security import permissions
from stompserver.security.permissions import DEFAULTS, Grant, Permissions, Rule, Term
from stompserver.session.principal import VERBS, Principal


def grant(text: str, line: int = 1) -> Grant:
    terms = []
    for part in text.split(","):
        name, _, network = part.strip().partition(" from ")
        terms.append(Term(name, network))
    return Grant(tuple(terms), f"line {line}")


def made(
    said: dict[str, dict[str, str]], groups: dict[str, list[str]] | None = None, observes: bool = False
) -> Permissions:
    lines = itertools.count(1)
    return Permissions(
        [
            Rule(
                pattern, f"line {next(lines)}", {verb: grant(who, next(lines)) for verb, who in each.items()}
            )
            for pattern, each in said.items()
        ],
        groups,
        observes,
    )


EXAMPLE = {
    "/queue/#": {"send": "@staff", "consume": "@staff", "browse": "@staff"},
    "/queue/orders.>": {"send": "shop, @staff", "consume": "@workers"},
    "/queue/inbox.%u.>": {"send": "everybody", "consume": "%u"},
    "/queue/audit": {"send": "everybody", "consume": "nobody"},
    "/topic/public.>": {"consume": "everybody", "send": "@staff, feed from 10.1.0.0/16"},
    "#": {"manage": "@staff", "view": "@staff, grafana"},
}
GROUPS = {"staff": ["alice", "bob"], "workers": ["worker-1", "worker-2", "@staff"]}


@pytest.mark.parametrize(
    ("login", "verb", "name", "may"),
    [
        ("alice", "send", "/queue/x", True),
        ("shop", "send", "/queue/x", False),
        ("shop", "send", "/queue/orders.eu", True),
        ("shop", "send", "/queue/orders", True),  # > is also no level
        ("shop", "consume", "/queue/orders.eu", False),
        ("worker-1", "consume", "/queue/orders.eu", True),
        ("alice", "consume", "/queue/orders.eu", True),  # a group in a group
        ("worker-1", "browse", "/queue/orders.eu", False),  # set by the wider pattern
        ("worker-1", "create", "/queue/orders.eu", True),  # by default: who may consume
        ("shop", "create", "/queue/orders.eu", True),  # or send
        ("shop", "create", "/queue/x", False),
        ("eve", "send", "/queue/inbox.bob.x", True),
        ("eve", "consume", "/queue/inbox.bob.x", False),
        ("bob", "consume", "/queue/inbox.bob.x", True),
        ("bob", "consume", "/queue/inbox.bob", True),
        ("alice", "consume", "/queue/inbox.bob.x", False),  # the wider pattern gives nothing back
        (None, "send", "/queue/audit", True),
        ("alice", "consume", "/queue/audit", False),
        ("alice", "durable", "/topic/public.a", True),
        ("eve", "durable", "/topic/public.a", True),
        ("eve", "send", "/topic/public.a", False),
        ("eve", "consume", "/topic/other", False),  # nobody said anything
        ("alice", "send", "other", False),
        ("grafana", "view", "/queue/x", True),
        ("grafana", "manage", "/queue/x", False),
        ("alice", "view", "$server", True),
        ("alice", "manage", "/queue/$temp/s/a", True),
        ("eve", "manage", "/queue/$temp/s/a", False),
        ("eve", "send", "/queue/$temp/s/a", True),
        ("alice", "send", "/queue/$user/bob/a", False),  # no wildcard stands for $user
        ("@staff", "send", "/queue/x", False),  # a login is no group
        ("@staff", "consume", "/queue/orders.eu", False),
        ("nobody", "consume", "/queue/audit", False),
    ],
)
def test_the_example_of_the_page(login: str | None, verb: str, name: str, may: bool) -> None:
    assert made(EXAMPLE, GROUPS).rights(login).may(verb, name) == may


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("10.1.2.3", True),
        ("10.2.0.1", False),
        ("::ffff:10.1.2.3", True),
        ("fe80::1%eth0", False),
        ("", False),
        ("/run/stomp.sock", False),
    ],
)
def test_a_network_counts_for_its_login_alone(address: str, may: bool) -> None:
    given_ = made(EXAMPLE, GROUPS)
    assert given_.rights("feed", address).may("send", "/topic/public.a") == may
    assert not given_.rights("eve", address).may("send", "/topic/public.a")


def test_rights_are_shared_by_who_is_the_same() -> None:
    given_ = made(EXAMPLE, GROUPS)
    assert given_.rights("feed", "10.1.0.1") is given_.rights("feed", "10.1.0.2")
    assert given_.rights("feed", "10.1.0.1") is not given_.rights("feed", "10.9.0.1")


def test_groups_that_a_login_brings_count_as_those_of_the_file() -> None:
    rights = made(EXAMPLE, GROUPS).rights("carol", "", ["staff"])
    assert rights.may("send", "/queue/x")
    assert rights.may("consume", "/queue/orders.eu"), "in workers, as staff is"
    assert rights.groups == frozenset(("staff",))


def test_a_login_with_marks_is_one_level() -> None:
    given_ = made({"/queue/inbox.%u": {"consume": "%u"}})
    assert given_.rights("a.b").may("consume", "/queue/inbox.a=2e=b")
    assert not given_.rights("a.b").may("consume", "/queue/inbox.a.b")
    assert not given_.rights("*").may("consume", "/queue/inbox.bob")
    assert not given_.rights("%u").may("consume", "/queue/inbox.bob")
    assert not given_.rights(None).may("consume", "/queue/inbox.")
    assert not given_.rights("").may("consume", "/queue/inbox.")


def test_a_level_of_the_login_is_more_specific_than_any_and_less_than_a_name() -> None:
    given_ = made(
        {
            "/queue/*.x": {"send": "nobody"},
            "/queue/%u.x": {"send": "%u"},
            "/queue/root.x": {"send": "boss"},
        }
    )
    assert given_.rights("bob").may("send", "/queue/bob.x")
    assert not given_.rights("bob").may("send", "/queue/ann.x")
    assert not given_.rights("root").may("send", "/queue/root.x")
    assert given_.rights("boss").may("send", "/queue/root.x")


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(permissions, "MOST", 10)
    given_ = made(EXAMPLE, GROUPS)
    rights = given_.rights("alice")
    for number in range(100):
        assert rights.may("send", f"/queue/{number}")
        assert rights.may_all("send", f"/queue/{number}.*")
        given_.rights(f"login{number}")
    assert rights.may("send", "/queue/" + 300 * "x")
    assert len(given_._answers) <= 50
    assert len(given_._fitting) <= 10
    assert len(given_._rights) <= 10


def test_why_has_the_line_and_the_hint() -> None:
    given_ = made({"/queue/a": {"send": "bob"}, "/topic/a": {"send": "eve"}})
    rights = given_.rights("eve")
    assert rights.why("send", "/queue/a") == "line 2: permissions: /queue/a: send; /topic/a would be allowed"
    assert rights.why("send", "/queue/b") == "no pattern of permissions that has /queue/b sets send"
    assert rights.judge("bob", "", "send", "/queue/a", []) == (True, "line 2: permissions: /queue/a: send")
    assert rights.judge("bob", "", "consume", "/queue/a", [])[0] is False


def test_a_durable_subscription_goes_by_its_topics_unless_something_is_said_of_it() -> None:
    given_ = made({"/topic/a": {"consume": "bob"}, "#": {"consume": "ann"}, "/dsub/x": {"manage": "ann"}})
    bob = given_.rights("bob")
    assert not bob.rules("durable", "/dsub/y"), "# is no word about durable subscriptions"
    assert bob.rules("manage", "/dsub/x")
    assert bob.rules("view", "/dsub/x"), "who may manage may view"
    assert bob.verdict("durable", "/dsub/y", ["/topic/a"])[0]
    assert not bob.verdict("durable", "/dsub/y", ["/topic/a", "/topic/b"])[0]
    assert not bob.verdict("manage", "/dsub/x", ["/topic/a"])[0]


def test_observing_says_so() -> None:
    rights = made(EXAMPLE, GROUPS, observes=True).rights("eve")
    assert rights.observes
    assert not rights.may("send", "/queue/x"), "what is decided is the same"
    assert not Principal("eve").limited


def test_without_a_section_anybody_judges_that_all_is_allowed() -> None:
    assert Principal().judge("eve", "", "send", "/queue/a", [])[0]


# A model

LEVELS = ("a", "b", "%u", "*", ">", "#")
LOGINS = ("a", "b", "c", None)
PLACES = [
    "/queue/" + ".".join(levels)
    for count in (1, 2, 3)
    for levels in itertools.product(("a", "b", "c"), repeat=count)
]
WHO = ("a", "b", "@g", "@h", "everybody", "%u", "a from 10.0.0.0/8", "everybody from 10.1.0.0/16")
MODEL_GROUPS = {"g": ["b", "@h"], "h": ["c"]}
ADDRESSES = ("10.1.2.3", "10.9.0.1", "192.0.2.1")
SOME_VERBS = ("send", "consume", "create", "browse")

texts = st.lists(st.sampled_from(LEVELS), min_size=1, max_size=3).map(
    lambda levels: "/queue/" + ".".join(levels)
)
whos = st.one_of(st.just("nobody"), st.lists(st.sampled_from(WHO), min_size=1, max_size=3).map(", ".join))


@st.composite
def sections(draw: st.DrawFn) -> dict[str, dict[str, str]]:
    said: dict[str, dict[str, str]] = {}
    meanings = set()
    for text in draw(st.lists(texts, min_size=1, max_size=6, unique=True)):
        meaning = tuple(re.sub("[>#]+(\\.[>#])*", "#", text).split("."))
        if meaning in meanings or not Pattern(text.replace("%u", "*")):
            continue
        meanings.add(meaning)
        grants = draw(st.dictionaries(st.sampled_from(SOME_VERBS), whos, min_size=1, max_size=3))
        said[text] = {
            verb: who
            if "%u" in text
            else ", ".join(each if each != "%u" else "c" for each in who.split(", "))
            for verb, who in grants.items()
        }
    return said


def fits(text: str, name: str) -> bool:
    """By a regular expression of each level, which the server would never use."""

    def some(levels: list[str]) -> str:
        if not levels:
            return ""
        first, *rest = levels
        if first in (">", "#"):
            return r"(?:\.[^.]+)*" + some(rest)
        return r"\." + (r"[^.]+" if first in ("*", "%u") else re.escape(first)) + some(rest)

    dotted = text.replace("/", ".").split(".")
    return re.fullmatch(some(dotted), "." + name.replace("/", ".")) is not None


def groups_of(login: str | None) -> set[str]:
    held = {group for group, members in MODEL_GROUPS.items() if login in members}
    return held | {group for group, members in MODEL_GROUPS.items() if any("@" + h in members for h in held)}


def holds(who: str, text: str, name: str, login: str | None, address: str) -> bool:
    for each in who.split(", "):
        term, _, network = each.partition(" from ")
        if network and ipaddress.ip_address(address) not in ipaddress.ip_network(network):
            continue
        if term == "everybody" or term == login or (term[0] == "@" and term[1:] in groups_of(login)):
            return True
        if term == "%u" and login and fits(text.replace("%u", login), name):
            return True
    return False


def model(said: dict[str, dict[str, str]], verb: str, name: str, login: str | None, address: str) -> bool:
    best: tuple[Any, ...] | None = None
    answer = False
    for text, grants in said.items():
        if verb not in grants or not fits(text, name):
            continue
        rank = (*Pattern(text.replace("%u", "*")).specificity, "%u" in text, text)
        if best is None or rank > best:
            best, answer = rank, holds(grants[verb], text, name, login, address)
    if best is None:
        return any(model(said, other, name, login, address) for other in DEFAULTS.get(verb, ()))
    return answer


@given(sections(), st.sampled_from(LOGINS), st.sampled_from(ADDRESSES))
def test_each_name_is_decided_as_by_the_model(
    said: dict[str, dict[str, str]], login: str | None, address: str
) -> None:
    rights = made(said, MODEL_GROUPS).rights(login, address)
    for verb in SOME_VERBS:
        for name in PLACES:
            assert rights.may(verb, name) == model(said, verb, name, login, address), (verb, name)


@settings(max_examples=200)
@given(sections(), st.sampled_from(LOGINS), st.sampled_from(ADDRESSES), texts)
def test_patterns_are_decided_on_the_safe_side(
    said: dict[str, dict[str, str]], login: str | None, address: str, text: str
) -> None:
    """Nobody is refused a pattern that has something for him, nor allowed all of one that has something not."""
    pattern = text.replace("%u", "*")
    rights = made(said, MODEL_GROUPS).rights(login, address)
    answers = [rights.may("consume", name) for name in PLACES if fits(pattern, name)]
    if any(answers):
        assert rights.may("consume", pattern)
    if not all(answers):
        assert not rights.may_all("consume", pattern)


@given(texts, texts)
def test_patterns_meet_where_a_name_fits_both(one: str, other: str) -> None:
    one, other = one.replace("%u", "*"), other.replace("%u", "*")
    first, second = Pattern(one), Pattern(other)
    both = [name for name in PLACES if fits(one, name) and fits(other, name)]
    assert meets(first, second) == meets(second, first)
    if both:
        assert meets(first, second)
    longest = max(one.count("."), other.count("."))
    if longest < 2 and meets(first, second):
        # Of patterns of so few levels one of the names is an example.
        assert both
    if contains(first, second):
        assert all(fits(one, name) for name in PLACES if fits(other, name))


@pytest.mark.parametrize(
    ("one", "other", "met"),
    [
        ("/queue/#", "/queue/$user/bob/a", False),
        ("/queue/$user/*/a", "/queue/$user/bob/#", True),
        ("/queue/*/bob/a", "/queue/$user/bob/a.#", False),
        ("#", "/topic/>", True),
        ("/queue/a.#.z", "/queue/#.b", False),
        ("/queue/a.#.z", "/queue/#.b.#", True),
        ("/queue/a", "/queue/#", True),
        ("/queue/a", "/queue/a", True),
        ("/queue/a", "/queue/b", False),
    ],
)
def test_how_patterns_meet(one: str, other: str, met: bool) -> None:
    assert meets(Pattern(one), Pattern(other)) is met
    assert meets(Pattern(other), Pattern(one)) is met


def test_verbs_are_those_of_the_configuration() -> None:
    from stompserver.config import permissions as written

    assert written.VERBS == VERBS
    assert written.DEFAULTS == DEFAULTS
