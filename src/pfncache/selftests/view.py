# SPDX-License-Identifier: GPL-2.0-only
"""Show results of selftests as they arrive: KTAP in a pipe, a summary on a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from pfncache.machines.document import Ended
from pfncache.selftests.comparison import KernelResults, document, table
from pfncache.selftests.ktap import Directive, Line, header
from pfncache.selftests.runner import SelftestResult, SelftestVerdict
from pfncache.selftests.selftest import Selftest
from pfncache.selftests.session import Pending

COLOURS = {
    SelftestVerdict.OK: "green",
    SelftestVerdict.XFAIL: "yellow",
    SelftestVerdict.XPASS: "cyan",
    SelftestVerdict.SKIP: "dim",
    SelftestVerdict.FAILED: "red",
}
_PROGRESS_SECONDS = 30.0
"""Time between lines of progress on a standard error that is no terminal."""

Style = Callable[[list[Selftest], Iterator[SelftestResult], KernelResults, int], Iterator[SelftestResult]]
"""Prints the results of a column as they arrive, at a depth, and passes them on."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """How to show a run."""

    as_json: bool = False
    columns: int = 1
    """Number of kernels. In KTAP, each of several is a test with the groups as its subtests."""
    options: dict[str, Any] | None = None
    """Options of the run, for the JSON document."""


def show(pending: Iterable[Pending], tests: list[Selftest], form: Format) -> list[KernelResults]:
    """Run each column to its end, print it in the format that standard output calls for, and return the columns.

    However the run ends, the JSON document is printed, with the results until then.
    """
    terminal = is_terminal()
    style: Style = silent if form.as_json else summary if terminal else ktap
    nested = style is ktap and form.columns > 1
    done: list[KernelResults] = []
    ended = Ended()
    try:
        with ended.watching():
            if nested:
                click.echo(header(form.columns))
            for column, results in pending:
                done.append(column)
                for result in style(tests, results, column, int(nested)):
                    column.results.append(result)
                if nested:
                    line = Line(column.release, all(result.line.ok for result in column.results))
                    click.echo(line.render(len(done), 0))
    finally:
        if form.as_json:
            click.echo(json.dumps(document(done, ended, form.options), indent=1))
        elif len(done) > 1 and terminal:
            Console(highlight=False).print(table(done))
    return done


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def ktap(
    tests: list[Selftest], results: Iterator[SelftestResult], column: KernelResults, depth: int
) -> Iterator[SelftestResult]:
    """Print KTAP: a subtest for each group, each line as soon as its test has ended."""
    groups = [(name, list(members)) for name, members in groupby(tests, lambda test: test.group)]
    click.echo(header(len(groups), depth, column.release if depth else ""))
    click.echo(Line.diagnostic(f"machine: {column.about}", depth))
    for number, (group, members) in enumerate(groups, 1):
        click.echo(header(len(members), depth + 1, group))
        lines: list[Line] = []
        for count, result in enumerate((next(results) for _ in members), 1):
            click.echo(result.line.render(count, depth + 1))
            sys.stdout.flush()
            lines.append(result.line)
            yield result
        line = Line(group, all(line.ok for line in lines))
        if {line.directive for line in lines} == {Directive.SKIP}:
            line.directive, line.reason = Directive.SKIP, "all were skipped"
        click.echo(line.render(number, depth))


def summary(
    tests: list[Selftest], results: Iterator[SelftestResult], column: KernelResults, depth: int
) -> Iterator[SelftestResult]:
    """Print a line for each group, then its failures in full, and the rest that is not ok by its reason."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"machine: {column.about}", markup=False)
    started = time.monotonic()
    total: Counter[SelftestVerdict] = Counter()
    for group, members in groupby(tests, lambda test: test.group):
        counts: Counter[SelftestVerdict] = Counter()
        reasons: dict[tuple[SelftestVerdict, str], list[str]] = {}
        for _ in list(members):
            result = next(results)
            counts[result.verdict] += 1
            if result.verdict is not SelftestVerdict.OK:
                why = result.line.reason or "; ".join(result.line.notes)
                reasons.setdefault((result.verdict, why), []).append(result.test.short)
            elif result.outcome.earlier:
                console.print(f"  {result.test.short}: {result.line.notes[0]}", markup=False)
            yield result
        console.print(f"[bold]{group:<20}[/] {_counts(counts)}")
        for (verdict, why), names in reasons.items():
            console.print(f"  [{COLOURS[verdict]}]{verdict.value}[/] {', '.join(names)}: {escape(why)}")
        total.update(counts)
    console.print(f"{_counts(total)} in {time.monotonic() - started:.1f} s")


def _counts(counts: Counter[SelftestVerdict]) -> str:
    return ", ".join(f"[{COLOURS[v]}]{counts[v]} {v.value}[/]" for v in COLOURS if counts[v])


def silent(
    tests: list[Selftest], results: Iterator[SelftestResult], column: KernelResults, depth: int
) -> Iterator[SelftestResult]:
    """Print progress on standard error and nothing else: a bar on a terminal, else a line now and then."""
    err = Console(stderr=True, highlight=False, soft_wrap=True)
    if err.is_terminal:
        yield from track(results, f"machine: {column.about}", len(tests), console=err, transient=True)
        return
    printed = time.monotonic()
    for number, result in enumerate(results, 1):
        if time.monotonic() - printed >= _PROGRESS_SECONDS:
            err.print(f"selftest: {number} of {len(tests)} tests, {column.about}", markup=False)
            printed = time.monotonic()
        yield result
