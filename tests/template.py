"""A process that has imported the server and forks for each start that the tests want.

The tests start about a thousand servers. Python and the imports take 0.2 s of a processor each time, a fork 0.03 s;
from there on a forked server does what ``python -m stompserver`` does. Where the command itself is what a test is
about, the test starts that (``by_command=True``).

Its argument is the number of a socket of kind SOCK_SEQPACKET. A request there is JSON: ``{"words", "environment",
"directory"}`` with a descriptor for standard error starts a server, and the answer is its process id;
``{"ended": process id}`` waits for the end of one, and the answer is its exit code, as subprocess has it.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Any

from stompserver.cli import main
from stompserver.errors import StompserverError
from stompserver.server import listeners, policies  # noqa: F401  (what a start imports)
from stompserver.server.process import process, service  # noqa: F401
from stompserver.stores.base import STORES, store_class


def requested(channel: socket.socket) -> dict[str, Any]:
    """In the forked process: what was requested. Elsewhere it ends the process when the tests have ended."""
    while True:
        octets, descriptors, _, _ = socket.recv_fds(channel, 1 << 20, 1)
        if not octets:
            sys.exit()
        request: dict[str, Any] = json.loads(octets)
        if "ended" in request:
            answer = os.waitstatus_to_exitcode(os.waitpid(request["ended"], 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                os.dup2(descriptors[0], 2)
                os.close(descriptors[0])
                channel.close()
                return request
            os.close(descriptors[0])
        channel.send(json.dumps(answer).encode())


if __name__ == "__main__":
    if importlib.util.find_spec("uvloop"):
        import uvloop  # noqa: F401
    # SQLAlchemy is half of the memory, and memory is what makes a fork take long; few tests have a database.
    for name in STORES.keys() - {"activerecord"}:
        with suppress(StompserverError):  # a library that is not installed
            store_class(name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the tests, and that ends this
    # As the server itself does when it starts: the collector touches, and so copies, nothing of what is here by now.
    gc.collect()
    gc.freeze()
    request = requested(socket.socket(fileno=int(sys.argv[1])))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.chdir(request["directory"])
    sys.argv[1:] = request["words"]
    sys.exit(main())
