"""All attacks, and what is printed of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.hostile import crowds, doors, ends, keeping, later, managing, names, settling
from bench.hostile.attack import LONGEST, MIB, P99, ROOM, Attack, Figures
from bench.report import table

ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for module in (names, crowds, settling, later, managing, ends, doors, keeping)
    for attack in module.ATTACKS
}

Results = Mapping[str, Mapping[str, Figures]]
"""Attack -> server -> figures."""


def render(results: Results, servers: Sequence[str]) -> str:
    """Both tables, and the worst of each server."""
    parts = []
    for title, memory in (
        (
            f"Turns: longest of the loop (at most {LONGEST * 1000:.0f} ms wanted), the canary's longest and p99 "
            f"(below {P99 * 1000:.0f} ms wanted), in ms",
            False,
        ),
        (
            f"Memory: RSS before, at its highest, after, in MiB (at most memory-limit + {ROOM // MIB} wanted)",
            True,
        ),
    ):
        chosen = [ATTACKS[name] for name in results if bool(ATTACKS[name].limit) == memory]
        if not chosen:
            continue
        columns = ("limit", "before", "peak", "after") if memory else ("turn", "canary", "p99")
        all_columns = (*columns, "over", "outcome")
        header = [""]
        for server in servers:
            header += [f"{server}: {columns[0]}", *all_columns[1:]]
        rows = []
        for attack in chosen:
            row = [attack.name]
            for server in servers:
                found = results[attack.name].get(server)
                if found is None:
                    row += ["-"] * (len(columns) + 2)
                else:
                    row += [*_cells(attack, found), found.over(attack), found.outcome[:60]]
            rows.append(row)
        parts.append(title + "\n" + table(header, rows))
        parts += [worst(results, server, memory) for server in servers]
    return "\n\n".join(parts)


def _cells(attack: Attack, found: Figures) -> list[str]:
    if attack.limit:
        return [f"{octets / MIB:,.0f}" for octets in (attack.limit, found.before, found.peak, found.after)]
    if found.never:
        return [milliseconds(found.turn), "never", milliseconds(found.p99)]
    return [milliseconds(each) for each in (found.turn, found.longest, found.p99)]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f}"


def worst(results: Results, server: str, memory: bool) -> str:
    """The attack that did most to this server, and how many are over the goal."""
    found = [
        (ATTACKS[name], by[server])
        for name, by in results.items()
        if server in by and bool(ATTACKS[name].limit) == memory
    ]
    if not found:
        return f"{server}: nothing measured"
    over = sum(bool(figures.over(attack)) for attack, figures in found)
    if memory:
        attack, figures = max(found, key=lambda pair: pair[1].peak - pair[0].limit)
        most = f"{figures.peak / MIB:,.0f} MiB at a limit of {attack.limit / MIB:,.0f}"
    else:
        attack, figures = max(
            found, key=lambda pair: (pair[1].died, pair[1].never, pair[1].turn, pair[1].longest)
        )
        most = "the server ended" if figures.died else f"a turn of {milliseconds(figures.turn)} ms"
        if figures.never:
            most = "the canary was never answered"
    return f"{server}: {over} of {len(found)} over the goal; worst: {attack.name} ({attack.about}): {most}"


def markdown(results: Results, servers: Sequence[str]) -> str:
    """The same for a page, without the outcomes."""
    lines = []
    for memory in (False, True):
        chosen = [ATTACKS[name] for name in results if bool(ATTACKS[name].limit) == memory]
        if not chosen:
            continue
        columns = ("peak", "after") if memory else ("turn", "canary", "p99")
        unit = "MiB" if memory else "ms"
        header = ["attack", *(f"{server}: {column}, {unit}" for server in servers for column in columns)]
        lines += ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
        for attack in chosen:
            row = [attack.about]
            for server in servers:
                found = results[attack.name].get(server)
                cells = _cells(attack, found) if found else ["-"] * (4 if memory else 3)
                row += cells[-2:] if memory else cells
            lines.append("| " + " | ".join(row) + " |")
        lines.append("")
    return "\n".join(lines)


def as_json(results: Results) -> dict[str, dict[str, dict[str, object]]]:
    return {
        name: {
            server: {
                **{field: getattr(figures, field) for field in figures.__slots__},
                "over": figures.over(ATTACKS[name]),
            }
            for server, figures in by.items()
        }
        for name, by in results.items()
    }
