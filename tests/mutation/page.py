# SPDX-License-Identifier: GPL-2.0-only
"""The tables of docs/results/mutation.md, from those that the tests hold to searches.

``python -m tests.mutation.page`` writes them into the page, between its markers.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from pfncache.scenarios.space.names import is_point, point_named
from pfncache.scenarios.space.point import ROOM
from tests.csource.kvm.kinds import KINDS
from tests.csource.kvm.test_faults import FAULTS, HARMLESS, ROOMS
from tests.mutation.dimensions import read_points
from tests.mutation.hunt import by_name, read_table
from tests.mutation.kinds.kind import Kind
from tests.mutation.survivors import SURVIVORS, Standing
from tools.console import ROOT

PAGE = ROOT / "docs" / "results" / "mutation.md"
PLACES = {"memory", "user", "operation"}
"""Dimensions without which there is no scenario."""


def by_kind() -> str:
    """Return a line for each kind of mutants of the Python model, and one for all."""
    lines = [
        "| kind | mutants | equivalent | real | killed | outside the model | not executed | not found |",
        "|---|---|---|---|---|---|---|---|",
    ]
    counts = _counts()
    for kind in Kind:
        if counts[kind]:
            lines.append(_row(kind, counts[kind]))
    lines.append(_row("all", sum(counts.values(), Counter())))
    return "\n".join(lines)


def _counts() -> dict[Kind, Counter[str]]:
    table = read_table()
    counts: dict[Kind, Counter[str]] = defaultdict(Counter)
    for name, mutant in by_name().items():
        counts[mutant.kind]["killed" if name in table else SURVIVORS[name].standing] += 1
    return counts


def figures() -> str:
    """Return which part of the real mutants is killed: of all, and of those that scenarios of the model can show."""
    count = sum(_counts().values(), Counter[str]())
    killed, real = count["killed"], count.total() - count[Standing.EQUIVALENT]
    executed = real - count[Standing.UNREACHED]
    shown = executed - count[Standing.OUTSIDE]
    lines = ["| of | mutants | killed |", "|---|---|---|"]
    lines.append(f"| all that are real | {real} | {_percent(killed, real)} |")
    lines.append(f"| those in a line that some scenario executes | {executed} | {_percent(killed, executed)} |")
    lines.append(f"| those that the model can show, too | {shown} | {_percent(killed, shown)} |")
    return "\n".join(lines)


def _row(kind: str, count: Counter[str]) -> str:
    equivalent = count[Standing.EQUIVALENT]
    real = count.total() - equivalent
    cells = (
        count.total(), equivalent, real, f"{count['killed']} ({_percent(count['killed'], real)})",
        count[Standing.OUTSIDE], count[Standing.UNREACHED], count[Standing.UNFOUND],
    )  # fmt: skip
    return f"| {kind} | {' | '.join(map(str, cells))} |"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def by_verdict() -> str:
    """Return a line for each property that kills, the most frequent first."""
    killers = Counter(found for _, found in read_table().values())
    lines = ["| what kills | mutants |", "|---|---|"]
    lines += [f"| {name} | {count} |" for name, count in sorted(killers.items(), key=lambda item: (-item[1], item[0]))]
    return "\n".join(lines)


def of_the_c() -> str:
    """Return a line for each kind of faulty patches of the kernel's C."""
    counts = Counter(KINDS[name] for name in FAULTS)
    lines = ["| kind | patches | found |", "|---|---|---|"]
    lines += [f"| {kind} | {counts[kind]} | {counts[kind]} |" for kind in Kind if counts[kind]]
    lines.append(f"| all | {len(FAULTS)} | {sum(map(len, ROOMS))} |")
    lines.append(f"| without effect | {len(HARMLESS)} | 0 |")
    return "\n".join(lines)


def of_the_array() -> str:
    """Return what the covering array kills of a sample of the mutants that hand-chosen scenarios kill."""
    points, table = read_points(), read_table()
    by_hand = [name for name in points if not is_point(table[name][0])]
    alone = [name for name in points if is_point(table[name][0])]
    lines = ["| mutants | looked at | killed in a point of the array |", "|---|---|---|"]
    for what, names in (("killed by a hand-chosen scenario", by_hand), ("killed in a point alone", alone)):
        killed = sum(points[name] is not None for name in names)
        lines.append(f"| {what} | {len(names)} | {killed} ({_percent(killed, len(names))}) |")
    return "\n".join(lines)


def by_dimension() -> str:
    """Return a line for each dimension and value that the smallest point needs which shows a mutant."""
    needed: dict[tuple[str, str], list[str]] = defaultdict(list)
    usual: list[str] = []
    for name, row in read_points().items():
        chosen = dict(point_named(row[1]).chosen) if row is not None and row[1] else None
        for dimension, value in (chosen or {}).items():
            needed[dimension, value].append(name)
        if chosen is not None and not set(chosen) - PLACES:
            usual.append(name)
    order = list(point_named(f"{ROOM}/anon/clock+munmap").values)
    lines = ["| dimension | value | mutants | one of them |", "|---|---|---|---|"]
    for (dimension, value), names in sorted(needed.items(), key=lambda i: (order.index(i[0][0]), -len(i[1]), i[0])):
        lines.append(f"| {dimension} | {value} | {len(names)} | {_shown(min(names, key=len))} |")
    lines.append(
        f"| none but {', '.join(sorted(PLACES))} | | {len(usual)} | {_shown(min(usual, key=len, default=''))} |"
    )
    return "\n".join(lines)


def not_found() -> str:
    """Return a line for each reason for which a fault is not killed, with the number of mutants."""
    reasons = Counter((s.standing, s.reason) for s in SURVIVORS.values() if s.standing != Standing.EQUIVALENT)
    lines = ["| mutants | standing | why no scenario shows them |", "|---|---|---|"]
    lines += [
        f"| {n} | {standing} | {why} |" for (standing, why), n in sorted(reasons.items(), key=lambda i: (-i[1], i[0]))
    ]
    return "\n".join(lines)


def _shown(name: str) -> str:
    return f"`{name.replace('|', chr(92) + '|')}`" if name else ""


TABLES: Iterable[tuple[str, Callable[[], str]]] = (
    ("kinds", by_kind), ("figures", figures), ("verdicts", by_verdict), ("not-found", not_found), ("c", of_the_c),
    ("array", of_the_array), ("dimensions", by_dimension),
)  # fmt: skip


def page() -> str:
    """Return the page with the tables of today."""
    text = PAGE.read_text()
    for name, table in TABLES:
        place = re.compile(rf"(<!-- {name}: [^\n]*-->\n).*?(\n<!-- end -->)", re.DOTALL)
        found = place.search(text)
        if found is None:
            raise ValueError(f"{PAGE} has no place for the table of {name}")
        text = f"{text[: found.start()]}{found[1]}{table()}{found[2]}{text[found.end() :]}"
    return text


if __name__ == "__main__":
    PAGE.write_text(page())
