# SPDX-License-Identifier: GPL-2.0-only
"""Differential test: the model and a kernel run the same programs, and have to agree after each operation.

A difference is shrunk, and printed as the shortest program that shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pfncache.designs.design import Design
from pfncache.lang.report import PropertyViolated
from pfncache.machines.capabilities import Processor
from pfncache.machines.model.machine import ModelMachine
from pfncache.selftests.differential.program import Program, SideState, run_guarded
from tests.fuzz.generator import permitted, program

RunPrograms = Callable[[list[Program], bool], list[list[SideState]]]
"""Runs programs on a kernel: run_programs(), here or in a guest."""
SHRINK_MAX_RUNS = 400
MODEL_PAGES = 64


@dataclass(frozen=True)
class Difference:
    """A program after whose last operation the two sides differ."""

    program: Program
    what: str
    model: object
    kernel: object

    def __str__(self) -> str:
        lines = "\n".join(["side = Side(machine)", *map(str, self.program)])
        return f"{self.what}:\n  model:  {self.model}\n  kernel: {self.kernel}\nafter:\n{lines}"


@dataclass(frozen=True)
class Differential:
    """A design beside a kernel."""

    design: Design
    kernel: RunPrograms
    processor: Processor
    xen: bool

    def model(self, program: Program) -> tuple[Program, list[SideState]]:
        """Run a program on the model. Returns the operations that the model has, and what was observed."""
        with ModelMachine(self.design, MODEL_PAGES, MODEL_PAGES, self.processor) as machine:
            ran = run_guarded(machine, program, self.xen, permitted)
        return tuple(operation for operation, _ in ran), [observation for _, observation in ran]

    def batch(self, seed: str, numbers: range) -> tuple[int, Difference | None]:
        """Compare the programs of these numbers. Returns how many operations ran, and the first difference."""
        ran = [self.model(program(seed, number, self.xen)) for number in numbers]
        found = self.kernel([operations for operations, _ in ran], self.xen)
        operations = sum(len(operations) for operations, _ in ran)
        for (those, model), kernel in zip(ran, found, strict=True):
            difference = compare(those, model, kernel)
            if difference is not None:
                return operations, self.shrink(difference)
        return operations, None

    def once(self, program: Program) -> Difference | None:
        """Compare one program; None also where the model reports a violation."""
        try:
            operations, model = self.model(program)
        except PropertyViolated:
            return None
        return compare(operations, model, self.kernel([operations], self.xen)[0])

    def shrink(self, difference: Difference) -> Difference:
        """Leave out operations as long as something of the same kind differs."""
        runs, size = 0, len(difference.program) // 2
        while size:
            start = 0
            while start < len(difference.program) and runs < SHRINK_MAX_RUNS:
                left = difference.program[:start] + difference.program[start + size :]
                runs += 1
                smaller = self.once(left)
                if smaller is not None and smaller.what == difference.what:
                    difference = smaller
                else:
                    start += size
            size //= 2
        return difference


def compare(program: Program, model: list[SideState], kernel: list[SideState]) -> Difference | None:
    """Return the first difference, with the operations up to it."""
    for number, (mine, theirs) in enumerate(zip(model, kernel, strict=True)):
        what = mine.differs(theirs)
        if what:
            field = ("the result", "what is present", "what pages hold").index(what)
            return Difference(program[: number + 1], what, mine[field], theirs[field])
    return None
