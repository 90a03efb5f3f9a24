# SPDX-License-Identifier: GPL-2.0-only
"""A search, and a second one for the shortest path to each violation."""

from __future__ import annotations

from pfncache.check.engine.violations import Count
from pfncache.check.program.layout import Program
from pfncache.check.result import SearchResult, ordered
from pfncache.check.search import Search

SHORTEST_FACTOR = 20
"""The search for shortest paths is limited to this many times the states of the search that found the violations."""
SHORTEST_MIN_STATES = 1_000_000
"""States that the search for shortest paths may visit in any case."""


def search_shortest(
    program: Program, max_states: int, threads: int = 1, first: bool = False
) -> tuple[Search, SearchResult]:
    """Search; if there are violations, search again without persistent sets for a shortest path to each.

    A search with persistent sets finds every violation, but the path may begin with steps that the violation does not
    depend on. The second search ends when it has met them all; only to a livelock it has to see every state. It is
    bounded by SHORTEST_FACTOR and SHORTEST_MIN_STATES: what it does not meet within them keeps its first path.

    With `first`, each of the two ends at the first violation.
    """
    searching = Search(program, max_states, threads)
    result = searching.run(wanted=int(first))
    if not program.has_masks or not any(one.path for one in result.found):
        return searching, result
    limit = min(max_states, max(SHORTEST_MIN_STATES, SHORTEST_FACTOR * result.states))
    again = Search(program.without_masks(), limit, threads)
    is_livelock = any(one.loop is not None for one in result.found)
    met = len(searching.start_found) + int(searching.violations.counts[Count.ROWS])
    shortest = again.run(wanted=int(first) or (0 if is_livelock else met))
    shown = [one for one in shortest.found if one.is_shown]
    result.found = tuple(shown[:1] or result.found) if first else ordered([*shown, *result.found])
    return searching, result
