"""Reports about the first frame, logins, versions, heart-beats and the last frame."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    "frame", ["SEND\ndestination:/queue/a\n\nx\0", "SUBSCRIBE\nid:0\ndestination:/queue/a\n\n\0"]
)
def test_nothing_is_done_before_connect(place: Any, frame: str) -> None:
    """vert-x3/vertx-stomp#87: whoever sent no CONNECT could send and subscribe all the same."""
    assert place.visit(frame).error()["message"] == "Not connected"


def test_a_second_connect_is_told_what_is_wrong(place: Any) -> None:
    """vert-x3/vertx-stomp#90: the ERROR for a second CONNECT had an empty body, and the client broke on that."""
    client = place.connect()
    client.send("CONNECT\naccept-version:1.2\nhost:h\n\n\0")
    error = client.error()
    assert error["message"] == "Already connected"
    assert int(error["content-length"]) == len(error.body.encode()) > 0


def test_a_second_connect_leaves_no_timer(new_world: Any) -> None:
    """vert-x3/vertx-stomp#61: after a second CONNECT the first one's heart-beats went on for days."""
    peer = new_world(heart_beat=(1000, 1000)).stranger()
    hello = b"CONNECT\naccept-version:1.2\nhost:h\nheart-beat:5000,10000\n\n\0"
    peer.get(hello, "CONNECTED")
    peer.fails(hello)
    peer.session.lost()
    assert peer.session.tick(peer.now + 1e6) is None
    assert peer.read() == []


def test_no_accept_version_is_the_first_version(place: Any) -> None:
    """hozn/coilmq#29: CONNECT without accept-version was refused."""
    assert place.visit("CONNECT\nlogin:a\npasscode:b\n\n\0").expect("CONNECTED")["version"] == "1.0"


def test_another_header_does_not_choose_the_version(place: Any) -> None:
    """NaikSoftware/StompProtocolAndroid#131: a client says `version` where it means accept-version."""
    assert place.visit("CONNECT\nversion:1.1,1.2\nhost:h\n\n\0").expect("CONNECTED")["version"] == "1.0"


def test_stomp_is_connect(place: Any) -> None:
    """spring-projects/spring-framework#22722: the command STOMP was ignored, and no answer came."""
    assert place.visit("STOMP\naccept-version:1.1,1.2\nhost:h\n\n\0").expect("CONNECTED")["version"] == "1.2"


@pytest.mark.parametrize("host", ["", "host:\n", "host:/\n", "host:no.such.host\n"])
def test_any_host_will_do(place: Any, host: str) -> None:
    """joffrey-bion/krossbow#122: a server refused clients by their host header."""
    assert place.visit(f"CONNECT\naccept-version:1.2\n{host}\n\0").expect("CONNECTED")["version"] == "1.2"


def test_a_version_that_was_not_offered(place: Any) -> None:
    """gmallard/stompngo#2: a client that knew 1.1 only was connected with 1.0."""
    assert place.visit("CONNECT\naccept-version:1.1\nhost:h\n\n\0").expect("CONNECTED")["version"] == "1.1"
    error = place.visit("CONNECT\naccept-version:2.0\nhost:h\n\n\0").error()
    assert error["version"] == "1.0,1.1,1.2"


def test_empty_login_where_nobody_asks(place: Any) -> None:
    """iande/onstomp#28: clients without a login say it with an empty value, and were refused."""
    place.connect(more="login:\npasscode:\n").nothing()


def test_a_wrong_login_is_told(new_world: Any) -> None:
    """danieleteti/delphistompclient#30: the connection was closed, and what was wrong got lost."""
    peer = new_world(authenticate=True).stranger()
    peer.send(b"CONNECT\naccept-version:1.2\nhost:h\nlogin:a\npasscode:b\n\n\0")
    peer.session.authenticated(None, peer.now)
    (error,) = peer.read()
    assert (error.command, error["message"]) == ("ERROR", "Invalid Login")
    assert peer.session.closing


@pytest.mark.parametrize("passcode", ["pa:ss", "pa\\css", "pa\\ss "])
def test_a_password_is_what_was_sent(new_world: Any, passcode: str) -> None:
    """emqx/emqx#12917, community-of-python/stompman#37: logins failed, as one side escaped the password, the
    other not.
    """
    peer = new_world(authenticate=True).stranger()
    peer.send(f"CONNECT\naccept-version:1.2\nhost:h\nlogin:a:b\npasscode:{passcode}\n\n\0".encode())
    assert peer.session.credentials == ("a:b", passcode)


@pytest.mark.parametrize("pair", ["5000", "'44444,10000'", "a,b", "-1,0", "1,2,3"])
def test_a_pair_of_heart_beats_that_is_none(place: Any, pair: str) -> None:
    """JSteunou/webstomp-client#32: half a heart-beat header was answered by an error that said nothing."""
    error = place.visit(f"CONNECT\naccept-version:1.2\nhost:h\nheart-beat:{pair}\n\n\0").error()
    assert "heart-beat" in error["message"]
    assert "heart-beat:" in error.body


def test_blanks_in_a_pair_of_heart_beats(place: Any) -> None:
    """gdaws/stompit#53: a heart-beat header with a blank or quotes was thrown away in silence."""
    place.connect(more="heart-beat:44444, 10000\n").nothing()


def test_the_server_says_its_own_heart_beats(place: Any) -> None:
    """eclipse-ee4j/openmq#361: the answer to whatever a client wanted was 0,0."""
    assert (
        place.visit("CONNECT\naccept-version:1.2\nhost:h\nheart-beat:1000,1000\n\n\0").expect("CONNECTED")[
            "heart-beat"
        ]
        == "1000,1000"
    )


