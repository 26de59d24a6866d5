"""What is measured.  Each scenario is one or more cases; a case gives one or more numbers per round.

A rate counts messages at the receivers, after each one's number was checked; a server that loses, repeats,
reorders or cuts a message has no rate.
"""

from __future__ import annotations

from collections.abc import Callable

from bench import delivery, growth, network
from bench.backlog import fill_then_drain, million, one_backlog, spread_backlog
from bench.case import PREFETCH, QUEUES, RATE, Case, Metric, Sample, Scenario
from bench.confirmed import flow as confirmed
from bench.connections import connect_rate, idle
from bench.flows import crowd, fan_out, many_queues, one_queue
from bench.latency import at_rate, one_at_a_time
from bench.receiver import CUMULATIVE
from bench.shapes.cases import cases
from bench.target import Target

IDLE_CONNECTIONS = 5000
BACKLOG = 200_000
MILLION = 1_000_000
TRANSACTION = 100


def _rate(name: str, run: Callable[[Target, int], Sample], warm_up: int = 10_000) -> Case:
    return Case(name, (Metric(name, RATE),), run, warm_up)


def _pace(rate: int, messages: int) -> Case:
    metrics = tuple(Metric(f"{rate:,}/s {name}", "us", False) for name in ("p50", "p99", "p99.9"))
    return Case(f"{rate:,}/s", metrics, at_rate(rate), warm_up=rate // 2, fixed=messages)


def _ratio(metric: str, run: Callable[[Target, int], Sample], fixed: int = 200_000) -> Case:
    return Case(metric, (Metric(metric, "x", False),), run, fixed=fixed, fresh=True)


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "auto",
            "one producer, one consumer, ack:auto, 100-byte bodies",
            (_rate("auto", one_queue("auto", 100)),),
        ),
        Scenario(
            "individual",
            f"as auto, but every message is acknowledged (client-individual, prefetch {PREFETCH:,})",
            (_rate("individual", one_queue("individual", 100, ack="client-individual")),),
        ),
        Scenario(
            "receipt",
            "as auto, and every SEND asks for a receipt",
            (_rate("receipt", one_queue("receipt", 100, receipts=True)),),
        ),
        Scenario(
            "fill",
            "a receipt for each SEND, and nobody consumes",
            (_rate("fill", fill_then_drain("fill", drain=False)),),
        ),
        Scenario(
            "drain",
            "one consumer, ack:auto, takes what fill left",
            (_rate("drain", fill_then_drain("drain", drain=True)),),
        ),
        Scenario(
            "fanout5",
            "one producer, a topic, five subscribers; deliveries are counted",
            (_rate("fanout5", fan_out("fanout5", 5), 5000),),
        ),
        Scenario(
            "latency",
            "one message at a time from send to receive",
            (
                Case(
                    "latency",
                    (Metric("latency p50", "us", False), Metric("latency p99", "us", False)),
                    one_at_a_time,
                    warm_up=1000,
                ),
            ),
        ),
        Scenario(
            "idle",
            f"memory for each of {IDLE_CONNECTIONS:,} connections that do nothing",
            (
                Case(
                    "idle",
                    (Metric("idle RSS", "KiB", False), Metric("idle PSS", "KiB", False)),
                    idle,
                    fixed=IDLE_CONNECTIONS,
                    fresh=True,
                ),
            ),
        ),
        Scenario(
            "queues",
            f"the same messages through 1 queue and spread over {QUEUES:,} queues",
            (
                _rate("1 queue", many_queues("1 queue", 1)),
                _rate(f"{QUEUES:,} queues", many_queues(f"{QUEUES:,} queues", QUEUES)),
            ),
            same_amount=True,
            ratio=("many / one", f"{QUEUES:,} queues", "1 queue"),
        ),
        Scenario(
            "sizes",
            "as auto with bodies of 1 KB, 16 KB and 1 MB",
            (
                _rate("1 KB bodies", one_queue("1 KB bodies", 1024, window=2000), 5000),
                _rate("16 KB bodies", one_queue("16 KB bodies", 16_384, window=500), 500),
                _rate("1 MB bodies", one_queue("1 MB bodies", 1 << 20, window=8), 30),
            ),
        ),
        Scenario(
            "backlog",
            f"memory and restart with {BACKLOG:,} messages (--messages changes it) of 1 KB in one queue, "
            f"and with {QUEUES * 10:,} in {QUEUES:,} queues",
            (
                Case(
                    "backlog",
                    (
                        Metric("backlog memory", "MB", False),
                        Metric("memory after draining", "MB", False),
                        Metric("backlog listening", "s", False),
                        Metric("backlog first message", "s", False),
                    ),
                    one_backlog,
                    fixed=BACKLOG,
                    adjustable=True,
                    fresh=True,
                ),
                Case(
                    f"restart, {QUEUES:,} queues",
                    (Metric(f"restart, {QUEUES:,} queues", "s", False),),
                    spread_backlog(QUEUES, f"restart, {QUEUES:,} queues"),
                    fixed=QUEUES * 10,
                    fresh=True,
                ),
            ),
        ),
        Scenario(
            "cumulative",
            f"as auto, and every {CUMULATIVE}th message is acknowledged for all before it (client, STOMP 1.1)",
            (_rate("cumulative", one_queue("cumulative", 100, ack="client")),),
            asked=True,
        ),
        Scenario(
            "persistent",
            "as receipt, with persistent:true in each SEND",
            (_rate("persistent", one_queue("persistent", 100, receipts=True, persistent=True)),),
            asked=True,
        ),
        Scenario(
            "persistent-fill",
            "as fill, with persistent:true in each SEND",
            (_rate("persistent fill", fill_then_drain("persistent fill", drain=False, persistent=True)),),
            asked=True,
        ),
        *confirmed.SCENARIOS,
        Scenario(
            "transactions",
            f"as auto, in transactions of {TRANSACTION}",
            (_rate("transactions", one_queue("transactions", 100, transaction=TRANSACTION)),),
            asked=True,
        ),
        Scenario(
            "clients",
            "as auto, individual and cumulative, with the frames that real clients write, by the benchmark's own",
            cases(),
            asked=True,
            alike=True,
        ),
        Scenario(
            "fanout100",
            "one producer, a topic, 100 subscribers; deliveries are counted",
            (_rate("fanout100", fan_out("fanout100", 100), 500),),
            asked=True,
        ),
        Scenario(
            "crowd",
            "10 producers and 10 consumers on one queue; 100 and 100 on one queue and on 100 queues",
            (
                _rate("10 x 10", crowd("10 x 10", 10, 10, 1, per_chunk=200)),
                _rate("100 x 100", crowd("100 x 100", 100, 100, 1, per_chunk=20)),
                _rate("100 x 100, 100 queues", crowd("100 x 100, 100 queues", 100, 100, 100, per_chunk=20)),
            ),
            asked=True,
        ),
        Scenario(
            "pace",
            "time from when a message is due to its receive, at 1,000 and 10,000 messages/s",
            (_pace(1000, 4000), _pace(10_000, 40_000)),
            asked=True,
        ),
        Scenario(
            "connects",
            "connect, log in, disconnect with a receipt, 50 at a time",
            (Case("connects", (Metric("connects", "conn/s"),), connect_rate, warm_up=500),),
            asked=True,
        ),
        Scenario(
            "million",
            f"{MILLION:,} messages of 1 KB waiting: filling, memory, another queue beside it, restart, draining",
            (
                Case(
                    "million",
                    (
                        Metric("million fill", RATE),
                        Metric("million memory", "MB", False),
                        Metric("million beside", RATE),
                        Metric("million beside, CPU / empty", "x", False),
                        Metric("million fill, CPU last / first tenth", "x", False),
                        Metric("million restart", "s", False),
                        Metric("million drain", RATE),
                    ),
                    million,
                    fixed=MILLION,
                    adjustable=True,
                    fresh=True,
                ),
            ),
            asked=True,
        ),
        Scenario(
            "growth",
            f"the server's CPU per message: {QUEUES:,} queues by 1, {growth.CONNECTIONS:,} connections by 1",
            (
                _ratio(growth.QUEUES_METRIC, growth.with_queues),
                _ratio(growth.CONNECTIONS_METRIC, growth.with_connections),
            ),
            asked=True,
        ),
        Scenario(
            "delivery",
            "the server's CPU per message: durable subscriptions, delayed messages, message groups, many by few",
            (
                _ratio(delivery.DURABLES_METRIC, delivery.with_durables),
                _ratio(delivery.DELAYED_METRIC, delivery.with_delayed, delivery.DELAYED),
                _ratio(delivery.GROUPS_METRIC, delivery.with_groups),
            ),
            asked=True,
        ),
        Scenario(
            "selector",
            f"the server's CPU per message that a selector passes over, 1 in {delivery.RARE:,} matches",
            (_ratio(delivery.SELECTOR_METRIC, delivery.with_selector, delivery.PASSED_OVER),),
            asked=True,
        ),
        Scenario(
            "network",
            "the server's CPU per message by other ways than plain TCP, and memory of an idle connection by them",
            (
                # Beside it go TLS (1.4 at most is the aim) and a section of permissions (1.02).
                _ratio(network.WEBSOCKET_METRIC, network.by_websocket),
                Case(
                    "idle WebSocket",
                    (Metric(network.IDLE_METRIC, "KiB", False),),
                    network.idle,
                    fixed=network.IDLE_CONNECTIONS,
                    fresh=True,
                ),
            ),
            asked=True,
        ),
        Scenario(
            "long",
            "individual for --minutes: CPU per message and memory, last quarter by the first",
            (
                Case(
                    "long",
                    (
                        Metric("long rate", RATE),
                        Metric(growth.TIME_METRIC, "x", False),
                        Metric(growth.MEMORY_METRIC, "x", False),
                    ),
                    growth.long_run,
                    fixed=1,
                    fresh=True,
                    lasting=True,
                ),
            ),
            asked=True,
        ),
    )
}
