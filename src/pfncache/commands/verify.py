# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache verify``: every interleaving of every scenario, for one design or for all."""

from __future__ import annotations

import json
import sys
import time

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pfncache.check.compile.source import CompileError
from pfncache.commands.names import designs_named, unknown
from pfncache.designs.catalogue import DEFAULT_DESIGNS, DESIGNS
from pfncache.designs.design import Design
from pfncache.scenarios import DEFAULT_SCENARIOS, SCENARIOS
from pfncache.verify.outcome import DesignOutcome, Outcome, document
from pfncache.verify.runner import Job, compile_error, engine_is_cached, run_jobs
from pfncache.verify.trace import render

EXIT_VIOLATED, EXIT_INTERRUPTED = 1, 130
PIPE_WIDTH = 120
COLOURS = {"holds": "green", "bounded": "yellow", "violated": "red"}


@click.command()
@click.argument("designs", nargs=-1, metavar="[DESIGN ...|FILE.py]")
@click.option("-s", "--scenario", "scenarios", multiple=True, help="Only this scenario, or those whose name starts so.")
@click.option("--all", "everything", is_flag=True, help="Every design there is, older kernels and reverted fixes too.")
@click.option("--each-patch", is_flag=True, help="Check a series patch by patch, as it would be bisected.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.option(
    "--max-states", type=click.IntRange(min=1000), default=20_000_000, show_default=True, help="Per scenario."
)
@click.option("--no-reduction", is_flag=True, help="Search every single step, also those that nobody else can see.")
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Processes; as many as there are cores.")
@click.pass_context
def verify(
    ctx: click.Context,
    designs: tuple[str, ...],
    scenarios: tuple[str, ...],
    everything: bool,
    each_patch: bool,
    as_json: bool,
    max_states: int,
    no_reduction: bool,
    jobs: int | None,
) -> None:
    """Check designs: does any interleaving of any scenario break a property?

    Without a design: the newest mainline and every series. FILE.py is a design of your own.
    Exit status: 0 all hold, 1 violated, 2 usage, 130 interrupted.
    """
    chosen = _designs(designs, everything)
    if each_patch:
        chosen = [step for design in chosen for step in design.prefixes()]
    names = _scenarios(scenarios)
    err = Console(stderr=True)
    if not engine_is_cached():
        err.print("compiling the search engine, once; this takes about ten seconds ...", highlight=False)
    work = [
        Job(design, name, max_states, not no_reduction)
        for design in chosen
        for name in names
        if design.has(SCENARIOS[name].memory) and (scenarios or design.shown_by in ("", name))
    ]
    outcomes = [DesignOutcome(d.name, d.title) for d in chosen]
    by_design = {id(d): o for d, o in zip(chosen, outcomes, strict=True)}
    started = time.perf_counter()
    interrupted = False
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("verify", total=len(work))
        try:
            for job, outcome in run_jobs(work, jobs):
                by_design[id(job.design)].outcomes.append(outcome)
                progress.update(task, advance=1, description=f"{job.design.name} {job.scenario}"[:50].ljust(50))
        except KeyboardInterrupt:
            interrupted = True
        except CompileError as error:
            raise click.UsageError(compile_error(error)) from None
    for design, whole in zip(chosen, outcomes, strict=True):
        wanted = [job.scenario for job in work if job.design is design]
        whole.complete(wanted, "interrupted before it was searched")
    if as_json:
        click.echo(json.dumps(document(outcomes), indent=1))
    else:
        _show(outcomes, time.perf_counter() - started, detailed=len(chosen) == 1)
    if interrupted:
        ctx.exit(EXIT_INTERRUPTED)
    ctx.exit(EXIT_VIOLATED if any(o.verdict == "violated" for o in outcomes) else 0)


def _designs(names: tuple[str, ...], everything: bool) -> list[Design]:
    if not names:
        return list(DESIGNS.values()) if everything else [DESIGNS[n] for n in DEFAULT_DESIGNS]
    return designs_named(names)


def _scenarios(wanted: tuple[str, ...]) -> list[str]:
    if not wanted:
        return list(DEFAULT_SCENARIOS)
    chosen: list[str] = []
    for name in wanted:
        found = [name] if name in SCENARIOS else [s for s in SCENARIOS if s.startswith(name)]
        if not found:
            raise unknown("scenario", name, SCENARIOS)
        chosen.extend(found)
    return list(dict.fromkeys(chosen))


def _show(designs: list[DesignOutcome], seconds: float, detailed: bool) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    if detailed:
        console.print(_scenario_table(designs[0]))
        for outcome in designs[0].shortest():
            console.print(
                f"\n[bold]{outcome.property}[/] in {outcome.scenario}, the shortest interleaving:\n", highlight=False
            )
            if outcome.trace is not None:
                click.echo(render(outcome.trace))
            else:
                click.echo(f"=> {outcome.reason}")
        console.print()
    console.print(_design_table(designs))
    console.print(f"{_coverage([o for d in designs for o in d.outcomes])} in {seconds:.1f} s", style="dim")


def _coverage(outcomes: list[Outcome]) -> str:
    """What was searched, in words that claim no more than that."""
    holds, violated, bounded = (sum(o.verdict == v for o in outcomes) for v in ("holds", "violated", "bounded"))
    parts = []
    if holds:
        parts.append(f"every interleaving of {holds:,} scenario{'s' * (holds != 1)}")
    if violated:
        parts.append(f"{violated:,} scenario{'s' * (violated != 1)} up to the first violation")
    if bounded:
        parts.append(f"{bounded:,} scenario{'s' * (bounded != 1)} not to the end")
    states = sum(o.states for o in outcomes)
    return f"{', '.join(parts)}: {states:,} state{'s' * (states != 1)}"


def _verdict(verdict: str) -> str:
    return f"[{COLOURS[verdict]}]{verdict}[/]"


def _scenario_table(design: DesignOutcome) -> Table:
    table = Table(title=f"{design.design}: {design.title}", title_justify="left")
    for name in ("scenario", "verdict", "property"):
        table.add_column(name, no_wrap=True)
    table.add_column("bounds")
    table.add_column("states", justify="right")
    for o in design.outcomes:
        table.add_row(o.scenario, _verdict(o.verdict), o.property or o.reason, o.bounds, f"{o.states:,}")
    return table


def _design_table(designs: list[DesignOutcome]) -> Table:
    table = Table(title="Designs", title_justify="left")
    table.add_column("design", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("what breaks")
    for name in ("hold", "break", "bounded"):
        table.add_column(name, justify="right")
    table.add_column("states", justify="right")
    for design in designs:
        counts = [sum(o.verdict == v for o in design.outcomes) for v in ("holds", "violated", "bounded")]
        states = sum(o.states for o in design.outcomes)
        table.add_row(
            design.design, _verdict(design.verdict), ", ".join(design.broken), *map(str, counts), f"{states:,}"
        )
    return table
