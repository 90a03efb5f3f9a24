# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache report``: the results of a sweep."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import click

from pfncache import __version__
from pfncache.commands.exit_status import ExitStatus

INPUT = click.Path(path_type=Path, exists=True, dir_okay=False)
PICTURE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("file", type=INPUT, default="sweep.sqlite")
@click.option("--plot", "picture", type=PICTURE, help="Draw growth by bound there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def report(ctx: click.Context, file: Path, picture: Path | None, as_json: bool) -> None:
    """Show the results of a sweep: verdicts by design, and how the number of states grows with each bound.

    The newest row of each scenario is shown. The file is never written to.

    Exit status: 0 shown, 2 usage, 3 no results yet.
    """
    from pfncache.picture import PictureError, check_picture
    from pfncache.sweep.document import document
    from pfncache.sweep.store import Store, StoreError
    from pfncache.sweep.view import plot, show

    try:
        if picture is not None:
            check_picture(picture)
        with closing(Store.reading(file)) as store:
            if not store.query("SELECT 1 FROM results LIMIT 1"):
                click.echo(f"{file} has no results yet", err=True)
                ctx.exit(ExitStatus.INCOMPLETE)
            if as_json:
                click.echo(json.dumps(document(store, __version__), indent=1))
            else:
                show(store)
            if picture is not None:
                plot(store, picture)
                click.echo(f"growth is drawn in {picture}", err=as_json)
    except (StoreError, PictureError) as error:
        raise click.UsageError(str(error)) from None
