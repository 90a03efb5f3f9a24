# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache export``: what is searched, for another model checker to search."""

from __future__ import annotations

import click

from pfncache.check.compiler import compile_system
from pfncache.check.export.promela.model import to_promela
from pfncache.check.link import link
from pfncache.check.search import Search
from pfncache.check.source import CompileError
from pfncache.commands.names import designs_named, unknown
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.scenario import describe
from pfncache.verify.runner import compile_error
from pfncache.verify.systems import make_system


@click.command()
@click.argument("design", default="mainline-7.3", metavar="[DESIGN|FILE.py]")
@click.option("--promela", is_flag=True, required=True, help="As a model for SPIN, on standard output.")
@click.option("-s", "--scenario", required=True, help="The scenario.")
def export(design: str, promela: bool, scenario: str) -> None:
    r"""Write the transition system of a scenario under a design, for SPIN to search.

    It has the states and transitions of `pfncache verify --no-reduction`:

    \b
    pfncache export --promela mainline-7.3 -s clock/anon/munmap > model.pml
    spin -a model.pml && gcc -O2 -DSAFETY -DNOREDUCE -o pan pan.c && ./pan -m1000000
    """
    (chosen,) = designs_named((design,))
    if scenario not in SCENARIOS:
        raise unknown("scenario", scenario, SCENARIOS)
    try:
        system = make_system(chosen, scenario)
        search = Search(link(compile_system(system), reduction=False))
    except CompileError as error:
        raise click.UsageError(compile_error(error)) from None
    if search.start_failure is not None:
        raise click.UsageError(f"{chosen.name} fails {search.start_failure.kind} before there is anything to search")
    click.echo(to_promela(search, f"{scenario} under {chosen.name}: {describe(system)}"), nl=False)
