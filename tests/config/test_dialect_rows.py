"""``dialect``: one word that sets options, below all that is set by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from stompserver import cli
from stompserver.config import Loaded, load
from stompserver.config.dialects import ORIGINAL, ROWS, of_listener
from stompserver.config.listeners import LISTENER_FIELDS
from stompserver.config.options import OPTIONS, Config, attribute_of
from stompserver.errors import ConfigError
from stompserver.server.terms import rules_of

OTHERS = sorted(set(ROWS) - {ORIGINAL})


def loaded(directory: Path, file: str, *words: str, **environment: str) -> Loaded:
    (directory / "stompserver.conf").write_text(file)
    return load(list(words), environment, directory)


def test_the_original_is_the_defaults() -> None:
    for key, text in ROWS[ORIGINAL].items():
        assert OPTIONS[key].parse(text) == getattr(Config(), attribute_of(key)), key


@pytest.mark.parametrize("word", OTHERS)
def test_a_row_is_options_that_differ_from_the_original(word: str) -> None:
    for key, text in ROWS[word].items():
        parse = OPTIONS[key].parse
        assert parse(text) != parse(ROWS[ORIGINAL][key]), key


@pytest.mark.parametrize("word", [*OTHERS, ORIGINAL])
def test_the_server_has_what_its_row_says(tmp_path: Path, word: str) -> None:
    found = loaded(tmp_path, f"dialect: {word}\n")
    assert found.config.dialect == word
    for key, text in {**ROWS[ORIGINAL], **ROWS[word]}.items():
        assert getattr(found.config, attribute_of(key)) == OPTIONS[key].parse(text)
        of_row = word != ORIGINAL and key in ROWS[word]
        assert found.origins[key] == (f"dialect {word}" if of_row else "default")


@pytest.mark.parametrize(
    ("file", "words", "environment"),
    [
        ("dialect: activemq\nprefetch: 7\n", [], {}),
        ("prefetch: 7\n", ["--dialect", "ActiveMQ"], {}),
        ("dialect: activemq\n", ["--prefetch=7"], {}),
        ("dialect: rabbitmq\n", ["--prefetch=7"], {"STOMPSERVER_DIALECT": "activemq"}),
    ],
)
def test_what_is_set_by_name_counts(
    tmp_path: Path, file: str, words: list[str], environment: dict[str, str]
) -> None:
    config = loaded(tmp_path, file, *words, **environment).config
    assert (config.prefetch, config.prefetch_stomp10) == (7, 1000)
    assert config.deadletter == "/queue/ActiveMQ.DLQ"


@pytest.mark.parametrize("word", [*OTHERS, ORIGINAL])
def test_a_listener_has_all_of_its_own(tmp_path: Path, word: str) -> None:
    file = f"dialect: activemq\nlisteners:\n- port: 1\n  dialect: {word}\n  prefetch: 3\n- port: 2\n"
    own, other = loaded(tmp_path, file).config.listeners
    for key, text in of_listener(word).items():
        value = 3 if key == "prefetch" else OPTIONS[key].parse(text)
        assert getattr(own, attribute_of(key)) == value, key
        assert getattr(other, attribute_of(key)) is None
    assert set(of_listener(word)) <= set(LISTENER_FIELDS)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (
            "dialect: rabitmq\n",
            "line 1: dialect: unknown dialect 'rabitmq'; known: original, rabbitmq, activemq, ",
        ),
        ("dialect:\n", "line 1: dialect: unknown dialect ''; known: "),
        (
            "listeners:\n- port: 1\n  dialect: hornetq\n",
            "line 3: listeners: item 1: dialect: unknown dialect 'hornetq'; known: original, rabbitmq, ",
        ),
        (
            "message-headers: none,redelivered\n",
            "line 1: message-headers: 'none,redelivered' is none and something else",
        ),
        ("message-headers: redelivery\n", "unknown header 'redelivery'; known: redelivered, timestamp, "),
        ('wildcards: "*,%"\n', "line 1: wildcards: unknown wildcard '%'; known: *, >, #, **, none"),
        ("client-id-in-use: steal\n", "unknown choice 'steal'; known: takeover, refuse, share"),
        ("nack: never\n", "line 1: nack: unknown choice 'never'; known: again, deadletter"),
        (
            "policies:\n  /queue/a:\n    deadletter: ''\n    nack: deadletter\n",
            "line 4: policies: /queue/a: nack: there is no dead letter queue, since deadletter is empty",
        ),
        (
            "listeners:\n- port: 1\n  dialect: artemis\n  deadletter: /queue/x\n",
            "line 4: listeners: item 1: unknown option 'deadletter'",
        ),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, file: str, text: str) -> None:
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, file)
    assert text in str(error.value)


def test_check_shows_what_it_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stompserver.conf").write_text(
        "dialect: activemq\nprefetch: 5\nlisteners:\n- port: 1\n  dialect: rabbitmq\n  server-header: mine\n"
    )
    monkeypatch.chdir(tmp_path)
    assert cli.main(["--check"]) == 0
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "dialect: activemq # stompserver.conf line 1" in shown
    assert "prefetch: 5 # stompserver.conf line 2" in shown
    assert "deadletter: /queue/ActiveMQ.DLQ # dialect activemq" in shown
    assert "max-redeliveries: 0 # default" in shown
    assert "dialect: rabbitmq # stompserver.conf line 5" in shown
    assert "server-header: mine # stompserver.conf line 6" in shown
    assert "bare-destination: queue # dialect rabbitmq, stompserver.conf line 5" in shown
    assert not any("not so" in line for line in shown)


def test_check_shows_what_a_listener_cannot_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = "priorities: yes\nlisteners:\n- port: 1\n  dialect: artemis\n"
    (tmp_path / "stompserver.conf").write_text(file)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["--check"]) == 0
    printed = capsys.readouterr().out
    shown = [" ".join(line.split()) for line in printed.splitlines()]
    assert "# deadletter: /queue/DLQ # not so: queues are the same for all listeners" in shown
    assert "# max-redeliveries: 9 # not so: queues are the same for all listeners" in shown
    assert not any("# priorities" in line for line in shown)
    # What it prints is a configuration file that says the same, without a word.
    again = loaded(tmp_path, printed)
    assert again.config == loaded(tmp_path, file).config


def test_a_dead_letter_queue_for_each_queue(tmp_path: Path) -> None:
    rules = rules_of(loaded(tmp_path, "deadletter: /queue/dead.%\n").config)
    policies = rules.policies
    for name, grave in (("/queue/a", "/queue/dead.a"), ("/queue/dead.a", "/queue/dead.a")):
        assert policies.deadletter_of(policies.find(name), name) == grave
