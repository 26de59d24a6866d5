"""ActiveMQ's activemq.xml."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

BEANS = (
    '<beans xmlns="http://www.springframework.org/schema/beans">'
    '<broker xmlns="http://activemq.apache.org/schema/core" brokerName="b">{}</broker></beans>'
)
ENTRY = "<destinationPolicy><policyMap><policyEntries>{}</policyEntries></policyMap></destinationPolicy>"


def entry(attributes: str, inside: str = "") -> str:
    return BEANS.format(ENTRY.format(f"<policyEntry {attributes}>{inside}</policyEntry>"))


EXPIRED = {"expired": "deadletter"}


def test_a_broker_without_policies(convert_file: Callable[..., Any]) -> None:
    converted = convert_file(BEANS.format(""))
    assert converted.policies == {"/queue/>": EXPIRED}
    assert converted.config.queue == "lmdb"
    assert converted.config.deadletter == "/queue/ActiveMQ.DLQ"
    assert converted.config.delayed_expires == "span"
    assert converted.config.bare_destination == "queue"
    assert converted.notes == []


@pytest.mark.parametrize(
    ("attributes", "inside", "pattern", "options"),
    [
        ('queue="A.>" queuePrefetch="1"', "", "/queue/A.>", {"prefetch": 1}),
        ('topic="A" topicPrefetch="5"', "", "/topic/A", {"prefetch": 5}),
        ('queue="A" prioritizedMessages="true"', "", "/queue/A", {"priorities": True}),
        ('queue="A" allConsumersExclusiveByDefault="true"', "", "/queue/A", {"exclusive": True}),
        ('queue="A" gcInactiveDestinations="true"', "", "/queue/A", {"idle-expiry": 60000}),
        (
            'queue="A" gcInactiveDestinations="true" inactiveTimoutBeforeGC="30000"',
            "",
            "/queue/A",
            {"idle-expiry": 30000},
        ),
        (
            'queue="A.>"',
            '<deadLetterStrategy><individualDeadLetterStrategy queuePrefix="DLQ."/></deadLetterStrategy>',
            "/queue/A.>",
            {"deadletter": "/queue/DLQ.%", **EXPIRED},
        ),
        (
            'queue="A"',
            '<deadLetterStrategy><individualDeadLetterStrategy processExpired="false"/></deadLetterStrategy>',
            "/queue/A",
            {"deadletter": "/queue/ActiveMQ.DLQ.Queue.%", "expired": "drop"},
        ),
        (
            'queue="A"',
            "<deadLetterStrategy><sharedDeadLetterStrategy><deadLetterQueue><queue physicalName='D'/>"
            "</deadLetterQueue></sharedDeadLetterStrategy></deadLetterStrategy>",
            "/queue/A",
            {"deadletter": "/queue/D", **EXPIRED},
        ),
        (
            'queue="A"',
            "<deadLetterStrategy><discarding/></deadLetterStrategy>",
            "/queue/A",
            {"deadletter": ""},
        ),
        (
            'topic="A"',
            '<subscriptionRecoveryPolicy><fixedCountSubscriptionRecoveryPolicy maximumSize="50"/>'
            "</subscriptionRecoveryPolicy>",
            "/topic/A",
            {"history-messages": 50},
        ),
        (
            'topic="A"',
            '<subscriptionRecoveryPolicy><timedSubscriptionRecoveryPolicy recoverDuration="10000"/>'
            "</subscriptionRecoveryPolicy>",
            "/topic/A",
            {"history-age": 10000},
        ),
        (
            'topic="A"',
            '<pendingMessageLimitStrategy><constantPendingMessageLimitStrategy limit="10"/>'
            "</pendingMessageLimitStrategy>",
            "/topic/A",
            {"slow": "drop-oldest"},
        ),
        (
            'queue="A"',
            '<slowConsumerStrategy><abortSlowAckConsumerStrategy maxTimeSinceLastAck="5000"/></slowConsumerStrategy>',
            "/queue/A",
            {"ack-timeout": 5000},
        ),
    ],
)
def test_entries(
    attributes: str, inside: str, pattern: str, options: dict[str, Any], convert_file: Callable[..., Any]
) -> None:
    converted = convert_file(entry(attributes, inside))
    assert converted.policies == {"/queue/>": EXPIRED, pattern: options}


def test_entries_for_all(convert_file: Callable[..., Any]) -> None:
    inside = "<deadLetterStrategy><sharedDeadLetterStrategy processExpired='false'/></deadLetterStrategy>"
    assert convert_file(entry('queue=">"', inside)).policies == {"/queue/>": {"expired": "drop"}}
    plugin = "<plugins><discardingDLQBrokerPlugin dropAll='true'/></plugins>"
    assert convert_file(BEANS.format(plugin)).policies == {"/queue/>": {"deadletter": ""}}


def test_redelivery(convert_file: Callable[..., Any]) -> None:
    converted = convert_file(
        BEANS.format(
            "<plugins><redeliveryPlugin><redeliveryPolicyMap><redeliveryPolicyMap><redeliveryPolicyEntries>"
            '<redeliveryPolicy queue="S.>" maximumRedeliveries="4" initialRedeliveryDelay="10000"/>'
            '<redeliveryPolicy queue="N" maximumRedeliveries="0"/>'
            '<redeliveryPolicy queue="E" maximumRedeliveries="-1" useExponentialBackOff="true"'
            ' backOffMultiplier="2.5" maximumRedeliveryDelay="60000"/>'
            "</redeliveryPolicyEntries></redeliveryPolicyMap></redeliveryPolicyMap></redeliveryPlugin></plugins>"
        )
    )
    assert converted.policies == {
        "/queue/>": EXPIRED,
        "/queue/S.>": {"max-redeliveries": 4, "redelivery-delay": 10000},
        "/queue/N": {"max-redeliveries": -1, "redelivery-delay": 1000},
        "/queue/E": {
            "max-redeliveries": 0,
            "redelivery-delay": 1000,
            "redelivery-multiplier": 2.5,
            "max-redelivery-delay": 60000,
        },
    }


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        (entry('queue="A" memoryLimit="64 mb"'), "max-bytes: 67108864"),
        (entry('topic="A" memoryLimit="1mb"'), "bound what waits for a subscriber"),
        (entry('queue="A" memoryLimit="${limit}"'), "memoryLimit=${limit} of policyEntry queue=A"),
        (entry('queue="A" queuePrefetch="0"'), "prefetch-count:1"),
        (entry('queue="A" advisoryForConsumed="true"'), "there are no advisories"),
        (entry('queue="A" whatever="1"'), "whatever of policyEntry queue=A: not known here"),
        (entry('queue="A" strictOrderDispatch="true"'), "consumers are served in turn"),
        (entry('queue="A.b*" queuePrefetch="1"'), "cannot be a pattern here"),
        (entry('tempQueue="true"'), "temporary destinations"),
        (
            entry('topic="A"', "<dispatchPolicy><x/></dispatchPolicy>"),
            "dispatchPolicy of policyEntry topic=A",
        ),
        (BEANS.format("<plugins><authorizationPlugin/></plugins>"), "no permissions by destination"),
        (BEANS.format('<virtualTopic name=">" prefix="VTC.*."/>'), "virtualTopic > with VTC.*."),
        (BEANS.format('<compositeQueue name="A"/>'), "compositeQueue A: let senders name several"),
        (BEANS.format('<transportConnector uri="stomp://0.0.0.0:61613"/>'), "say host and port"),
        (BEANS.format('<transportConnector uri="amqp://0.0.0.0"/>'), "STOMP over TCP is all"),
        (BEANS.format('<memoryUsage percentOfJvmHeap="70"/>'), "percent of the machine's memory"),
    ],
)
def test_what_has_no_equal(xml: str, said: str, convert_file: Callable[..., Any]) -> None:
    converted = convert_file(xml)
    assert said in " ".join(converted.notes)
    assert converted.policies == {"/queue/>": EXPIRED}


def test_memory_of_the_broker(convert_file: Callable[..., Any]) -> None:
    xml = BEANS.format(
        "<systemUsage><systemUsage><memoryUsage><memoryUsage limit='{}'/></memoryUsage></systemUsage></systemUsage>"
    )
    converted = convert_file(xml.format("64 mb"))
    assert converted.config.memory_limit == 64 << 20
    assert converted.notes == []


def test_a_file_of_the_distribution_with_prefixes(convert_file: Callable[..., Any]) -> None:
    xml = entry('queue="A" queuePrefetch="7"').replace("<policyEntry", "<amq:policyEntry")
    xml = xml.replace("</policyEntry", "</amq:policyEntry").replace("<beans", '<beans xmlns:amq="http://x"')
    assert convert_file('<?xml version="1.0" encoding="UTF-8"?>\n' + xml).policies["/queue/A"] == {
        "prefetch": 7
    }


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<broker>", "not XML"),
        (b"<beans/>", "no element broker"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><broker>&b;</broker>', "a DOCTYPE, which is not read for safety"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><broker/>', "a DOCTYPE, which is not read for safety"),
        (b"<broker>&unknown;</broker>", "not XML"),
        (b"<a>" * 1000, "more than 100 elements"),
    ],
)
def test_bad_files(content: bytes, said: str, refused: Callable[..., str]) -> None:
    assert said in refused(content)


def test_a_virtual_host_is_rabbitmqs(refused: Callable[..., str]) -> None:
    assert "--vhost is for RabbitMQ's definitions" in refused(b"<broker/>", "--vhost", "x", code=2)
