# SPDX-License-Identifier: GPL-2.0-only
"""Lock order as lockdep sees it: an edge for each class taken while another is held, and no cycle among them."""

from __future__ import annotations

import itertools
from typing import Any

from pfncache.check.ir import LockUse


def find_cycle(acquisitions: list[tuple[frozenset[str], LockUse, Any]], taken: Any) -> str | None:
    """A cycle in the order in which lock classes were taken, in words; None when there is none.

    `acquisitions` are the places that take a lock, with the classes held there; `taken` says which of them the search
    has executed. Two readers of one rwlock do not wait for one another, but a writer between them makes them, so
    readers count. Whoever only tries waits for nobody. Counters and SRCU sections that somebody waits for take part as
    locks do, but two holders of them do not exclude one another.
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
    for start in sorted(edges):
        path = _path_back(edges, start)
        if path is not None:
            steps = [f"{a} -> {b} ({edges[a][b]})" for a, b in itertools.pairwise(path)]
            return "lock order: " + ", ".join(steps)
    return None


def _path_back(edges: dict[str, dict[str, str]], start: str) -> list[str] | None:
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
