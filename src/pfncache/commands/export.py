# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache export``: what is searched, for another model checker to search."""

from __future__ import annotations

from pathlib import Path

import click

from pfncache.check.compile.compiler import compile_system
from pfncache.check.compile.source import CompileError
from pfncache.check.export.promela.model import to_promela
from pfncache.check.export.tla.module import CONFIGURATION, is_name, to_tla
from pfncache.check.program.layout import link
from pfncache.check.search import Search
from pfncache.commands.names import designs_named, unknown
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.scenario import describe
from pfncache.verify.runner import compile_error
from pfncache.verify.systems import make_system


@click.command()
@click.argument("design", default="mainline-7.3", metavar="[DESIGN|FILE.py]")
@click.option("--promela", "language", flag_value="promela", help="As a model for SPIN.")
@click.option("--tla", "language", flag_value="tla", help="As a module for TLC; needs -o, as it is two files.")
@click.option("-s", "--scenario", required=True, help="The scenario.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Where to; else standard output.")
def export(design: str, language: str | None, scenario: str, output: Path | None) -> None:
    r"""Write the transition system of a scenario under a design, for SPIN or TLC to search.

    It has the states and transitions of `pfncache verify --no-reduction`:

    \b
    pfncache export --promela mainline-7.3 -s clock/anon/munmap -o model.pml
    spin -a model.pml && gcc -O2 -DSAFETY -DNOREDUCE -o pan pan.c && ./pan -m1000000
    pfncache export --tla mainline-7.3 -s clock/anon/munmap -o model.tla
    java -XX:+UseParallelGC -jar tla2tools.jar model.tla
    """
    if language is None:
        raise click.UsageError("Missing option '--promela' or '--tla'.")
    if language == "tla" and (output is None or output.suffix != ".tla" or not is_name(output.stem)):
        raise click.UsageError(
            "--tla needs -o NAME.tla, NAME being letters, digits and underscores: it names the module"
        )
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
    title = f"{scenario} under {chosen.name}: {describe(system)}"
    try:
        if language == "promela":
            files = {output: to_promela(search, title)}
        else:
            assert output is not None
            files = {output: to_tla(search, output.stem, title), output.with_suffix(".cfg"): CONFIGURATION}
    except NotImplementedError as error:
        raise click.UsageError(str(error)) from None
    for path, text in files.items():
        if path is None:
            click.echo(text, nl=False)
            continue
        try:
            path.write_text(text)
        except OSError as error:
            raise click.UsageError(f"cannot write {path}: {error.strerror}") from None
