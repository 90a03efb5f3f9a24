# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.compiling``: CPU time to build, compile and link systems, with and without a memo."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial

from pfncache.check.compile.compiler import compile_system
from pfncache.check.compile.memo import Memo
from pfncache.check.program.layout import link
from pfncache.check.system import System
from pfncache.designs.catalogue import DESIGNS
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.shape import ShapeBounds
from pfncache.scenarios.world import MemoryKind
from pfncache.verify.garbage import ALLOCATIONS
from pfncache.verify.systems import make_kernel_system, make_system

SAMPLE = 10
"""One system in SAMPLE is also compiled without a memo."""


def race(name: str, builds: list[Callable[[], System]]) -> None:
    """Print the CPU seconds per system."""

    def seconds(some: list[Callable[[], System]], memo: Memo | None) -> float:
        started = time.process_time()
        for build in some:
            link(compile_system(build(), memo))
        return (time.process_time() - started) / len(some)

    alone, together = seconds(builds[::SAMPLE], None), seconds(builds, Memo())
    print(f"| {name} | {len(builds)} | {alone:.3f} | {together:.3f} | {alone / together:.1f} x |", flush=True)


def main() -> None:
    """Print the table: the sweep of one kind of memory, and a part of the catalogue under several designs."""
    gc.set_threshold(ALLOCATIONS)
    print("| systems | how many | CPU s each, alone | with a memo | faster |\n|---|---|---|---|---|")
    chosen = [DESIGNS[name] for name in ("mainline-7.3", "rfc-v4", "rfc-v4-fixed")]
    anon = list(ShapeBounds(3, 1, 1, 3, (MemoryKind.ANON,)).shapes())
    race(
        "sweep --actors 3 --updates 1 --memory anon",
        [partial(make_kernel_system, design, shape.build) for shape in anon for design in chosen[:2]],
    )
    names = [name for name in SCENARIOS if name.startswith("clock/")]
    race(
        "verify mainline-7.3 rfc-v4 rfc-v4-fixed -s clock/",
        [partial(make_system, design, name) for name in names for design in chosen],
    )
    every = [design for design in DESIGNS.values() if not design.shown_by]
    race(
        f"verify, {len(every)} designs, -s clock/anon/",
        [partial(make_system, design, name) for name in names if "/anon/" in name for design in every],
    )


if __name__ == "__main__":
    main()
