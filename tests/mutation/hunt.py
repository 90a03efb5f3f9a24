# SPDX-License-Identifier: GPL-2.0-only
"""Finds for each mutant a scenario that fails, and keeps the table of them.

``python -m tests.mutation.hunt [NAME]``: hunts for the mutants whose names begin so. It goes on where an earlier run of
the same sources has ended, and begins with the scenarios that the table has.

``python -m tests.mutation.hunt --in PREFIX...``: hunts for every mutant that the table lacks, in the scenarios whose
names begin so, such as new ones.

All mutants that are left are searched in one scenario, then in the next: of one scenario only what a mutant changes is
compiled again, which takes a quarter of the time.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from pfncache import user_cache
from pfncache.check.compile.source import CompileError
from pfncache.check.replay import Divergence
from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import mainline_7_3
from pfncache.interrupts import Terminated, interruptible, reraise
from pfncache.progress import progress
from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.verify.garbage import Garbage
from pfncache.verify.generation import generation
from pfncache.verify.job import Job
from pfncache.verify.runner import run
from tests.mutation.mutants import Mutant, mutants
from tests.mutation.reach import STATES, Reach, reaches, scenario_named, surveyed

TABLE = Path(__file__).parent / "killed.json"
GROWTH = 3
"""A mutant may have so many times the states of mainline."""
FEWEST_STATES = 20_000
"""Distinct states that each search may have."""
MOST_SCENARIOS = 40
"""Hand-chosen scenarios, or those of each operation, in which a mutant is searched; then points of the space."""
MOST_SETUPS = 8
"""Scenarios in which a mutant is searched of which a set-up alone runs the function."""
HALF_COST = 200_000
"""Transitions of a scenario at which it is chosen if twice as many mutants are left that it may kill."""
NEAR_WEIGHT = 2
"""How much likelier a scenario is to kill that has killed in the function, as much for the file, and for the folder."""
BOUNDS, VACUOUS, REFUSED = "bounds", "vacuous", "refused"
"""In the place of a property: a value leaves the model's own bounds; the scenario does not reach what it is there for;
the compiler refuses the mutant, or its set-up breaks down."""
Kill = tuple[str, str]
"""The scenario that fails, and the property that it violates."""
Tried = dict[str, dict[str, str | None]]
"""By mutant and scenario, what was found."""


def property_of(mutant: Mutant, reach: Reach) -> str | None:
    """Return what a scenario says to a mutant and not to mainline; None if that is nothing."""
    states = min(STATES, max(FEWEST_STATES, GROWTH * reach.states))
    job = Job(
        mutant.design, scenario_named(reach.scenario), states, first=not reach.properties, kept=True, base=mainline_7_3,
        base_reached=frozenset(reach.targets),
    )  # fmt: skip
    try:
        outcome = run(job)
    except (CompileError, Divergence, RecursionError):
        return REFUSED
    found = next((name for name in outcome.properties if name not in reach.properties), None)
    if found is not None:
        return found
    if "out of the range" in outcome.limit:
        return BOUNDS
    return VACUOUS if outcome.verdict == Verdict.VACUOUS and reach.verdict == Verdict.HOLDS else None


@cache
def by_name() -> dict[str, Mutant]:
    """Return every mutant by its name."""
    return {mutant.name: mutant for mutant in mutants()}


def read_table() -> dict[str, Kill]:
    """Return the table of kills."""
    return {name: (kill[0], kill[1]) for name, kill in json.loads(TABLE.read_text()).items()}


class Hunt:
    """The mutants that are left, and the scenarios in which they were searched."""

    def __init__(
        self, wanted: Sequence[str], known: Mapping[str, Reach], tried: Tried, most: int = MOST_SCENARIOS
    ) -> None:
        self.left = {name: by_name()[name] for name in wanted if not any(tried[name].values())}
        self.tried = tried
        self._known = known
        self._most = most
        self._running = self._scenarios_of()

    def _scenarios_of(self) -> dict[str, frozenset[str]]:
        """Return for each mutant the scenarios that execute its line; if none does, those of which a set-up may."""
        running: dict[str, set[str]] = defaultdict(set)
        calling: dict[str, list[str]] = defaultdict(list)
        for reach in sorted(self._known.values(), key=lambda reach: reach.cost):
            for line in reach.lines:
                running[line].add(reach.scenario)
            for function in reach.functions:
                calling[function].append(reach.scenario)
        return {
            name: frozenset(running[mutant.line] or calling[mutant.function][:MOST_SETUPS])
            for name, mutant in self.left.items()
        }

    def searches(self, *, hand_chosen: bool = True) -> Iterator[tuple[Reach, list[str]]]:
        """Yield scenarios, each with the mutants that are to be searched there: a mutant is not left once killed."""
        if hand_chosen:
            yield from self._known_kills()
        for is_point in (False, True)[not hand_chosen :]:
            while True:
                chosen = self._best(is_point)
                if chosen is None:
                    break
                yield chosen, [name for name in self.left if self._may_kill(name, chosen, is_point)]

    def _known_kills(self) -> Iterator[tuple[Reach, list[str]]]:
        """Yield the scenarios that the table has."""
        groups: dict[str, list[str]] = defaultdict(list)
        for name, (scenario, _) in read_table().items():
            if name in self.left and scenario not in self.tried[name]:
                groups[scenario].append(name)
        for scenario, names in groups.items():
            if scenario in self._known:
                yield self._known[scenario], names

    def _best(self, is_point: bool) -> Reach | None:
        """Return the scenario that is most likely to kill.

        It is that of most mutants for which little was tried yet, and which has killed others of the same function,
        file or folder.
        """
        weights: dict[str, float] = defaultdict(float)
        kills = self._kills()
        for name, mutant in self.left.items():
            count = self._count(name, is_point)
            places = places_of(mutant)
            for scenario in self._running[name] if count < self._most else ():
                if self._known[scenario].is_point == is_point and scenario not in self.tried[name]:
                    near = sum(scenario in kills[place] for place in places)
                    weights[scenario] += (1 + NEAR_WEIGHT * near) / (1 + count)
        if not weights:
            return None
        return self._known[max(weights, key=lambda name: weights[name] / (1 + self._known[name].cost / HALF_COST))]

    def _kills(self) -> dict[str, set[str]]:
        """Return by function, file and folder the scenarios that have killed a mutant there."""
        kills: dict[str, set[str]] = defaultdict(set)
        for name, found in self.tried.items():
            for place in places_of(by_name()[name]) if name in by_name() else ():
                kills[place].update(scenario for scenario, kind in found.items() if kind is not None)
        return kills

    def _count(self, name: str, is_point: bool) -> int:
        return sum(self._known[tried].is_point == is_point for tried in self.tried[name] if tried in self._known)

    def _may_kill(self, name: str, reach: Reach, is_point: bool) -> bool:
        fresh = reach.scenario not in self.tried[name] and self._count(name, is_point) < self._most
        return fresh and reach.scenario in self._running[name]

    def add(self, name: str, scenario: str, found: str | None) -> None:
        """Note the outcome of a search."""
        self.tried[name][scenario] = found
        if found is not None:
            del self.left[name]


def places_of(mutant: Mutant) -> tuple[str, str, str]:
    """Return function, file and folder of a mutant."""
    file = mutant.line.partition(":")[0]
    return mutant.function, file, file.rpartition("/")[0]


def results_path() -> Path:
    """Return the file of the searches with the present sources."""
    return user_cache.root() / f"mutation-{generation()}-tried.jsonl"


def tried_before() -> Tried:
    """Return what was searched with the present sources."""
    file = results_path()
    tried: Tried = defaultdict(dict)
    for line in file.read_text().splitlines() if file.exists() else ():
        name, scenario, found = json.loads(line)
        tried[name][scenario] = found
    return tried


def note(name: str, scenario: str, found: str | None, hunting: Hunt) -> None:
    """Note the outcome of a search, on disk too."""
    hunting.add(name, scenario, found)
    with results_path().open("a") as out:
        out.write(json.dumps([name, scenario, found]) + "\n")


def write_table(tried: Tried, wanted: Sequence[str]) -> None:
    """Write the table, in the order of the mutants: what was found, and what it had of the mutants that are left."""
    table: dict[str, Kill] = {}
    before = read_table()
    for name in by_name():
        kill = next(((scenario, found) for scenario, found in tried[name].items() if found is not None), None)
        kill = kill or (before.get(name) if name not in wanted or not tried[name] else None)
        if kill is not None:
            table[name] = kill
    TABLE.write_text(json.dumps(table, indent=1) + "\n")


def main(arguments: Sequence[str]) -> int:
    """Hunt; return 130 if interrupted."""
    tried = tried_before()
    wanted, chosen = _wanted(arguments)
    try:
        with interruptible():
            known = surveyed() if chosen is None else {reach.scenario: reach for reach in reaches(chosen)}
            hunting = Hunt(wanted, known, tried)
            _hunt(hunting, len(wanted))
    except (KeyboardInterrupt, Terminated):
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    finally:
        write_table(tried, wanted)
    for name in hunting.left:
        print(f"{name}: survives {len(tried[name])} scenarios")
    return 0


def _wanted(arguments: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """Return the mutants that are wanted, and the scenarios in which they are; None for all."""
    if arguments and arguments[0] == "--in":
        killed = read_table()
        chosen = [name for name in DEFAULT_SCENARIOS if name.startswith(tuple(arguments[1:]))]
        return [name for name in by_name() if name not in killed], chosen
    prefix = arguments[0] if arguments else ""
    return [name for name in by_name() if name.startswith(prefix)], None


def _hunt(hunting: Hunt, total: int) -> None:
    garbage = Garbage()
    with progress("mutation", total, total - len(hunting.left), work="mutants killed") as advance:
        for reach, names in hunting.searches():
            for name in names:
                if name not in hunting.left:
                    continue
                found = property_of(hunting.left[name], reach)
                reraise()
                note(name, reach.scenario, found, hunting)
                if found is not None:
                    print(f"{name}: {reach.scenario} {found}", flush=True)
                    advance(name, f"{len(hunting.left)} left")
            garbage.collect()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
