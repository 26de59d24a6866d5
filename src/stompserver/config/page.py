"""The reference page of all options, made from the table in ``options``."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pydantic.fields import FieldInfo

from stompserver.config import values
from stompserver.config.command_line import ACTIONS
from stompserver.config.dialects import ORIGINAL, ROWS
from stompserver.config.listeners import LISTENER_FIELDS
from stompserver.config.options import FIELDS, OPTIONS, default_text, environment_name, flag_of

INTRODUCTION = """\
# Options

<!-- Made from src/stompserver/config by `python -m stompserver.config`; do not edit. -->

Every option can be given in four places; the later ones win:

1. the default,
2. the configuration file (`stompserver.conf`, or the file named by `-C`), see [Files](files.md),
3. the environment, in a variable named `STOMPSERVER_` and the option's name in capitals with underscores
   (an empty variable counts as not set),
4. the command line.

`stompserver --check` prints the effective value of every option and where it came from, and changes nothing.
A value that cannot be accepted ends the start with one line that names its place, and exit code 2.

**Writing them.** `--name=VALUE`, `--name VALUE`, `-nVALUE` and `-n VALUE` are the same; switches take no
value and are turned off by `--no-name`; one-letter switches can be joined (`-da`). A long name can be cut
short as long as it is unambiguous; when it is not, the options of the original stompserver win (`--d` is
`--debug`). In names `-` and `_` are the same everywhere. In the file a name may carry the colon of the
original's files (`:port: 61613`).

**Sizes** are bytes, or a number with `KiB`, `MiB`, `GiB` or `TiB` (1024 each; `K`, `M`, `G` and `T` are
short for them) or `kB`, `MB`, `GB` or `TB` (1000 each). `memory-limit` also takes a percentage of the memory
that the machine or the container has.

**SIGHUP.** Options marked *yes* are taken over from the file when the server gets SIGHUP. A change of another
one is named in a warning and waits for a restart.

