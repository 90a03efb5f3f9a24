# SPDX-License-Identifier: GPL-2.0-only
"""What a sweep has found: verdicts by design, what breaks by dimension, growth by bound, and the rows' origin."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from pfncache.check.verdict import Verdict
from pfncache.scenarios.space.locate import Located, locate
from pfncache.scenarios.space.names import values_of_name
from pfncache.scenarios.space.point import ROOM
from pfncache.sweep.job import PROPERTY_SEPARATOR
from pfncache.sweep.store import Store

BOUNDS = ("actors", "updates", "rounds", "pages")


@dataclass(frozen=True, kw_only=True)
class DesignVerdicts:
    """What was found under a design in the scenarios of some number of actors."""

    design: str
    actors: int
    scenarios: Mapping[str, int]
    """By verdict: how many scenarios have it."""
    properties: Mapping[str, int]
    """By property: how many scenarios violate it, those with the most first."""
    states: int
    most: int
    """States of the largest search."""
    seconds: float


@dataclass(frozen=True, kw_only=True)
class ViolatedProperty:
    """A property that points of the space violate under a design, and what these points have in common."""

    design: str
    property: str
    located: Located


@dataclass(frozen=True, kw_only=True)
class StoredSample:
    """A sample of the space that was to be searched."""

    designs: str
    points: int
    of_points: int
    seed: int
    sources: str
    """The version of pfncache's sources that drew it."""


def verdicts(store: Store) -> list[DesignVerdicts]:
    """Return the verdicts by design and number of actors."""
    scenarios: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    properties: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for design, actors, verdict, found in store.query("SELECT design, actors, verdict, property FROM newest"):
        scenarios[design, actors][verdict] += 1
        properties[design, actors].update(found.split(PROPERTY_SEPARATOR) if found else ())
    return [
        DesignVerdicts(
            design=design,
            actors=actors,
            scenarios=dict(scenarios[design, actors]),
            properties=dict(sorted(properties[design, actors].items(), key=lambda item: (-item[1], item[0]))),
            states=states,
            most=most,
            seconds=seconds,
        )
        for design, actors, states, most, seconds in store.query(
            "SELECT design, actors, sum(states), max(states), sum(seconds) FROM newest"
            " GROUP BY design, actors ORDER BY design, actors"
        )
    ]


def growth(store: Store) -> dict[str, list[tuple[int, float]]]:
    """Return, for each bound, its values with the number of states relative to that of the least value.

    That is the median over groups of scenarios that hold and differ in this bound alone. For the number of actors, of
    which there are no such groups, it is the median over all scenarios with that number and the least other bounds.
    """
    rows = store.query(
        f"SELECT design, memory, operations, states, {', '.join(BOUNDS)} FROM newest"
        f" WHERE verdict = 'holds' AND scenario NOT LIKE '{ROOM}/%'"
    )
    found = {}
    for number, bound in enumerate(BOUNDS):
        ratios: dict[int, list[float]] = defaultdict(list)
        if bound == "actors":
            by_actors: dict[int, list[float]] = defaultdict(list)
            for row in rows:
                if row[5:] == (1, 1, 3):
                    by_actors[row[4]].append(row[3])
            least = median(by_actors[min(by_actors)]) if by_actors else 1
            ratios = {value: [median(states) / least] for value, states in by_actors.items()}
        else:
            twins: dict[tuple[Any, ...], dict[int, int]] = defaultdict(dict)
            for row in rows:
                key = (*row[:3], *(v for n, v in enumerate(row[4:]) if n != number))
                twins[key][row[4 + number]] = row[3]
            for group in twins.values():
                for value, states in group.items():
                    if len(group) > 1:
                        ratios[value].append(states / group[min(group)])
        found[bound] = sorted((value, median(values)) for value, values in ratios.items())
    return found


def samples(store: Store) -> list[StoredSample]:
    """Return the samples of the space that were to be searched, the first one first."""
    rows = store.query("SELECT designs, points, of_points, seed, sources FROM samples ORDER BY rowid")
    return [
        StoredSample(designs=designs, points=points, of_points=whole, seed=seed, sources=version)
        for designs, points, whole, seed, version in rows
    ]


def faults(store: Store) -> list[ViolatedProperty]:
    """Return what points of the space violate, by design; properties that the most points violate first."""
    values: dict[str, dict[str, str]] = {}
    broken: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    complete: dict[str, list[str]] = defaultdict(list)
    for design, name, verdict, properties, reason in store.query(
        f"SELECT design, scenario, verdict, property, reason FROM newest WHERE scenario LIKE '{ROOM}/%' ORDER BY design"
    ):
        values[name] = values_of_name(name.partition("@")[0])
        for kind in properties.split(PROPERTY_SEPARATOR) if properties else ():
            broken[design][kind].add(name)
        if verdict in (Verdict.HOLDS, Verdict.VACUOUS) or (verdict == Verdict.VIOLATED and not reason):
            complete[design].append(name)

    def located(design: str, names: set[str]) -> Located:
        others = [values[n] for n in complete[design] if n not in names]
        return locate([values[n] for n in sorted(names)], others)

    return [
        ViolatedProperty(design=design, property=kind, located=located(design, names))
        for design, kinds in broken.items()
        for kind, names in sorted(kinds.items(), key=lambda item: -len(item[1]))
    ]


def versions(store: Store) -> list[tuple[str, int]]:
    """Return the versions of the sources that the shown rows are of, the newest first, with the number of rows."""
    return store.query("SELECT sources, count(*) FROM newest GROUP BY sources ORDER BY max(number) DESC")


def limits(store: Store) -> list[tuple[float, int, int]]:
    """Return the limits of the shown rows, in seconds and megabytes, the newest first, with the number of rows."""
    return store.query(
        "SELECT max_seconds, max_megabytes, count(*) FROM newest GROUP BY max_seconds, max_megabytes"
        " ORDER BY max(number) DESC"
    )


def older_rows(store: Store) -> int:
    """Return the number of rows of which there is a newer one of the same scenario."""
    ((older,),) = store.query("SELECT (SELECT count(*) FROM results) - (SELECT count(*) FROM newest)")
    return int(older)
