# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache report``: what a sweep has found."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console

from pfncache.sweep.store import Store
from pfncache.sweep.view import growth_table, plot, verdicts

PIPE_WIDTH = 140


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), default=Path("sweep.sqlite"))
@click.option("--plot", "picture", type=click.Path(path_type=Path, dir_okay=False), help="Draw growth by bound there.")
def report(file: Path, picture: Path | None) -> None:
    """Show the results of a sweep: verdicts by design, and how the number of states grows with each bound."""
    store = Store(file)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    console.print(verdicts(store))
    console.print(growth_table(store))
    if picture is not None:
        try:
            plot(store, picture)
        except ImportError:
            raise click.ClickException("a plot needs Matplotlib: pip install 'pfncache[plot]'") from None
        click.echo(f"growth is drawn in {picture}")
    store.close()
