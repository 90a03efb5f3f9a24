# SPDX-License-Identifier: GPL-2.0-only
"""Lock order validation, as lockdep's: the graph of lock classes taken while others are held has no cycle."""

from __future__ import annotations

import itertools
from typing import Any

from pfncache.check.ir import LockUse


def find_cycles(acquisitions: list[tuple[frozenset[str], LockUse, Any]], taken: Any) -> list[str]:
    """Return descriptions of cycles in the order of lock classes: a shortest one through each class that is on any.

    `acquisitions` are the places that take a lock, with the classes held there; `taken` tells for each whether the
    search has executed it. Two readers of an rwlock do not wait for each other, but a writer that waits between them
    blocks the second one, so a read lock adds edges, too. A trylock never blocks, so it adds no edge. Counters and SRCU
    sections that an actor waits for take part as locks do, but two holders of them do not exclude each other.
    """
    waits: dict[str, bool] = {}
    for number, (_, use, _) in enumerate(acquisitions):
        if taken[number]:
            waits[use.name] = waits.get(use.name, False) or use.excludes or use.exclusive
    edges: dict[str, dict[str, str]] = {}
    for number, (held, use, event) in enumerate(acquisitions):
        if not taken[number]:
            continue
        blocks = use.waits and (use.excludes or use.exclusive)
        for before in held:
            if before != use.name and blocks and waits.get(before, False):
                place = event.stack[-1] if event is not None else None
                edges.setdefault(before, {}).setdefault(use.name, f"{place.function}:{place.line}" if place else "?")
    found: dict[frozenset[str], str] = {}
    for start in sorted(edges):
        path = _shortest_cycle(edges, start)
        if path is not None and frozenset(path) not in found:
            steps = [f"{a} -> {b} ({edges[a][b]})" for a, b in itertools.pairwise(path)]
            found[frozenset(path)] = "lock order: " + ", ".join(steps)
    return list(found.values())


def _shortest_cycle(edges: dict[str, dict[str, str]], start: str) -> list[str] | None:
    """Return the classes along a shortest cycle from `start` back to it; None if there is none."""
    todo = [[start]]
    seen = set()
    while todo:
        path = todo.pop(0)
        for after in sorted(edges.get(path[-1], {})):
            if after == start:
                return [*path, start]
            if after not in seen:
                seen.add(after)
                todo.append([*path, after])
    return None
