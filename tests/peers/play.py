"""`python -m tests.peers.play`: all scenarios against RabbitMQ, ActiveMQ, and stompserver as each of them.

It prints what is not as the scenarios say. With `--write` it keeps what was seen, and writes the page from it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime

from bench.target import StartError, Target
from tests.peers.brokers import QUIET, SUBJECTS, missing
from tests.peers.catalogue import SCENARIOS, seen
from tests.peers.page import PAGE, PEERS, SEEN, page
from tests.peers.scenario import Scenario

AT_ONCE = 4  # scenarios that one broker plays at a time: most of the time is waiting for silence


def _play(name: str, port: int, scenarios: Sequence[Scenario]) -> dict[str, str]:
    words = name.rpartition("-")[2]
    wanted = [each for each in scenarios if words in each.seen]
    quiet = QUIET if name in PEERS else 0.0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        lines = pool.map(lambda each: seen(each, port, words, quiet), wanted)
        return {each.name: line for each, line in zip(wanted, lines, strict=True)}


def _surprises(name: str, found: dict[str, str], scenarios: Sequence[Scenario]) -> list[str]:
    words = name.rpartition("-")[2]
    return [
        f"{each.name}, {name}:\n  expected  {each.expected(words, name not in PEERS)}\n  seen      {found[each.name]}"
        for each in scenarios
        if each.name in found and found[each.name] != each.expected(words, name not in PEERS)
    ]


def main(arguments: Sequence[str]) -> int:
    """0 when all was as expected, 1 when something was not, 2 when it cannot be played."""
    parser = argparse.ArgumentParser(prog="make test-peers", description=__doc__)
    parser.add_argument("--write", action="store_true", help="keep what was seen, and write the page")
    parser.add_argument("--only", default="", help="names of scenarios, with commas")
    options = parser.parse_args(arguments)
    only = set(options.only.split(",")) - {""}
    scenarios = [each for each in SCENARIOS if not only or each.name in only]
    absent = missing()
    if absent:
        print(
            f"test-peers: not installed: {', '.join(absent)}; Debian, as root: "
            f"apt-get install --no-install-recommends {' '.join(absent)}",
            file=sys.stderr,
        )
        if len(absent) == len(PEERS) or options.write:
            return 2
    if only and options.write:
        print("test-peers: the page needs all scenarios", file=sys.stderr)
        return 2
    names = [name for name in SUBJECTS if not SUBJECTS[name].missing()]
    with ExitStack() as stack, ThreadPoolExecutor(len(names)) as pool:
        try:
            started = list(pool.map(lambda name: Target(SUBJECTS[name], None), names))
        except StartError as error:
            print(f"test-peers: {error}", file=sys.stderr)
            return 2
        targets = {name: stack.enter_context(each) for name, each in zip(names, started, strict=True)}
        print("playing", ", ".join(sorted({each.server_name for each in targets.values()})), flush=True)
        lines = pool.map(lambda name: _play(name, targets[name].port, scenarios), names)
        found = dict(zip(names, lines, strict=True))
        versions = {name: targets[name].server_name for name in names if name in PEERS}
    surprises = [line for name in names for line in _surprises(name, found[name], scenarios)]
    print("\n".join([*surprises, f"{len(scenarios)} scenarios, {len(surprises)} not as expected"]))
    if options.write and not surprises:
        run = {
            "date": datetime.now(UTC).date().isoformat(),
            "versions": versions,
            "seen": {
                each.name: {name: found[name][each.name] for name in names if each.name in found[name]}
                for each in scenarios
            },
        }
        SEEN.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n")
        PAGE.write_text(page(run))
        print(f"written: {SEEN.name}, {PAGE.name}")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
