# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.images [STEP]``: a digest of each compiled system, to compare two trees by ``diff``.

Takes one of STEP systems of every design and scenario. A digest is of everything that the search, its violations and
their traces read of a program: image, initial state, events, failures, acquisitions, slots, kinds, loops.
"""

from __future__ import annotations

import gc
import hashlib
import itertools
import sys
from collections.abc import Iterator

from pfncache.check.compile.compiler import compile_system
from pfncache.check.compile.memo import Memo
from pfncache.check.program.layout import Program, link
from pfncache.check.system import System
from pfncache.designs.catalogue import DESIGNS
from pfncache.scenarios import SCENARIOS
from pfncache.verify.garbage import ALLOCATIONS
from pfncache.verify.systems import make_system
from pfncache.verify.user_code import PACKAGE

STEP = 12


def digest(program: Program) -> str:
    """Return a hash over the content of a program."""
    heap = program.compiled.heap
    found = hashlib.sha256(program.image.tobytes() + program.initial.tobytes() + program.loops.tobytes())
    parts = (
        [(heap.text(variable), slot) for variable, slot in program.slots.items()],
        [(heap.text(variable), kind) for variable, kind in program.kinds.items()],
        program.actor_slots, program.words, program.bits, program.targets, program.lines,
        [list(events) for events in program.events], list(program.points), list(program.failures),
        [(sorted(held), use, event) for held, use, event in program.acquisitions],
        sorted(program.compiled.used), program.start_counters.tolist(),
    )  # fmt: skip
    for part in parts:
        found.update(repr(part).replace(str(PACKAGE), "").encode())
    return found.hexdigest()


def systems(step: int) -> Iterator[tuple[str, System]]:
    """Yield one of `step` systems, with its name; all designs of a scenario come one after another."""
    pairs = [(name, design) for name, s in SCENARIOS.items() for design in DESIGNS.values() if design.has(s.memory)]
    for name, design in itertools.islice(pairs, 0, None, step):
        yield f"{design.name} {name}", make_system(design, name)


def main() -> None:
    """Print a line for each system and kind of program."""
    gc.set_threshold(ALLOCATIONS)
    memo = Memo()
    step = int(sys.argv[1]) if len(sys.argv) > 1 else STEP
    for number, (name, system) in enumerate(systems(step)):
        compiled = compile_system(system, memo, coverage=False)
        print(name, digest(link(compiled)), flush=True)
        if number % 4 == 0:
            print(name, "full", digest(link(compiled, reduction=False)))
            print(name, "final", digest(link(compile_system(system.with_results(), memo), final=True)))
            print(name, "coverage", digest(link(compile_system(system, coverage=True))))


if __name__ == "__main__":
    main()
