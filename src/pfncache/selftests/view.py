# SPDX-License-Identifier: GPL-2.0-only
"""Results of selftests as they come: KTAP for a pipe, a summary for a terminal."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import groupby

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import track

from pfncache.selftests.ktap import Line, header
from pfncache.selftests.runner import Result
from pfncache.selftests.selftest import Selftest

COLOURS = {"ok": "green", "xfail": "yellow", "skip": "dim", "failed": "red"}


def ktap(tests: list[Selftest], results: Iterator[Result], about: str) -> Iterator[Result]:
    """KTAP: a subtest for each group, each line as soon as it is known."""
    groups = [(name, list(members)) for name, members in groupby(tests, lambda test: test.group)]
    click.echo(header(len(groups)))
    click.echo(f"# {about}")
    for number, (group, members) in enumerate(groups, 1):
        click.echo(header(len(members), 1, group))
        verdicts = []
        for count, result in enumerate((next(results) for _ in members), 1):
            click.echo(result.line.render(count, 1))
            sys.stdout.flush()
            verdicts.append(result.verdict)
            yield result
        skipped = all(v == "skip" for v in verdicts)
        line = Line(group, "failed" not in verdicts, "SKIP" if skipped else "", "all were skipped" if skipped else "")
        click.echo(line.render(number, 0))


def summary(tests: list[Selftest], results: Iterator[Result], about: str) -> Iterator[Result]:
    """One line for each group, then what needs a word: failures in full, known ones and skips by their reason."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(about, markup=False)
    started = time.monotonic()
    total: Counter[str] = Counter()
    for group, members in groupby(tests, lambda test: test.group):
        counts: Counter[str] = Counter()
        reasons: dict[tuple[str, str], list[str]] = {}
        for _ in list(members):
            result = next(results)
            counts[result.verdict] += 1
            if result.verdict != "ok":
                why = result.line.reason or "; ".join(result.line.notes)
                reasons.setdefault((result.verdict, why), []).append(result.test.short)
            yield result
        console.print(f"[bold]{group:<20}[/] {_counts(counts)}")
        for (verdict, why), names in reasons.items():
            console.print(f"  [{COLOURS[verdict]}]{verdict}[/] {', '.join(names)}: {escape(why)}")
        total.update(counts)
    console.print(f"{_counts(total)} in {time.monotonic() - started:.1f} s")


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"[{COLOURS[v]}]{counts[v]} {v}[/]" for v in COLOURS if counts[v])


def silent(tests: list[Selftest], results: Iterator[Result], about: str) -> Iterator[Result]:
    """A bar on a terminal's standard error, for a document that follows."""
    err = Console(stderr=True)
    yield from track(results, about, len(tests), console=err, transient=True, disable=not err.is_terminal)
