"""What `--peers` measures: each scenario on the servers that have something to say about it."""

from __future__ import annotations

from dataclasses import dataclass

MEMORY = ("stompserver", "stompserver-pure")
STORED = ("stompserver-lmdb", "stompserver-lmdb-pure")
PEERS = ("rabbitmq", "activemq", "coilmq")
CONFIRMING = ("redis", "redis-lists", "jetstream", "jetstream-sync", "beanstalkd")
RIVALS = ("rabbitmq", "activemq")


@dataclass(frozen=True, slots=True)
class Step:
    """One scenario; `rounds` and `seconds` are the most it gets, whatever the options say."""

    scenario: str
    subjects: tuple[str, ...]
    rounds: int = 100
    seconds: float = 100.0


PLAN = (
    Step("auto", (*MEMORY, *PEERS, "nats", "relay")),
    Step("individual", (*MEMORY, *PEERS)),
    Step("cumulative", (*MEMORY, *PEERS)),
    Step("clients", (*MEMORY, *PEERS, "nats")),
    Step("persistent", (*STORED, *PEERS)),
    Step("persistent-fill", (*STORED, *PEERS)),
    Step("confirmed-fill", (*STORED, *RIVALS, *CONFIRMING)),
    Step("confirmed", (*STORED, *RIVALS, *CONFIRMING)),
    Step("transactions", (*MEMORY, *PEERS)),
    Step("fanout5", (*MEMORY, *PEERS, "nats")),
    Step("fanout100", (*MEMORY, *PEERS, "nats")),
    Step("sizes", (*MEMORY, *PEERS, "relay")),
    Step("crowd", (*MEMORY, *PEERS)),
    Step("latency", (*MEMORY, *PEERS, "nats", "echo")),
    Step("pace", ("stompserver", *PEERS), rounds=3),
    Step("connects", (*MEMORY, *PEERS), rounds=3),
    Step("idle", ("stompserver", *PEERS), rounds=2),
    Step("growth", ("stompserver", "stompserver-lmdb"), rounds=2),
    Step("million", ("stompserver-lmdb", *PEERS), rounds=1),
)
