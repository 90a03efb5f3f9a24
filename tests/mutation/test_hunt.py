# SPDX-License-Identifier: GPL-2.0-only
"""Which scenario a hunt searches next, and what it leaves out."""

from __future__ import annotations

from collections import defaultdict

from tests.mutation.hunt import Hunt, Tried, by_name
from tests.mutation.reach import Reach

ONE = "kvm_gpc_check(): always returns False"
OTHER = "may_refresh(): always returns False"


def reach(scenario: str, *lines: str, cost: int = 1) -> Reach:
    return Reach(
        scenario=scenario, verdict="holds", properties=(), states=1, cost=cost, targets=(), functions=frozenset(),
        lines=frozenset(lines),
    )  # fmt: skip


def hunting(*known: Reach, tried: Tried | None = None) -> Hunt:
    return Hunt([ONE, OTHER], {one.scenario: one for one in known}, tried or defaultdict(dict))


def order(hunt: Hunt, kills: dict[str, str]) -> list[tuple[str, list[str]]]:
    """Return the searches of a hunt; `kills` has by mutant the scenario that kills it."""
    done = []
    for chosen, names in hunt.searches():
        done.append((chosen.scenario, names))
        for name in names:
            hunt.add(name, chosen.scenario, "leak" if kills.get(name) == chosen.scenario else None)
    return done


def test_scenario_of_most_mutants_comes_first_and_points_come_last() -> None:
    first, second = by_name()[ONE].line, by_name()[OTHER].line
    known = (reach("space/a", first, second), reach("one", first), reach("both", first, second))
    assert order(hunting(*known), {}) == [("both", [ONE, OTHER]), ("one", [ONE]), ("space/a", [ONE, OTHER])]


def test_a_mutant_is_not_searched_once_killed() -> None:
    first, second = by_name()[ONE].line, by_name()[OTHER].line
    known = (reach("one", first), reach("both", first, second))
    assert order(hunting(*known), {ONE: "both"}) == [("both", [ONE, OTHER])]


def test_a_hunt_goes_on_where_it_ended() -> None:
    line = by_name()[ONE].line
    tried: Tried = defaultdict(dict, {ONE: {"one": None}, OTHER: {"two": "leak"}})
    hunt = hunting(reach("one", line), reach("two", line, by_name()[OTHER].line), tried=tried)
    assert list(hunt.left) == [ONE]
    assert order(hunt, {}) == [("two", [ONE])]


def test_a_line_that_nothing_executes_is_not_searched_for() -> None:
    assert order(hunting(reach("one", "elsewhere.py:1")), {}) == []
