# SPDX-License-Identifier: GPL-2.0-only
"""Shows a sweep: its progress, a table of its results, and how the number of states grows with each bound."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from pfncache.check.verdict import Verdict
from pfncache.picture import drawing, save
from pfncache.progress import progress
from pfncache.scenarios.space.locate import locate
from pfncache.scenarios.space.names import values_of_name
from pfncache.scenarios.space.point import ROOM
from pfncache.scenarios.space.sampling import sample_text
from pfncache.sweep.job import PROPERTY_SEPARATOR, Limits, SweepJob, SweepRow
from pfncache.sweep.runner import JobSearch, sweep
from pfncache.sweep.store import Store

PIPE_WIDTH = 140
"""Columns of the tables where standard output is no terminal."""

BOUNDS = ("actors", "updates", "rounds", "pages")


def verdicts(store: Store) -> Table:
    """Return a table: for each design and number of actors, how many scenarios hold, and which properties break.

    What is rare, as a vacuous or a lost scenario, has a column if there is one.
    """
    table = Table(title="Verdicts", title_justify="left")
    met = {verdict for (verdict,) in store.query("SELECT DISTINCT verdict FROM newest")}
    kinds = {"hold": "holds", "break": "violated", "bounded": "bounded"}
    kinds |= {verdict: verdict for verdict in sorted(met - set(kinds.values()))}
    for name in ("design", "actors", *kinds, "states", "most", "seconds"):
        table.add_column(name, justify="left" if name == "design" else "right", no_wrap=True)
    table.add_column("what breaks")
    broken: dict[tuple[str, int], list[str]] = defaultdict(list)
    kinds_of: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for design, actors, properties in store.query(
        "SELECT design, actors, property FROM newest WHERE property IS NOT NULL"
    ):
        kinds_of[design, actors].update(properties.split(PROPERTY_SEPARATOR))
    for key, kinds_broken in kinds_of.items():
        by_count = sorted(kinds_broken.items(), key=lambda item: (-item[1], item[0]))
        broken[key] = [f"{name} {count}" for name, count in by_count]
    counts = ", ".join(f"sum(verdict = '{verdict}')" for verdict in kinds.values())
    for design, actors, seconds, *numbers in store.query(
        f"SELECT design, actors, sum(seconds), {counts}, sum(states), max(states)"
        " FROM newest GROUP BY design, actors ORDER BY design, actors"
    ):
        table.add_row(
            design, str(actors), *(f"{n:,}" for n in numbers), f"{seconds:.1f}", ", ".join(broken[design, actors])
        )
    return table


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


def growth_table(store: Store) -> Table:
    """Return a table of growth()."""
    table = Table("bound", "value: states, relative to the least", title="Growth", title_justify="left")
    for bound, points in growth(store).items():
        table.add_row(bound, ", ".join(f"{value}: {ratio:.3g} x" for value, ratio in points) or "only one value")
    return table


def samples(store: Store) -> list[str]:
    """Return a line for each sample of the space that was to be searched."""
    rows = store.query("SELECT designs, points, of_points, seed, sources FROM samples ORDER BY rowid")
    return [
        f"{designs}: {sample_text(points, whole, seed)} (sources {version})"
        for designs, points, whole, seed, version in rows
    ]


def by_dimension(store: Store) -> list[str]:
    """Return, for each design and property that points of the space violate, what these points have in common."""
    values: dict[str, dict[str, str]] = {}
    broken: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    complete: dict[str, list[str]] = defaultdict(list)
    for design, name, verdict, properties, reason in store.query(
        f"SELECT design, scenario, verdict, property, reason FROM newest WHERE scenario LIKE '{ROOM}/%' ORDER BY design"
    ):
        values[name] = values_of_name(name.partition("@")[0])
        for kind in (properties or "").split(PROPERTY_SEPARATOR) if properties else ():
            broken[design][kind].add(name)
        if verdict in (Verdict.HOLDS, Verdict.VACUOUS) or (verdict == Verdict.VIOLATED and not reason):
            complete[design].append(name)
    return [
        f"{design}: {kind} "
        + str(locate([values[n] for n in sorted(names)], [values[n] for n in complete[design] if n not in names]))
        for design, kinds in broken.items()
        for kind, names in sorted(kinds.items(), key=lambda item: -len(item[1]))
    ]


def provenance(store: Store) -> str:
    """Return a line about the versions and limits of the shown rows if there are several, and about hidden rows."""
    versions = store.query("SELECT sources, count(*) FROM newest GROUP BY sources ORDER BY max(number) DESC")
    limits = store.query(
        "SELECT max_seconds, max_megabytes, count(*) FROM newest GROUP BY max_seconds, max_megabytes"
        " ORDER BY max(number) DESC"
    )
    ((older,),) = store.query("SELECT (SELECT count(*) FROM results) - (SELECT count(*) FROM newest)")
    parts = []
    if len(versions) > 1:
        shares = ", ".join(f"{version}: {count:,}" for version, count in versions)
        parts.append(f"rows of {len(versions)} versions of the sources, which may not be compared ({shares})")
    if len(limits) > 1:
        shares = ", ".join(f"{seconds:g} s and {megabytes:,} MB: {count:,}" for seconds, megabytes, count in limits)
        parts.append(f"rows of {len(limits)} limits ({shares})")
    if older:
        parts.append(f"{older:,} older row{'s' * (older != 1)} of the same scenarios not shown")
    return "; ".join(parts)


def plot(store: Store, path: Path) -> None:
    """Draw growth() into a file that passes check_picture(). Raises PictureError if it cannot be written."""
    with drawing(1, len(BOUNDS), figsize=(12, 3), sharey=True) as (figure, axes):
        for axis, (bound, points) in zip(axes, growth(store).items(), strict=True):
            axis.plot([value for value, _ in points], [ratio for _, ratio in points], marker="o")
            axis.set_xlabel(bound)
            axis.set_xticks([value for value, _ in points])
            axis.set_yscale("log")
        axes[0].set_ylabel("states, relative to the least")
        save(figure, path)


def show(store: Store) -> None:
    """Print the tables of a sweep."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    console.print(verdicts(store))
    if any(growth(store).values()):
        console.print(growth_table(store))
    for line in (*samples(store), *by_dimension(store)):
        console.print(line, markup=False, soft_wrap=True)
    line = provenance(store)
    if line:
        console.print(line)


def run_with_progress(work: list[SweepJob], store: Store, limits: Limits, search: JobSearch) -> Counter[str]:
    """Run what is left of a sweep, with progress on standard error. Returns how many jobs have each verdict."""
    keys = {job.key for job in work}
    before = len(store.done(limits) & keys)
    violated = 0
    with progress("sweep", len(work), before) as advance:

        def note(row: SweepRow) -> None:
            nonlocal violated
            violated += row.verdict == Verdict.VIOLATED
            advance(f"{row.design} {row.scenario}", f"{violated:,} violated" if violated else "")

        sweep(search, work, store, limits, note)
    ((count,),) = store.query("SELECT count(*) FROM newest")
    found = Counter(verdict for key, verdict in store.verdicts(limits).items() if key in keys)
    line = f"{len(work):,} jobs, {len(work) - before:,} of them now; {count:,} results in {store.path}"
    others = [f"{found[v]:,} {v}" for v in reversed(Verdict) if v != Verdict.HOLDS and found[v]]
    click.echo("; ".join([line, ", ".join(others)] if others else [line]))
    return found
