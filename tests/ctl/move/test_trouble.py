"""What goes wrong: a clear line, an exit code, and nothing acknowledged that is not safe."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import pytest
from scripted import Wire

MESSAGE = "MESSAGE\nsubscription:move-0\nack:{0}\nmessage-id:m{0}\ndestination:/queue/x\n\nbody {0}\0"


def url(broker: Any) -> str:
    return f"stomp://127.0.0.1:{broker.port}"


def quiet(wire: Wire) -> None:
    """A broker to whom nobody says more than that he leaves."""
    wire.greet()
    with contextlib.suppress(EOFError):
        while wire.hear()[0] == "DISCONNECT":
            pass


def gone(wire: Wire) -> None:
    """One whose client goes away without a word, since the other could not be had."""
    wire.greet()
    with pytest.raises(EOFError):
        wire.hear()


def old_with(count: int, acks: int) -> Callable[[Wire], None]:
    """It has so many messages, and gets so many ACKs."""

    def old(wire: Wire) -> None:
        wire.greet()
        wire.subscribed()
        for n in range(count):
            wire.say(MESSAGE.format(n))
        for n in range(acks):
            assert wire.expect("ACK")[1]["id"] == str(n)
        wire.goodbye()

    return old


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", "stomp://h", "/queue/x"), "--from"),
        (("--from", "stomp://h", "--to", "stomp://h"), "QUEUE"),
        (("--from", "http://h", "--to", "stomp://h", "/queue/x"), "begins stomp:// or stomps://"),
        (("--from", "stomp://", "--to", "stomp://h", "/queue/x"), "names no host"),
        (("--from", "stomp://u:secret@h:0", "--to", "stomp://h", "/queue/x"), "number from 1 to 65535"),
        (("--from", "stomp://u:secret@h:x", "--to", "stomp://h", "/queue/x"), "number from 1 to 65535"),
        (("--from", "stomp://u:secret?@h", "--to", "stomp://h", "/queue/x"), "%3F"),
        (("--from", "stomp://h", "--to", "stomp://h", "x"), "write /queue/x"),
        (("--from", "stomp://h", "--to", "stomp://h", "/queue/x="), "is not a queue"),
        (("--from", "stomp://h", "--to", "stomp://h", "/queue/x=/topic/y"), "nothing waits there"),
        (("--from", "stomp://h", "--to", "stomp://h", "/queue/x", "/queue/x=/queue/y"), "there twice"),
        (("--from", "stomp://h", "--to", "stomp://h", "--prefetch", "0", "/queue/x"), "--prefetch"),
    ],
)
def test_bad_input(words: tuple[str, ...], said: str, stompctl: Callable[..., Any]) -> None:
    output = stompctl(*words, code=2).output
    assert said in output
    assert "secret" not in output


def test_nobody_there(stompctl: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    output = stompctl("--from", f"stomp://127.0.0.1:{port}", "--to", "stomp://h", "/queue/x", code=1).output
    assert output == f"Error: the old broker at 127.0.0.1:{port} does not answer: Connection refused\n"


def test_a_refused_login(scripted: Any, stompctl: Callable[..., Any]) -> None:
    def refusing(wire: Wire) -> None:
        _, headers, _ = wire.expect("CONNECT")
        assert (headers["login"], headers["passcode"], headers["host"]) == ("me", "p:w", "/v1")
        wire.say("ERROR\nmessage:Bad CONNECT\n\nAccess refused for user 'me'\x1b[0\n\0")

    output = stompctl(
        *("--from", url(scripted(gone)), "/queue/x"),
        *("--to", f"stomp://me:p%3Aw@127.0.0.1:{scripted(refusing).port}/%2Fv1"),
        code=1,
    ).output
    assert "the new broker at 127.0.0.1:" in output
    assert "refused the login: Bad CONNECT: Access refused for user 'me'" in output
    assert "\x1b" not in output


def test_a_passcode_is_asked_for(scripted: Any, stompctl: Callable[..., Any]) -> None:
    def old(wire: Wire) -> None:
        assert wire.greet()["passcode"] == "hidden"
        wire.subscribed()
        wire.goodbye()

    ended = stompctl(
        *("--from", f"stomp://me@127.0.0.1:{scripted(old).port}", "--to", url(scripted(quiet)), "/queue/x"),
        *("--idle", "0.1"),
        input="hidden\n",
    )
    assert "hidden" not in ended.output


def test_the_urls_may_be_in_the_environment(
    scripted: Any, stompctl: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOMPCTL_FROM", url(scripted(old_with(0, 0))))
    monkeypatch.setenv("STOMPCTL_TO", url(scripted(quiet)))
    assert stompctl("/queue/x", "--idle", "0.1").stdout == "           0  /queue/x to /queue/x\n"


def test_no_stomp(scripted: Any, stompctl: Callable[..., Any]) -> None:
    def other(wire: Wire) -> None:
        wire.expect("CONNECT")
        wire.say("HTTP/1.1 400 Bad Request\r\n\r\n")

    output = stompctl("--from", url(scripted(other)), "--to", "stomp://h", "/queue/x", code=1).output
    assert "the old broker at 127.0.0.1:" in output


def test_the_same_queue(server: Any, stompctl: Callable[..., Any]) -> None:
    here = f"stomp://127.0.0.1:{server.port}"
    output = stompctl("--from", here, "--to", here, "/queue/x", code=2).output
    assert "a queue cannot be moved to itself" in output


def test_the_new_one_refuses_a_message(scripted: Any, stompctl: Callable[..., Any]) -> None:
    def new(wire: Wire) -> None:
        wire.greet()
        first, second = wire.expect("SEND"), wire.expect("SEND")
        wire.say(f"RECEIPT\nreceipt-id:{first[1]['receipt']}\n\n\0")
        wire.say(f"ERROR\nreceipt-id:{second[1]['receipt']}\nmessage:Full\n\nFull\nFix: wait\n\0")
        wire.expect("SEND")

    ended = stompctl("--from", url(scripted(old_with(3, 1))), "--to", url(scripted(new)), "/queue/x", code=1)
    assert ended.stdout == "           1  /queue/x to /queue/x\n"
    assert "to message m1 of /queue/x, which stays there: Full Fix: wait" in ended.stderr
    assert "may be in both brokers" in ended.stderr


def test_the_new_one_is_lost(scripted: Any, stompctl: Callable[..., Any]) -> None:
    def new(wire: Wire) -> None:
        wire.greet()
        _, headers, _ = wire.expect("SEND")
        wire.say(f"RECEIPT\nreceipt-id:{headers['receipt']}\n\n\0")
        wire.expect("SEND")

    ended = stompctl(
        *("--from", url(scripted(old_with(2, 1))), "--to", url(scripted(new)), "/queue/x", "--json"), code=1
    )
    answer = json.loads(ended.stdout)
    assert (answer["moved"], answer["ended"], answer["doubtful"]) == (1, "failed", True)
    assert "closed the connection. Nothing is lost" in ended.stderr


def test_the_old_one_is_lost(scripted: Any, stompctl: Callable[..., Any]) -> None:
    def old(wire: Wire) -> None:
        wire.greet()
        wire.subscribed()
        wire.say(MESSAGE.format(0))
        wire.expect("ACK")
        wire.say(MESSAGE.format(1)[:30])

    ended = stompctl("--from", url(scripted(old)), "--to", url(scripted(answering)), "/queue/x", code=1)
    assert "the old broker at" in ended.stderr
    assert "closed the connection" in ended.stderr


def answering(wire: Wire) -> None:
    """It takes all that comes."""
    wire.greet()
    with contextlib.suppress(EOFError):
        while True:
            command, headers, _ = wire.hear()
            if command == "SEND":
                wire.say(f"RECEIPT\nreceipt-id:{headers['receipt']}\n\n\0")


def test_the_old_one_says_error(scripted: Any, stompctl: Callable[..., Any]) -> None:
    def old(wire: Wire) -> None:
        wire.greet()
        wire.expect("SUBSCRIBE")
        # A line end in a header, as ActiveMQ writes them.
        wire.say("ERROR\nmessage:User is not authorized\n to read from x\n\njava.lang.SecurityException\0")

    ended = stompctl("--from", url(scripted(old)), "--to", url(scripted(quiet)), "/queue/x", code=1)
    assert "User is not authorized to read from x" in ended.stderr


@pytest.mark.parametrize(("answers", "code"), [(True, 0), (False, 1)])
def test_an_old_one_without_receipts(
    answers: bool, code: int, scripted: Any, stompctl: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stompserver.ctl.others.carrier.GOODBYE", 0.2)

    def old(wire: Wire) -> None:
        wire.greet()
        wire.expect("SUBSCRIBE")
        wire.expect("DISCONNECT")
        if answers:
            wire.say("RECEIPT\nreceipt-id:goodbye\n\n\0")

    words = ("--from", url(scripted(old)), "--to", url(scripted(quiet)), "/queue/x", "--idle", "0.1")
    ended = stompctl(*words, code=code)
    assert ("closed the connection" in ended.stderr or "answers neither" in ended.stderr) is not answers


def test_what_stomp_cannot_say_stays(scripted: Any, stompctl: Callable[..., Any]) -> None:
    def old(wire: Wire) -> None:
        wire.greet()
        wire.subscribed()
        wire.say(MESSAGE.format(0).replace("\n\n", "\ntransformation-error:no such class\n\n"))
        wire.goodbye()

    ended = stompctl("--from", url(scripted(old)), "--to", url(scripted(quiet)), "/queue/x", code=1)
    assert "cannot say message m0 of /queue/x in STOMP (no such class)" in ended.stderr


@pytest.mark.parametrize(("target", "code"), [("y", 1), ("/queue/y", 0)])
def test_a_warning_may_mean_a_loss(
    target: str, code: int, scripted: Any, stompctl: Callable[..., Any]
) -> None:
    def new(wire: Wire) -> None:
        wire.greet()
        _, headers, _ = wire.expect("SEND")
        wire.say(f"RECEIPT\nreceipt-id:{headers['receipt']}\nwarning:nobody hears it\n\n\0")
        wire.expect("DISCONNECT")

    old = scripted(old_with(1, 1 - code))
    words = ("--from", url(old), "--to", url(scripted(new)), f"/queue/x={target}", "--idle", "0.1")
    assert "nobody hears it" in stompctl(*words, code=code).stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("follow", "code"), [((), 1), (("--follow",), 0)])
def test_it_is_stopped(
    number: int, follow: tuple[str, ...], code: int, scripted: Any, stompctl: Callable[..., Any]
) -> None:
    before = signal.getsignal(number)

    def new(wire: Wire) -> None:
        wire.greet()
        _, headers, _ = wire.expect("SEND")
        # What is under way is brought to its end.
        os.kill(os.getpid(), number)
        wire.say(f"RECEIPT\nreceipt-id:{headers['receipt']}\n\n\0")
        wire.expect("DISCONNECT")

    ended = stompctl(
        *("--from", url(scripted(old_with(1, 1))), "--to", url(scripted(new)), "/queue/x", "--json", *follow),
        code=code,
    )
    answer = json.loads(ended.stdout)
    assert (answer["moved"], answer["ended"], answer["doubtful"]) == (1, "stopped", False)
    assert signal.getsignal(number) == before
