# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache sweep``: every scenario up to a size, with the results in one file."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pfncache.check.verdict import Verdict
from pfncache.commands.exit_status import ExitStatus
from pfncache.commands.names import DesignName, check_designs, complete_memory, memory_kinds, usage_errors
from pfncache.interrupts import Terminated

if TYPE_CHECKING:
    from pfncache.sweep.store import Store

SIZE, OUTPUT = click.IntRange(min=1), click.Path(path_type=Path, dir_okay=False)


def finite(ctx: click.Context, param: click.Parameter, value: float) -> float:
    """Return a limit of seconds; refuse what is no positive number."""
    if not (math.isfinite(value) and value > 0):
        raise click.BadParameter(f"{value:g} is not a number of seconds above 0")
    return value


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
@click.option("--seconds", type=float, callback=finite, default=60.0, show_default=True, help="Limit of each search.")
@click.option("--megabytes", type=SIZE, default=1024, show_default=True, help="Limit of each search.")
@click.option("--first", is_flag=True, help="End each search at the first violation.")
@click.option("--jobs", "processes", type=SIZE, default=None, help="Processes; as many as there are cores.")
@click.option("--scheduler", metavar="tcp://HOST:PORT", help="Use the workers of a Dask cluster instead.")
@click.pass_context
def sweep_command(
    ctx: click.Context, designs: tuple[str, ...], output: Path, actors: int, updates: int, rounds: int, pages: int,
    memories: tuple[str, ...], seconds: float, megabytes: int, first: bool, processes: int | None,
    scheduler: str | None,
) -> None:  # fmt: skip
    """Search every scenario up to a size, each as an independent job; mainline-7.3 and rfc-v4 by default.

    FILE.py has designs of your own, and scenarios that are searched too. `pfncache report FILE` makes a table and a
    plot of the results.

    Exit status: 0 all hold, 1 violated, 2 usage, 3 incomplete, 130 and 143 interrupted.
    """
    check_designs(designs)
    kinds = memory_kinds(memories)

    from pfncache.scenarios.shape import shapes
    from pfncache.sweep.job import Limits
    from pfncache.sweep.runner import SweepError, SweepStopped, jobs, workers
    from pfncache.sweep.store import StoreError
    from pfncache.sweep.view import run_with_progress

    with usage_errors():
        work = jobs(designs, shapes(actors, updates, rounds, pages, kinds))
        try:
            with workers(processes, scheduler) as search:
                store = _store(output)
                with closing(store):
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


def _store(path: Path) -> Store:
    from pfncache.sweep.store import Store, StoreError

    try:
        return Store(path)
    except StoreError as error:
        raise click.UsageError(str(error)) from None
