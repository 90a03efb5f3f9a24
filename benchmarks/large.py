# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.large``: time and memory of a search of fifty million states."""

from __future__ import annotations

import os
import resource
import time

from rich.console import Console

from benchmarks import race
from benchmarks.models import BESIDE, crowd

STATES = 50_000_000
"""States at which the search stops."""


def main() -> None:
    """Search up to STATES, on all cores."""
    threads = os.cpu_count() or 1
    searching = race.search(lambda: crowd((*BESIDE, "dontneed")), False, threads, STATES)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    result = searching.run()
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    Console(width=120, highlight=False).print(
        f"{result.states:,} states and {result.transitions:,} transitions in {wall:.1f} s on {threads} threads, "
        f"{result.verdict} ({result.reason}): {after / 2**20:.2f} GiB at most, {before / 2**20:.2f} before; "
        f"{(after - before) * 1024 / result.states:.0f} bytes a state"
    )


if __name__ == "__main__":
    main()
