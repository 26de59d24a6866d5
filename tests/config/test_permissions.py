"""The sections ``permissions`` and ``groups``: what is taken, what is refused with its line, what is warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from stompserver.cli import check
from stompserver.config import Loaded, load
from stompserver.errors import ConfigError
from stompserver.server.permissions import warnings


def read(tmp_path: Path, text: str) -> Loaded:
    (tmp_path / "stompserver.conf").write_text(text)
    return load([], {}, tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("permissions:\n", "line 1: permissions: is empty, and nobody could do anything"),
        ("permissions:\n  /queue/a:\n", "line 2: permissions: /queue/a: sets nothing"),
        (
            "permissions:\n  /queue/a:\n    sned: bob\n",
            "line 3: permissions: /queue/a: unknown option 'sned'; did you",
        ),
        (
            "permissions:\n  /queue/a:\n    send:\n",
            "line 3: permissions: /queue/a: send: says nobody; write nobody",
        ),
        ("permissions:\n  /queue/a:\n    send: a b\n", "'a b' is not one login; put commas between them"),
        (
            "permissions:\n  /queue/a:\n    send: a from 10.0.0.1/8\n",
            "'10.0.0.1/8' is no network such as 10.0.0.0/8",
        ),
        ("permissions:\n  /queue/a:\n    send: a from home\n", "'home' is no network"),
        ("permissions:\n  /queue/a:\n    send: nobody, a\n", "nobody stands alone"),
        ("permissions:\n  /queue/a:\n    send: nobody from 10.0.0.0/8\n", "nobody is nobody, from anywhere"),
        (
            'permissions:\n  /queue/a:\n    send: "@x"\n',
            "no group @x; name it in groups, with nothing behind it",
        ),
        (
            "permissions:\n  /queue/a:\n    send: @x\n",
            "that cannot start any token; put what begins with @, %, * or & in",
        ),
        ("permissions:\n  /queue/a:\n    send: *\n", "put what begins with @, %, * or & in quotes"),
        ("permissions:\n  /queue/a:\n    read: bob\n", "unknown option 'read'; did you mean consume?"),
        ("permissions:\n  /queue/a:\n    write: bob\n", "unknown option 'write'; did you mean send?"),
        ("permissions:\n  #:\n    send: bob\n", "line 3: permissions: send: stands below no pattern"),
        (
            'permissions:\n  /queue/a:\n    send: "%u"\n',
            "that a level %u of the pattern stands for; it has none",
        ),
        ("permissions:\n  /queue/a%u:\n    send: bob\n", "'a%u' is not a whole level; %u stands for one"),
        ("permissions:\n  /queue/a*:\n    send: bob\n", "'a*' is not a whole level"),
        (
            "permissions:\n  /queue/a.>:\n    send: bob\n  /queue/a/#:\n    send: bob\n",
            "/queue/a/#: means the same as /queue/a.> in stompserver.conf line 2",
        ),
        ("permissions:\n  /queue/%u/a:\n    send: bob\n  /queue/%u.a:\n    send: bob\n", "means the same as"),
        (
            "groups:\n  a: '@b'\n  b: '@c'\n  c: x, '@a'\n",
            "line 2: groups: a: is in itself: a -> b -> c -> a",
        ),
        ("groups:\n  a: '@a'\n", "is in itself: a -> a"),
        ("groups:\n  a: '@b'\n", "line 2: groups: a: there is no group @b"),
        ("groups:\n  a: everybody\n", "everybody is no member of a group"),
        ("groups:\n  a: bob from 10.0.0.0/8\n", "a group is of logins; say from where in permissions"),
        ("groups:\n  a b: bob\n", "a group is one word"),
        ("groups:\n  nobody: bob\n", "a group is one word"),
        ("groups:\n  a: bob\n  a: ann\n", "line 3: groups: a is there already, in stompserver.conf line 2"),
        ("permissions-mode: watch\n", "line 1: permissions-mode: unknown mode 'watch'"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert problem in str(caught.value)


def test_what_is_written_in_several_ways(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        "groups:\n  a: bob, \"@b\"\n  b: []\n  c:\nPermissions:\n  /queue/a:\n    Send: [bob, '@a']\n"
        "    consume: \"bob from 10.1.2.3, everybody from ::1\"\n  '*':\n    view: ann\n",
    ).config
    assert [group[:2] for group in config.groups] == [("a", "bob, @b"), ("b", ""), ("c", "")]
    (pattern, _, grants), other = config.permissions
    assert pattern == "/queue/a"
    assert [grant[:2] for grant in grants] == [
        ("send", "bob, @a"),
        ("consume", "bob from 10.1.2.3/32, everybody from ::1/128"),
    ]
    assert other[0] == "*"


def test_bare_patterns_are_warned_of(tmp_path: Path) -> None:
    loaded = read(
        tmp_path, "permissions:\n  prices.>:\n    send: everybody\n  $server:\n    view: everybody\n"
    )
    assert loaded.warnings == [
        "stompserver.conf line 2: permissions: prices.>: means names without /queue/ or /topic/ before them;"
        " did you mean /queue/prices.>?"
    ]


def test_what_check_warns_of(tmp_path: Path) -> None:
    loaded = read(
        tmp_path,
        """auth: true
policies:
  /queue/a: {deadletter: /queue/grave}
groups:
  staff: alice
  none: bob
  inner: zoe
  outer: "@inner"
permissions:
  /queue/a:
    send: "@staff"
    consume: nobody
  /queue/b.>:
    send: "@outer"
  /queue/c:
    send: "@staff"
    consume: carol, everyone
""",
    )
    found = warnings(loaded.config, ("alice", "bob", "dave"))
    assert found == [
        "stompserver.conf line 12: permissions: /queue/a: somebody may send there (stompserver.conf line 11), and"
        " nobody may consume: what is sent stays",
        "stompserver.conf line 13: permissions: /queue/b.>: somebody may send there (stompserver.conf line 14), and"
        " nobody may consume: what is sent stays",
        "permissions: nobody may consume from /queue/deadletter, a dead letter queue: nobody will see them",
        "permissions: nobody may consume from /queue/grave, a dead letter queue: nobody will see them",
        "stompserver.conf line 6: groups: none is in no rule",
        "permissions: logins of .passwd that are in no rule, and may do nothing: bob, dave",
        "permissions: logins that .passwd does not have: carol, everyone, zoe; did you mean everybody where it says"
        " everyone?",
    ]


def test_what_it_warns_of_without_logins(tmp_path: Path) -> None:
    text = "permissions:\n  '#':\n    send: bob\n    consume: bob\n"
    (found,) = warnings(read(tmp_path, text).config, None)
    assert "without auth nobody is found to be one" in found
    assert not warnings(read(tmp_path, text.replace("bob", "everybody")).config, None)
    (found,) = warnings(read(tmp_path, "groups:\n  a: bob\n").config, None)
    assert "groups have no effect without a section permissions" in found


def test_check_prints_what_it_reads_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "groups:\n  staff: alice, bob\npermissions:\n  /queue/%u.#:\n    send: '@staff'\n    consume: '%u'\n"
    )
    loaded = read(tmp_path, text)
    assert check(loaded) == 0
    printed = capsys.readouterr().out
    again = read(tmp_path, printed)
    assert [(name, who) for name, who, _ in again.config.groups] == [("staff", "alice, bob")]
    assert [
        [pattern, *((verb, who) for verb, who, _ in grants)]
        for pattern, _, grants in again.config.permissions
    ] == [["/queue/%u.#", ("send", "@staff"), ("consume", "%u")]]
