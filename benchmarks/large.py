# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.large [STATES]``: time and memory of a search of so many states, fifty million by default."""

from __future__ import annotations

import os
import resource
import sys
import time

from rich.console import Console

from benchmarks import race
from benchmarks.models import BESIDE, crowd

STATES = 50_000_000
"""States at which the search stops, unless another number is given."""


def main() -> None:
    """Search up to a number of states, on all cores."""
    threads = os.cpu_count() or 1
    states = int(sys.argv[1]) if len(sys.argv) > 1 else STATES
    searching = race.search(lambda: crowd((*BESIDE, "dontneed")), False, threads, states)
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
