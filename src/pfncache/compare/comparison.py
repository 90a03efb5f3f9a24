# SPDX-License-Identifier: GPL-2.0-only
"""Designs side by side."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pfncache.compare.cost import OPERATIONS, cost, growth
from pfncache.designs.design import Design, Patch
from pfncache.matrix.memory import KINDS
from pfncache.matrix.paths import PATHS
from pfncache.matrix.predict import Predicted, predict
from pfncache.matrix.view import word
from pfncache.scenarios.world import MemoryKind
from pfncache.verify.comparison import Comparison
from pfncache.verify.design_outcome import DesignOutcome
from pfncache.verify.outcome import Violation

SCHEMA = 1
MEMORY = ("gmem/mapped", "ndm/mapped", "gmem/unmapped", "ndm/unmapped", "private/unmapped")
"""Kinds of memory of the matrix whose paths are counted."""
MEASURED = (MemoryKind.GMEM_MMAP, MemoryKind.GMEM_NDM)
"""Kinds of memory on which operations are measured: with a direct map, and without."""


@dataclass(frozen=True)
class DesignSize:
    """How much a design changes."""

    patches: int
    functions: int
    lines: int
    """Of Python, those that have code."""

    @staticmethod
    def of(design: Design) -> DesignSize:
        """Return the size of a design's patches on top of mainline, each class once."""
        classes = dict.fromkeys(c for p in design.patches for c in p.__mro__ if issubclass(c, Patch) and c is not Patch)
        functions = [f for c in classes for f in vars(c).values() if inspect.isfunction(inspect.unwrap(f))]
        return DesignSize(len(design.patches), len(functions), sum(map(_lines, functions)))


def _lines(function: Any) -> int:
    """Return the number of lines that have code."""
    return len({line for *_, line in inspect.unwrap(function).__code__.co_lines() if line is not None})


@dataclass(kw_only=True)
class ComparedDesign:
    """What is known of one design."""

    design: Design
    outcome: DesignOutcome
    cells: dict[tuple[str, str], Predicted] = field(default_factory=dict)
    """By path and kind of memory."""
    costs: dict[tuple[str, str], Counter[str] | None] = field(default_factory=dict)
    """By operation and kind of memory; None where KVM does not reach it."""
    growths: dict[tuple[str, str], Counter[str] | None] = field(default_factory=dict)
    """The same: what is added by each further cache that is active."""

    def fill(self, on_done: Callable[[str], None] = lambda name: None) -> None:
        """Run the design's model: each path on each kind of memory, and each operation."""
        for path in PATHS:
            for kind in MEMORY:
                self.cells[path, kind] = predict(self.design, PATHS[path], KINDS[kind])
            on_done(f"{self.design.name} {path}")
        for memory in MEASURED:
            reaches = self.design.has(memory.value) and word(self.cells["pfncache", _KIND[memory]].seen) == "works"
            for operation in OPERATIONS:
                key = operation.name, memory.value
                self.costs[key] = cost(self.design, operation, memory) if reaches else None
                self.growths[key] = growth(self.design, operation, memory) if reaches else None

    def reached(self, kind: str) -> list[str]:
        """Return the paths that reach a kind of memory, which the design has without another's patch."""
        cells = {path: self.cells[path, kind] for path in PATHS}
        return [path for path, cell in cells.items() if word(cell.seen) == "works" and not cell.with_no_direct_map]

    @property
    def size(self) -> DesignSize:
        """How much the design changes."""
        return DesignSize.of(self.design)

    @property
    def uapi(self) -> list[str]:
        """What user space sees of the design."""
        return list(dict.fromkeys(what for patch in self.design.patches for what in patch.uapi))

    @property
    def requires(self) -> list[str]:
        """What the design requires, and none of its patches provides."""
        needed = dict.fromkeys(r for patch in self.design.patches for r in patch.requires)
        return [r.what for r in needed if r not in self.design.provides]

    def as_json(self) -> dict[str, Any]:
        """Return the column as the JSON document has it."""
        outcome, size = self.outcome, self.size
        return {
            "design": self.design.name,
            "title": self.design.title,
            "verdict": outcome.verdict.value,
            "base": outcome.base,
            "new": [
                {"property": v.property, "scenario": scenario, "reason": v.reason} for scenario, v in outcome.shortest()
            ],
            "cured": [_scenario_as_json(c, c.cured) for c in self.cured],
            "left": [_scenario_as_json(c, c.outcome.violations) for c in self.left],
            "paths": {kind: self.reached(kind) for kind in MEMORY},
            "cost": [
                {
                    "operation": name,
                    "memory": memory,
                    "steps": None if steps is None else dict(steps),
                    "per_cache": None if (more := self.growths[name, memory]) is None else dict(more),
                }
                for (name, memory), steps in self.costs.items()
            ],
            "size": {"patches": size.patches, "functions": size.functions, "lines": size.lines},
            "requires": self.requires,
            "uapi": self.uapi,
        }

    @property
    def new(self) -> list[Comparison]:
        """Comparisons of scenarios in which the design violates what the base does not."""
        return [c for c in self.outcome.comparisons if c.new]

    @property
    def cured(self) -> list[Comparison]:
        """Comparisons of scenarios in which the base violates what the design does not."""
        return [c for c in self.outcome.comparisons if c.cured]

    @property
    def left(self) -> list[Comparison]:
        """Comparisons of scenarios in which both violate something."""
        return [c for c in self.outcome.comparisons if c.outcome.violations and not c.new]


_KIND = {MemoryKind.GMEM_MMAP: "gmem/mapped", MemoryKind.GMEM_NDM: "ndm/mapped"}


def _scenario_as_json(comparison: Comparison, violations: Sequence[Violation]) -> dict[str, Any]:
    return {"scenario": comparison.outcome.scenario, "properties": sorted({v.property for v in violations})}


def columns(designs: Sequence[Design], outcomes: Sequence[DesignOutcome]) -> list[ComparedDesign]:
    """Return the columns of designs that were searched, still to be filled."""
    return [ComparedDesign(design=design, outcome=outcome) for design, outcome in zip(designs, outcomes, strict=True)]
