# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache sweep``: every scenario up to a size, with the results in one file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from pfncache.check.verdict import Verdict
from pfncache.commands import options
from pfncache.commands.exit_status import ExitStatus
from pfncache.commands.names import check_designs, memory_kinds, usage_errors
from pfncache.commands.sweep_plan import open_store, plan, refuse_bounds
from pfncache.interrupts import Terminated


@click.command("sweep")
@options.designs
@click.option("-o", "--output", type=options.FILE, default="sweep.sqlite", show_default=True, help="Results; a sweep that has begun there goes on.")  # fmt: skip # noqa: E501
@options.sweep_bounds
@options.sweep_points
@options.sweep_limits
@options.first
@options.processes
@click.option("--scheduler", metavar="tcp://HOST:PORT", help="Use the workers of a Dask cluster instead.")
@click.pass_context
def sweep_command(
    ctx: click.Context, /, designs: tuple[str, ...], output: Path, seconds: float, megabytes: int, first: bool,
    processes: int | None, scheduler: str | None, memories: tuple[str, ...], points: int | None, seed: int,
    **bounds: int,
) -> None:  # fmt: skip
    """Search every scenario up to a size, each as an independent job; mainline-7.3 and rfc-v4 by default.

    With --points, search points of the space of scenarios (`pfncache list dimensions`), of up to three actors, drawn at
    random; all of them if there are no more. The sample is stored with the results, which say what breaks by dimension.

    FILE.py has designs of your own, and scenarios that are searched too. `pfncache report FILE` makes a table and a
    plot of the results.

    Exit status: 0 all hold, 1 violated, 2 usage, 3 incomplete, 130 and 143 interrupted.
    """
    check_designs(designs)
    if points is not None:
        refuse_bounds(ctx, bounds)
    kinds = memory_kinds(memories)

    from pfncache.scenarios.shape import ShapeBounds
    from pfncache.sweep.job import Limits
    from pfncache.sweep.runner import DEFAULT_DESIGNS, SweepError, SweepStopped, workers
    from pfncache.sweep.store import StoreError
    from pfncache.sweep.view import run_with_progress

    with usage_errors():
        try:
            drawn_points, work = plan(designs, points, seed, ShapeBounds(**bounds, memories=tuple(kinds)))
            with workers(processes, scheduler) as search:
                store = open_store(output)
                with closing(store):
                    if drawn_points is not None:
                        store.add_sample(" ".join(designs or DEFAULT_DESIGNS), drawn_points)
                    found = run_with_progress(work, store, Limits(seconds, megabytes, first), search)
        except SweepError as error:
            raise click.UsageError(str(error)) from None
        except (StoreError, SweepStopped) as error:
            click.echo(f"Error: {error}; the same command goes on", err=True)
            ctx.exit(ExitStatus.INCOMPLETE)
        except (KeyboardInterrupt, Terminated) as signal:
            click.echo(f"interrupted; the same command goes on with {output}", err=True)
            ctx.exit(ExitStatus.TERMINATED if isinstance(signal, Terminated) else ExitStatus.INTERRUPTED)
    if found[Verdict.VIOLATED]:
        ctx.exit(ExitStatus.VIOLATED)
    if found.total() > found[Verdict.HOLDS] or not work:
        ctx.exit(ExitStatus.INCOMPLETE)
