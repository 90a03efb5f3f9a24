# SPDX-License-Identifier: GPL-2.0-only
"""Show footprints as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from pfncache.footprint.footprint import PANICKED, UNKNOWN, Access, Footprint, ranges
from pfncache.footprint.guests import LINUX
from pfncache.footprint.picture import draw
from pfncache.linux.include.uapi import PAGE_SIZE
from pfncache.machines.document import Ended, run_members
from pfncache.picture import PictureError

SCHEMA = 2
_FEW = 64
"""Maximum number of pages that are listed one by one."""


class NoPicture(Exception):
    """The picture of a footprint cannot be drawn or written."""


def show_all(
    footprints: Iterable[Footprint], as_json: bool, svg: Path | None, options: dict[str, Any] | None = None
) -> None:
    """Print each footprint when it is there, then compare runs; or print one JSON document, however the run ends.

    Raises NoPicture.
    """
    found: list[Footprint] = []
    ended = Ended()
    try:
        with ended.watching():
            for footprint in footprints:
                found.append(footprint)
                if not as_json:
                    show(footprint)
    finally:
        if as_json:
            click.echo(json.dumps(document(found, ended, options), indent=1))
    if not as_json:
        for _, group in groupby(sorted(found, key=lambda f: f.guest), lambda f: f.guest):
            same = list(group)
            if len(same) > 1:
                click.echo("\n".join(agreement(same)))
    if svg is not None:
        _draw(found[0], svg)


def show(footprint: Footprint) -> None:
    """Print a footprint: heading, paths of Linux, pages."""
    console = Console(highlight=False, soft_wrap=True)
    for line in heading(footprint):
        console.print(line, markup=False)
    if not footprint.touched:
        return
    if footprint.guest == LINUX and footprint.accesses:
        console.print(paths(footprint))
    console.print(pages(footprint))


def _draw(footprint: Footprint, svg: Path) -> None:
    if not footprint.accesses:
        raise NoPicture(f"no picture without times: {footprint.unprobed or 'KVM has touched nothing'}")
    try:
        draw(footprint, svg)
    except ImportError:
        raise NoPicture("a picture needs Matplotlib: pip install 'pfncache[plot]'") from None
    except PictureError as error:
        raise NoPicture(str(error)) from None


def document(footprints: list[Footprint], ended: Ended, options: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the JSON document of a run."""
    return {
        **run_members(SCHEMA, options or {}, ended),
        "footprints": [_as_json(footprint) for footprint in footprints],
    }


def _as_json(footprint: Footprint) -> dict[str, Any]:
    by_page = _by_page(footprint)
    return {
        "guest": footprint.guest,
        "machine": footprint.machine,
        "ended": footprint.ended,
        "seconds": round(footprint.seconds, 3),
        "exits": footprint.exits,
        "pages": footprint.pages,
        "populated": footprint.populated,
        "touched": len(footprint.touched),
        "written": None if footprint.written is None else len(footprint.written),
        "unprobed": footprint.unprobed,
        "blind": list(footprint.blind),
        "lost": footprint.lost,
        "emulated": footprint.emulated,
        "console": list(footprint.console),
        "paths": {path: len(gfns) for path, gfns in footprint.by_path().items()},
        "touched_pages": [
            {
                "gpa": gfn * PAGE_SIZE,
                "role": footprint.roles.get(gfn),
                "written": None if footprint.written is None else gfn in footprint.written,
                "accesses": [
                    {
                        "path": access.path, "write": access.write, "count": access.count, "order": access.order,
                        "seconds": round(access.seconds, 6),
                    }
                    for access in by_page.get(gfn, [])
                ],
            }
            for gfn in footprint.touched
        ],
    }  # fmt: skip


def _by_page(footprint: Footprint) -> dict[int, list[Access]]:
    found: dict[int, list[Access]] = {}
    for access in footprint.accesses:
        found.setdefault(access.gfn, []).append(access)
    return found


