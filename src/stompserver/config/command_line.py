"""The command line, read as the original's option parser read it.

``--name=VALUE``, ``--name VALUE``, ``-nVALUE``, ``-n VALUE``, flags in one cluster (``-da``), unambiguous
beginnings of long names, and ``--`` to end the options. ``-`` and ``_`` are the same in names. Neither
argparse nor getopt lets the beginning of an original name keep its meaning when newer names begin alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from stompserver.config import values
from stompserver.config.options import OPTIONS, flag_of, folded
from stompserver.errors import ConfigError

ACTIONS = {
    "check": "Check the configuration, print it with the origin of each value, and end",
    "hash-password": "Print a line for .passwd with a hashed passcode, and end: --hash-password LOGIN",
    "make-certificate": "Make a CA and a certificate for a first try of TLS, and end: --make-certificate NAME...",
    "version": "Print the version, and end",
    "help": "Show this message",
}


@dataclass(slots=True)
class CommandLine:
    """``given`` maps keys to (text, origin); ``arguments`` are the words that belong to no option."""

    given: dict[str, tuple[str, str]] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)


def parse(argv: Sequence[str]) -> CommandLine:
    """Read the words after the program's name. Raises ConfigError."""
    line = CommandLine()
    words = deque(argv)
    while words:
        word = words.popleft()
        if word == "--":
            line.arguments.extend(words)
            break
        if word.startswith("--"):
            _long(word, words, line)
        elif word.startswith("-") and word != "-":
            _cluster(word[1:], words, line)
        else:
            line.arguments.append(word)
    return line


def _long(word: str, words: deque[str], line: CommandLine) -> None:
    name, equals, text = word[2:].partition("=")
    spelled, target = _resolve(folded(name), word)
    origin = f"command line --{spelled}"
    if target in ACTIONS:
        if equals and target not in ("hash-password", "make-certificate"):
            raise ConfigError(f"{origin}: takes no value")
        line.actions[target] = text
    elif _is_switch(target):
        if equals:
            raise ConfigError(f"{origin}: takes no value; write --{spelled} or --no-{target}")
        line.given[target] = ("false" if spelled == "no-" + target else "true", origin)
    elif OPTIONS[target].alone:
        if equals and spelled == "no-" + target:
            raise ConfigError(f"{origin}: takes no value")
        given = "no" if spelled == "no-" + target else OPTIONS[target].alone
        line.given[target] = (text if equals else given, origin)
    else:
        line.given[target] = (text if equals else _next(words, origin), origin)


def _cluster(letters: str, words: deque[str], line: CommandLine) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter == "h":
            line.actions["help"] = ""
            continue
        origin = f"command line -{values.bare(letter)}"
        key = _SHORT.get(letter)
        if key is None:
            raise ConfigError(f"{origin}: no such option; try --help")
        if _is_switch(key):
            line.given[key] = ("true", origin)
        else:
            line.given[key] = (letters or _next(words, origin), origin)
            return


def _next(words: deque[str], origin: str) -> str:
    if not words:
        raise ConfigError(f"{origin}: needs a value")
    return words.popleft()


def _is_switch(key: str) -> bool:
    return OPTIONS[key].parse is values.boolean


def _resolve(name: str, word: str) -> tuple[str, str]:
    """The full spelling and the key (or action) of a long name or of a beginning of one."""
    if name in _LONG:
        return name, _LONG[name]
    origin = f"command line {values.bare(word.partition('=')[0])}"
    fits = [long for long in _LONG if long.startswith(name)] if name else []
    for among in (fits, [long for long in fits if long in _ORIGINAL]):
        if len({_LONG[long] for long in among}) == 1:
            return among[0], _LONG[among[0]]
    if fits:
        choices = ", ".join("--" + long for long in fits)
        raise ConfigError(f"{origin}: ambiguous; it could be {choices}")
    raise ConfigError(f"{origin}: no such option{values.suggestion(name, _LONG, '--') or '; try --help'}")


def _long_names() -> Iterator[tuple[str, str]]:
    for key in OPTIONS:
        yield folded(flag_of(key)), key
        yield folded(key), key
        if _is_switch(key) or OPTIONS[key].alone:
            yield "no-" + folded(key), key
    for action in ACTIONS:
        yield action, action


_LONG = dict(_long_names())
_SHORT = {option.short: key for key, option in OPTIONS.items() if option.short}
_ORIGINAL = {"help"} | {folded(flag_of(key)) for key, option in OPTIONS.items() if option.original}
