# SPDX-License-Identifier: GPL-2.0-only
"""Shows litmus tests: their verdicts, what each barrier is for, and the data races."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from pfncache.litmus.affected import AffectedTests
from pfncache.litmus.barriers import Barrier, barriers
from pfncache.litmus.protocol import LitmusVerdict
from pfncache.litmus.result import LitmusResult, Need
from pfncache.litmus.session import LitmusSession
from pfncache.litmus.variants import Removal
from pfncache.progress import progress

PIPE_WIDTH = 120
"""Columns where standard output is no terminal."""
COLOURS = {LitmusVerdict.ORDERED: "green", LitmusVerdict.BROKEN: "red"}
"""Colours of verdicts; the others are yellow."""
NEED_COLOURS = {Need.ORDER: "bold", Need.RACE: "bold", Need.NONE: "dim"}


def run_with_progress(session: LitmusSession) -> None:
    """Run a session with its progress on standard error."""
    with progress("litmus", len(session.fitted), work="asked") as advance:
        session.run(lambda result: advance(result.test.name, ""))


def show(session: LitmusSession, seconds: float, *, by_name: bool = False) -> None:
    """Print the tables; of tests that were named, their texts too."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    results = session.results
    if by_name:
        for result in results:
            _show_text(console, result)
    console.print(_tests(results))
    for result in results:
        for line in (*result.differences, *result.reasons):
            console.print(f"{result.test.name}: {line}", markup=False, soft_wrap=True)
    found = barriers(results)
    if found:
        console.print(_barriers(found))
    races = _races(results)
    if races.row_count:
        console.print(races)
    console.print(_summary(session, seconds), style="dim", markup=False, soft_wrap=True)


def show_changes(found: AffectedTests, kernel: str, seconds: float) -> None:
    """Print what a series changes of the tests."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    for change in found.changes:
        console.print(str(change), markup=False, soft_wrap=True)
        for line in change.differences:
            console.print(f"  {line}", markup=False, soft_wrap=True)
    for name in found.same:
        console.print(f"{name}: not run, as it has the same accesses, barriers and locks", markup=False, soft_wrap=True)
    words = f"{kernel}: {len(found.changes)} changed, {len(found.worse)} worse, {len(found.same)} the same"
    console.print(f"{words} in {seconds:.1f} s", style="dim", markup=False, soft_wrap=True)


def _show_text(console: Console, result: LitmusResult) -> None:
    test = result.test
    console.print(f"{test.name}: {test.protects}", markup=False, soft_wrap=True)
    for number, thread in enumerate(test.threads):
        parts = ", ".join(str(part.function) for part in thread.slices)
        console.print(f"  P{number} {thread.what}: {parts or 'no C of the kernel'}", markup=False, soft_wrap=True)
    if test.abstraction:
        console.print(f"  {test.abstraction}", markup=False, soft_wrap=True)
    if result.text:
        console.print(f"\n{result.text}", markup=False, soft_wrap=True)


def _tests(results: Sequence[LitmusResult]) -> Table:
    table = Table(title="Litmus tests", title_justify="left")
    table.add_column("test", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("protects")
    for name in ("needed", "not needed", "races"):
        table.add_column(name, justify="right")
    for result in results:
        colour = COLOURS.get(result.verdict, "yellow")
        unneeded = [f for f in result.findings if f.need is Need.NONE and f.event.order != "plain"]
        expected = "" if result.is_expected else f", not {result.test.expected}"
        if result.is_expected and result.verdict is LitmusVerdict.BROKEN:
            expected = ", as expected"
        counts = [len(result.needed), len(unneeded), len(result.races)] if result.findings else ["-"] * 3
        verdict = f"[{colour}]{result.verdict}[/]{expected}"
        table.add_row(result.test.name, verdict, result.test.protects, *map(str, counts))
    return table


def _barriers(found: Sequence[Barrier]) -> Table:
    table = Table(title="What each barrier, lock and mark is for", title_justify="left", show_lines=True)
    for name in ("without", "pairs with", "then"):
        table.add_column(name, overflow="fold")
    for barrier in found:
        event = barrier.finding.event
        what = f"{event} {_HOW[barrier.finding.removal]}\n{event.function}(), {event.place}"
        table.add_row(what, "\n".join(barrier.partners) or "-", _then(barrier), style=NEED_COLOURS[barrier.need])
    return table


_HOW = {Removal.DROPPED: "", Removal.RELAXED: "without order", Removal.UNMARKED: "as a plain access"}


def _then(barrier: Barrier) -> str:
    lines = [f"broken: {', '.join(barrier.order)}"] if barrier.order else []
    lines += [f"data race: {', '.join(barrier.race)}"] if barrier.race else []
    lines += [f"nothing changes: {', '.join(barrier.none)}"] if barrier.none else []
    return "\n".join(lines)


def _races(results: Sequence[LitmusResult]) -> Table:
    table = Table(title="Data races: plain accesses that have to be marked", title_justify="left")
    for name in ("access", "function", "place", "tests"):
        table.add_column(name, overflow="fold")
    tests: dict[tuple[str, str, str], list[str]] = {}
    for result in results:
        for finding in result.races:
            event = finding.event
            tests.setdefault((str(event), f"{event.function}()", event.place), []).append(result.test.name)
    for place, names in sorted(tests.items(), key=lambda item: item[0][0].rpartition(" ")[2]):
        table.add_row(*place, ", ".join(dict.fromkeys(names)))
    return table


def _summary(session: LitmusSession, seconds: float) -> str:
    results = session.results
    count = len(results)
    each = (
        f"{sum(r.verdict is v for r in results)} {v}" for v in LitmusVerdict if any(r.verdict is v for r in results)
    )
    words = f"{session.kernel}: {count} test{'s' * (count != 1)}, {', '.join(each)}"
    return f"{words} in {seconds:.1f} s"
