# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.memory``: memory of a state and time, in large searches of the catalogue and its pairs."""

from __future__ import annotations

from functools import partial

from benchmarks import race
from benchmarks.engines import console
from pfncache.designs.catalogue import DESIGNS
from pfncache.verify.systems import make_system

ROUNDS = 3
LARGE = (
    ("uaccess-clock", "tlb/direct-map", True),
    ("plan-restored", "tlb/direct-map", True),
    ("uaccess-clock", "uffd/slot-update", True),
    ("mainline-7.3", "fork/clock-and-child", True),
    ("mainline-7.3", "pairs/anon/munmap+slot-log", True),
    ("mainline-7.3", "pairs/anon/munmap+slot-log", False),
)
"""Design, scenario, and whether reductions are on."""


def main() -> None:
    """Print a line for each search: the median of ROUNDS."""
    out = console()
    for design, scenario, reduction in LARGE:
        searching = race.search(partial(make_system, DESIGNS[design], scenario), reduction)
        lap = race.ours(f"{design} {scenario}", searching, ROUNDS)
        reduced = "" if reduction else ", no reduction"
        out.print(
            f"{lap.engine}{reduced}: {lap.states:,} states, {lap.bytes_per_state:.1f} bytes, {lap.seconds:.3f} CPU s"
        )


if __name__ == "__main__":
    main()
