# SPDX-License-Identifier: GPL-2.0-only
"""Shows a sweep: its progress, a table of its results, and how the number of states grows with each bound."""

from __future__ import annotations

import sys
from collections import defaultdict
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pfncache.sweep.job import Limits, SweepJob, SweepRow
from pfncache.sweep.runner import sweep
from pfncache.sweep.store import Store

PIPE_WIDTH = 140
"""Columns of the tables where standard output is no terminal."""
LABEL_WIDTH = 50
"""Columns of the design and the scenario beside the progress bar."""

BOUNDS = ("actors", "updates", "rounds", "pages")


def verdicts(store: Store) -> Table:
    """Return a table: for each design and number of actors, how many scenarios hold, and which properties break."""
    table = Table(title="Verdicts", title_justify="left")
    for name in ("design", "actors", "hold", "break", "bounded", "states", "most", "seconds"):
        table.add_column(name, justify="left" if name == "design" else "right", no_wrap=True)
    table.add_column("what breaks")
    broken: dict[tuple[str, int], list[str]] = defaultdict(list)
    for design, actors, kind, count in store.query(
        "SELECT design, actors, property, count(*) FROM results WHERE property IS NOT NULL"
        " GROUP BY design, actors, property ORDER BY count(*) DESC, property"
    ):
        broken[design, actors].append(f"{kind} {count}")
    for design, actors, holds, violated, bounded, states, most, seconds in store.query(
        "SELECT design, actors, sum(verdict = 'holds'), sum(verdict = 'violated'), sum(verdict = 'bounded'),"
        " sum(states), max(states), sum(seconds) FROM results GROUP BY design, actors ORDER BY design, actors"
    ):
        numbers = (holds, violated, bounded, states, most)
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
        f"SELECT design, memory, operations, states, {', '.join(BOUNDS)} FROM results WHERE verdict = 'holds'"
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


def plot(store: Store, path: Path) -> None:
    """Draw growth() into a file. Raises ImportError without Matplotlib."""
    import matplotlib as mpl  # noqa: PLC0415 (an extra)

    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    figure, axes = pyplot.subplots(1, len(BOUNDS), figsize=(12, 3), sharey=True, layout="constrained")
    for axis, (bound, points) in zip(axes, growth(store).items(), strict=True):
        axis.plot([value for value, _ in points], [ratio for _, ratio in points], marker="o")
        axis.set_xlabel(bound)
        axis.set_xticks([value for value, _ in points])
        axis.set_yscale("log")
    axes[0].set_ylabel("states, relative to the least")
    figure.savefig(path)
    pyplot.close(figure)


def show(store: Store) -> None:
    """Print the tables of a sweep."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    console.print(verdicts(store))
    console.print(growth_table(store))


def run_with_progress(
    work: list[SweepJob], output: Path, limits: Limits, pool: AbstractContextManager[Executor]
) -> None:
    """Run what is left of a sweep, with a progress bar on standard error. Prints how much that was."""
    store = Store(output)
    before = len(store.done() & {job.key for job in work})
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    try:
        with bar as progress, pool as executor:
            task = progress.add_task("sweep", total=len(work), completed=before)

            def advance(row: SweepRow) -> None:
                label = f"{row.design} {row.scenario}"[:LABEL_WIDTH].ljust(LABEL_WIDTH)
                progress.update(task, advance=1, description=label)

            sweep(executor, work, store, limits, advance)
    finally:
        count = len(store.done())
        store.close()
    click.echo(f"{len(work):,} jobs, {len(work) - before:,} of them now; {count:,} results in {output}")
