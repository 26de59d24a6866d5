"""Options of TLS, proxies and Unix sockets: how they are written, what they mean for a listener, what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from stompserver.config import Config, load
from stompserver.errors import ConfigError


def loaded(directory: Path, text: str, *words: str) -> Config:
    (directory / "stompserver.conf").write_text(text)
    return load(words, {}, directory).config


@pytest.mark.parametrize(
    ("words", "mode"),
    [
        (["--tls"], "yes"), (["--tls=detect"], "detect"), (["--tls=off"], "no"), (["--tls", "--no-tls"], "no"),
        (["--tls=TRUE"], "yes"), ([], "no"),
    ],
)  # fmt: skip
def test_the_switch(tmp_path: Path, words: list[str], mode: str) -> None:
    assert loaded(tmp_path, "tls-cert: a.pem\n", *words).tls == mode


@pytest.mark.parametrize(("word", "mode"), [("true", "yes"), ("no", "no"), ("Detect", "detect")])
def test_the_same_in_the_file(tmp_path: Path, word: str, mode: str) -> None:
    assert loaded(tmp_path, f"tls-cert: a.pem\ntls: {word}\n").tls == mode


def test_files_lie_in_etcdir_and_sockets_in_working_dir(tmp_path: Path) -> None:
    text = """
etcdir: conf
tls-cert: a.pem
tls-client-ca: /ca.pem
listeners:
  - unix: run/s
    tls: true
    tls-cert: b.pem
    tls-names: [c.pem, "d.pem:/d.key"]
"""
    config = loaded(tmp_path, text)
    assert config.tls_cert == tmp_path / "conf/a.pem"
    assert config.tls_client_ca == Path("/ca.pem")
    each = config.listeners[0]
    assert each.unix == tmp_path / "run/s"
    assert config.of_listener(1).tls_cert == tmp_path / "conf/b.pem"
    assert each.tls_names == (f"{tmp_path}/conf/c.pem", f"{tmp_path}/conf/d.pem:/d.key")


def test_a_listener_has_what_the_server_has_but_for_the_key_of_another_certificate(tmp_path: Path) -> None:
    text = """
tls: detect
tls-cert: a.pem
tls-key: a.key
tls-min-version: 1.3
listeners:
  - port: 1
  - port: 2
    tls: false
  - port: 3
    tls-cert: b.pem
    tls-min-version: 1.2
"""
    config = loaded(tmp_path, text)
    first, second, third = (config.of_listener(number) for number in (1, 2, 3))
    assert (first.tls, first.tls_key, first.tls_min_version) == ("detect", tmp_path / "etc/a.key", "1.3")
    assert second.tls == "no"
    assert (third.tls, third.tls_key, third.tls_min_version) == ("detect", None, "1.2")
    assert config.of_listener(0) is config


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tls: true\n", "stompserver.conf line 1: tls: needs a certificate: set tls-cert"),
        ("tls: maybe\n", "stompserver.conf line 1: tls: unknown choice 'maybe'; known: no, yes, detect"),
        (
            "tls-client-cert: yes\n",
            "line 1: tls-client-cert: 'yes' does not say which; known: no, want, need",
        ),
        ("tls-client-cert: want\n", "line 1: tls-client-cert: needs tls-client-ca"),
        ("tls-login: cn\n", "line 1: tls-login: needs tls-client-cert: want or need"),
        ("tls-crl: x\n", "line 1: tls-crl: needs tls-client-ca"),
        ("tls-min-version: 1.1\n", "line 1: tls-min-version: unknown version '1.1'; known: 1.2, 1.3"),
        ("tls-names: 'a:b:c'\n", "line 1: tls-names: 'a:b:c' is neither CERT nor CERT:KEY"),
        ("tls-handshakes: 0\n", "line 1: tls-handshakes: must be at least 1"),
        ("proxy-protocol: true\n", "line 1: proxy-protocol: needs proxy-networks"),
        ("proxy-networks: 10.0.0.1/8\n", "line 1: proxy-networks: '10.0.0.1/8' is no network"),
        ("listeners:\n  - tls: yes\n", "line 2: listeners: item 1: needs a port (or unix"),
        ("listeners:\n  - port: 1\n    tls: yes\n", "line 3: listeners: item 1: tls: needs a certificate"),
        ("listeners:\n  - port: 1\n    unix: s\n", "line 2: listeners: item 1: port: a Unix socket has none"),
        (
            "listeners:\n  - unix: s\n    unix-mode: 888\n",
            "line 3: listeners: item 1: unix-mode: '888' is no mode",
        ),
        ("listeners:\n  - unix: s\n  - unix: ./s\n", "line 3: listeners: item 2: "),
    ],
)
def test_what_cannot_be(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    assert problem in str(caught.value)


def test_a_proxy_of_a_unix_socket_needs_no_network(tmp_path: Path) -> None:
    config = loaded(tmp_path, "listeners:\n  - unix: s\n    proxy-protocol: true\n")
    assert config.listeners[0].unix_mode == 0o660
