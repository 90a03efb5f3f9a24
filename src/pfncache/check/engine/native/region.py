# SPDX-License-Identifier: GPL-2.0-only
"""The control flow of one step, and the registers that are live in it."""

from __future__ import annotations

from collections import Counter

from pfncache.check.engine.native.rows import ProgramRows


class StepRegion:
    """The instructions that a step may run through."""

    def __init__(self, program: ProgramRows, actor: int, entry: int) -> None:
        """Take the instructions that an actor may reach from the one with index `entry`."""
        self.program, self.actor = program, actor
        self.successors: dict[int, tuple[int, ...]] = {}
        """By instruction, those of the step that may follow it."""
        todo = [entry]
        while todo:
            at = todo.pop()
            if at not in self.successors:
                self.successors[at] = program.successors(at)
                todo += self.successors[at]
        into = Counter(after for afters in self.successors.values() for after in afters)
        into[entry] += 1
        self.joins = {at for at, count in into.items() if count > 1}
        """Instructions with several predecessors; the begin of the step is one."""
        self.loops = any(after <= at for at, afters in self.successors.items() for after in afters)
        """Whether there is a jump backward."""

    def live(self) -> dict[int, frozenset[int]]:
        """Return the registers that may be read before they are written, by instruction."""
        before: dict[int, frozenset[int]] = dict.fromkeys(self.successors, frozenset())
        order = sorted(self.successors, reverse=True)
        changed = True
        while changed:
            changed = False
            for at in order:
                behind = frozenset().union(*(before[after] for after in self.successors[at]))
                reads, dest = self.program.registers(self.actor, at)
                found = (behind - {dest}) | reads
                if found != before[at]:
                    before[at] = found
                    changed = self.loops or changed
        return before