def beats(peer: Any, seconds: float, hear: bool = True) -> list[tuple[float, bytes]]:
    """What the session writes in this time, and when; the client says something all the while, or nothing."""
    begin, written = peer.now, []
    while True:
        if hear:
            peer.session.receive(b"\n", peer.now)
        due = peer.session.tick(peer.now)
        if octets := peer.take():
            written.append((peer.now - begin, octets))
            peer.session.written(peer.now)
        if due is None or due > begin + seconds:
            return written
        peer.now = due


def hello(world: Any, pair: str) -> Any:
    peer = world.stranger()
    peer.get(f"CONNECT\naccept-version:1.2\nhost:h\nheart-beat:{pair}\n\n\0".encode(), "CONNECTED")
    return peer


def test_the_larger_number_counts(new_world: Any) -> None:
    """nikipore/stompest#21: one side's numbers were taken as they are, instead of the larger of both."""
    slow = hello(new_world(heart_beat=(1000, 1000)), "0,10000")
    times = [time for time, _ in beats(slow, 30)]
    assert 3 <= len(times) <= 4
    fast = hello(new_world(heart_beat=(5000, 5000)), "0,10")
    assert 5 <= len(beats(fast, 30)) <= 8


def test_a_beat_that_is_a_little_late(new_world: Any) -> None:
    """mokshaproject/moksha#64, emqx/emqx#12911: beats at the end of their time came too late, and clients were
    cut.
    """
    peer = hello(new_world(heart_beat=(0, 10000)), "10000,0")
    for _ in range(20):
        peer.now += 12
        peer.session.tick(peer.now)
        peer.send(b"\n")
    assert peer.state == "connected"
    peer.now += 60
    peer.session.tick(peer.now)
    assert peer.read()[-1].command == "ERROR"


def test_a_beat_is_a_line_end(new_world: Any) -> None:
    """hozn/coilmq#26: heart-beats were sent as ERROR frames."""
    written = beats(hello(new_world(heart_beat=(1000, 0)), "0,1000"), 10)
    assert {octets for _, octets in written} == {b"\n"}


def test_beats_go_on_after_a_message(new_world: Any) -> None:
    """jasonrbriggs/stomp.py#159: after a MESSAGE the next heart-beat came too late, and the client gave up."""
    world = new_world(heart_beat=(3000, 3000))
    peer, sender = hello(world, "3000,3000"), world.connect("1.2")
    peer.subscribe("/queue/a")
    beats(peer, 2.3)
    sender.publish("/queue/a", b"x")
    assert peer.messages() == [b"x"]
    last = 0.0
    for time, octets in beats(peer, 30):
        assert octets == b"\n"
        assert time - last <= 3
        last = time
    assert last > 25


def test_a_quiet_client_without_beats_stays(new_world: Any) -> None:
    """stompgem/stomp#136, apache/artemis#208: clients of 1.0, which has no heart-beats, were cut after a minute."""
    peer = new_world(heart_beat=(1000, 1000)).connect("1.0")
    peer.now += 1e6
    assert peer.session.tick(peer.now) is None
    assert peer.state == "connected"


def test_no_beats_after_the_end(new_world: Any) -> None:
    """apache/artemis#979 (ARTEMIS-934): heart-beats went on for connections that were gone."""
    peer = hello(new_world(heart_beat=(1000, 1000)), "1000,1000")
    peer.ask(b"DISCONNECT\nreceipt:r\n\n\0")
    assert beats(peer, 60, hear=False) == []
    peer.session.lost()
    assert peer.session.tick(peer.now + 60) is None


def test_goodbye_is_answered_and_then_the_line_is_closed(place: Any) -> None:
    """emqx/emqx#304: DISCONNECT with a receipt crashed the connection before the answer."""
    client = place.connect()
    client.send("DISCONNECT\nreceipt:bye\n\n\0")
    assert client.rest().lstrip(b"\n") == b"RECEIPT\nreceipt-id:bye\n\n\0\n"


def test_what_was_sent_before_goodbye_is_done(place: Any) -> None:
    """rucio/rucio#2606: programs that ended without a DISCONNECT that has a receipt lost their last messages."""
    sender = place.connect()
    sender.send(
        "".join(f"SEND\ndestination:{place.queue}\n\n{n}\0" for n in range(50))
        + "DISCONNECT\nreceipt:bye\n\n\0"
    )
    assert b"receipt-id:bye" in sender.rest()
    reader = place.connect()
    reader.subscribe(place.queue)
    assert reader.bodies(50) == [str(n) for n in range(50)]


def test_the_answer_comes_behind_what_was_asked_before(place: Any) -> None:
    """gmallard/stompngo#49: a client waited for the RECEIPT of its DISCONNECT for ever."""
    client = place.connect()
    client.send(
        f"SUBSCRIBE\nid:0\ndestination:{place.queue}\nack:client\nreceipt:1\n\n\0SEND\ndestination:{place.queue}\nreceipt:2\n\nx\0DISCONNECT\nreceipt:3\n\n\0"
    )
    octets = client.rest()
    assert [octets.index(b"receipt-id:%d" % n) for n in (1, 2, 3)] == sorted(
        octets.index(b"receipt-id:%d" % n) for n in (1, 2, 3)
    )
    assert octets.endswith(b"receipt-id:3\n\n\0\n")
