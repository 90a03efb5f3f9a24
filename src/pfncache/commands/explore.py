# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache explore``: step through any interleaving of a scenario, in a browser on this host."""

from __future__ import annotations

import click

from pfncache.commands.names import DesignName, ScenarioName, usage_errors

PORT = click.IntRange(0, 65535)


@click.command()
@click.argument("design", type=DesignName(), metavar="DESIGN|FILE.py[:DESIGN]")
@click.argument("scenario", type=ScenarioName())
@click.option("--port", type=PORT, default=0, help="Port on 127.0.0.1; by default any that is free.")
def explore(design: str, scenario: str, port: int) -> None:
    """Serve a page on which to walk through any interleaving of a scenario under a design.

    It begins with a shortest run that violates a property, or at the start if none does. At each step, it offers
    the other steps that are possible; and it searches for a run that violates a property, or reaches a line of the
    source. It listens on 127.0.0.1 alone, at an address that it prints. Ctrl-C ends it.
    """
    from pfncache.verify.selection import Selection

    with usage_errors():
        named = Selection.of((design,))
        chosen = named.scenario(scenario)
        if not named.design.has(chosen.memory):
            raise click.UsageError(f"{named.design.name} has no memory of the kind {chosen.memory}")
        from pfncache.review.explorer.walker import Walker

        walker = Walker(named.design, chosen)
    from pfncache.interrupts import interruptible, reraise
    from pfncache.review.explorer.server import ExplorerServer

    click.echo("searching for a run to begin with ...", err=True)
    try:
        with interruptible():
            server = ExplorerServer(walker, port)
            reraise()
    except OSError as error:
        raise click.UsageError(f"--port {port}: {error.strerror}") from None
    with server:
        click.echo(server.url)
        click.echo("open this address in a browser on this host; Ctrl-C ends the server", err=True)
        server.serve_forever()
