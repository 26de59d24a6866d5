"""mcollective from Debian, both of its connectors: a node, and an operator's command `mco` that asks it."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from environments import debian

pytestmark = pytest.mark.long
CONFIGURATION = """main_collective = mcollective
collectives = mcollective
libdir = {room}
logger_type = console
loglevel = info
daemonize = 0
identity = node-a
registerinterval = 0
direct_addressing = 1
securityprovider = psk
plugin.psk = of a test
connector = {connector}
plugin.{connector}.vhost = /
plugin.{connector}.pool.size = 1
plugin.{connector}.pool.1.host = 127.0.0.1
plugin.{connector}.pool.1.port = {port}
plugin.{connector}.pool.1.user = guest
plugin.{connector}.pool.1.password = guest
"""
ASK = ("rpc", "rpcutil", "get_config_item", "item=identity", "-I", "node-a", "--timeout", "180", "--json")


def configuration(room: Path, connector: str, port: int) -> Path:
    file = room / "mcollective.cfg"
    file.write_text(CONFIGURATION.format(room=room, connector=connector, port=port))
    return file


def answer(operator: Any) -> Any:
    """What the node said to an operator's command."""
    operator.end()  # it reads stdin to its end before it asks
    ((said),) = json.loads("\n".join(operator.all("(.*)")))
    return said["sender"], said["statuscode"], said["data"]["value"]


@pytest.mark.parametrize("connector", ["activemq", "rabbitmq"])
def test_a_node_and_its_operator(
    start_broker: Any, start_program: Any, tmp_path: Path, connector: str
) -> None:
    """The node answers before the server is killed, and again as soon as it has come back to it."""
    node, operator = debian("mcollectived", "mcollective"), debian("mco", "mcollective-client")
    broker = start_broker("--dialect", connector)
    file = configuration(tmp_path, connector, broker.port)
    start_program(node, "--config", file)
    subscribed = "Subscribing to .*(mcollective.nodes|mcollective_directed)"
    broker.wait_for_log(subscribed)
    assert answer(start_program(operator, *ASK, "--config", file)) == ("node-a", 0, "node-a")
    broker.die_and_return()
    broker.wait_for_log(subscribed)
    assert answer(start_program(operator, *ASK, "--config", file)) == ("node-a", 0, "node-a")


def test_a_question_that_waits(start_broker: Any, start_program: Any, tmp_path: Path) -> None:
    """The operator asks a node that is down; the server is killed; the node starts and is heard."""
    node, operator = debian("mcollectived", "mcollective"), debian("mco", "mcollective-client")
    broker = start_broker("--dialect", "activemq")
    file = configuration(tmp_path, "activemq", broker.port)
    asking = start_program(operator, *ASK, "--config", file)
    asking.close_stdin()
    broker.wait_until_stored("/queue/mcollective.nodes", 1)
    broker.die_and_return()
    broker.wait_for_log("Subscribing to .*mcollective.reply")
    node = start_program(node, "--config", file)
    assert answer(asking) == ("node-a", 0, "node-a")
    node.end(signal.SIGTERM)
