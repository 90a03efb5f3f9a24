# SPDX-License-Identifier: GPL-2.0-only
"""Shows a sweep: its progress, a table of its results, and how the number of states grows with each bound."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from pfncache.check.verdict import Verdict
from pfncache.picture import drawing, save
from pfncache.progress import progress
from pfncache.scenarios.space.sampling import sample_text
from pfncache.sweep.job import Limits, SweepJob, SweepRow
from pfncache.sweep.runner import JobSearch, sweep
from pfncache.sweep.store import Store
from pfncache.sweep.summary import BOUNDS, faults, growth, limits, older_rows, samples, verdicts, versions

PIPE_WIDTH = 140
"""Columns of the tables where standard output is no terminal."""


def verdict_table(store: Store) -> Table:
    """Return a table: for each design and number of actors, how many scenarios hold, and which properties break.

    What is rare, as a vacuous or a lost scenario, has a column if there is one.
    """
    table = Table(title="Verdicts", title_justify="left")
    found = verdicts(store)
    met = set().union(*(row.scenarios for row in found))
    kinds: dict[str, str] = {"hold": Verdict.HOLDS, "break": Verdict.VIOLATED, "bounded": Verdict.BOUNDED}
    kinds |= {verdict: verdict for verdict in sorted(met - set(kinds.values()))}
    for name in ("design", "actors", *kinds, "states", "most", "seconds"):
        table.add_column(name, justify="left" if name == "design" else "right", no_wrap=True)
    table.add_column("what breaks")
    for row in found:
        numbers = (*(row.scenarios.get(verdict, 0) for verdict in kinds.values()), row.states, row.most)
        broken = ", ".join(f"{name} {count}" for name, count in row.properties.items())
        table.add_row(row.design, str(row.actors), *(f"{n:,}" for n in numbers), f"{row.seconds:.1f}", broken)
    return table


def growth_table(store: Store) -> Table:
    """Return a table of growth()."""
    table = Table("bound", "value: states, relative to the least", title="Growth", title_justify="left")
    for bound, points in growth(store).items():
        table.add_row(bound, ", ".join(f"{value}: {ratio:.3g} x" for value, ratio in points) or "only one value")
    return table


def sample_lines(store: Store) -> list[str]:
    """Return a line for each sample of the space that was to be searched."""
    return [
        f"{one.designs}: {sample_text(one.points, one.of_points, one.seed)} (sources {one.sources})"
        for one in samples(store)
    ]


def fault_lines(store: Store) -> list[str]:
    """Return, for each design and property that points of the space violate, what these points have in common."""
    return [f"{fault.design}: {fault.property} {fault.located}" for fault in faults(store)]


def provenance(store: Store) -> str:
    """Return a line about the versions and limits of the shown rows if there are several, and about hidden rows."""
    by_version, by_limit, older = versions(store), limits(store), older_rows(store)
    parts = []
    if len(by_version) > 1:
        shares = ", ".join(f"{version}: {count:,}" for version, count in by_version)
        parts.append(f"rows of {len(by_version)} versions of the sources, which may not be compared ({shares})")
    if len(by_limit) > 1:
        shares = ", ".join(f"{seconds:g} s and {megabytes:,} MB: {count:,}" for seconds, megabytes, count in by_limit)
        parts.append(f"rows of {len(by_limit)} limits ({shares})")
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
    console.print(verdict_table(store))
    if any(growth(store).values()):
        console.print(growth_table(store))
    for line in (*sample_lines(store), *fault_lines(store)):
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
