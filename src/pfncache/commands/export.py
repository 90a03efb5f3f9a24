# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache export``: a scenario as a model for another model checker."""

from __future__ import annotations

from pathlib import Path

import click

from pfncache.commands.names import DesignName, ScenarioName, usage_errors

OUTPUT = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("design", default="mainline-7.3", type=DesignName(), metavar="[DESIGN|FILE.py[:DESIGN]]")
@click.option("--promela", is_flag=True, help="As a model for SPIN.")
@click.option("--tla", is_flag=True, help="As a module for TLC; needs -o, as it is two files.")
@click.option("-s", "--scenario", required=True, type=ScenarioName(), help="The scenario.")
@click.option("-o", "--output", type=OUTPUT, help="File to write; default: standard output.")
def export(design: str, promela: bool, tla: bool, scenario: str, output: Path | None) -> None:
    """Write the transition system of a scenario under a design, as a model for SPIN or TLC.

    The model has the states and transitions of `pfncache verify --no-reduction`.

    \b
    pfncache export --promela mainline-7.3 -s clock/anon/munmap -o model.pml
    spin -a model.pml && gcc -O2 -DSAFETY -DNOREDUCE -o pan pan.c
    ./pan -m1000000

    \b
    pfncache export --tla mainline-7.3 -s clock/anon/munmap -o model.tla
    java -XX:+UseParallelGC -jar tla2tools.jar model.tla
    """  # noqa: D301 (click reads the backspace: do not rewrap)
    if not promela and not tla:
        raise click.UsageError("Missing option '--promela' or '--tla'.")
    if promela and tla:
        raise click.UsageError("--promela and --tla are two formats; choose one")
    from pfncache.verify.selection import Selection

    with usage_errors():
        named = Selection.of((design,))
        chosen = named.scenario(scenario)

        from pfncache.verify.export import ExportError, export_promela, export_tla

        write = export_promela if promela else export_tla
        try:
            text = write(named.design, chosen, output)
        except ExportError as error:
            raise click.UsageError(str(error)) from None
    click.echo(text, nl=False)
