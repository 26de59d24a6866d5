"""`python -m bench --scenario hostile`: each attack on a new server of this tree and, if asked, an older one."""

from __future__ import annotations

import json
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import machine
from bench.build import BuildError, checked_out, commit_of, venv_home
from bench.hostile.attack import Figures
from bench.hostile.stage import Stage, options_of
from bench.hostile.table import ATTACKS, as_json, markdown, render
from bench.subjects import Home
from bench.target import StartError, raise_file_limit

AFTER = "after"
BEFORE = "before"
BEGIN = "<!-- hostile -->"
END = "<!-- /hostile -->"


def add_options(options: ArgumentParser) -> None:
    """Those that only this scenario has."""
    group = options.add_argument_group("only for the scenario hostile")
    group.add_argument(
        "--before",
        metavar="COMMIT",
        help="also attack that commit; COMMIT=PATH: it is installed for the interpreter PATH",
    )
    group.add_argument(
        "--attack",
        default="",
        metavar="NAME[,NAME]",
        help="some attacks only; 'turns' and 'memory' are all of a kind",
    )
    group.add_argument(
        "--scale", type=float, default=1.0, help="what to multiply all amounts by (default: 1)"
    )
    group.add_argument("--page", type=Path, metavar="FILE", help="also put the tables into that page")


def chosen(text: str) -> list[str]:
    """Names of attacks; raises ValueError for one that is not known."""
    found: list[str] = []
    for name in [each.strip() for each in text.split(",") if each.strip()] or ["turns", "memory"]:
        if name in ("turns", "memory"):
            found += [each for each, attack in ATTACKS.items() if bool(attack.limit) == (name == "memory")]
        elif name in ATTACKS:
            found.append(name)
        else:
            raise ValueError(f"unknown attack {name!r}; known: turns, memory, {', '.join(ATTACKS)}")
    return list(dict.fromkeys(found))


def before_of(options: Namespace) -> str | None:
    """The name of what was measured as before."""
    return str(options.before).partition("=")[0] if options.before else None


def put_into(page: Path, facts: dict[str, object], options: Namespace, tables: str) -> None:
    """Replace what is between the marks of `page`. Raises ValueError when it has none."""
    text = page.read_text()
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no {BEGIN} and {END}")
    when = str(facts["time"])[:10]
    said = f"{facts['cpu']}, {facts['cores']} cores, {facts['kernel']}, {when}"
    said += f"; commit {facts['commit']}, {facts['core']}"
    if options.before:
        said += f"; before is {before_of(options)}"
    page.write_text(f"{head}{begin}\n{said}.\n\n{tables.rstrip()}\n{end}{tail}")


@contextmanager
def home_before(wanted: str, say: Callable[[str], None]) -> Iterator[Home]:
    """That of NAME=INTERPRETER, or of a commit, installed for the while. Raises BuildError."""
    _, named, path = wanted.rpartition("=")
    if named:
        yield Home(str(Path(path).absolute()), "")
        return
    commit = commit_of(wanted)
    with tempfile.TemporaryDirectory(prefix="bench-hostile-") as room:
        say(f"bench: installing {commit} (some minutes)")
        with checked_out(commit, Path(room, "tree")) as tree:
            home = venv_home(tree, Path(room, "home"))
        yield home


def attack(
    homes: dict[str, Home], names: Sequence[str], scale: float, say: Callable[[str], None]
) -> dict[str, dict[str, Figures]]:
    """Each attack on each server, in turn."""
    raise_file_limit()
    cores = machine.split_cores()
    known = {server: options_of(home) for server, home in homes.items()}
    results: dict[str, dict[str, Figures]] = {}
    with machine.on_cores(cores[1] if cores else None):
        for name in names:
            results[name] = {}
            for server, home in homes.items():
                try:
                    with Stage(home, ATTACKS[name], scale, cores, known[server]) as stage:
                        figures = stage.run()
                except StartError as error:
                    figures = Figures(f"did not start: {error}", died=True)
                results[name][server] = figures
                say(f"{name}, {server}: {figures.over(ATTACKS[name]) or 'well'}; {figures.outcome}")
    return results


def run(
    options: Namespace,
    after: Home,
    heading: Callable[[dict[str, object], dict[str, str]], str],
    say: Callable[[str], None],
) -> int:
    """0, whatever was over the goal; 2 for bad options."""
    facts = machine.facts()
    try:
        names = chosen(options.attack)
        if options.scale <= 0:
            raise ValueError("--scale must be above 0")
    except ValueError as error:
        say(f"bench: {error}")
        return 2
    facts["core"] = "compiled" if after.compiled() else "interpreted"
    cores = machine.split_cores()
    facts["cores_used"] = [sorted(each) for each in cores] if cores else None
    if not options.before:
        homes = {AFTER: after}
        results = attack(homes, names, options.scale, say)
    else:
        try:
            with home_before(options.before, say) as before:
                homes = {BEFORE: before, AFTER: after}
                results = attack(homes, names, options.scale, say)
        except BuildError as error:
            say(f"bench: {error}")
            return 2
    print(heading(facts, dict.fromkeys(homes, "stompserver")))
    print()
    print(render(results, list(homes)))
    if options.json:
        report = {
            "machine": facts,
            "before": before_of(options),
            "scale": options.scale,
            "attacks": as_json(results),
        }
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    if options.page:
        put_into(options.page, facts, options, markdown(results, list(homes)))
    return 0