Some sections are only in the file: `listeners`, [below](#more-listeners), `policies`, what holds for which
destination, see [Policies](policies.md), `groups` and `permissions`, who may do what, see
[Permissions](../how-to/permissions.md), and `users`, the limits of single logins, see
[Accounts](../how-to/accounts.md#limits-of-a-login).
"""

DIALECTS = """\
## Dialects

`dialect` is one word for those who come from another broker: it sets the options of its column, as far as nobody sets
them by name, wherever that is. What is empty is as in the first column, which is the default. `stompserver --check`
shows what came from it. The names of headers and destinations need no dialect: [all are known at
once](dialects.md).
"""

DIALECTS_END = """\
A listener may have a dialect of its own. It sets the options that listeners have (*), all of them, whatever the
server sets; those of the listener itself count more. The others belong to queues, which all listeners share, so only
the server's dialect sets them.
"""

LISTENERS = """\
## More listeners

The server listens on `host` and `port`. The file may name more addresses, each with a dialect of its own, in a
list:

```yaml
tls-cert: server.pem                 # for those that have TLS
listeners:
  - port: 61614                      # everything else as on the first address
    strict: true
  - port: 61615
    host: "*"
    name: old PHP clients            # for the log
    server-header: apache-activemq/5.11
  - port: 61616
    dialect: artemis                 # see above
    prefetch: 100                    # but not this
  - port: 61617
    tls: true                        # with the server's tls-cert
  - unix: run/stompserver.sock       # no port: a Unix socket
    unix-group: www-data
```
"""

LISTENERS_END = """\
SIGHUP takes over what changed, for connections made from then on; a change of the addresses, of `tls` and of
`proxy-protocol` waits for a restart. A listener with a `tls-cert` of its own does not have the server's `tls-key`.
Clients, destinations and limits are the same on all of them.
"""


ALONE = {
    "port": "required",
    "name": "its address",
    "unix": "none",
    "unix-mode": "`660`",
    "unix-group": "none",
}
"""The defaults of what the server itself has not."""


def page() -> str:
    """The whole page, Markdown."""
    return "\n".join([INTRODUCTION, *_tables(), *_dialects(), *_listeners(), *_actions()])


def _tables() -> Iterator[str]:
    for group in dict.fromkeys(option.group for option in OPTIONS.values()):
        yield f"## {group}\n"
        yield "| option | command line | environment | default | allowed | SIGHUP | meaning |"
        yield "|---|---|---|---|---|---|---|"
        for key, option in OPTIONS.items():
            if option.group == group:
                yield _row(key)
        yield ""


def _row(key: str) -> str:
    option = OPTIONS[key]
    unit = f" ({option.unit})" if option.unit else ""
    cells = [
        f"`{key}`",
        flags(key),
        f"`{environment_name(key)}`",
        f"`{default}`" if (default := default_text(key)) else "none",
        _bounds(key),
        "yes" if option.reload else "no",
        option.help.replace("|", "\\|") + unit,
    ]
    return "| " + " | ".join(cells) + " |"


def flags(key: str) -> str:
    """``-p PORT``, ``--port=PORT``, each as code."""
    option = OPTIONS[key]
    if option.parse is values.boolean:
        spelled = [f"--{flag_of(key)}", f"--no-{flag_of(key)}"]
        short = f"-{option.short}"
    elif option.alone:
        spelled = [f"--{flag_of(key)}[={option.metavar}]", f"--no-{flag_of(key)}"]
        short = ""
    else:
        spelled = [f"--{flag_of(key)}={option.metavar}"]
        short = f"-{option.short} {option.metavar}"
    return ", ".join(f"`{each}`" for each in ([short] if option.short else []) + spelled)


def _bounds(key: str) -> str:
    parse = OPTIONS[key].parse
    sizes = parse in (values.size, values.share_of_memory)
    text = values.redeliveries_as_text if parse is values.redeliveries else values.as_text
    return bounds_of(FIELDS[key], values.size_as_text if sizes else text)


def bounds_of(field: FieldInfo, text: Callable[[int], str]) -> str:
    """The least and largest value, as pydantic keeps them."""
    bounds = {
        name: text(getattr(each, name))
        for each in field.metadata
        for name in ("ge", "le")
        if hasattr(each, name)
    }
    if "le" in bounds:
        return f"{bounds.get('ge', '0')} to {bounds['le']}"
    if bounds.get("ge") == "never":
        return "never, or from 0"
    return f"from {bounds['ge']}" if bounds else ""


def _dialects() -> Iterator[str]:
    yield DIALECTS
    words = list(ROWS)
    yield "| option | " + " | ".join(words) + " |"
    yield "|---" * (1 + len(words)) + "|"
    for key in ROWS[ORIGINAL]:
        cells = [_cell(ROWS[word].get(key)) for word in words]
        star = " *" if key in LISTENER_FIELDS else ""
        yield f"| `{key}`{star} | " + " | ".join(cells) + " |"
    yield ""
    yield DIALECTS_END


def _cell(text: str | None) -> str:
    if text is None:
        return ""
    return f"`{text}`" if text else "empty"


def _listeners() -> Iterator[str]:
    yield LISTENERS
    yield "| key | default | allowed | meaning |"
    yield "|---|---|---|---|"
    for key, (field, option) in LISTENER_FIELDS.items():
        default = ALONE.get(key, f"the server's `{key}`")
        yield f"| `{key}` | {default} | {bounds_of(field, values.as_text)} | {option.help} |"
    yield ""
    yield LISTENERS_END


def _actions() -> Iterator[str]:
    yield "## Instead of starting the server\n"
    yield "| command line | what it does |"
    yield "|---|---|"
    for name, help_text in ACTIONS.items():
        short = "`-h`, " if name == "help" else ""
        yield f"| {short}`--{name}` | {help_text} |"
    yield ""
