# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks``: how fast and how small the engine is, beside the same search in plain CPython."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from benchmarks.cpython import CPython
from pfncache.check.compiler import compile_system
from pfncache.check.link import link
from pfncache.check.search import Search
from pfncache.check.system import System
from pfncache.properties import PROBES
from pfncache.scenarios.operations import OPERATIONS
from pfncache.scenarios.world import Memory, World
from pfncache.series import mainline_7_3
from pfncache.verify.systems import make_system

LARGEST = "xen/two-senders"
"""Of the default catalogue, without reductions."""
STATES = 20_000_000
PLAIN_STATES = 20_000
ROUNDS = 5


def search(system: System, limit: int = STATES) -> Search:
    """The search of a system, without reductions."""
    return Search(link(compile_system(system), reduction=False), limit)


def crowd() -> System:
    """A clock that is updated twice while its page migrates, is unmapped, and its slot is replaced."""
    world = World(mainline_7_3.kernel(*PROBES), Memory.ANON, slots=3).clock_on()
    update = world.call("kvm_vcpu_run_clock_update", world.vcpu)
    world.actor("vcpu", update, update)
    for name in ("migrate", "munmap", "slot-replace"):
        world.actor(name, *OPERATIONS[name].calls(world))
    return world.system()


def best(run: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The shortest of several runs, in seconds."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)


def process(*arguments: str, **environment: str) -> float:
    """How long a process runs, in seconds."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], env=os.environ | environment, capture_output=True, check=False, timeout=600
    )
    return time.perf_counter() - started


def throughput(table: Table) -> None:
    """States per second, ours and plain CPython's, on the same step code."""
    native = search(make_system(mainline_7_3, LARGEST))
    native.run()
    result = native.run()
    seconds = best(native.run)
    plain = CPython(native.program)
    started = time.perf_counter()
    states, transitions = plain.search(PLAIN_STATES)
    plain_seconds = time.perf_counter() - started
    ours, theirs = result.states / seconds, states / plain_seconds
    table.add_row(f"engine, {LARGEST}", f"{result.states:,} states, {ours / 1e6:.2f} M states/s", "")
    table.add_row("", f"{result.transitions / seconds / 1e6:.2f} M transitions/s", "")
    table.add_row("", f"{result.bytes_per_state:.0f} bytes a state", "")
    table.add_row(
        "plain CPython, the same", f"{states:,} states, {theirs / 1e6:.4f} M states/s", f"engine {ours / theirs:.0f} x"
    )
    table.add_row("", f"{transitions / plain_seconds / 1e6:.4f} M transitions/s", "")


def memory(table: Table) -> None:
    """Twenty million states."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = search(crowd()).run()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    table.add_row(
        "engine, four actors",
        f"{result.states:,} states in {result.seconds:.1f} s",
        f"{result.verdict} {result.reason}",
    )
    table.add_row(
        "",
        f"{result.bytes_per_state:.0f} bytes a state, {after / 2**20:.2f} GiB at most",
        f"{before / 2**20:.2f} before",
    )


def startup(table: Table) -> None:
    """What a user waits for."""
    one = ("-m", "pfncache", "verify", "mainline-7.3", "-s", "clock/anon/munmap", "--jobs", "1")
    process(*one)  # so that its system is kept
    with tempfile.TemporaryDirectory() as cache:
        cold = process(*one, NUMBA_CACHE_DIR=cache)
        warm = process(*one, NUMBA_CACHE_DIR=cache)
    table.add_row(
        "first JIT compilation", f"{cold - warm:.1f} s", f"one scenario: {cold:.1f} s cold, {warm:.1f} s warm"
    )
    table.add_row("pfncache --help", f"{best(lambda: process('-m', 'pfncache', '--help')):.2f} s", "")


def main() -> None:
    """Run every benchmark, one after the other."""
    table = Table("what", "measured", "ratio, remark", title=f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    for part in (throughput, startup, memory):
        part(table)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
