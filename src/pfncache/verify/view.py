# SPDX-License-Identifier: GPL-2.0-only
"""Shows a run of the checker: its progress, tables of verdicts, and the shortest trace of each violated property."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table

from pfncache.check.verdict import INCOMPLETE, Verdict
from pfncache.progress import progress
from pfncache.series.change import Status
from pfncache.series.view import show_changes
from pfncache.verify.comparison import Comparison
from pfncache.verify.design_outcome import DesignOutcome, DesignVerdict
from pfncache.verify.job import Job
from pfncache.verify.outcome import Outcome, Violation
from pfncache.verify.session import Session
from pfncache.verify.trace import render

PIPE_WIDTH = 120
"""Columns of the tables where standard output is no terminal."""
NAME_WIDTH = 48
"""Most columns of the name of a scenario; a longer one has several lines."""
COLOURS = {"holds": "green", "violated": "red"}
"""Colours of verdicts; the others are yellow."""
VACUOUS_COLOUR = "yellow"
COMPILING = "compiling the search engine, once; this takes about ten seconds ..."
NAMED_CURED = 10
"""Most cured violations that are named."""


def run_with_progress(session: Session) -> None:
    """Run a session with its progress on standard error."""
    if session.jobs:
        from pfncache.verify.runner import engine_is_cached  # noqa: PLC0415 (it imports Numba)

        if not engine_is_cached():
            click.echo(COMPILING, err=True)
    for note in session.notes():
        click.echo(note, err=True)
    with progress("verify", len(session.jobs)) as advance:

        def on_done(job: Job) -> None:
            note = f"{session.violated:,} violated" if session.violated else ""
            advance(f"{job.design.name} {job.scenario_name}", note)

        session.run(on_done)


def minimise_with_progress(session: Session) -> None:
    """Minimise what a session has found, with a line on standard error now and then."""
    with progress("minimise", 0, work="smaller worlds searched") as advance:
        session.minimise(lambda name: advance(name, ""))


def show(designs: Sequence[DesignOutcome], seconds: float, *, by_name: bool = False, width: int | None = None) -> None:
    """Print the tables, and of a single design the traces of new violations, `width` columns wide.

    A single design has a table of its scenarios: of those that were asked for `by_name` or if it has no base all, else
    those that have a new violation, or no verdict.
    """
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    for design in designs:
        for change in design.changes or ():
            if change.status is Status.REFUSED:
                console.print(f"not checked: {change}", markup=False, soft_wrap=True)
    if len(designs) == 1:
        (design,) = designs
        shown = [c for c in design.comparisons if design.base is None or by_name or _differs(c)]
        if shown:
            console.print(_scenario_table(design, shown))
        if design.minimised is None:
            for scenario, violation in design.shortest():
                _show_violation(console, scenario, violation, width)
    for design in designs:
        for found in design.minimised or ():
            _show_violation(console, found.scenario, found.violation, width, f"({found.note})")
    if (len(designs) == 1 and (shown or designs[0].broken)) or any(design.minimised for design in designs):
        console.print()
    console.print(_design_table(designs))
    for design in designs:
        if design.coverage is not None:
            console.print("\n".join(design.coverage.lines(design.design)), markup=False, soft_wrap=True)
    for text, names in space_lines(designs).items():
        console.print(f"{', '.join(names)}: {text}", markup=False, soft_wrap=True)
    for design in designs:
        for name, located in design.located.items():
            if located.only:
                console.print(f"{design.design}: {name} {located}", markup=False, soft_wrap=True)
    for design in designs:
        for line in against_base(design):
            console.print(line, markup=False, soft_wrap=True)
        by = design.design if len(designs) > 1 else "the series"
        show_changes(console, f"Changed by {by}", design.changes or ())
    console.print(f"{coverage([o for d in designs for o in d.outcomes])} in {seconds:.1f} s", style="dim")


def space_lines(designs: Sequence[DesignOutcome]) -> dict[str, list[str]]:
    """Return what part of the space was searched, with the names of the designs."""
    found: dict[str, list[str]] = {}
    for design in designs:
        if design.space is not None:
            found.setdefault(f"of the space of scenarios, {design.space}", []).append(design.design)
    return found


def _show_violation(console: Console, scenario: str, violation: Violation, width: int | None, note: str = "") -> None:
    """Print a violation: its trace, or its reason if there is none."""
    which = "the interleaving of a random walk" if violation.is_walk else "the shortest interleaving"
    console.print(f"\n[bold]{violation.property}[/] in {scenario}, {which}:", soft_wrap=True)
    if note:
        console.print(note, markup=False, soft_wrap=True)
    console.print()
    click.echo(render(violation.trace, width) if violation.trace is not None else f"=> {violation.reason}")


def against_base(design: DesignOutcome) -> list[str]:
    """Return what there is to say of a design beside its base: nothing, a line, or one more with what is cured."""
    if design.base is None:
        return []
    new = sum(len(c.new) for c in design.comparisons)
    unchanged = sum(len(c.unchanged) for c in design.comparisons)
    cured = [f"{v.property} in {c.outcome.scenario}" for c in design.comparisons for v in c.cured]
    text = f"{design.design} against {design.base}: {new or 'nothing'} new, {unchanged} unchanged, {len(cured)} cured"
    if design.unaffected:
        count, total = len(design.unaffected), len(design.outcomes)
        text += f"; {count:,} of {total:,} scenarios run no function that the series changes"
    if not cured:
        return [text]
    more = f" and {len(cured) - NAMED_CURED} more" if len(cured) > NAMED_CURED else ""
    return [text, f"  cured: {', '.join(cured[:NAMED_CURED])}{more}"]


def _differs(comparison: Comparison) -> bool:
    """True if a scenario is worth a row although its design is compared with a base."""
    return bool(comparison.new) or comparison.outcome.verdict in INCOMPLETE or bool(comparison.outcome.limit)


def coverage(outcomes: Sequence[Outcome]) -> str:
    """Return what was searched, in words that claim no more than that."""
    parts = []
    for verdict, text in (
        (Verdict.HOLDS, "every interleaving of {}"),
        (Verdict.VACUOUS, "{} vacuous"),
        (Verdict.VIOLATED, "{} violated"),
        (Verdict.BOUNDED, "{} not to the end"),
        (Verdict.LOST, "{} lost"),
        (Verdict.NOT_APPLICABLE, "{} not applicable"),
    ):
        count = sum(o.verdict == verdict for o in outcomes)
        if count:
            parts.append(text.format(f"{count:,} scenario{'s' * (count != 1)}"))
        cut = sum(o.verdict == verdict == Verdict.VIOLATED and bool(o.limit) for o in outcomes)
        if cut:
            parts.append(f"{cut:,} of these not to the end")
    states = sum(o.states for o in outcomes)
    return f"{', '.join(parts) or 'nothing was searched'}: {states:,} state{'s' * (states != 1)}"


def _verdict(verdict: Verdict | DesignVerdict) -> str:
    return f"[{COLOURS.get(verdict, 'yellow')}]{verdict}[/]"


def _outcome_verdict(outcome: Outcome) -> str:
    """Return the verdict; that of a search that holds and says nothing has what was never reached."""
    if outcome.verdict != Verdict.VACUOUS:
        return _verdict(outcome.verdict)
    return f"[{VACUOUS_COLOUR}]holds (vacuous: {outcome.limit})[/]"


def _scenario_table(design: DesignOutcome, shown: Sequence[Comparison]) -> Table:
    table = Table(title=f"{design.design}: {design.title}", title_justify="left")
    longest = max(len(name) for name in ("scenario", *(comparison.outcome.scenario for comparison in shown)))
    table.add_column("scenario", overflow="fold", width=min(longest, NAME_WIDTH))
    table.add_column("verdict", min_width=8)
    for name in ("property", "bounds"):
        table.add_column(name)
    table.add_column("states", justify="right", no_wrap=True)
    for comparison in shown:
        o = comparison.outcome
        table.add_row(o.scenario, _outcome_verdict(o), _violations(design, comparison), o.bounds, f"{o.states:,}")
    return table


def _violations(design: DesignOutcome, comparison: Comparison) -> str:
    """Return the violated properties, each once, marked where the base has them too; and what ended the search."""
    vacuous = comparison.outcome.verdict == Verdict.VACUOUS
    if not comparison.outcome.violations:
        cured = ", ".join(dict.fromkeys(v.property for v in comparison.cured))
        return f"cured: {cured}" if cured else "" if vacuous else comparison.outcome.limit
    known = f" (as {design.base})"
    words = [v.property for v in comparison.new] + [v.property + known for v in comparison.unchanged]
    words += [f"bounded by {comparison.outcome.limit}"] if comparison.outcome.limit else []
    return ", ".join(dict.fromkeys(words))


def _design_table(designs: Sequence[DesignOutcome]) -> Table:
    """Return the table with a row for each design; it has a column for vacuous scenarios if there is one."""
    vacuous = any(design.count(Verdict.VACUOUS) for design in designs)
    table = Table(title="Designs", title_justify="left")
    for name in ("design", "verdict"):
        table.add_column(name, no_wrap=True)
    table.add_column("what breaks")
    for name in ("hold", *(["vacuous"] if vacuous else []), "break", "new", "cured", "incomplete", "states"):
        table.add_column(name, justify="right", no_wrap=True)
    for design in designs:
        comparisons = design.comparisons
        compared = design.base is not None
        table.add_row(
            design.design,
            _verdict(design.verdict),
            ", ".join(f"{name} {count}" for name, count in design.broken.items()),
            str(design.count(Verdict.HOLDS)),
            *([str(design.count(Verdict.VACUOUS))] if vacuous else []),
            str(design.count(Verdict.VIOLATED)),
            str(sum(bool(c.new) for c in comparisons)) if compared else "-",
            str(sum(bool(c.cured) for c in comparisons)) if compared else "-",
            str(design.incomplete),
            f"{sum(o.states for o in design.outcomes):,}",
        )
    return table
