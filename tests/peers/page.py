"""docs/reference/peers.md, from what the last run against the peers saw (`seen.json`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.peers.catalogue import GROUPS, SCENARIOS
from tests.peers.scenario import ENDS, Scenario

ROOT = Path(__file__).parents[2]
SEEN = Path(__file__).with_name("seen.json")
PAGE = ROOT / "docs/reference/peers.md"
PEERS = {"rabbitmq": "RabbitMQ", "activemq": "ActiveMQ"}

HEAD = """\
# Beside RabbitMQ and ActiveMQ

<!-- Written by tests/peers/page.py from tests/peers/seen.json; change it there. -->

{count} small scenarios of literal frames, played against {versions} as Debian has them, and against
stompserver with `dialect: rabbitmq` and `dialect: activemq`, on {date}. Each broker is asked in its own words
(`prefetch-count` or `activemq.prefetchSize`, and so on), and each is as shipped, but that ActiveMQ has its scheduler
turned on.

{counts}

What to [set up](options.md#dialects), and how to bring over what is in the queues: move from
[RabbitMQ](../how-to/move-from-rabbitmq.md), from [ActiveMQ](../how-to/move-from-activemq.md). To play them again:
`make test-peers`, see [CONTRIBUTING](../../CONTRIBUTING.md).

## How to read it

A cell says what came, in its order: the bodies of messages (`one`, with headers in brackets where they matter),
`RECEIPT`, `ERROR`, `closed` when the broker closed the connection, `nothing` when nothing came. *here* is stompserver
in that broker's dialect; `=` is: the same as in the cell on its left. In bold: what that broker takes is an ERROR
here. A dash: the scenario is about something that this broker has no words for. *ends*: {ends}. `q` is the name of
the queue or topic.
"""


def _cell(text: str) -> str:
    """A code span; what Markdown would divide a table at is escaped."""
    return f"`{text}`".replace("|", "\\|") if text else "empty"


def _refused(theirs: str, ours: str) -> bool:
    """Whether an ERROR comes here where none comes there: a program that works there does not here."""
    return "ERROR" in ours and "ERROR" not in theirs and "closed" not in theirs


def _why(scenario: Scenario) -> str:
    """Why stompserver shows something else, once where both have one reason."""
    reasons = {words: "*ends*" if reason == ENDS else reason for words, (_, reason) in scenario.here.items()}
    if len(set(reasons.values())) == 1:
        return next(iter(reasons.values()))
    return "; ".join(f"{PEERS[words]}: {reason}" for words, reason in reasons.items())


def _row(scenario: Scenario, seen: dict[str, str]) -> str:
    cells = [scenario.does.replace("|", "\\|")]
    for words in PEERS:
        if words not in scenario.seen:
            cells += ["-", "-"]
            continue
        theirs, ours = seen[words], seen[f"stompserver-{words}"]
        here = f"**{_cell(ours)}**" if _refused(theirs, ours) else _cell(ours)
        cells += [_cell(theirs), "=" if ours == theirs else here]
    return "| " + " | ".join([*cells, _why(scenario)]) + " |"


def _counts(words: str) -> str:
    """How many are the same, in a sentence."""
    played = [each for each in SCENARIOS if words in each.seen]
    others = [each.here[words][1] for each in played if words in each.here]
    ends = others.count(ENDS)
    refused = [each for each in played if _refused(each.seen[words], each.expected(words, ours=True))]
    return (
        f"- As {PEERS[words]}: {len(played) - len(others)} of {len(played)} are the same, {ends} differ only in "
        f"that the connection ends with the ERROR, {len(others) - ends} in something else; of "
        f"these {len(refused)} are an ERROR where {PEERS[words]} takes the frame."
    )


def page(run: dict[str, Any]) -> str:
    """The whole page of this run."""
    parts = [
        HEAD.format(
            count=len(SCENARIOS),
            versions=" and ".join(run["versions"][words] for words in PEERS),
            date=run["date"],
            counts="\n".join(_counts(words) for words in PEERS),
            ends=ENDS,
        )
    ]
    for group in GROUPS:
        parts.append(
            f"## {group.title}\n\n"
            "| what is done | RabbitMQ | here | ActiveMQ | here | why it differs |\n|---|---|---|---|---|---|"
        )
        parts[-1] += "".join(f"\n{_row(each, run['seen'][each.name])}" for each in group.scenarios) + "\n"
    return "\n".join(parts)
