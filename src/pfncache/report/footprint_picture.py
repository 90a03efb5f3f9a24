# SPDX-License-Identifier: GPL-2.0-only
"""A footprint as a picture: guest memory over time."""

from __future__ import annotations

from pathlib import Path

from pfncache.footprint.footprint import Access, Footprint, ranges
from pfncache.machines.uapi import PAGE_SIZE

_MIB = 1 << 20
_SHADES = {
    "page table": "#dfe8f5", "kernel image": "#eeeeee", "kernel text": "#e6e6e6", "kernel data": "#f0eadf",
    "kernel read-only data": "#ececec",
}  # fmt: skip
_LEAST = 64
"""A role is shaded from so many pages on: less would not be seen."""


def draw(footprint: Footprint, path: Path) -> None:
    """Write an SVG, or what else the file's suffix says. Raises ImportError without Matplotlib."""
    import matplotlib as mpl  # noqa: PLC0415 (an extra)

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "pfncache"  # the same footprint gives the same file
    from matplotlib import pyplot  # noqa: PLC0415

    figure, (memory, count) = pyplot.subplots(
        2, 1, figsize=(10, 7), sharex=True, height_ratios=(4, 1), layout="constrained"
    )  # fmt: skip
    end = max(footprint.seconds, 1e-9)
    labelled = set()
    for role, shade in _SHADES.items():
        for first, last in ranges(tuple(gfn for gfn, name in footprint.roles.items() if name == role)):
            if last - first >= _LEAST:
                label = role if role not in labelled else None
                memory.axhspan(_mib(first), _mib(last + 1), color=shade, zorder=0, label=label)
                labelled.add(role)
    touched = set(footprint.touched)
    seen = [access for access in footprint.accesses if access.gfn in touched]
    for access in _first_of_each_page(seen):
        memory.hlines(_mib(access.gfn), access.seconds, end, color="#bbbbbb", linewidth=0.6, zorder=1)
    colours = pyplot.get_cmap("tab20").colors  # type: ignore[attr-defined]
    for number, (name, gfns) in enumerate(footprint.by_path().items()):
        points = [access for access in seen if access.path == name]
        memory.scatter(
            [access.seconds for access in points], [_mib(access.gfn) for access in points],
            s=26, color=colours[number * 2 % 20 + (number * 2 // 20)], edgecolor="white", linewidth=0.4,
            label=f"{name}: {len(gfns):,}", zorder=2, clip_on=False,
        )  # fmt: skip
    times = sorted(access.seconds for access in _first_of_each_page(seen))
    count.step([0.0, *times, end], [*range(len(times) + 1), len(times)], where="post", color="#333333")
    memory.set_ylim(0, _mib(footprint.pages))
    memory.set_ylabel("guest physical address (MiB)")
    memory.set_title(
        f"{footprint.guest}: {len(footprint.touched):,} of {footprint.pages:,} pages touched by KVM, when first and how\n"
        f"{footprint.machine}", fontsize=10, loc="left",
    )  # fmt: skip
    memory.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8, title="path: pages")
    count.set_ylabel("pages")
    count.set_ylim(bottom=0)
    count.set_xlim(0, end)
    count.set_xlabel("seconds since the guest was started")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)


def _mib(gfn: int) -> float:
    return gfn * PAGE_SIZE / _MIB


def _first_of_each_page(accesses: list[Access]) -> list[Access]:
    first: dict[int, Access] = {}
    for access in accesses:
        first.setdefault(access.gfn, access)
    return list(first.values())
