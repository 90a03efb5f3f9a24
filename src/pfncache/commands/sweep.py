# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache sweep``: every scenario up to a size, with the results in one file."""

from __future__ import annotations

from pathlib import Path

import click

from pfncache.commands.names import DesignName, check_designs, complete_memory, memory_kinds, usage_errors

EXIT_INTERRUPTED = 130
SIZE, OUTPUT = click.IntRange(min=1), click.Path(path_type=Path, dir_okay=False)


@click.command("sweep")
@click.argument("designs", nargs=-1, type=DesignName(), metavar="[DESIGN|FILE.py[:DESIGN]]...")
@click.option("-o", "--output", type=OUTPUT, default="sweep.sqlite", show_default=True, help="Results; a sweep that has begun there goes on.")  # fmt: skip # noqa: E501
@click.option("--actors", type=click.IntRange(min=2), default=3, show_default=True, help="At most, the vCPU included.")
@click.option("--updates", type=SIZE, default=2, show_default=True, help="Clock updates, at most.")
@click.option("--rounds", type=SIZE, default=1, show_default=True, help="How often each operation runs, at most.")
@click.option("--pages", type=click.IntRange(min=3), default=3, show_default=True, help="Pages of memory, at most.")
@click.option(
    "--memory", "memories", metavar="KIND", multiple=True, shell_complete=complete_memory, help="Only this kind."
)
@click.option("--seconds", type=float, default=60.0, show_default=True, help="Limit of each search.")
@click.option("--megabytes", type=SIZE, default=1024, show_default=True, help="Limit of each search.")
@click.option("--jobs", "processes", type=SIZE, default=None, help="Processes; as many as there are cores.")
@click.option("--scheduler", metavar="tcp://HOST:PORT", help="Use the workers of a Dask cluster instead.")
@click.pass_context
def sweep_command(
    ctx: click.Context, designs: tuple[str, ...], output: Path, actors: int, updates: int, rounds: int, pages: int,
    memories: tuple[str, ...], seconds: float, megabytes: int, processes: int | None, scheduler: str | None,
) -> None:  # fmt: skip
    """Search every scenario up to a size, each as an independent job; mainline-7.3 and rfc-v4 by default.

    FILE.py has designs of your own, and scenarios that are searched too. `pfncache report FILE` makes a table and a
    plot of the results.

    Exit status: 0 done, 2 usage, 130 interrupted.
    """
    check_designs(designs)
    kinds = memory_kinds(memories)

    from pfncache.scenarios.shape import shapes
    from pfncache.sweep.job import Limits
    from pfncache.sweep.runner import jobs, workers
    from pfncache.sweep.view import run_with_progress

    with usage_errors():
        work = jobs(designs, shapes(actors, updates, rounds, pages, kinds))
        try:
            run_with_progress(work, output, Limits(seconds, megabytes), workers(processes, scheduler))
        except KeyboardInterrupt:
            click.echo(f"interrupted; the same command goes on with {output}", err=True)
            ctx.exit(EXIT_INTERRUPTED)
