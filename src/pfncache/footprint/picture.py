# SPDX-License-Identifier: GPL-2.0-only
"""A footprint as a picture: guest memory over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pfncache.footprint.footprint import Footprint, ranges
from pfncache.linux.include.uapi import PAGE_SIZE
from pfncache.picture import drawing, save

_MIB = 1 << 20
_ROWS = 80
"""Maximum number of touched pages that are labelled."""
_IMAGE = "#dddddd"
_TOUCHED = "#b3446c"


def draw(footprint: Footprint, path: Path) -> None:
    """Write an SVG, or another format by the file's suffix. Raises ImportError without Matplotlib.

    On the left is all of the guest's memory; on the right are the touched pages, from the lowest to the highest, with
    the first time that KVM reached each by each path.
    """
    rows = len(footprint.touched)
    size = (11, 2.2 + 0.17 * min(rows, _ROWS))
    with drawing(1, 2, figsize=size, width_ratios=(1, 12)) as (figure, (everything, pages)):
        figure.suptitle(
            f"{footprint.guest}: the {rows:,} of {footprint.pages:,} pages that KVM touched\n{footprint.machine}",
            fontsize=10, x=0.01, ha="left",
        )  # fmt: skip
        _all_memory(everything, footprint)
        _touches(pages, footprint)
        save(figure, path)


def _all_memory(axes: Any, footprint: Footprint) -> None:
    """Draw the positions of touched pages and of the kernel in memory."""
    image = tuple(gfn for gfn, role in footprint.roles.items() if "kernel" in role)
    for first, last in ranges(image):
        axes.axhspan(_mib(first), _mib(last + 1), color=_IMAGE, linewidth=0)
    for gfn in footprint.touched:
        axes.axhline(_mib(gfn), color=_TOUCHED, linewidth=0.8)
    axes.set_ylim(0, _mib(footprint.pages))
    axes.set_xticks([])
    axes.set_ylabel("guest physical address (MiB)" + ("; grey: the kernel" if image else ""), fontsize=8)
    axes.tick_params(labelsize=8)


def _touches(axes: Any, footprint: Footprint) -> None:
    """Draw a row for each touched page: a dot at the first access by each path, and a line from the first on."""
    from matplotlib import colormaps  # noqa: PLC0415 (an extra)

    colours = colormaps["tab20"].colors  # type: ignore[attr-defined]
    row = {gfn: number for number, gfn in enumerate(footprint.touched)}
    seen = [access for access in footprint.accesses if access.gfn in row]
    end = max((access.order for access in seen), default=1) * 1.5
    first: dict[int, int] = {}
    for access in seen:
        first.setdefault(access.gfn, access.order)
    axes.hlines([row[gfn] for gfn in first], list(first.values()), end, color="#cccccc", linewidth=0.8, zorder=1)
    for number, (name, gfns) in enumerate(footprint.by_path().items()):
        points = [access for access in seen if access.path == name]
        axes.scatter(
            [access.order for access in points], [row[access.gfn] for access in points], s=30, zorder=2,
            color=colours[number * 2 % 20 + number * 2 // 20], edgecolor="white", linewidth=0.4,
            label=f"{name}: {len(gfns):,}",
        )  # fmt: skip
    if len(row) <= _ROWS:
        labels = [f"{footprint.roles.get(gfn, '')}  {gfn * PAGE_SIZE:#x}" for gfn in row]
        axes.set_yticks(range(len(row)), labels, fontsize=7, family="monospace")
    else:
        axes.set_yticks([])
        axes.set_ylabel("touched pages")
    axes.set_ylim(-1, len(row))
    axes.set_xscale("log")
    axes.set_xlim(0.8, end)
    axes.set_xlabel("order of KVM's accesses", fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.legend(
        loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8, title="path: pages", title_fontsize=8
    )  # fmt: skip


def _mib(gfn: int) -> float:
    return gfn * PAGE_SIZE / _MIB
