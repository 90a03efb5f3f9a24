# SPDX-License-Identifier: GPL-2.0-only
"""Compiling from nothing, by this tree and by an earlier one: CPU time, in alternating runs.

python -m benchmarks.fresh TREE [RUNS], where TREE is a checkout of the commit to compare with.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parents[1]
RUNS = 3
TIMEOUT = 3600
"""Seconds."""
SCENARIOS = (
    "gpc/move-to-other-page", "gmem/recreate-then-punch", "clock/gmem-mmap/slot-replace", "xen/irq-user",
    "clock/memfd/dontneed", "mm/fault-and-unmap",
)  # fmt: skip
SAMPLE = f"""
import gc, os
from pfncache.check.compile.compiler import compile_system
from pfncache.check.compile.memo import Memo
from pfncache.check.program.layout import link
from pfncache.designs.catalogue import DESIGNS
from pfncache.verify.systems import make_system
gc.set_threshold(200_000)
systems = [make_system(design, name) for name in {SCENARIOS} for design in DESIGNS.values()]
memo = Memo()
started = sum(os.times()[:2])
compiled = [compile_system(system, memo) for system in systems]
between = sum(os.times()[:2])
for one in compiled:
    link(one)
print(len(systems), between - started, sum(os.times()[:2]) - between)
"""
"""Compiles and links a few scenarios under every design. Prints the number of systems, and the CPU seconds of each."""


def run(tree: Path, cache: str, *arguments: str) -> tuple[str, float]:
    """Run Python with the package of a tree. Returns its output, and the CPU seconds."""
    before = os.times()
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "XDG_CACHE_HOME": cache}
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, cwd=tree, env=environment, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT, check=False
    )
    after = os.times()
    user, system = after.children_user - before.children_user, after.children_system - before.children_system
    return done.stdout, user + system


def verify(tree: Path, cache: str) -> float:
    """Return the CPU seconds of ``pfncache verify mainline-7.3`` that finds no program, but the engine."""
    shutil.rmtree(Path(cache) / "pfncache" / "systems", ignore_errors=True)
    return run(tree, cache, "-m", "pfncache", "verify", "mainline-7.3", "--absolute", "--jobs", "1")[1]


def main() -> None:
    """Print the table: medians, and the ratio."""
    other, *rest = sys.argv[1:]
    trees = Path(other).resolve(), HERE
    runs = int(rest[0]) if rest else RUNS
    figures: dict[str, tuple[list[float], list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        caches = [f"{folder}/{number}" for number in range(len(trees))]
        for tree, cache in zip(trees, caches, strict=True):
            run(tree, cache, "-m", "pfncache", "verify", "mainline-7.3", "-s", "clock/anon/munmap")
        for _ in range(runs):
            for number, (tree, cache) in enumerate(zip(trees, caches, strict=True)):
                count, *seconds = run(tree, cache, "-c", SAMPLE)[0].split()
                rows = dict(zip((f"compile {count} systems", "lay them out"), map(float, seconds), strict=True))
                for what, took in {**rows, "verify mainline-7.3": verify(tree, cache)}.items():
                    figures.setdefault(what, ([], []))[number].append(took)
    print("| what | before, CPU s | now | faster |\n|---|---|---|---|")
    for what, both in figures.items():
        before, now = map(statistics.median, both)
        print(f"| {what} | {before:.1f} | {now:.1f} | {before / now:.1f} x |")


if __name__ == "__main__":
    main()
