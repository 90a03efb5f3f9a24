# SPDX-License-Identifier: GPL-2.0-only
"""Shows what is said of scenarios: a line each, then what is not ordered."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table

from pfncache.litmus.generated.result import AccessPlace, CycleResult, GeneratedVerdict, ScenarioResult
from pfncache.litmus.generated.session import GeneratedSession
from pfncache.litmus.view import PIPE_WIDTH
from pfncache.progress import progress

COLOURS = {GeneratedVerdict.ORDERED: "green", GeneratedVerdict.NEEDS_BARRIER: "red"}
"""Colours of verdicts; the others are yellow."""


def run_with_progress(session: GeneratedSession) -> None:
    """Run a session with its progress on standard error."""
    with progress("litmus", len(session.questions), work="scenarios") as advance:
        session.run(lambda result: advance(result.scenario, ""))


def show(session: GeneratedSession, seconds: float) -> None:
    """Print the tables."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    results = session.results
    console.print(_scenarios(results))
    cycles = _unordered(results)
    if cycles.row_count:
        console.print(cycles)
    races = _races(results)
    if races.row_count:
        console.print(races)
    for result in results:
        for line in _notes(result):
            console.print(f"{result.scenario}: {line}", markup=False, soft_wrap=True)
    console.print(_summary(session.kernel, results, seconds), style="dim", markup=False, soft_wrap=True)


def _scenarios(results: Sequence[ScenarioResult]) -> Table:
    table = Table(title="Scenarios: cycles of accesses without a lock", title_justify="left")
    table.add_column("scenario", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for name in ("cycles", "tests", "ordered", "needs barrier", "unknown", "races"):
        table.add_column(name, justify="right")
    for result in results:
        verdicts = [cycle.verdict for cycle in result.cycles]
        counts = [sum(len(cycle.cycles) for cycle in result.cycles), len(verdicts)]
        kinds = (GeneratedVerdict.ORDERED, GeneratedVerdict.NEEDS_BARRIER, GeneratedVerdict.UNKNOWN)
        counts += [verdicts.count(kind) for kind in kinds]
        counts.append(sum(race.verdict is GeneratedVerdict.DATA_RACE for race in result.races))
        verdict = f"[{COLOURS.get(result.verdict, 'yellow')}]{result.verdict}[/]"
        table.add_row(result.scenario, verdict, *map(str, counts))
    return table


def _unordered(results: Sequence[ScenarioResult]) -> Table:
    """Return a table of the cycles that are not ordered; one of several with the same accesses but for the actors."""
    table = Table(title="Not ordered", title_justify="left", show_lines=True)
    for name in ("cycle", "verdict", "scenarios"):
        table.add_column(name, overflow="fold")
    found: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for cycle in result.cycles:
            if cycle.verdict is not GeneratedVerdict.ORDERED:
                found.setdefault((_accesses(cycle), _verdict(cycle)), []).append(result.scenario)
    for (accesses, verdict), names in found.items():
        table.add_row(accesses, verdict, ", ".join(dict.fromkeys(names)))
    return table


def _accesses(cycle: CycleResult) -> str:
    threads = ["\n  then ".join(map(str, thread)) for thread in cycle.cycles[0]]
    more = [f"and {len(cycle.cycles) - 1} more with the same test"] if len(cycle.cycles) > 1 else []
    return "\n".join([*threads, *more])


def _verdict(cycle: CycleResult) -> str:
    return "\n".join([cycle.verdict, *cycle.barriers, *([cycle.reason] if cycle.reason else [])])


def _races(results: Sequence[ScenarioResult]) -> Table:
    table = Table(title="Data races", title_justify="left")
    for name in ("access", "and", "verdict", "scenarios"):
        table.add_column(name, overflow="fold")
    found: dict[tuple[str, str, str], list[str]] = {}
    for result in results:
        for race in result.races:
            if race.verdict is not GeneratedVerdict.ORDERED:
                first, second = sorted(race.places, key=_order)
                key = _short(first), _short(second), "\n".join(filter(None, [race.verdict, race.reason]))
                found.setdefault(key, []).append(result.scenario)
    for row, names in sorted(found.items()):
        table.add_row(*row, ", ".join(dict.fromkeys(names)))
    return table


def _order(place: AccessPlace) -> tuple[str, str, int]:
    return place.kind, place.frame.file, place.frame.line


def _short(place: AccessPlace) -> str:
    """Return an access by its member: which object it is of is another one in each scenario."""
    order = place.order if place.order is not None else "unknown"
    return f"{order} {place.kind} of {place.variable.rpartition('.')[2]}\n{place.frame}"


def _notes(result: ScenarioResult) -> Iterator[str]:
    if result.error:
        yield f"not asked: {result.error}"
    if result.left_out:
        yield f"{result.left_out} cycles more were not asked"
    if result.cut:
        yield f"did not come to their end alone, so that their paths are cut there: {', '.join(result.cut)}"
    if result.outside:
        yield f"left out, as the C of KVM does not say how they are accessed: {', '.join(result.outside)}"


def _summary(kernel: str, results: Sequence[ScenarioResult], seconds: float) -> str:
    count = len(results)
    verdicts = [result.verdict for result in results]
    each = (f"{verdicts.count(verdict)} {verdict}" for verdict in GeneratedVerdict if verdict in verdicts)
    return f"{kernel}: {count} scenario{'s' * (count != 1)}, {', '.join(each)} in {seconds:.1f} s"
