# SPDX-License-Identifier: GPL-2.0-only
"""Designs side by side as a picture: what breaks, how many paths reach memory, and what an access costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pfncache.compare.comparison import MEMORY, ComparedDesign
from pfncache.compare.cost import KINDS
from pfncache.matrix.paths import PATHS
from pfncache.picture import drawing, save
from pfncache.scenarios.world import MemoryKind

_VERDICTS = {"new": "#b3446c", "left": "#999999", "cured": "#2b7a5b"}
_KINDS = {kind: f"C{number}" for number, kind in enumerate(KINDS)}
_SHOWN = ("access", "event in an interrupt")
"""Operations whose steps are drawn."""


def draw(columns: Sequence[ComparedDesign], path: Path) -> None:
    """Draw into a file that passes check_picture(). Raises PictureError if it cannot be written."""
    names = [column.design.name for column in columns]
    with drawing(1, 2 + len(_SHOWN), sharey=True, figsize=(13, 1.6 + 0.32 * len(names))) as (figure, axes):
        axes[0].set_yticks(range(len(names)), names, fontsize=8)
        axes[0].invert_yaxis()
        _verdicts(axes[0], columns)
        _paths(axes[1], columns)
        for panel, operation in zip(axes[2:], _SHOWN, strict=True):
            _steps(panel, columns, operation)
        figure.suptitle(
            "ndm: guest_memfd without a direct map, where the steps are counted", fontsize=8, x=0.01, ha="left"
        )
        for panel in axes:
            panel.xaxis.get_major_locator().set_params(integer=True)
            panel.tick_params(labelsize=8)
            panel.spines[["top", "right"]].set_visible(False)
            panel.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, frameon=False)
        save(figure, path)


def _verdicts(panel: Any, columns: Sequence[ComparedDesign]) -> None:
    """Draw the scenarios in which a design breaks something new, leaves what its base breaks, and cures it."""
    counts = {
        "new": [len(c.new) for c in columns],
        "left": [len(c.left) for c in columns],
        "cured": [len(c.cured) for c in columns],
    }
    _stack(panel, counts, _VERDICTS)
    panel.set_title("scenarios with a violation", fontsize=9)


def _paths(panel: Any, columns: Sequence[ComparedDesign]) -> None:
    """Draw how many access paths reach memory that user space maps, with a direct map and without."""
    for kind, height, colour in zip(MEMORY[:2], (0.6, 0.25), ("#dddddd", "#3b6ea8"), strict=True):
        reached = [len(column.reached(kind)) for column in columns]
        panel.barh(range(len(columns)), reached, color=colour, label=kind, height=height)
    panel.set_xlim(0, len(PATHS))
    panel.set_title(f"access paths that reach it, of {len(PATHS)}", fontsize=9)


def _steps(panel: Any, columns: Sequence[ComparedDesign], operation: str) -> None:
    """Draw the steps of an operation on memory without a direct map; a cross stands for one that fails."""
    costs = [column.costs[operation, MemoryKind.GMEM_NDM.value] for column in columns]
    counts = {kind: [0 if steps is None else steps[kind] for steps in costs] for kind in KINDS}
    _stack(panel, {kind: values for kind, values in counts.items() if any(values)}, _KINDS)
    failed = [row for row, steps in enumerate(costs) if steps is None]
    panel.plot([0.3] * len(failed), failed, "kx", markersize=5, label="fails")
    panel.set_title(f"steps of: {operation}", fontsize=9)


def _stack(panel: Any, counts: Mapping[str, Sequence[int]], colours: Mapping[str, str]) -> None:
    """Draw a bar for each row, in parts."""
    left = [0] * len(next(iter(counts.values()), []))
    for name, values in counts.items():
        panel.barh(range(len(values)), values, left=left, color=colours[name], label=name, height=0.6)
        left = [a + b for a, b in zip(left, values, strict=True)]
