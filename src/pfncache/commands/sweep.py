# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache sweep``: every scenario up to a size, with the results in one file."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pfncache.commands.names import unknown
from pfncache.designs.catalogue import DESIGNS
from pfncache.scenarios.shape import shapes
from pfncache.scenarios.world import Memory
from pfncache.sweep.job import Limits, Row
from pfncache.sweep.runner import jobs, sweep, workers
from pfncache.sweep.store import Store

SIZE = click.IntRange(min=1)
EXIT_INTERRUPTED = 130


@click.command("sweep")
@click.argument("designs", nargs=-1, metavar="[DESIGN ...]")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default=Path("sweep.sqlite"), show_default=True, help="Results; a sweep that has begun there goes on.")  # fmt: skip # noqa: E501
@click.option("--actors", type=click.IntRange(min=2), default=3, show_default=True, help="At most, the vCPU included.")
@click.option("--updates", type=SIZE, default=2, show_default=True, help="Clock updates, at most.")
@click.option("--rounds", type=SIZE, default=1, show_default=True, help="How often each operation runs, at most.")
@click.option("--pages", type=click.IntRange(min=3), default=3, show_default=True, help="Pages of memory, at most.")
@click.option(
    "--memory", "memories", type=click.Choice([str(m) for m in Memory]), multiple=True, help="Only this kind."
)
@click.option("--seconds", type=float, default=60.0, show_default=True, help="Limit of each search.")
@click.option("--megabytes", type=SIZE, default=1024, show_default=True, help="Limit of each search.")
@click.option("--jobs", "processes", type=SIZE, default=None, help="Processes; as many as there are cores.")
@click.option("--scheduler", metavar="tcp://HOST:PORT", help="Use the workers of a Dask cluster instead.")
@click.pass_context
def sweep_command(
    ctx: click.Context,
    designs: tuple[str, ...],
    output: Path,
    actors: int,
    updates: int,
    rounds: int,
    pages: int,
    memories: tuple[str, ...],
    seconds: float,
    megabytes: int,
    processes: int | None,
    scheduler: str | None,
) -> None:
    """Search every scenario up to a size, each as an independent job; mainline-7.3 and rfc-v4 by default.

    `pfncache report FILE` makes a table and a plot of the results. Exit status: 0 done, 130 interrupted.
    """
    for name in designs:
        if name not in DESIGNS:
            raise unknown("design", name, DESIGNS)
    kinds = [Memory(name) for name in memories] or list(Memory)
    work = jobs(designs or ("mainline-7.3", "rfc-v4"), shapes(actors, updates, rounds, pages, kinds))
    store = Store(output)
    before = len(store.done() & {(design, shape.name) for design, shape in work})
    err = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with (
            Progress(*columns, console=err, transient=True, disable=not sys.stderr.isatty()) as progress,
            workers(processes, scheduler) as executor,
        ):
            task = progress.add_task("sweep", total=len(work), completed=before)

            def note(row: Row) -> None:
                progress.update(task, advance=1, description=f"{row.design} {row.scenario}"[:50].ljust(50))

            sweep(executor, work, store, Limits(seconds, megabytes), note)
    except KeyboardInterrupt:
        err.print(f"interrupted; the same command goes on with {output}")
        ctx.exit(EXIT_INTERRUPTED)
    finally:
        count = len(store.done())
        store.close()
    click.echo(f"{len(work):,} jobs, {len(work) - before:,} of them now; {count:,} results in {output}")
