# SPDX-License-Identifier: GPL-2.0-only
"""Finds for each mutant a scenario that fails, and keeps the table of them.

``python -m tests.mutation.hunt [--all] [--pairs] [NAME]``: for those that the table lacks, or for all of them; in the
catalogue, or among the generated pairs.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from pfncache.check.compile.compiler import compile_system
from pfncache.check.compile.source import CompileError
from pfncache.check.replay import Divergence
from pfncache.designs.catalogue import mainline_7_3
from pfncache.scenarios import DEFAULT_SCENARIOS, SCENARIOS
from pfncache.verify.job import Job
from pfncache.verify.runner import run
from pfncache.verify.systems import make_system
from tests.mutation.mutants import Mutant, mutants

TABLE = Path(__file__).parent / "killed.json"
STATES = 300_000
PAIR_MEMORY = ("anon", "gmem-mmap")
"""Kinds of memory whose pairs are tried; the others have the same operations."""


def property_of(mutant: Mutant, scenario: str) -> str | None:
    """What a scenario says to a mutant; leaving the model's own bounds counts as well."""
    outcome = run(Job(mutant.design, scenario, STATES))
    return outcome.property or ("bounds" if "out of the range" in outcome.limit else None)


@cache
def base(scenario: str) -> tuple[str | None, int, frozenset[str]]:
    """Of mainline: what the scenario says, its states, and the kernel functions that it runs."""
    outcome = run(Job(mainline_7_3, scenario, STATES))
    used = compile_system(make_system(mainline_7_3, scenario)).used
    return outcome.property, outcome.states, used


def hunt(mutant: Mutant) -> tuple[str, str] | None:
    """The quickest scenario that fails for the mutant and not for mainline, with the property that it violates."""
    candidates = [s for s in DEFAULT_SCENARIOS if mutant.function in base(s)[2]]
    for scenario in sorted(candidates, key=lambda s: base(s)[1]):
        found = property_of(mutant, scenario)
        if found is not None and found != base(scenario)[0]:
            return scenario, found
    return None


def hunt_pairs(mutant: Mutant) -> tuple[str, str] | None:
    """The same among the generated pairs of two operations of which one runs the mutant."""
    for pair in SCENARIOS:
        room, _, both = pair.rpartition("/")
        singles = [f"clock/{room.removeprefix('pairs/')}/{one}" for one in both.split("+")]
        if not room.startswith("pairs/") or room.removeprefix("pairs/") not in PAIR_MEMORY:
            continue
        if any(s in DEFAULT_SCENARIOS and mutant.function in base(s)[2] for s in singles):
            found = property_of(mutant, pair)
            if found is not None and found != run(Job(mainline_7_3, pair, STATES)).property:
                return pair, found
    return None


def _hunt_number(number: int) -> tuple[str, str] | None:
    try:
        return hunt_pairs(_all[number]) if _pairs else hunt(_all[number])
    except (CompileError, Divergence, RecursionError) as error:
        return "error", str(error)


_all: list[Mutant] = []
_pairs = "--pairs" in sys.argv


def main() -> None:
    """Hunt."""
    wanted = next((a for a in sys.argv[1:] if not a.startswith("--")), "")
    table = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    _all[:] = [m for m in mutants() if wanted in m.name and ("--all" in sys.argv or m.name not in table)]
    for scenario in DEFAULT_SCENARIOS:
        base(scenario)
    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as pool:
        for mutant, found in zip(_all, pool.map(_hunt_number, range(len(_all))), strict=True):
            print(f"{mutant.name}: {' '.join(found) if found else 'SURVIVES'}", flush=True)
            table.pop(mutant.name, None)
            if found is not None:
                table[mutant.name] = found
    TABLE.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
