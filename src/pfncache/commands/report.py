# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache report``: the results of a sweep."""

from __future__ import annotations

from pathlib import Path

import click

INPUT = click.Path(path_type=Path, exists=True, dir_okay=False)
PICTURE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=INPUT, default="sweep.sqlite")
@click.option("--plot", "picture", type=PICTURE, help="Draw growth by bound there.")
def report(file: Path, picture: Path | None) -> None:
    """Show the results of a sweep: verdicts by design, and how the number of states grows with each bound."""
    from pfncache.sweep.store import Store
    from pfncache.sweep.view import plot, show

    store = Store(file)
    show(store)
    if picture is not None:
        try:
            plot(store, picture)
        except ImportError:
            raise click.ClickException("a plot needs Matplotlib: pip install 'pfncache[plot]'") from None
        click.echo(f"growth is drawn in {picture}")
    store.close()
