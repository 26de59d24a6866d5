"""The reference page of policies, made from the table in ``policies``."""

from __future__ import annotations

from collections.abc import Iterator

from stompserver.config import values
from stompserver.config.page import bounds_of
from stompserver.config.policies import CENTURY, GLOBAL, OF_LISTENERS, POLICY_FIELDS, UNSET, value_as_text

INTRODUCTION = """\
# Policies

<!-- Made from src/stompserver/config by `python -m stompserver.config policies`; do not edit. -->

A policy says what holds for a destination: how often and when a message is delivered again, how long it lives,
how many a queue may keep, what a topic remembers. Policies are in the configuration file, by pattern of
destinations:

```yaml
policies:
  /queue/#:
    max-redeliveries: 6
    redelivery-delay: 1s
    redelivery-multiplier: 2
  /queue/orders.>:
    deadletter: /queue/DLQ.%
    max-bytes: 1GiB
    overflow: block
  /queue/orders.eu:
    ttl: 2d
  /topic/prices.*:
    retain: true
```

Without a policy every destination has the defaults below. Policies come from the file alone, not from the
command line or the environment.

## Patterns

The levels of a name are divided by `.` or `/`; in a pattern both are the same, so `/topic/a.*` means `/topic/a.b`
and `/topic/a/b`.

| in a pattern | stands for |
|---|---|
| `*` | one level |
| `>`, `#` or `**` | any number of levels, also none: `/queue/orders.>` means `/queue/orders`, too |

A wildcard is a whole level (`/queue/a*` is an error here), and may stand anywhere. A pattern without wildcards means
the one destination of exactly this name. Topic names without `/topic/` are meant by patterns without it.
Regular expressions (Apollo's `{...}`) are refused. YAML wants quotes around a pattern that begins with `*`, `#`
or `>`.

**The most specific pattern wins, for each option by itself.** In the example `/queue/orders.eu` has its own `ttl`,
`deadletter`, `max-bytes` and `overflow` of `/queue/orders.>`, and the redeliveries of `/queue/#`. A full name is
more specific than any pattern; of two patterns the one with more literal levels is, then the one that has no `>`,
then the one with more `*`, then the one whose literals are further to the left. The options `max-redeliveries` and
`deadletter` of the server ([Options](options.md)) hold where no pattern sets them.

A queue that any policy, or the server, names as dead letter queue keeps what fails there again: it has another one
only if a policy for it says which, with a name of its own (`/queue/DLQ.>` with `deadletter: /queue/graveyard`).
Limits and times of its own policy hold for what arrives there, but nothing that arrives is rejected.

A durable subscription is a queue named `/dsub/NAME`, and patterns for that name hold for it (`/dsub/#`: for all but
those with `x-queue-name`, which are `/queue/NAME`). `stompctl durable list` shows the names.
`ttl` and `max-ttl` of its topic hold besides, since they are set when a message comes.

By default nothing is lost that the sender did not give up: queues have no bounds but memory and disk, and messages
come back for ever. What expires is dropped, since its time said that nobody wants it later; `expired: deadletter`
keeps it for you to look at.

## Values

**Times** are numbers with `ms`, `s`, `m`, `h` or `d`; a number alone means milliseconds, as in STOMP headers.
**Sizes** are as in [Options](options.md). What cannot be accepted (an unknown option, a value out of bounds, two
options of one pattern that contradict each other, two patterns that mean the same) ends the start with one line
that names the file and the line, and exit code 2.

`stompserver --check` prints the policies, the most specific first, each option with the line it came from, and as
comments what it inherits from which less specific pattern.

**SIGHUP** takes over all changes, also for destinations that exist; the log names the patterns whose options
changed. When anything in the file is wrong, everything stays as it was.
"""


def page() -> str:
    """The whole page, Markdown."""
    return "\n".join([INTRODUCTION, *_tables()])


def _tables() -> Iterator[str]:
    for group in dict.fromkeys(option.group for _, option in POLICY_FIELDS.values()):
        yield f"## {group}\n"
        yield "| option | default | allowed | meaning |"
        yield "|---|---|---|---|"
        for key, (_, option) in POLICY_FIELDS.items():
            if option.group == group:
                yield _row(key)
        yield ""


def _row(key: str) -> str:
    field, option = POLICY_FIELDS[key]
    shown = value_as_text(key, field.default)
    if field.default == UNSET:
        shown = "not set"
    default = f"the server's `{key}`" if key in GLOBAL else f"`{shown}`" if shown else "empty"
    if key in OF_LISTENERS:
        default = f"the listener's `{key}`"
    unit = f" ({option.unit})" if option.unit and option.parse is not values.duration else ""
    allowed = bounds_of(field, lambda value: value_as_text(key, value))
    allowed = allowed.replace(f"0 to {value_as_text(key, CENTURY)}", "a time")
    return f"| `{key}` | {default} | {allowed} | {option.help}{unit} |"
