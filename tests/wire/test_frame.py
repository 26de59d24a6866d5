"""The form of a frame in logs."""

from __future__ import annotations

import pytest

from stompserver.wire.frame import LOGGED_BODY, Frame


@pytest.mark.parametrize(
    "name", ["passcode", "Passcode", "PASSCODE", " passcode", "passcode ", "authorization", "token"]
)
def test_secrets_are_masked(name: str) -> None:
    text = str(Frame("CONNECT", {"login": "me", name: "sesame"}, b""))
    assert "login:me" in text
    assert "sesame" not in text
    assert "***" in text


def test_one_line_whatever_is_in_it() -> None:
    text = str(Frame("SEND", {"a\nb": "c\rd\x00\x1b[31m", "e": "\udcff"}, b"\n\x1b\xff"))
    assert text.isprintable()
    assert text.startswith("SEND ")


@pytest.mark.parametrize(("length", "cut"), [(0, False), (LOGGED_BODY, False), (LOGGED_BODY + 1, True)])
def test_the_body_is_cut(length: int, cut: bool) -> None:
    text = str(Frame("SEND", {}, b"x" * length))
    assert text.count("x") == min(length, LOGGED_BODY)
    assert (f"({length} bytes)" in text) is cut
