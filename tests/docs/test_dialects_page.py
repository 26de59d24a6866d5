"""docs/reference/dialects.md against the tables of the session, and the tests it names."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from stompserver.session.dialect import headers as dialect
from stompserver.session.dialect import naming

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/dialects.md").read_text()

FIELD = """
login passcode host accept-version heart-beat client-id request-id receipt activemq.* Authorization token
X-Authorization vhost persistent persist expires ttl expiration priority correlation-id reply-to type
timestamp content-encoding app-id user-id amqp-message-id JMSXGroupID message_group _AMQ_GROUP_ID
JMSXGroupSeq JMSXGroupFirstForConsumer AMQ_SCHEDULED_DELAY AMQ_SCHEDULED_PERIOD AMQ_SCHEDULED_REPEAT
AMQ_SCHEDULED_CRON AMQ_SCHEDULED_TIME _AMQ_SCHED_DELIVERY x-delay AMQ_SCHEDULER_ACTION scheduledJobId
ACTION_START_TIME ACTION_END_TIME _AMQ_DUPL_ID x-deduplication-header dedup-id _AMQ_LVQ_NAME retain
ActiveMQ.Retain destination-type transformation transformation-error amq-msg-type max-exceptions
x-dead-letter-exchange x-dead-letter-routing-key x-expires x-max-length x-max-length-bytes x-max-priority
x-message-ttl x-queue-type x-max-age x-stream-max-segment-size-bytes x-stream-filter-size-bytes durable
auto-delete exclusive id ack selector prefetch-count activemq.prefetchSize credit consumer-window-size
consumer.prefetchSize activemq.subscriptionName durable-subscription-name durable-subscriber-name
activemq.subcriptionName x-queue-name x-priority activemq.priority consumer-priority activemq.exclusive
activemq.retroactive activemq.noLocal no-local activemq.dispatchAsync activemq.maximumPendingMessageLimit
activemq.optimizedAcknowledge browser browser-end include-seq from-seq x-stream-offset x-stream-filter
x-stream-match-unfiltered subscription-type temp activemq.maximumRedeliveries activemq.redeliveryDelay
activemq.initialRedeliveryDelay activemq.maximumRedeliveryDelay activemq.useExponentialBackOff
activemq.backOffMultiplier message-id subscription transaction requeue redelivered JMSXUserID
JMSXDeliveryCount original-destination original-expiration original-expires ingress-timestamp _AMQ_ORIG_ADDRESS
_AMQ_ORIG_QUEUE
dlqDeliveryFailureCause message receipt-id version redirect content-type
"""


def rows(name: str) -> list[list[str]]:
    """The rows of the table between these markers."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    assert PAGE.count(begin) == PAGE.count(end) == 1
    lines = PAGE.partition(begin)[2].partition(end)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def ticked(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


@cache
def functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}


def test_forms() -> None:
    assert [row[:3] for row in rows("forms")] == [
        [ticked(tuple(form.written.split(", "))), form.brokers, form.becomes] for form in naming.FORMS
    ]


def test_headers() -> None:
    assert [row[:4] for row in rows("headers")] == [
        [ticked(header.names), " ".join(header.commands), header.does, header.meaning]
        for header in dialect.HEADERS
    ]


def test_sins() -> None:
    assert [(row[0].strip("`"), row[1]) for row in rows("tolerated")] == list(dialect.TOLERATED.items())


@pytest.mark.parametrize(
    "row", [*rows("forms"), *rows("headers")], ids=lambda row: row[0].replace("`", "")[:40]
)
def test_the_test_of_each_row_exists(row: list[str]) -> None:
    path, colons, name = row[-1].partition("::")
    assert colons, f"{row[0]} names no test"
    assert name.startswith("test_")
    assert name in functions_of(path), f"{path} has no {name}"


def test_what_is_special_to_send_is_in_the_table() -> None:
    table = {name for header in dialect.HEADERS for name in header.names}
    assert table.issuperset(dialect.SPECIAL - dialect.PRIVATE - {"_AMQ_GROUP_SEQUENCE"})


def test_every_name_of_the_field_is_in_the_table() -> None:
    """The header dictionary of the field, as it was gathered from the brokers' sources and their users' questions."""
    table = {name for header in dialect.HEADERS for name in header.names}
    field = set(FIELD.split())
    assert field <= table, sorted(field - table)
