"""``stompctl permissions import``: files as the documentation of each broker has them, and what the server makes of
what is printed.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from stompserver.config import load
from stompserver.ctl.main import main
from stompserver.ctl.others import mosquitto_grants
from stompserver.ctl.others.grants import overlap
from stompserver.ctl.permissions import permissions
from stompserver.security.permissions import Permissions
from stompserver.server.permissions import permissions_of


class Imported:
    """What was printed, and what it means."""

    def __init__(self, text: str, given: Permissions, sections: dict[str, dict[str, str]]) -> None:
        self.text = text
        self.permissions = given
        self.sections = sections
        comments = text.partition("# Not taken over, or not all of it:\n")[2]
        self.notes = [
            note.replace("\n#  ", "") for note in comments.removeprefix("# - ").strip().split("\n# - ")
        ]

    def may(self, login: str | None, verb: str, name: str) -> bool:
        return self.permissions.rights(login).may(verb, name)


@pytest.fixture
def run_import(tmp_path: Path) -> Callable[..., Imported]:
    main.add_command(permissions)

    def run(content: Any, *words: str) -> Imported:
        file = tmp_path / "given"
        file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        ended = CliRunner().invoke(main, ["permissions", "import", str(file), *words], prog_name="stompctl")
        assert ended.exit_code == 0, ended.output
        (tmp_path / "stompserver.conf").write_text(ended.stdout, "utf-8")
        config = load([], {}, tmp_path).config
        given = permissions_of(config)
        assert given is not None
        sections = {
            pattern: {verb: who for verb, who, _ in grants} for pattern, _, grants in config.permissions
        }
        return Imported(ended.stdout, given, sections)

    return run


@pytest.fixture
def refuse(tmp_path: Path) -> Callable[..., str]:
    main.add_command(permissions)

    def run(content: str, *words: str) -> str:
        file = tmp_path / "given"
        file.write_text(content, "utf-8")
        ended = CliRunner().invoke(main, ["permissions", "import", str(file), *words], prog_name="stompctl")
        assert ended.exit_code != 0
        return ended.output

    return run


RABBITMQ = {
    "rabbit_version": "3.10.8",
    "users": [
        {"name": "admin", "password_hash": "x", "tags": ["administrator"]},
        {"name": "grafana", "tags": "monitoring"},
        {"name": "shop", "tags": ""},
        {"name": "billing", "tags": []},
    ],
    "vhosts": [{"name": "/"}],
    "permissions": [
        {"user": "admin", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"},
        {"user": "shop", "vhost": "/", "configure": "^$", "write": "^amq\\.default$", "read": ""},
        {
            "user": "billing",
            "vhost": "/",
            "configure": "^(bills|amq\\.gen.*)$",
            "write": "^amq\\.topic$",
            "read": "^bills$|^orders\\.|^amq\\.topic$",
        },
        {"user": "odd", "vhost": "/", "configure": "q[0-9]+", "write": "^x$", "read": "^a.*b$"},
    ],
    "topic_permissions": [
        {
            "user": "billing",
            "vhost": "/",
            "exchange": "amq.topic",
            "write": "^bills\\.{username}$",
            "read": "^bills\\..*",
        }
    ],
}


def test_rabbitmq(run_import: Callable[..., Imported]) -> None:
    got = run_import(RABBITMQ)
    assert got.sections["/queue/#"] == {"send": "admin, shop", "consume": "admin", "create": "admin"}
    assert got.sections["/queue/orders.>"]["consume"] == "billing, admin"
    assert got.sections["#"] == {"manage": "admin", "view": "admin, grafana"}
    for login, verb, name, may in (
        ("admin", "consume", "/queue/orders.eu", True),
        ("admin", "consume", "/queue/bills", True),
        ("billing", "consume", "/queue/bills", True),
        ("billing", "consume", "/queue/orders.eu", True),
        ("billing", "send", "/queue/bills", False),
        ("billing", "create", "/queue/bills", True),
        ("billing", "send", "/topic/bills.billing", True),
        ("billing", "send", "/topic/bills.other", False),
        ("billing", "consume", "/topic/bills.eu", True),
        ("billing", "consume", "/topic/news", False),
        ("shop", "send", "/queue/anything", True),
        ("shop", "consume", "/queue/anything", False),
        ("shop", "send", "/topic/anything", False),
        ("grafana", "view", "/queue/bills", True),
        ("grafana", "manage", "/queue/bills", False),
        ("odd", "send", "/queue/x", False),
    ):
        assert got.may(login, verb, name) == may, (login, verb, name)
    notes = "\n".join(got.notes)
    assert "read ^a.*b$ of odd: ^a.*b$ is no pattern of whole levels" in notes
    assert "configure q[0-9]+ of odd" in notes
    assert "write ^x$ of odd: it is of exchanges" in notes
    assert "/queue/orders.> means /queue/orders as well" in notes
    assert "users: their hashes are of another kind" in notes


def test_rabbitmq_with_several_hosts(run_import: Callable[..., Imported], refuse: Callable[..., str]) -> None:
    rows = [{"user": "a", "vhost": host, "configure": "", "write": "", "read": ".*"} for host in ("/", "two")]
    text = json.dumps({"permissions": rows})
    assert "say which virtual host is meant with --vhost: /, two" in refuse(text)
    assert "no permission is for the virtual host x" in refuse(text, "--vhost", "x")
    assert run_import(text, "--vhost", "two").may("a", "consume", "/queue/a")
    assert "has no permissions of RabbitMQ" in refuse('{"queues": []}')
    assert "is not a list of objects" in refuse('{"permissions": 1}')
    assert "not JSON" in refuse("{")


ACTIVEMQ = """<?xml version="1.0"?>
<beans xmlns="http://www.springframework.org/schema/beans">
  <broker xmlns="http://activemq.apache.org/schema/core" brokerName="localhost">
    <plugins>
      <simpleAuthenticationPlugin>
        <users>
          <authenticationUser username="system" password="manager" groups="users,admins"/>
          <authenticationUser username="user" password="password" groups="users"/>
          <authenticationUser username="guest" password="password" groups="guests"/>
        </users>
      </simpleAuthenticationPlugin>
      <authorizationPlugin>
        <map>
          <authorizationMap>
            <authorizationEntries>
              <authorizationEntry queue=">" read="admins" write="admins" admin="admins"/>
              <authorizationEntry queue="USERS.>" read="users" write="users" admin="users"/>
              <authorizationEntry queue="GUEST.>" read="guests" write="guests,users" admin="guests,users"/>
              <authorizationEntry topic=">" read="admins" write="admins" admin="admins"/>
              <authorizationEntry topic="NEWS.*" read="*" write="users"/>
              <authorizationEntry topic="ActiveMQ.Advisory.>" read="guests,users" write="guests,users"/>
              <authorizationEntry queue="*.LOG" read="guests"/>
              <authorizationEntry queue="A*" read="guests"/>
            </authorizationEntries>
            <tempDestinationAuthorizationEntry>
              <tempDestinationAuthorizationEntry read="x" write="x" admin="x"/>
            </tempDestinationAuthorizationEntry>
          </authorizationMap>
        </map>
      </authorizationPlugin>
    </plugins>
  </broker>
