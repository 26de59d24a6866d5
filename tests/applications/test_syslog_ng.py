"""syslog-ng's STOMP destination, from Debian: it speaks 1.0, and with ack(yes) waits for a RECEIPT of each line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from environments import debian

pytestmark = pytest.mark.long
CONFIGURATION = """@version: 3.35
options {{ time-reopen(1); stats-freq(0); }};
source lines {{ stdin(flags(no-parse)); }};
destination broker {{
    stomp(host("127.0.0.1") port({port}) destination("/queue/logs") body("$MSG") persistent(yes) ack(yes)
          username("guest") password("guest") value-pairs(pair("host" "$HOST") pair("line" "$MSG")));
}};
log {{ source(lines); destination(broker); }};
"""


def test_lines_of_a_log(start_broker: Any, start_program: Any, tmp_path: Path) -> None:
    """Lines that come while the server is dead are there when it is back."""
    syslog = debian("syslog-ng", "syslog-ng-core syslog-ng-mod-stomp")
    broker = start_broker()
    (tmp_path / "syslog-ng.conf").write_text(CONFIGURATION.format(port=broker.port))
    files = [f"--{name}={tmp_path / name}" for name in ("persist-file", "control", "pidfile")]
    program = start_program(syslog, "-F", "-e", "--no-caps", "-f", tmp_path / "syslog-ng.conf", *files)
    for number in range(3):
        program.say(f"line {number}")
    broker.wait_until_there("/queue/logs", "line 2")
    broker.die()
    for number in range(3, 6):
        program.say(f"line {number}")
    broker.come_back()
    broker.wait_until_there("/queue/logs", "line 5")
    program.say("line 6")
    broker.wait_until_there("/queue/logs", "line 6")
    program.end()
    frames = broker.take_frames("/queue/logs")
    assert list(dict.fromkeys(body for _, body in frames)) == [f"line {number}" for number in range(7)]
    assert all(head["line"] == body for head, body in frames)
