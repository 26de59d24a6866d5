"""Third-party STOMP client libraries: how to run each, how to find out whether it is there, what it can."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

HERE = Path(__file__).parent
SECONDS = 60.0
AT_ONCE = 4
NODE_MODULES = "the packages of tests/interop/node (`make node`, or `npm ci` there)"

VERSIONS = ("1.0", "1.1", "1.2")
ALL_HEADERS = ("colon", "backslash", "path", "newline", "return", "utf8", "spaces", "empty")


def headers_but(*lacking: str) -> tuple[str, ...]:
    return tuple(name for name in ALL_HEADERS if name not in lacking)


@dataclass(frozen=True)
class Client:
    """A client library: how to run its scenarios, how to find out whether it is there, and what it can."""

    script: str
    interpreter: str
    probe: tuple[str, ...]  # arguments of the interpreter; fails when the library is missing
    install: str
    headers: dict[str, tuple[str, ...]]  # by version: headers that it carries there and back unharmed
    options: tuple[str, ...] = ()  # of the interpreter
    lacks: frozenset[str] = frozenset()  # scenarios it has no means for
    tells_why: bool = True  # shows its user the reason of a refused CONNECT
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        return [self.interpreter, *self.options, str(HERE / self.script)]


# In 1.0 nothing is escaped, so no line ends, and the server takes the spaces away; 1.1 has no escape for CR.
PLAIN = headers_but("newline", "return", "spaces")
ESCAPED_11 = headers_but("return")
UNTOUCHED = ("utf8", "empty")  # for clients that do not (un)escape, where the server does
STOMP_PY = {  # unescapes in 1.0, too
    "1.0": headers_but("newline", "return", "spaces", "backslash", "path"),
    "1.1": ESCAPED_11,
    "1.2": ALL_HEADERS,
}
NO_BEATS = frozenset({"heartbeat", "monitor"})

CLIENTS = {
    "stomp.py": Client(
        script="python/stomppy.py",
        interpreter=sys.executable,
        probe=("-c", "import stomp"),
        install="pip install stomp.py",
        headers=STOMP_PY,
        tells_why=False,
        variables={"PYTHONDONTWRITEBYTECODE": "1"},
    ),
    "python3-stomp": Client(
        script="python/stomppy.py",
        interpreter="/usr/bin/python3",
        probe=("-c", "import stomp"),
        install="apt-get install python3-stomp",
        headers=STOMP_PY,
        tells_why=False,
        variables={"PYTHONDONTWRITEBYTECODE": "1"},
    ),
    "stompest": Client(
        script="python/stompest_sync.py",
        interpreter=sys.executable,
        probe=("-c", "import stompest.sync"),
        install="pip install stompest",
        headers={  # its 1.0 is ASCII
            "1.0": headers_but("newline", "return", "spaces", "utf8"),
            "1.1": ESCAPED_11,
            "1.2": ALL_HEADERS,
        },
        tells_why=False,
        variables={"PYTHONDONTWRITEBYTECODE": "1"},
    ),
    "ruby-stomp": Client(
        script="ruby/stomp_gem.rb",
        interpreter="ruby",
        probe=("-e", "require 'stomp'"),
        install="apt-get install ruby ruby-stomp",
        headers={  # decodes `\\\\n` as backslash and line end; refuses to send empty values in 1.0
            "1.0": headers_but("newline", "return", "spaces", "path", "empty"),
            "1.1": headers_but("return", "path"),
            "1.2": headers_but("path"),
        },
    ),
    "stompit": Client(
        script="node/stompit.mjs",
        interpreter="node",
        probe=("--input-type=module", "-e", "import 'stompit'"),
        install=NODE_MODULES,
        headers={"1.0": PLAIN, "1.1": ESCAPED_11, "1.2": ALL_HEADERS},
        lacks=frozenset({"monitor"}),
    ),
    "stompjs": Client(
        script="node/stompjs.mjs",
        interpreter="node",
        probe=("--input-type=module", "-e", "import '@stomp/stompjs'"),
        install=NODE_MODULES,
        headers={  # escapes in 1.2 only, decodes `\\\\n` wrongly, trims values
            "1.0": PLAIN,
            "1.1": UNTOUCHED,
            "1.2": headers_but("path", "spaces"),
        },
        lacks=frozenset({"monitor"}),
    ),
    "Net::Stomp": Client(
        script="perl/net_stomp.pl",
        interpreter="perl",
        probe=("-MNet::Stomp", "-e", "1"),
        install="apt-get install libnet-stomp-perl",
        headers={"1.0": ("colon", "path", "utf8", "empty"), "1.1": UNTOUCHED, "1.2": UNTOUCHED},
        lacks=NO_BEATS,
    ),
    "php-stomp": Client(
        script="php/stomp.php",
        interpreter="php",
        # It gives up after 2 s of silence, and the answer to a wrong login takes one in any case.
        options=("-d", "stomp.default_read_timeout_sec=30", "-d", "stomp.default_connection_timeout_sec=30"),
        probe=("-r", "class_exists('Stomp') || exit(1);"),
        install="apt-get install php-cli php-stomp",
        headers={"1.0": ("colon", "path", "utf8", "empty"), "1.1": UNTOUCHED, "1.2": UNTOUCHED},
        lacks=NO_BEATS,
    ),
}


@functools.cache
def missing(name: str) -> str:
    """Why the client cannot be run, or nothing when it can."""
    return why_missing(CLIENTS[name])


def why_missing(client: Client) -> str:
    if not shutil.which(client.interpreter):
        return f"{client.interpreter} is not installed"
    probe = subprocess.run(
        [client.interpreter, *client.probe],
        cwd=(HERE / client.script).parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    return "" if probe.returncode == 0 else (probe.stderr.strip().splitlines() or ["it does not load"])[-1]


def run(
    name: str, version: str, scenario: str, address: tuple[str, int], key: str = "", **settings: str
) -> Any:
    """What the client saw. `settings` reach its script as INTEROP_... variables."""
    client = CLIENTS[name]
    if reason := missing(name):
        pytest.skip(f"{name}: {reason}. Install it: {client.install}")
    host, port = address
    arguments = [host, str(port), version, scenario, key or f"{scenario}-{uuid4().hex}"]
    process = subprocess.run(
        client.command + arguments,
        env=os.environ | client.variables | {f"INTEROP_{k.upper()}": v for k, v in settings.items()},
        cwd=(HERE / client.script).parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=SECONDS,
    )
    output = f"{name} {' '.join(arguments)}:\n{process.stdout}{process.stderr}"
    assert process.returncode == 0, output
    assert process.stdout.strip(), output
    return json.loads(process.stdout.strip().splitlines()[-1])


def address(server: Any) -> tuple[str, int]:
    return server.host, server.port
