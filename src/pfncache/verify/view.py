# SPDX-License-Identifier: GPL-2.0-only
"""Shows a run of the checker: its progress, tables of verdicts, and the shortest trace of each violated property."""

from __future__ import annotations

import json
import sys
import time

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pfncache.check.verdict import Verdict
from pfncache.verify.outcome import DesignOutcome, Outcome, document
from pfncache.verify.runner import Job, engine_is_cached
from pfncache.verify.session import Session
from pfncache.verify.trace import render

PIPE_WIDTH = 120
"""Columns of the tables where standard output is no terminal."""
LABEL_WIDTH = 50
"""Columns of the design and the scenario beside the progress bar."""
COLOURS = {Verdict.HOLDS: "green", Verdict.BOUNDED: "yellow", Verdict.VIOLATED: "red"}


def run_with_progress(session: Session) -> float:
    """Run a session with a progress bar on standard error. Returns the seconds that it took."""
    console = Console(stderr=True)
    if not engine_is_cached():
        console.print("compiling the search engine, once; this takes about ten seconds ...", highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    started = time.perf_counter()
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("verify", total=len(session.jobs))

        def advance(job: Job) -> None:
            label = f"{job.design.name} {job.scenario_name}"[:LABEL_WIDTH].ljust(LABEL_WIDTH)
            progress.update(task, advance=1, description=label)

        session.run(advance)
    return time.perf_counter() - started


def show_json(designs: list[DesignOutcome]) -> None:
    """Print the run as one JSON document."""
    click.echo(json.dumps(document(designs), indent=1))


def show(designs: list[DesignOutcome], seconds: float) -> None:
    """Print the tables, and of a single design each scenario and the traces."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    if len(designs) == 1:
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
    console.print(f"{coverage([o for d in designs for o in d.outcomes])} in {seconds:.1f} s", style="dim")


def coverage(outcomes: list[Outcome]) -> str:
    """Return what was searched, in words that claim no more than that."""
    holds, violated, bounded = (
        sum(o.verdict == v for o in outcomes) for v in (Verdict.HOLDS, Verdict.VIOLATED, Verdict.BOUNDED)
    )
    parts = []
    if holds:
        parts.append(f"every interleaving of {holds:,} scenario{'s' * (holds != 1)}")
    if violated:
        parts.append(f"{violated:,} scenario{'s' * (violated != 1)} up to the first violation")
    if bounded:
        parts.append(f"{bounded:,} scenario{'s' * (bounded != 1)} not to the end")
    states = sum(o.states for o in outcomes)
    return f"{', '.join(parts)}: {states:,} state{'s' * (states != 1)}"


def _verdict(verdict: Verdict) -> str:
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
        counts = [
            sum(o.verdict == v for o in design.outcomes) for v in (Verdict.HOLDS, Verdict.VIOLATED, Verdict.BOUNDED)
        ]
        states = sum(o.states for o in design.outcomes)
        table.add_row(
            design.design, _verdict(design.verdict), ", ".join(design.broken), *map(str, counts), f"{states:,}"
        )
    return table
