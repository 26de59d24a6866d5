"""Policies in the configuration file: read, refused with file and line, shown by --check, taken over by SIGHUP."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stompserver.broker.names.policy import NAMES, Policy
from stompserver.config import Config, Loaded, load, policies_page, values
from stompserver.config.option import attribute_of
from stompserver.config.policies import GLOBAL, POLICY_FIELDS, PolicyOptions
from stompserver.errors import ConfigError
from stompserver.server.policies import policies_of

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "policies.md"
FILE = """\
max-redeliveries: 9
:policies:
  /queue/#:
    max-redeliveries: 6
    redelivery-delay: 1s
  "#": {timestamp: yes}
  /queue/orders.>:
    deadletter: /queue/DLQ.%
    MAX_BYTES: 1GiB
    overflow: drop-head
  /queue/orders.eu:
    ttl: 2d
  /topic/prices.*:
    deadletter:
"""


def loaded(directory: Path, file: str, **environ: str) -> Loaded:
    (directory / "stompserver.conf").write_text(file)
    return load([], environ, directory)


def refusal(directory: Path, file: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(directory, file)
    text = str(caught.value)
    assert text.isprintable()
    return text


def test_each_option_of_the_most_specific_pattern(tmp_path: Path) -> None:
    found = policies_of(loaded(tmp_path, FILE).config)
    eu = found.find("/queue/orders.eu")
    assert eu.ttl == 2 * 86_400_000
    assert (eu.deadletter, eu.max_bytes, eu.overflow) == ("/queue/DLQ.%", 1 << 30, "drop-head")
    assert (eu.max_redeliveries, eu.redelivery_delay, eu.timestamp) == (6, 1000, True)
    prices = found.find("/topic/prices.gold")
    assert (prices.deadletter, prices.max_redeliveries, prices.timestamp) == ("", 9, True)
    assert found.find("bare").max_redeliveries == 9
    assert found.find("/queue/x").deadletter == "/queue/deadletter"


def test_the_options_are_those_of_the_broker() -> None:
    """The same names, the same defaults: nothing can be set that nobody reads."""
    assert {attribute_of(key) for key in POLICY_FIELDS} == set(NAMES)
    broker, configured = Policy(), PolicyOptions()
    assert {name: getattr(broker, name) for name in NAMES} == {
        name: getattr(configured, name) for name in NAMES
    }
    assert {name: getattr(Config(), attribute_of(name)) for name in GLOBAL} == {
        name: getattr(broker, attribute_of(name)) for name in GLOBAL
    }


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("policies:\n  /queue/a:\n    tll: 1\n", "line 3: policies: /queue/a: unknown option 'tll'; did you mean"),
        ("policies:\n  /queue/a:\n    ttl: 5x\n", "line 3: policies: /queue/a: ttl: '5x' is not a time; "),
        ("policies:\n  /queue/a: {ttl: -1}\n", "line 2: policies: /queue/a: ttl: '-1' is not a time; "),
        ("policies:\n  /queue/a: {ttl: 99999d}\n", "line 2: policies: /queue/a: ttl: must be at most 36500d, "),
        ("policies:\n  /queue/a: {prefetch: }\n", "line 2: policies: /queue/a: prefetch: '' is not a whole number"),
        ("policies:\n  /queue/a: {overflow: drop}\n", "unknown choice 'drop'; known: reject, "),
        ("policies:\n  /queue/a: {last-value: 'a:b'}\n", "last-value: 'a:b' is not the name of a header"),
        ("policies:\n  /queue/a: {deadletter: /topic/x}\n", "deadletter: '/topic/x' is not a queue"),
        ("policies:\n  /queue/a: {ttl: {a: 1}}\n", "/queue/a: ttl: expected one value, not further keys"),
        ("policies:\n  /queue/a: {ttl: !ruby/x 1}\n", "ttl: tags such as '!ruby/x' are not taken"),
        ("policies: !ruby/x {}\n", "line 1: policies: tags such as '!ruby/x' are not taken"),
        ("policies: 5\n", "line 1: policies: expected indented lines, each a pattern"),
        ("policies:\n  /queue/a: 5\n", "line 2: policies: /queue/a: expected indented lines, each an option"),
        ("policies:\n  /queue/a*: {}\n", "line 2: policies: pattern '/queue/a*': 'a*' is not a whole level"),
        ("policies:\n  '/queue/{[0-9]+}': {}\n", "regular expressions are not taken"),
        ("policies:\n  '': {}\n", "line 2: policies: pattern '': '' is not the name or pattern"),
        ("policies:\n  /queue/a:\n    ttl: 1\n    TTL: 2\n", "line 4: policies: /queue/a: ttl is there already"),
        ("policies:\n  /queue/a: {}\n  /queue/a: {}\n", "line 3: policies: /queue/a: means the same as /queue/a in "),
        ("policies:\n  /queue/a.*: {}\n  /queue/a/*: {}\n", "same as /queue/a.* in stompserver.conf line 2"),
        ("policies: {}\n:policies: {}\n", "line 2: policies is there already, in stompserver.conf line 1"),
        ("polices: {}\n", "line 1: unknown key 'polices'; did you mean policies?"),
        ("policies:\n  /queue/a: {retain: true}\n", "retain: only topics have it, and /queue/a means queues"),
        ("policies:\n  /queue/a:\n    ttl: 1d\n    max-ttl: 1h\n", "line 4: policies: /queue/a: max-ttl: is less"),
        ("policies:\n  /queue/a: {redelivery-delay: 2s, max-redelivery-delay: 1s}\n", "max-redelivery-delay: is"),
        ("policies:\n  /queue/a: {deadletter: /queue/a}\n", "a queue cannot be its own dead letter queue"),
        ("policies:\n  /queue/a: {deadletter: , expired: deadletter}\n", "expired: there is no dead letter queue"),
        ("policies:\n  /queue/a: {deadletter: , overflow: dead-letter}\n", "overflow: there is no dead letter queue"),
        ("policies:\n  /queue/a: {duplicate-window: 0, duplicate-time: 1s}\n", "duplicate-time: has no effect"),
    ],
)  # fmt: skip
def test_refusals_name_the_line_and_the_fix(tmp_path: Path, file: str, text: str) -> None:
    said = refusal(tmp_path, file)
    assert said.startswith("stompserver.conf line ")
    assert text in said


@given(
    st.recursive(
        st.sampled_from(
            [*POLICY_FIELDS, "/queue/a", "/topic/>", "#", "a*", "", "1", "5s", "1e9", "drop", "~", "yes"]
        )
        | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["/queue/a", "/queue/*", "ttl", "port", "name", "b#"]), inner, max_size=3
            )
        ),
        max_leaves=8,
    ),
    st.sampled_from(["policies", "listeners"]),
)
def test_any_section_gives_a_configuration_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, section: object, name: str
) -> None:
    directory = tmp_path_factory.getbasetemp()
    try:
        loaded(directory, yaml.safe_dump({name: section}))
    except ConfigError as error:
        said = str(error)
    else:
        said = "stompserver.conf is fine"
    assert said.startswith("stompserver.conf")
    assert said.isprintable()


@pytest.mark.parametrize("file", ["policies:\n", "policies: {}\n", "policies: {/queue/a: }\n"])
def test_nothing_said_is_nothing_changed(tmp_path: Path, file: str) -> None:
    assert policies_of(loaded(tmp_path, file).config).find("/queue/a").ttl == 0


def test_a_name_without_a_kind_is_warned_of(tmp_path: Path) -> None:
    (warning,) = loaded(tmp_path, "policies: {orders.*: {ttl: 1}}\n").warnings
    assert warning.endswith("did you mean /queue/orders.*?")


def test_policies_are_not_taken_from_the_environment(tmp_path: Path) -> None:
    (warning,) = loaded(tmp_path, "", STOMPSERVER_POLICIES="{}").warnings
    assert warning == "environment STOMPSERVER_POLICIES: only the configuration file can have that"


@pytest.mark.parametrize(
    ("text", "expected", "written"),
    [
        ("0", 0, "0"),
        ("1500", 1500, "1500ms"),
        ("500ms", 500, "500ms"),
        ("1.5s", 1500, "1500ms"),
        ("10 S", 10_000, "10s"),
        ("5m", 300_000, "5m"),
        ("120m", 7_200_000, "2h"),
        ("1d", 86_400_000, "1d"),
    ],
)
def test_times(text: str, expected: int, written: str) -> None:
    assert values.duration(text) == expected
    assert values.duration_as_text(expected) == written
    assert values.duration(written) == expected


@pytest.mark.parametrize("text", ["", "s", "1w", "-1s", "1s 2s", "1e3", "inf", True, None, "9" * 41])
def test_what_is_no_time(text: object) -> None:
    with pytest.raises(ValueError, match="is not a time"):
        values.duration(text)


def check(directory: Path) -> str:
    command = [sys.executable, "-m", "stompserver", "--check"]
    return subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True).stdout


def test_check_shows_them_by_specificity_with_their_origin(tmp_path: Path) -> None:
    (tmp_path / "stompserver.conf").write_text(FILE)
    lines = [re.sub(r"(?<=\S) +#", " #", line) for line in check(tmp_path).splitlines()]
    assert lines[lines.index("policies:") :] == [
        "policies:",
        "  /queue/orders.eu: # stompserver.conf line 11",
        "    ttl: 2d # stompserver.conf line 12",
        "    # deadletter: /queue/DLQ.% # /queue/orders.>, stompserver.conf line 8",
        "    # max-bytes: 1GiB # /queue/orders.>, stompserver.conf line 9",
        "    # overflow: drop-head # /queue/orders.>, stompserver.conf line 10",
        "    # max-redeliveries: 6 # /queue/#, stompserver.conf line 4",
        "    # redelivery-delay: 1s # /queue/#, stompserver.conf line 5",
        "    # timestamp: true # #, stompserver.conf line 6",
        "  /topic/prices.*: # stompserver.conf line 13",
        '    deadletter: "" # stompserver.conf line 14',
        "    # timestamp: true # #, stompserver.conf line 6",
        "  /queue/orders.>: # stompserver.conf line 7",
        "    deadletter: /queue/DLQ.% # stompserver.conf line 8",
        "    max-bytes: 1GiB # stompserver.conf line 9",
        "    overflow: drop-head # stompserver.conf line 10",
        "    # max-redeliveries: 6 # /queue/#, stompserver.conf line 4",
        "    # redelivery-delay: 1s # /queue/#, stompserver.conf line 5",
        "    # timestamp: true # #, stompserver.conf line 6",
        "  /queue/#: # stompserver.conf line 3",
        "    max-redeliveries: 6 # stompserver.conf line 4",
        "    redelivery-delay: 1s # stompserver.conf line 5",
        "    # timestamp: true # #, stompserver.conf line 6",
        '  "#": # stompserver.conf line 6',
        "    timestamp: true # stompserver.conf line 6",
    ]


def test_what_check_prints_can_be_used_as_a_file(tmp_path: Path) -> None:
    first = loaded(tmp_path, FILE + "listeners:\n- {port: 0, host: '*', name: 'a: b'}\n").config
    (tmp_path / "stompserver.conf").write_text(check(tmp_path))
    again = load([], {}, tmp_path).config
    assert dict(again.policies) == dict(first.policies)
    assert again.listeners == first.listeners


def test_sighup_takes_them_over_and_tells_what_changed(
    start_server: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "stompserver.conf"
    file.write_text("policies:\n  /queue/a: {ttl: 1s, prefetch: 3}\n  /queue/b: {ttl: 1s}\n")
    server = start_server(directory=tmp_path)
    file.write_text("policies:\n  /queue/a: {ttl: 5m, user: yes}\n  /queue/c.*: {max-bytes: 1MiB}\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("configuration and users read again; changed: policies")
    file.write_text("policies:\n  /queue/a: {ttl: 5q}\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_for_log("the configuration was not read again.*'5q' is not a time")
    log = server.stop()
    assert (
        "policy /queue/a changed: ttl: 5m (was 1s), prefetch: not set (was 3), user: true (was not set)"
        in log
    )
    assert "policy /queue/b is gone" in log
    assert "policy /queue/c.* is new: max-bytes: 1MiB" in log


def test_the_page_of_policies_is_fresh() -> None:
    assert PAGE.read_text("utf-8") == policies_page.page(), (
        "run: python -m stompserver.config policies > docs/reference/policies.md"
    )


def test_the_example_of_the_page_is_accepted(tmp_path: Path) -> None:
    example = PAGE.read_text("utf-8").split("```yaml\n")[1].split("```")[0]
    config = loaded(tmp_path, example).config
    assert [pattern for pattern, _ in config.policies] == [
        "/queue/#", "/queue/orders.>", "/queue/orders.eu", "/topic/prices.*",
    ]  # fmt: skip
