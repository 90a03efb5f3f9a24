# SPDX-License-Identifier: GPL-2.0-only
"""What each scenario says to mainline, and which lines it executes: a mutant is searched only where its line runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pfncache import user_cache
from pfncache.designs.catalogue import mainline_7_3
from pfncache.progress import progress
from pfncache.scenarios import DEFAULT_SCENARIOS, SCENARIOS, Scenario
from pfncache.scenarios.space.names import is_point, point_named, scenario_of
from pfncache.verify.generation import generation
from pfncache.verify.job import Job
from pfncache.verify.reach import compared
from pfncache.verify.runner import run

STATES = 300_000
"""Distinct states of a search at most."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """A scenario under mainline."""

    scenario: str
    verdict: str
    properties: tuple[str, ...]
    states: int
    cost: int
    """Transitions of the search: the order in which scenarios are tried."""
    targets: tuple[str, ...]
    """What a design on top has to reach, too."""
    functions: frozenset[str]
    lines: frozenset[str]
    """file:line of each statement that the actors execute, the file without the folder of the package."""

    @property
    def is_point(self) -> bool:
        """Whether the scenario is a point of the space."""
        return is_point(self.scenario)


def line_name(file: str, line: int) -> str:
    """Return the name of a line in the tables."""
    return f"{file.partition('/pfncache/linux/')[2] or file}:{line}"


def scenario_named(name: str) -> Scenario:
    """Return a scenario of the catalogue, or of a point that is not in the array."""
    return SCENARIOS[name] if name in SCENARIOS else scenario_of(point_named(name))


def search_reach(scenario: str) -> Reach:
    """Search a scenario under mainline."""
    outcome = run(Job(mainline_7_3, scenario_named(scenario), STATES, coverage=True))
    return Reach(
        scenario=scenario,
        verdict=str(outcome.verdict),
        properties=outcome.properties,
        states=outcome.states,
        cost=outcome.transitions,
        targets=tuple(sorted(compared(outcome.targets))),
        functions=outcome.used,
        lines=frozenset(line_name(line.file, line.line) for line in outcome.covered if not line.around),
    )


def path() -> Path:
    """Return the file of the present sources."""
    return user_cache.root() / f"mutation-{generation()}.jsonl"


def known(file: Path) -> Iterator[Reach]:
    """Yield what is in the file."""
    for text in file.read_text().splitlines() if file.exists() else ():
        row: dict[str, Any] = json.loads(text)
        for name, kind in (("properties", tuple), ("targets", tuple), ("functions", frozenset), ("lines", frozenset)):
            row[name] = kind(row[name])
        yield Reach(**row)


def names() -> list[str]:
    """Return the scenarios that mutants are searched in, in the order of the catalogue."""
    return [*DEFAULT_SCENARIOS, *(name for name in SCENARIOS if is_point(name))]


@cache
def surveyed() -> dict[str, Reach]:
    """Return what each scenario reaches, by its name."""
    with progress("survey", len(names()), sum(1 for _ in known(path())), work="scenarios") as advance:
        found = {}
        for reach in reaches():
            found[reach.scenario] = reach
            advance(reach.scenario, "")
    return found


def reaches(wanted: Sequence[str] | None = None) -> Iterator[Reach]:
    """Yield what each scenario reaches, or some; search for what the file lacks, and add it to the file."""
    file = path()
    found = {reach.scenario: reach for reach in known(file)}
    for name in names() if wanted is None else wanted:
        if name not in found:
            found[name] = search_reach(name)
            row = {key: sorted(v) if isinstance(v, frozenset) else v for key, v in asdict(found[name]).items()}
            with file.open("a") as out:
                out.write(json.dumps(row) + "\n")
        yield found[name]