</beans>
"""


def test_activemq(run_import: Callable[..., Imported]) -> None:
    got = run_import(ACTIVEMQ)
    assert "  guests: guest\n" in got.text
    for login, verb, name, may in (
        ("system", "consume", "/queue/USERS.a", True),
        ("user", "consume", "/queue/USERS.a", True),
        ("guest", "consume", "/queue/USERS.a", False),
        ("user", "send", "/queue/GUEST.a", True),
        ("user", "consume", "/queue/GUEST.a", False),
        ("user", "create", "/queue/GUEST.a", True),
        ("user", "manage", "/queue/GUEST.a", True),
        ("user", "consume", "/queue/other", False),
        ("guest", "consume", "/topic/NEWS.a", True),
        ("guest", "send", "/topic/NEWS.a", False),
        ("system", "send", "/topic/NEWS.a", True),
        ("guest", "consume", "/queue/X.LOG", True),
        ("system", "browse", "/queue/X.LOG", True),
    ):
        assert got.may(login, verb, name) == may, (login, verb, name)
    notes = "\n".join(got.notes)
    assert "ActiveMQ.Advisory.>: nobody needs it" in notes
    assert "tempDestinationAuthorizationEntry read=x" in notes
    assert "/queue/A* cannot be a pattern here" in notes
    # *.LOG and USERS.> have USERS.LOG both, and there it counts together.
    assert got.may("guest", "consume", "/queue/USERS.LOG")
    assert got.may("user", "consume", "/queue/USERS.LOG")
    assert "as well goes by that alone" not in notes


ARTEMIS = """<?xml version='1.0'?>
<configuration xmlns="urn:activemq">
  <core xmlns="urn:activemq:core">
    <security-settings>
      <security-setting match="#">
        <permission type="createNonDurableQueue" roles="amq"/>
        <permission type="deleteNonDurableQueue" roles="amq"/>
        <permission type="createDurableQueue" roles="amq"/>
        <permission type="deleteDurableQueue" roles="amq"/>
        <permission type="createAddress" roles="amq"/>
        <permission type="deleteAddress" roles="amq"/>
        <permission type="consume" roles="amq"/>
        <permission type="browse" roles="amq"/>
        <permission type="send" roles="amq"/>
        <permission type="manage" roles="amq"/>
      </security-setting>
      <security-setting match="globalqueues.europe.#">
        <permission type="createDurableQueue" roles="admin"/>
        <permission type="deleteDurableQueue" roles="admin"/>
        <permission type="send" roles="admin, europe-users"/>
        <permission type="consume" roles="admin, europe-users"/>
      </security-setting>
      <security-setting match="orders">
        <permission type="send" roles="shop"/>
      </security-setting>
      <role-mapping from="cn=x" to="europe-users"/>
    </security-settings>
    <addresses>
      <address name="orders"><anycast><queue name="orders"/></anycast></address>
    </addresses>
  </core>
