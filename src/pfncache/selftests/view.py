# SPDX-License-Identifier: GPL-2.0-only
"""Show results of selftests as they arrive: KTAP in a pipe, a summary on a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from pfncache.selftests.comparison import KernelResults, document, table
from pfncache.selftests.ktap import Directive, Line, header
from pfncache.selftests.runner import SelftestResult, SelftestVerdict
from pfncache.selftests.selftest import Selftest
from pfncache.selftests.session import Pending

COLOURS = {
    SelftestVerdict.OK: "green",
    SelftestVerdict.XFAIL: "yellow",
    SelftestVerdict.SKIP: "dim",
    SelftestVerdict.FAILED: "red",
}


def show(pending: Iterable[Pending], tests: list[Selftest], as_json: bool) -> list[KernelResults]:
    """Run each column to its end, print it in the format that standard output calls for, and return the columns."""
    terminal = is_terminal()
    style = silent if as_json else summary if terminal else ktap
    done = []
    for column, results in pending:
        done.append(column)
        column.results += style(tests, results, f"machine: {column.about}")
    if as_json:
        click.echo(json.dumps(document(done), indent=1))
    elif len(done) > 1 and terminal:
        Console(highlight=False).print(table(done))
    return done


def is_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def ktap(tests: list[Selftest], results: Iterator[SelftestResult], about: str) -> Iterator[SelftestResult]:
    """Print KTAP: a subtest for each group, each line as soon as its test has ended."""
    groups = [(name, list(members)) for name, members in groupby(tests, lambda test: test.group)]
    click.echo(header(len(groups)))
    click.echo(f"# {about}")
    for number, (group, members) in enumerate(groups, 1):
        click.echo(header(len(members), 1, group))
        verdicts: list[SelftestVerdict] = []
        for count, result in enumerate((next(results) for _ in members), 1):
            click.echo(result.line.render(count, 1))
            sys.stdout.flush()
            verdicts.append(result.verdict)
            yield result
        line = Line(group, SelftestVerdict.FAILED not in verdicts)
        if set(verdicts) == {SelftestVerdict.SKIP}:
            line.directive, line.reason = Directive.SKIP, "all were skipped"
        click.echo(line.render(number, 0))


def summary(tests: list[Selftest], results: Iterator[SelftestResult], about: str) -> Iterator[SelftestResult]:
    """Print a line for each group, then its failures in full, and its XFAILs and skips by their reason."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(about, markup=False)
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
            yield result
        console.print(f"[bold]{group:<20}[/] {_counts(counts)}")
        for (verdict, why), names in reasons.items():
            console.print(f"  [{COLOURS[verdict]}]{verdict.value}[/] {', '.join(names)}: {escape(why)}")
        total.update(counts)
    console.print(f"{_counts(total)} in {time.monotonic() - started:.1f} s")


def _counts(counts: Counter[SelftestVerdict]) -> str:
    return ", ".join(f"[{COLOURS[v]}]{counts[v]} {v.value}[/]" for v in COLOURS if counts[v])


def silent(tests: list[Selftest], results: Iterator[SelftestResult], about: str) -> Iterator[SelftestResult]:
    """Print a progress bar on standard error, if that is a terminal, and nothing else."""
    err = Console(stderr=True)
    yield from track(results, about, len(tests), console=err, transient=True, disable=not err.is_terminal)