def heading(footprint: Footprint) -> Iterator[str]:
    """Return lines: the guest, how it ended, and how much KVM has touched."""
    yield f"{footprint.guest} on {footprint.machine}"
    yield f"  ended: {footprint.ended} ({footprint.seconds:.1f} s, KVM_RUN x{footprint.exits:,})"
    written = "" if footprint.written is None else f", and wrote {len(footprint.written):,} of them"
    count, places = len(footprint.touched), len(ranges(footprint.touched))
    where = f" in {places:,} places" if places > 1 else ""
    yield (
        f"  KVM touched {count:,} of {footprint.pages:,} pages{where}{written if count else ''};"
        f" {footprint.populated:,} are in use"
    )
    if footprint.unprobed:
        yield f"  order and path are not known: {footprint.unprobed}"
    elif footprint.unexplained:
        unknown = len(footprint.unexplained)
        yield f"  of {unknown:,} page{'s' if unknown > 1 else ''} the path is not known"
    if footprint.blind:
        yield f"  not watched: {'; '.join(footprint.blind)}"
    if footprint.lost:
        yield f"  {footprint.lost:,} events were lost: the trace buffer is full"
    if footprint.emulated:
        most = [f"{name} ({times:,})" for name, times in footprint.emulated.items()]
        yield f"  emulated: {', '.join(most)}"
    if footprint.console and not footprint.ended.startswith(PANICKED):
        yield f"  the console's last line: {footprint.console[-1]}"
    if footprint.accesses and (rest := without_skips(footprint)) != count:
        yield f"  {count - rest:,} of them only to skip an instruction without next_rip"


def without_skips(footprint: Footprint) -> int:
    """Return how many pages would be touched on a processor with next_rip."""
    skipped = {access.gfn for access in footprint.accesses if access.path.startswith("skip: ")}
    other = {access.gfn for access in footprint.accesses if not access.path.startswith("skip: ")}
    return len(set(footprint.touched) - (skipped - other))


def paths(footprint: Footprint) -> Table:
    """Return a table of paths: pages and accesses."""
    table = Table(title="Paths", title_justify="left")
    for name in ("path", "pages", "of them alone", "times"):
        table.add_column(name, justify="left" if name == "path" else "right")
    found = footprint.by_path()
    for path, gfns in found.items():
        alone = gfns.difference(*(others for other, others in found.items() if other != path))
        times = sum(access.count for access in footprint.accesses if access.path == path and access.gfn in gfns)
        table.add_row(path, f"{len(gfns):,}", f"{len(alone):,}", f"{times:,}" if times else "")
    return table


def pages(footprint: Footprint) -> Table:
    """Return a table of touched pages; of many, ranges with the same role and the same paths."""
    columns = ["gpa", "pages", "role", "KVM"]
    if footprint.accesses:
        columns += ["first", "at", "paths (times)"]
    table = Table()
    for name in columns:
        table.add_column(name, justify="right" if name in ("gpa", "pages", "first", "at") else "left")
    by_page = _by_page(footprint)
    for run in _runs(footprint, by_page):
        row = [f"{run[0] * PAGE_SIZE:#x}", str(len(run)), footprint.roles.get(run[0], ""), _how(footprint, run[0])]
        table.add_row(*row, *(_seen([a for gfn in run for a in by_page.get(gfn, [])]) if footprint.accesses else []))
    return table


def _seen(accesses: list[Access]) -> list[str]:
    """Return order, time and paths of accesses."""
    if not accesses:
        return ["", "", UNKNOWN]
    counts: dict[str, int] = {}
    for access in accesses:
        counts[access.path] = counts.get(access.path, 0) + access.count
    order, seconds = min((access.order, access.seconds) for access in accesses)
    return [str(order), f"{seconds:.3f} s", ", ".join(f"{path} ({count:,})" for path, count in counts.items())]


def _how(footprint: Footprint, gfn: int) -> str:
    if footprint.written is None:
        return "touched"
    return "written" if gfn in footprint.written else "read"


def _runs(footprint: Footprint, by_page: dict[int, list[Access]]) -> list[list[int]]:
    runs: list[list[int]] = []
    previous: tuple[Any, ...] = ()
    for gfn in footprint.touched:
        kind = (footprint.roles.get(gfn), _how(footprint, gfn), frozenset(a.path for a in by_page.get(gfn, [])))
        if runs and len(footprint.touched) > _FEW and runs[-1][-1] == gfn - 1 and kind == previous:
            runs[-1].append(gfn)
        else:
            runs.append([gfn])
        previous = kind
    return runs


def agreement(footprints: list[Footprint]) -> Iterator[str]:
    """Return how far several footprints of the same guest agree."""
    sets = [set(footprint.touched) for footprint in footprints]
    every, some = set.intersection(*sets), set.union(*sets)
    counts = ", ".join(f"{len(pages):,}" for pages in sets)
    yield f"{footprints[0].guest}, {len(sets)} runs: {counts} pages; {len(every):,} in every run, {len(some):,} in any"
