# SPDX-License-Identifier: GPL-2.0-only
"""What a series changes of the litmus tests: only those whose C functions it changes are run, before and after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pfncache.interrupts import Terminated
from pfncache.litmus.catalogue import LITMUS_TESTS
from pfncache.litmus.event import MemoryEvent
from pfncache.litmus.fit import Fitted, differences_between, fit
from pfncache.litmus.observe import MemoryModel
from pfncache.litmus.protocol import LitmusTest, LitmusVerdict
from pfncache.litmus.result import LitmusResult, Need, RemovalResult
from pfncache.litmus.session import UNANSWERED, LitmusSession
from pfncache.litmus.source import KernelSource


@dataclass(frozen=True, kw_only=True)
class LitmusChange:
    """A test whose accesses, barriers, locks or marks a series changes."""

    before: LitmusResult
    after: LitmusResult
    differences: tuple[str, ...]
    """What the C has differently, a line each."""
    gone: tuple[RemovalResult, ...] = ()
    """What was needed, and is not there any more."""
    new_races: tuple[RemovalResult, ...] = ()
    """Plain accesses that race only after the series."""

    @property
    def name(self) -> str:
        """The test's name."""
        return self.after.test.name

    @property
    def is_worse(self) -> bool:
        """Whether the series breaks something, or leaves a test without an answer that it had before."""
        order = list(LitmusVerdict)
        return order.index(self.after.verdict) > order.index(self.before.verdict) or bool(self.new_races)

    def __str__(self) -> str:
        words = f"{self.name}: {self.before.verdict}"
        if self.after.verdict is not self.before.verdict:
            words += f" -> {self.after.verdict}"
        notes = [f"without {f.event} in {f.event.function}()" for f in self.gone] if self.is_worse else []
        notes += [f"data race: {f.event} in {f.event.function}(), {f.event.place}" for f in self.new_races]
        notes += self.after.reasons
        return "; ".join([words, *dict.fromkeys(notes)])


@dataclass(frozen=True, kw_only=True)
class AffectedTests:
    """What a series does to the tests."""

    changes: tuple[LitmusChange, ...]
    same: tuple[str, ...]
    """Tests whose functions it changes, but none of their accesses, barriers, locks and marks; they were not run."""
    interrupted: KeyboardInterrupt | Terminated | None = None
    """What ended the run early."""

    @property
    def worse(self) -> tuple[LitmusChange, ...]:
        """The changes that break something."""
        return tuple(change for change in self.changes if change.is_worse)

    @property
    def is_broken(self) -> bool:
        """Whether an answered test is worse after the series."""
        return any(change.after.verdict not in UNANSWERED for change in self.worse)

    @property
    def is_incomplete(self) -> bool:
        """Whether a test has no answer after the series."""
        return any(change.after.verdict in UNANSWERED for change in self.changes)


def affected(
    before: KernelSource, after: KernelSource, model: MemoryModel, *, tests: Sequence[LitmusTest] = (),
    processes: int | None = None, on_done: Callable[[LitmusResult], None] = lambda result: None,
) -> AffectedTests:  # fmt: skip
    """Return the tests whose C differs between two trees, with their results in both. All tests if none are given."""
    touched = [test for test in tests or LITMUS_TESTS.values() if _is_touched(test, before, after)]
    fitted = [(fit(test, before), fit(test, after)) for test in touched]
    pairs = [(old, new) for old, new in fitted if (old.threads, old.out_of_date) != (new.threads, new.out_of_date)]
    sides = [
        LitmusSession(kernel=kernel, fitted=list(some), model=model, processes=processes)
        for kernel, some in zip(("before", "after"), zip(*pairs, strict=True), strict=False)
    ]
    for side in sides:
        side.run(on_done)
    results = zip(*(side.results for side in sides), strict=True)
    changed = [id(old) for old, _ in pairs]
    return AffectedTests(
        changes=tuple(_change(*fits, *both) for fits, both in zip(pairs, results, strict=True)),
        same=tuple(old.test.name for old, _ in fitted if id(old) not in changed),
        interrupted=next((side.interrupted for side in sides if side.interrupted is not None), None),
    )


def _is_touched(test: LitmusTest, before: KernelSource, after: KernelSource) -> bool:
    functions = {function for thread in test.threads for part in thread.slices for function in part.functions}
    return any(before.changed(after, function.file, function.name) for function in functions)


def _change(old: Fitted, new: Fitted, before: LitmusResult, after: LitmusResult) -> LitmusChange:
    lines = []
    for thread, events_before, events_after in zip(new.test.threads, _events(old), _events(new), strict=False):
        lines += differences_between(thread.what, events_before, events_after)
    left = {(event.function, event) for events in _events(new) for event in events}
    races = {(f.event.function, f.event) for f in before.races}
    needed = (f for f in before.needed if f.need is Need.ORDER and (f.event.function, f.event) not in left)
    return LitmusChange(
        before=before,
        after=after,
        differences=tuple(lines),
        gone=tuple(needed) if after.events else (),
        new_races=tuple(f for f in after.races if (f.event.function, f.event) not in races) if before.events else (),
    )


def _events(fitted: Fitted) -> list[list[MemoryEvent]]:
    return [[step.event for step in steps] for steps in fitted.threads]
