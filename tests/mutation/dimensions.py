# SPDX-License-Identifier: GPL-2.0-only
"""Which dimension of the space kills a mutant: the smallest point that still shows it, and what is not usual there.

``python -m tests.mutation.dimensions [--sample N]``: for every mutant that only a point of the space kills, and for a
sample of those that a hand-chosen scenario kills.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from pfncache.check.verdict import Verdict
from pfncache.interrupts import Terminated, interruptible, reraise
from pfncache.progress import progress
from pfncache.properties import PROPERTIES
from pfncache.scenarios.space.names import is_point, point_named, scenario_of
from pfncache.scenarios.space.point import Point
from pfncache.scenarios.space.smaller import smaller
from tests.mutation.hunt import Hunt, Tried, by_name, note, property_of, read_table, tried_before
from tests.mutation.mutants import Mutant
from tests.mutation.reach import Reach, search_reach, surveyed

TABLE = Path(__file__).parent / "points.json"
"""By mutant: the point of the array that kills it, the smallest one that does, if that was searched for, and the
property; None if no point kills it."""
SAMPLE, SEED = 60, 1
MINIMISED = 8
"""Mutants of the sample whose smallest point is searched for, beside those that only a point kills."""
MOST_POINTS = 16
"""Points of the array in which a mutant is searched."""
Row = tuple[str, str, str]


def sample(count: int = SAMPLE) -> list[str]:
    """Return the mutants that are looked at: those killed in points alone, and some that hand-chosen scenarios kill."""
    table = read_table()
    by_hand = [name for name, (scenario, _) in table.items() if not is_point(scenario)]
    ranked = sorted(by_hand, key=lambda name: hashlib.sha256(f"{SEED} {name}".encode()).digest())
    return [*(name for name, (scenario, _) in table.items() if is_point(scenario)), *ranked[:count]]


def killing_points(names: Sequence[str], tried: Tried) -> Iterator[tuple[str, Row | None]]:
    """Yield mutants with the point of the array that kills them, and the smallest one below it."""
    points = {name: {s: found for s, found in tried[name].items() if is_point(s)} for name in names}
    hunting = Hunt(names, surveyed(), defaultdict(dict, points), MOST_POINTS)
    for reach, mutants in hunting.searches(hand_chosen=False):
        for name in mutants:
            note(name, reach.scenario, property_of(by_name()[name], reach), hunting)
            reraise()
    later = minimised(sample())
    for name in sorted(names, key=lambda name: name in later):
        scenario, found = next(((s, f) for s, f in hunting.tried[name].items() if f is not None), ("", None))
        if found is None:
            yield name, None
        else:
            point = smallest(by_name()[name], point_named(scenario), found).name if name in later else ""
            yield name, (scenario, point, found)


def minimised(names: Sequence[str]) -> set[str]:
    """Return the mutants whose smallest point is searched for."""
    table = read_table()
    by_hand = [name for name in names if not is_point(table[name][0])]
    return set(names) - set(by_hand[MINIMISED:])


@cache
def reach_of(name: str) -> Reach:
    """Return what a point reaches; it need not be one of the array."""
    return surveyed().get(name) or search_reach(name)


def unknown(name: str) -> Reach:
    """Return what is taken for granted of a point before mainline is searched there: that it holds."""
    return Reach(
        scenario=name, verdict=Verdict.HOLDS, properties=(), states=0, cost=0, targets=(), functions=frozenset(),
        lines=frozenset(),
    )  # fmt: skip


def smallest(mutant: Mutant, point: Point, found: str) -> Point:
    """Return the point below one that shows the same property, and below which none does."""
    for other in smaller(point):
        if shows(mutant, other, found):
            return smallest(mutant, other, found)
    return point


def shows(mutant: Mutant, point: Point, found: str) -> bool:
    """Return whether a point shows a property of a mutant that mainline does not have there."""
    if not mutant.design.has(scenario_of(point).memory):
        return False
    if found in PROPERTIES and property_of(mutant, unknown(point.name)) != found:
        return False  # mainline need not be searched
    return property_of(mutant, reach_of(point.name)) == found


def read_points() -> dict[str, Row | None]:
    """Return the table."""
    rows = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    return {name: (row[0], row[1], row[2]) if row else None for name, row in rows.items()}


def main(arguments: Sequence[str]) -> int:
    """Search; return 130 if interrupted. What the table has is not searched again."""
    count = int(arguments[arguments.index("--sample") + 1]) if "--sample" in arguments else SAMPLE
    found, wanted = read_points(), sample(count)
    found = {name: found[name] for name in wanted if name in found}
    left = [name for name in wanted if name not in found]
    try:
        with interruptible(), progress("points", len(wanted), len(found), work="mutants") as advance:
            for name, row in killing_points(left, tried_before()):
                found[name] = row
                TABLE.write_text(json.dumps(found, indent=1) + "\n")
                print(f"{name}: {' '.join(row) if row else 'no point of the array'}", flush=True)
                advance(name, "")
                reraise()
    except (KeyboardInterrupt, Terminated):
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