</configuration>
"""


def test_artemis(run_import: Callable[..., Imported]) -> None:
    got = run_import(ARTEMIS)
    assert "  amq:\n" in got.text, "who is in it stands in another file"
    assert got.sections["/queue/globalqueues.europe.#"] == {
        "send": "@admin, @europe-users",
        "consume": "@admin, @europe-users",
        "browse": "nobody",
        "create": "@admin",
        "manage": "nobody",
        "view": "nobody",
    }
    assert got.sections["/topic/globalqueues.europe.#"]["durable"] == "@admin"
    assert got.sections["/queue/orders"]["consume"] == "nobody"
    assert "/topic/orders" not in got.sections, "it is an address for queues alone"
    notes = "\n".join(got.notes)
    assert "role-mapping from cn=x: put those into the group europe-users" in notes
    assert "permission type=createAddress: addresses need not be made" in notes


MOSQUITTO = """# This affects access control for clients with no username.
topic read $SYS/#

# This only affects clients with username "roger".
user roger
topic foo/bar
topic read sensors/+/temperature
topic deny sensors/cellar/#

user anna
topic readwrite sensors/#
topic write a.b/c

# This affects all clients.
pattern write $SYS/broker/connection/%c/state
pattern read inbox/%u/#
pattern readwrite devices/%c/data
pattern read news/#
"""


def test_mosquitto(run_import: Callable[..., Imported]) -> None:
    got = run_import(MOSQUITTO)
    for login, verb, name, may in (
        ("roger", "send", "/topic/foo/bar", True),
        ("roger", "consume", "/topic/sensors/attic/temperature", True),
        ("roger", "send", "/topic/sensors/attic/temperature", False),
        ("roger", "consume", "/topic/sensors/cellar/temperature", False),
        ("anna", "consume", "/topic/sensors/cellar/temperature", True),
        ("anna", "send", "/topic/sensors/attic/temperature", True),
        ("anna", "consume", "/topic/inbox/anna/x", True),
        ("anna", "consume", "/topic/inbox/roger/x", False),
        ("anyone", "consume", "/topic/news/x", True),
        ("anyone", "send", "/topic/news/x", False),
    ):
        assert got.may(login, verb, name) == may, (login, verb, name)
    notes = "\n".join(got.notes)
    assert "topic read $SYS/#: there are no such topics here" in notes
    assert "nothing stands for a client-id here" in notes
    assert "a point divides levels here" in notes


def test_a_deny_that_reaches_only_a_part_holds_there(run_import: Callable[..., Imported]) -> None:
    got = run_import("user a\ntopic read x/+/z\ntopic deny x/y/#\n")
    assert not got.may("a", "consume", "/topic/x/y/q")
    assert not got.may("a", "consume", "/topic/x/y/z"), "the pattern that has both was made"
    assert got.may("a", "consume", "/topic/x/w/z")


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("/topic/a.*", "/topic/*.b", "/topic/a.b"),
        ("/topic/a.>", "/topic/*.b.c", "/topic/a.b.c"),
        ("/topic/a/#", "/topic/*/#", "/topic/a/#"),
        ("/topic/%u.x", "/topic/*.x", "/topic/%u.x"),
        ("/topic/%u.x", "/topic/bob.*", "/topic/bob.x"),
        ("/topic/a.b", "/topic/a.c", ""),
        ("/topic/a.b", "/topic/a.*.c", ""),
        ("/topic/#.a", "/topic/b.#", ""),
        ("/queue/a.>", "/topic/a.>", ""),
        ("/queue/*.>", "/queue/a", "/queue/a"),
    ],
)
def test_the_pattern_that_two_have_in_common(one: str, other: str, both: str) -> None:
    assert overlap(one, other) == both


def test_what_two_patterns_give_counts_together(run_import: Callable[..., Imported]) -> None:
    broker = (
        '<broker><authorizationEntry queue="{}" read="a"/><authorizationEntry queue="{}" read="b"/></broker>'
    )
    got = run_import(broker.format("a.>", "*.x.>"))
    assert got.sections["/queue/a.x.#"] == {"consume": "@a, @b"}


def test_logins_that_cannot_be_written_are_told(run_import: Callable[..., Imported]) -> None:
    got = run_import("user a b\ntopic read x\nuser everybody\ntopic read y\nuser ok\ntopic read z\n")
    assert list(got.sections) == ["/topic/z"]
    assert "'a b' cannot be written as a login here" in "\n".join(got.notes)
    assert "'everybody' cannot be written as a login here" in "\n".join(got.notes)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("hello\n", "line 1 is no line of an acl file: 'hello'"),
        ("# nothing\n", "there is no line of an acl file in it"),
        ("<broker/>", "this XML has no authorizationEntry of ActiveMQ"),
        ("<broker>", "not XML"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "a DOCTYPE, which is not read for safety"),
    ],
)
def test_what_is_no_such_file(refuse: Callable[..., str], content: str, problem: str) -> None:
    assert problem in refuse(content)
    assert "--vhost is for RabbitMQ's definitions" in refuse(content, "--vhost", "x")


LEVELS = st.sampled_from(("x", "y", "+"))
TOPICS = st.builds(
    lambda levels, many: "/".join([*levels, *many]),
    st.lists(LEVELS, min_size=1, max_size=3),
    st.sampled_from(([], ["#"])),
)
RULES = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(("read", "write", "readwrite", "deny")), TOPICS),
    min_size=1,
    max_size=6,
)
NAMES = ["/".join(levels) for count in (1, 2, 3, 4) for levels in itertools.product("xyz", repeat=count)]


def has(topic: str, name: str) -> bool:
    """As MQTT has it: ``#`` has the level above, too."""
    levels, names = topic.split("/"), name.split("/")
    while levels and levels[0] != "#":
        if not names or levels[0] not in ("+", names[0]):
            return False
        levels, names = levels[1:], names[1:]
    return bool(levels) or not names


@given(RULES)
def test_the_lines_of_an_acl_mean_what_they_meant(rules: list[tuple[str, str, str]]) -> None:
    text = "".join(f"user {user}\ntopic {access} {topic}\n" for user, access, topic in rules)
    printed = str(mosquitto_grants.convert(text))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "stompserver.conf").write_text(printed)
        config = load([], {}, Path(folder)).config
    given_ = permissions_of(config)
    assert given_ is not None
    for user in "ab":
        rights = given_.rights(user)
        for name in NAMES:
            mine = [access for who, access, topic in rules if who == user and has(topic, name)]
            for verb, words in (("consume", {"read", "readwrite"}), ("send", {"write", "readwrite"})):
                may = not words.isdisjoint(mine) and "deny" not in mine
                assert rights.may(verb, "/topic/" + name) == may, (user, verb, name, printed)
