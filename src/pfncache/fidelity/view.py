# SPDX-License-Identifier: GPL-2.0-only
"""Shows a comparison: its progress, what differs, and how many scenarios agree."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table

from pfncache.fidelity.kernel_pair import KernelPair
from pfncache.fidelity.result import Agreement, FinalDifference, ScenarioFidelity, SideResult
from pfncache.fidelity.session import FidelitySession
from pfncache.progress import progress
from pfncache.series.view import show_changes
from pfncache.verify.runner import engine_is_cached
from pfncache.verify.view import COMPILING, PIPE_WIDTH

COLOURS = {Agreement.SAME: "green", Agreement.DIFFERENT: "red"}
"""Colours of agreements; the others are yellow."""
SHOWN_VARIABLES = 6
"""Most variables of a final state that are shown."""


def run_with_progress(session: FidelitySession) -> None:
    """Run a session with its progress on standard error."""
    if not engine_is_cached():
        click.echo(COMPILING, err=True)
    with progress("fidelity", len(session.jobs), work="compared") as advance:

        def on_done(scenario: str) -> None:
            different = session.count(Agreement.DIFFERENT)
            advance(scenario, f"{different:,} different" if different else "")

        session.run(on_done)


def show(session: FidelitySession, seconds: float, *, every: bool) -> None:
    """Print the tables; that of scenarios has all of them if `every`, else those that are not the same."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
    pair, scenarios = session.pair, session.scenarios
    for change in pair.refused:
        why = pair.explained.get(change.name)
        words = f"by hand: {change}: {why}" if why else f"not compared, the model's is used: {change}"
        console.print(words, markup=False, soft_wrap=True)
    shown = [found for found in scenarios if every or found.agreement is not Agreement.SAME]
    if shown:
        console.print(_scenario_table(pair, shown))
    for line in differences(pair, shown):
        console.print(line, markup=False, soft_wrap=True)
    console.print(_room_table(pair, scenarios))
    show_changes(console, f"Changed since Linux {pair.since}", pair.changes)
    if pair.since and not pair.changes:
        console.print(f"nothing that the model has differs from Linux {pair.since}", markup=False)
    console.print(_summary(session, seconds), style="dim", markup=False, soft_wrap=True)


def differences(pair: KernelPair, shown: Sequence[ScenarioFidelity]) -> list[str]:
    """Return a line for each scenario with other final states, and one for each reason."""
    lines = [f"{found.scenario}: {_finals(pair, found.finals)}" for found in shown if found.finals]
    reasons = dict.fromkeys(found.reason for found in shown if found.reason and found.differs)
    named = {r: ", ".join(found.scenario for found in shown if found.reason == r and found.differs) for r in reasons}
    return [*lines, *(f"{names}: {reason}" for reason, names in named.items())]


def _finals(pair: KernelPair, finals: Sequence[FinalDifference]) -> str:
    """Return how many final states each design has alone, and in what a pair of the nearest ones differs."""
    words = ", ".join(f"{difference.count:,} of {difference.design} alone" for difference in finals)
    example = next((difference.example for difference in finals if difference.example), ())
    shown = [str(one) for one in example[:SHOWN_VARIABLES]]
    more = f" and {len(example) - len(shown)} more" if len(example) > len(shown) else ""
    sides = f"; {pair.reference.name} | {pair.subject.name}: " if shown else ""
    return f"final states: {words}{sides}{', '.join(shown)}{more}"


def _scenario_table(pair: KernelPair, shown: Sequence[ScenarioFidelity]) -> Table:
    table = Table(title="Scenarios" if not pair.is_drift else "Scenarios, before and after", title_justify="left")
    for name in ("scenario", "agreement"):
        table.add_column(name, no_wrap=True)
    for design in (pair.reference, pair.subject):
        table.add_column(design.name)
    table.add_column("final states", justify="right")
    for found in shown:
        sides = found.reference, found.subject
        colour = COLOURS.get(found.agreement, "yellow")
        table.add_row(
            found.scenario,
            f"[{colour}]{found.agreement}[/]",
            *map(_verdict, sides),
            _both([side.final for side in sides]),
        )
    return table


def _verdict(side: SideResult) -> str:
    what = ", ".join(side.properties) or side.limit
    return f"{side.verdict}: {what}" if what else side.verdict


def _both(counts: Sequence[int]) -> str:
    return " | ".join(f"{count:,}" for count in dict.fromkeys(counts))


def _room_table(pair: KernelPair, scenarios: Sequence[ScenarioFidelity]) -> Table:
    """Return the table of how many scenarios of each part of the catalogue agree, with their states on both sides."""
    table = Table(title=f"{pair.subject.name} beside {pair.reference.name}", title_justify="left")
    table.add_column("scenarios", no_wrap=True)
    for name in (*Agreement, "final states", "states"):
        table.add_column(name, justify="right")
    rooms: dict[str, list[ScenarioFidelity]] = {}
    for found in scenarios:
        rooms.setdefault(found.scenario.rpartition("/")[0], []).append(found)
    for room, some in rooms.items():
        table.add_row(room, *_counts(some))
    table.add_section()
    table.add_row("all", *_counts(scenarios))
    return table


def _counts(scenarios: Sequence[ScenarioFidelity]) -> list[str]:
    sides = [[found.reference for found in scenarios], [found.subject for found in scenarios]]
    return [
        *(str(sum(found.agreement is agreement for found in scenarios)) for agreement in Agreement),
        _both([sum(side.final for side in some) for some in sides]),
        _both([sum(side.states for side in some) for some in sides]),
    ]


def _summary(session: FidelitySession, seconds: float) -> str:
    pair = session.pair
    words = f"{pair.subject.title}, beside {pair.reference.title}: {session.agreement}"
    unseen = f", {len(pair.unseen)} not seen" if pair.unseen else ""
    count = len(session.jobs)
    return f"{words}{unseen}; {count:,} scenario{'s' * (count != 1)} in {seconds:.1f} s"
