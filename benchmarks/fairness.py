# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.fairness``: the cost of the search for strongly fair cycles."""

from __future__ import annotations

import time
from collections.abc import Iterable
from unittest import mock

from pfncache.check.engine.parallel_bfs import WorkerPool
from pfncache.check.result import Found
from pfncache.check.search import Search
from pfncache.designs.catalogue import mainline_7_3
from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.verify.job import Job
from pfncache.verify.runner import search

CHECK_LIVENESS = Search._check_liveness


def race(name: str, scenarios: Iterable[str], reduction: bool) -> None:
    """Search scenarios. Print the CPU seconds, and those of them that the search for fair cycles takes."""
    spent = 0.0

    def timed(searching: Search, pool: WorkerPool) -> list[Found]:
        nonlocal spent
        started = time.process_time()
        found = CHECK_LIVENESS(searching, pool)
        spent += time.process_time() - started
        return found

    with mock.patch.object(Search, "_check_liveness", timed):
        started = time.process_time()
        results = [search(Job(mainline_7_3, scenario, 10_000_000, reduction))[1] for scenario in scenarios]
        everything = time.process_time() - started
    states = sum(result.states for result in results)
    seconds = sum(result.seconds for result in results)
    print(f"| {name} | {states:,} | {everything:.2f} | {seconds:.3f} | {spent:.3f} |")


def main() -> None:
    """Print the table, after a warm-up that compiles the engine and the systems."""
    for scenario in DEFAULT_SCENARIOS:
        search(Job(mainline_7_3, scenario, 10_000_000))
    print("| scenarios | states | CPU s in all | s of search | of which for fair cycles |\n|---|---|---|---|---|")
    race("the default catalogue", DEFAULT_SCENARIOS, True)
    for scenario in ("pairs/anon/munmap+slot-log", "livelock/unrelated-page", "gmem/endless-clock"):
        race(f"{scenario}, no reduction", [scenario], False)


if __name__ == "__main__":
    main()
