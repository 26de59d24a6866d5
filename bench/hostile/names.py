"""Names, patterns and selectors that take long to compare."""

from __future__ import annotations

from bench.hostile.attack import Attack
from bench.hostile.stage import Stage
from bench.hostile.wire import send, subscribe


def deep(stage: Stage) -> str:
    """A pattern with a wildcard at every other level, and a name that nearly fits: as long as can be."""
    levels = stage.count(14_000)
    wire = stage.connect()
    stage.begin()
    wire.done(subscribe(b"/topic/" + b"#.a." * levels + b"b"))
    wire.done(send(b"/topic/" + b"a." * levels * 2 + b"c"))
    return "answered"


def deep_with_few(stage: Stage) -> str:
    """The same within what ordinary names need: 250 octets, and 1,000 patterns of them."""
    wire = stage.connect()
    stage.begin()
    for number in range(stage.count(900)):
        pattern = b"/topic/" + b"#.a." * 8 + b"x%d" % number
        wire.say(subscribe(pattern, number))
    for number in range(stage.count(1000)):
        wire.say(send(b"/topic/" + b"a." * 60 + b"n%d" % number))
    wire.done(send(b"/topic/end"))
    return "answered"


def patterns(stage: Stage) -> str:
    """1,000 patterns, and new names that are compared with all of them."""
    wire = stage.connect()
    for number in range(stage.count(990)):
        wire.say(subscribe(b"/topic/a.*.%d.>" % number, number))
    wire.done(send(b"/topic/none"))
    stage.begin()
    wire.pour(send(b"/topic/a.%d.b.c" % number) for number in range(stage.count(20_000)))
    wire.done(send(b"/topic/end"))
    return "answered"


def like(stage: Stage) -> str:
    """LIKE with many wildcards on a long header, by as many subscriptions as a connection may have."""
    wire = stage.connect()
    pattern = b"%a" * 990
    for number in range(stage.count(990)):
        wire.say(subscribe(b"/topic/like", number, b"selector:h LIKE '%b%%b'\n" % pattern))
    wire.done(send(b"/topic/none"))
    stage.begin()
    wire.say(send(b"/topic/like", b"x", b"h:" + b"a" * 60_000 + b"\n"))
    wire.done(send(b"/topic/end"))
    return "answered"


def selectors(stage: Stage) -> str:
    """The longest selectors, one after the other in a packet."""
    wire = stage.connect()
    selector = b" OR ".join(b"a%d = 'x'" % number for number in range(4000))[:65_000].rpartition(b" OR ")[0]
    stage.begin()
    frames = [
        subscribe(b"/topic/long", number, b"selector:" + selector + b"\n")
        for number in range(stage.count(30))
    ]
    wire.pour(frames, 1 << 22)
    wire.done(send(b"/topic/end"))
    return "answered"


def log(stage: Stage) -> str:
    """Names of 60 KB that the log could be filled with, and warnings by the thousand."""
    wire = stage.connect()
    name = b"/topic/" + b"\x01" * 60_000
    stage.begin()
    for number in range(stage.count(50)):
        wire.say(subscribe(name, number), b"UNSUBSCRIBE\nid:%d\n\n\0" % number)
    wire.pour(send(b"/queue/log", b"x", b"x-max-length:no\n") for _ in range(stage.count(20_000)))
    wire.done(send(b"/topic/end"))
    return f"answered; {len(stage.log()) >> 10:,} KiB of log"


ATTACKS = (
    Attack("deep", "a name of 28,000 levels against a pattern with 14,000 wildcards", deep),
    Attack("deep short", "900 patterns of 8 wildcards, 1,000 names of 60 levels", deep_with_few),
    Attack("patterns", "990 patterns, 20,000 new names", patterns),
    Attack("like", "LIKE with 990 wildcards on 60 KB, 990 subscriptions", like),
    Attack("selectors", "30 selectors of 64 KB in a packet", selectors),
    Attack("log", "50 names of 60 KB of control characters, 20,000 warnings", log, ("--log-level", "info")),
)
