# SPDX-License-Identifier: GPL-2.0-only
"""The matrix of a design, its comparison with a kernel, and conclusions."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pfncache.designs.design import Design
from pfncache.matrix.cell import CellVerdict, Observation
from pfncache.matrix.memory import KINDS, GuestMemoryKind
from pfncache.matrix.paths import PATHS, AccessPath
from pfncache.matrix.predict import Predicted, predict
from pfncache.matrix.probes import Cells

SCHEMA = 2


class Mark(enum.Enum):
    """Comparison of a cell with a kernel."""

    CONFIRMED = "confirmed"
    OTHERWISE = "ends otherwise"
    """The same verdict with another exit or exception."""
    DIFFERS = "differs"
    UNSEEN = "cannot be shown here"


@dataclass(frozen=True)
class Cell:
    """One access path on one kind of memory."""

    path: AccessPath
    kind: GuestMemoryKind
    predicted: Predicted
    real: Observation | None = None
    """Result on a kernel; None without one."""

    @property
    def seen(self) -> Observation:
        """Result on the model."""
        return self.predicted.seen

    @property
    def works(self) -> bool:
        """Whether KVM reaches the guest's memory."""
        return self.seen.verdict is CellVerdict.WORKS

    @property
    def mark(self) -> Mark | None:
        """Comparison with the kernel; None without one."""
        if self.real is None:
            return None
        if CellVerdict.UNSEEN in (self.real.verdict, self.seen.verdict):
            return Mark.UNSEEN
        if self.real.verdict is not self.seen.verdict:
            return Mark.DIFFERS
        return Mark.CONFIRMED if self.real.how == self.seen.how else Mark.OTHERWISE

    def as_json(self) -> dict[str, Any]:
        """Return the cell as the JSON schema defines it."""
        found: dict[str, Any] = {
            "path": self.path.name,
            "memory": self.kind.name,
            "verdict": self.seen.verdict.value,
            "how": self.seen.how,
            "means": list(self.predicted.means),
        }
        if self.real is not None and self.mark is not None:
            found["kernel"] = {"verdict": self.real.verdict.value, "how": self.real.how, "mark": self.mark.value}
        return found


@dataclass
class Matrix:
    """Every access path on every kind of memory, under a design."""

    design: Design
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    kernel: str = ""
    """The kernel that was probed; empty without one."""

    @property
    def differs(self) -> bool:
        """Whether the kernel differs from the model in a cell."""
        return any(cell.mark is Mark.DIFFERS for cell in self.cells.values())

    def cell(self, path: str, kind: str) -> Cell:
        """One cell."""
        return self.cells[path, kind]

    def row(self, path: str) -> list[Cell]:
        """A path's cells."""
        return [self.cells[path, kind] for kind in KINDS]

    def means(self, path: str) -> list[str]:
        """Return the means by which a path reaches memory."""
        return list(dict.fromkeys(means for cell in self.row(path) if cell.works for means in cell.predicted.means))

    def lost(self, have: str, lack: str) -> list[str]:
        """Return the paths that work on one kind of memory, but not on another."""
        return [path for path in PATHS if self.cell(path, have).works and not self.cell(path, lack).works]

    def conclusion(self) -> list[str]:
        """Return the conclusions, a sentence each: first, which memory must stay mapped."""
        if self.cell("TDP fault", "gmem/mapped").seen.verdict is CellVerdict.UNSEEN:
            return [
                f"{self.design.name} has no guest_memfd that user space can map: a guest's memory is what is mapped"
            ]
        return [*self._about_mapping(), *self._about_direct_map(), *self._about_private(), *self._about_violations()]

    def _about_mapping(self) -> Iterator[str]:
        paths = self.lost("gmem/mapped", "gmem/unmapped")
        kinds = [kind for kind in ("gmem", "ndm") if self.lost(f"{kind}/mapped", f"{kind}/unmapped")]
        if paths:
            yield (
                f"{len(paths)} of {len(PATHS)} paths reach guest_memfd only where user space maps it "
                f"({', '.join(paths)}): {' and '.join(kinds)} memory that a guest may use for any of them must stay "
                "mapped at the slot's address"
            )
        else:
            yield "every path reaches guest_memfd that user space does not map: nothing must stay mapped"

    def _about_direct_map(self) -> Iterator[str]:
        paths = self.lost("gmem/mapped", "ndm/mapped")
        if paths:
            yield f"without the direct map, {_these(paths)} reach it even when it is mapped"
        else:
            yield "no path needs the direct map"

    def _about_private(self) -> Iterator[str]:
        paths = [path for path in PATHS if self.cell(path, "private/unmapped").works]
        yield f"private memory is reached by {' and '.join(paths) or 'nothing'} alone"

    def _about_violations(self) -> Iterator[str]:
        broken: dict[tuple[str, str], list[str]] = {}
        for cell in self.cells.values():
            if cell.seen.verdict is CellVerdict.BREAKS:
                broken.setdefault((cell.path.name, cell.seen.how), []).append(cell.kind.name)
        for (path, name), kinds in broken.items():
            yield f"{path} breaks {name} on {', '.join(kinds)}"

    def as_json(self) -> dict[str, Any]:
        """Return the matrix as the JSON schema defines it."""
        return {
            "design": self.design.name,
            "kernel": self.kernel or None,
            "memory": [{"name": kind.name, "text": kind.text} for kind in KINDS.values()],
            "paths": [
                {
                    "name": path.name,
                    "functions": path.functions,
                    "file": path.file,
                    "users": path.users,
                    "means": self.means(path.name),
                }
                for path in PATHS.values()
            ],
            "cells": [cell.as_json() for cell in self.cells.values()],
            "conclusion": self.conclusion(),
        }


def _these(paths: list[str]) -> str:
    *most, last = paths
    return f"{', '.join(most)} and {last} do not" if most else f"{last} does not"


def compute(design: Design, real: Cells | None = None, kernel: str = "") -> Matrix:
    """Run the model for every cell, and compare with a kernel's results."""
    matrix = Matrix(design, kernel=kernel)
    for path in PATHS.values():
        for kind in KINDS.values():
            key = path.name, kind.name
            matrix.cells[key] = Cell(path, kind, predict(design, path, kind), real[key] if real is not None else None)
    return matrix
