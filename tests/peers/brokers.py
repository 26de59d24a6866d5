"""The peers, as Debian has them, and stompserver: how `bench.target` starts each, on loopback."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from bench.peers import ACTIVEMQ_XML, PEERS, rabbitmq_files, write_files
from bench.subject import Subject
from bench.target import free_port

QUIET = 0.6  # seconds without an octet after which a peer has nothing more to say; on a machine with two busy cores
PACKAGES = {"rabbitmq": "rabbitmq-server", "activemq": "activemq"}
# As shipped, but that it delivers later what shall be delivered later.
XML = ACTIVEMQ_XML.replace('useJmx="false"', 'useJmx="false" schedulerSupport="true"')


def _rabbitmq(port: int, directory: Path) -> list[str]:
    write_files(directory, rabbitmq_files(port, free_port(), free_port(), directory))
    return ["/bin/sh", str(directory / "start.sh")]


def _activemq(port: int, directory: Path) -> list[str]:
    write_files(directory, {"activemq.xml": XML.format(data=directory / "data", port=port)})
    return PEERS["activemq"].command(port, directory)


def _stompserver(words: str) -> Subject:
    return Subject(
        name=f"stompserver as {words}",
        command=lambda port, directory: [
            *(sys.executable, "-m", "stompserver", "-b", "127.0.0.1", "-p", str(port), "-w", str(directory)),
            *(f"--dialect={words}", "--monitor-interval=0", "--linger=0.1"),
        ],
        start_seconds=60,
    )


SUBJECTS = {
    "rabbitmq": replace(PEERS["rabbitmq"], command=_rabbitmq),
    "activemq": replace(PEERS["activemq"], command=_activemq),
    "stompserver-rabbitmq": _stompserver("rabbitmq"),
    "stompserver-activemq": _stompserver("activemq"),
}


def missing() -> list[str]:
    """The packages of Debian that are not installed."""
    return [PACKAGES[name] for name in PACKAGES if SUBJECTS[name].missing()]
