# SPDX-License-Identifier: GPL-2.0-only
"""The findings of a run of the checker, for the explorer."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pfncache.designs.design import Design
from pfncache.review.explorer.finding import ExplorerFinding
from pfncache.verify.comparison import AgainstBase
from pfncache.verify.outcome import Violation

if TYPE_CHECKING:
    from pfncache.check.search import Search
    from pfncache.review.explorer.recording import Recording
    from pfncache.scenarios.scenario import Scenario
    from pfncache.verify.design_outcome import DesignOutcome
    from pfncache.verify.session import Session


def findings_of(
    session: Session, command_of: Callable[[Design], str], on_recorded: Callable[[str], None] = lambda name: None
) -> list[ExplorerFinding]:
    """Return what a session has found that its designs' bases do not have, the shortest of each property first.

    Each is recorded, unless the session was interrupted. `command_of` returns the command line that checks a design;
    the scenario of a finding is put behind it.
    """
    found: list[ExplorerFinding] = []
    recorders = _Recorders(session)
    for design, outcome, scenario, world, violation in _ordered(session):
        found.append(
            ExplorerFinding(
                design=design.name,
                scenario=scenario,
                property=violation.property,
                verdict=f"{AgainstBase.NEW}, not in {outcome.base}" if outcome.base else "violated",
                message=violation.reason,
                command=f"{command_of(design)} -s {shlex.quote(scenario)}",
                trace=violation.trace,
                recording=recorders.record(design, world, violation),
            )
        )
        on_recorded(f"{design.name} {scenario}")
    return found


def _ordered(session: Session) -> Iterator[tuple[Design, DesignOutcome, str, Scenario | str, Violation]]:
    """Yield each violation that counts once: those that stand for a property of a design before the others.

    With each are its design, the name of its scenario, and the scenario that it is of, which may be a smaller one.
    """
    designs = list(zip(session.designs, session.outcomes, strict=True))
    worlds: dict[str, Scenario | str] = {job.scenario_name: job.scenario for job in session.planned or session.jobs}
    seen: set[tuple[int, str, object]] = set()
    for is_first in (True, False):
        for design, outcome in designs:
            small = [(one.scenario, one.world, one.violation) for one in outcome.minimised or ()]
            first = [(scenario, worlds[scenario], violation) for scenario, violation in outcome.shortest()]
            others = [
                (c.outcome.scenario, worlds[c.outcome.scenario], violation)
                for c in outcome.comparisons
                for violation in c.new
            ]
            for scenario, world, violation in (*small, *first) if is_first else others:
                key = (id(design), scenario, violation.identity)
                if key not in seen:
                    seen.add(key)
                    yield design, outcome, scenario, world, violation


class _Recorders:
    """Searches from which violations are recorded, each made once."""

    def __init__(self, session: Session) -> None:
        self._searches: dict[tuple[int, int], tuple[Scenario | str, Search]] = {}
        """By the identities of design and scenario, which is kept for that."""
        self._is_off = session.interrupted is not None

    def record(self, design: Design, scenario: Scenario | str, violation: Violation) -> Recording | None:
        """Return the recording of a violation; None if it has no interleaving."""
        from pfncache.review.explorer.recorder import record, searchable  # noqa: PLC0415 (it imports Numba)

        schedule = violation.trace.schedule if violation.trace is not None else None
        if self._is_off or schedule is None:
            return None
        key = id(design), id(scenario)
        if key not in self._searches:
            self._searches[key] = scenario, searchable(design, scenario)
        return record(self._searches[key][1], schedule, violation.property).recording


def write_page(findings: Sequence[ExplorerFinding], title: str, path: Path) -> None:
    """Write the page of some findings. Raises OSError."""
    from pfncache.review.explorer.page import page  # noqa: PLC0415 (it imports Pygments)

    path.write_text(page(findings, title), encoding="utf-8")
