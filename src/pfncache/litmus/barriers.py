# SPDX-License-Identifier: GPL-2.0-only
"""Each barrier, lock and mark of the C that tests are about: its partners, and which tests break without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pfncache.litmus.event import ACCESSES, EventKind, MemoryEvent
from pfncache.litmus.result import LitmusResult, Need, RemovalResult
from pfncache.litmus.variants import Removal

Row = tuple[str, str, str]


@dataclass(frozen=True)
class Barrier:
    """A barrier, lock or mark at one place of the C."""

    finding: RemovalResult
    """Of the test in which it is needed most."""
    partners: tuple[str, ...]
    """What it pairs with in the other threads of those tests."""
    order: tuple[str, ...]
    """Tests whose state is reached without it."""
    race: tuple[str, ...]
    """Tests that have a data race without it."""
    none: tuple[str, ...]
    """Tests that do not need it."""

    @property
    def need(self) -> Need:
        """What it is for, over all tests."""
        return Need.ORDER if self.order else Need.RACE if self.race else Need.NONE


def barriers(results: Sequence[LitmusResult]) -> list[Barrier]:
    """Return the barriers of the tests, in the order of their first one; accesses that are plain are left out."""
    places: dict[Row, list[tuple[LitmusResult, RemovalResult]]] = {}
    for result in results:
        for finding in result.findings:
            if finding.removal is not Removal.UNMARKED or finding.event.order != "plain":
                place = (finding.event.place, str(finding.event), finding.removal)
                places.setdefault(place, []).append((result, finding))
    return [_barrier(uses) for uses in places.values()]


def _barrier(uses: Sequence[tuple[LitmusResult, RemovalResult]]) -> Barrier:
    by_need = {need: [(r, f) for r, f in uses if f.need is need] for need in Need}
    names = {need: tuple(dict.fromkeys(r.test.name for r, _ in some)) for need, some in by_need.items()}
    strongest = next(some for some in by_need.values() if some)
    partners = [partner for r, f in strongest if f.need is not Need.NONE for partner in _partners(r, f)]
    none = tuple(name for name in names[Need.NONE] if name not in names[Need.ORDER] + names[Need.RACE])
    return Barrier(strongest[0][1], tuple(dict.fromkeys(partners)), names[Need.ORDER], names[Need.RACE], none)


def _partners(result: LitmusResult, finding: RemovalResult) -> list[str]:
    """Return what the other threads of a test have that pairs with something that is needed in it."""
    event = finding.event
    if event.is_access or event.kind is EventKind.LOCK:
        threads = zip(result.test.threads, result.events, strict=True)
        others = [other for thread, events in threads if thread.what != finding.thread for other in events]
        kinds = ACCESSES if event.is_access else {EventKind.LOCK}
        return [_at(other) for other in others if other.name == event.name and other.kind in kinds]
    needed = [f for f in result.findings if f.thread != finding.thread and f.need is Need.ORDER]
    return [_at(f.event) for f in needed if f.removal is not Removal.UNMARKED]


def _at(event: MemoryEvent) -> str:
    return f"{event} in {event.function}()" if event.function else f"{event} outside of KVM"
