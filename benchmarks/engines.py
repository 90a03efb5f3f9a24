# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.engines``: speed and memory of the engine, SPIN, TLC and CPython on the same systems."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial

import click
from rich.console import Console
from rich.table import Table

from benchmarks import race, spin, tlc
from benchmarks.models import BESIDE, crowd, spread
from pfncache.designs.catalogue import mainline_7_3
from pfncache.verify.systems import make_system

ROUNDS = 3
TLC_MAX_STATES = 1_000_000
"""States of a model beyond which TLC, which would take minutes, is left out."""
VERDICTS = 24
"""Scenarios, spread evenly over the default catalogue, whose times to a verdict are summed."""
GCC_SECONDS = 120
"""The time that gcc has for SPIN's verifier of one of them: those of large sequences take it more than ten minutes."""


COLUMNS = ("engine", "states", "CPU s", "wall s", "M states/CPU s", "bytes a state", "engine is faster", "and smaller")


def console() -> Console:
    """Return the console for the tables."""
    return Console(width=120, highlight=False)


def rates(actors: int) -> Table:
    """Return the table of distinct states per second and bytes per state, on one model.

    The engine's steps are native, which its own compiler takes part of a second for; SPIN's verifier is compiled, too.
    """
    build = partial(crowd, BESIDE[: actors - 1])
    base = race.ours("engine", race.search(build, reduction=False), ROUNDS, native=True)
    threads = os.cpu_count() or 1
    laps = [base]
    if threads > 1:
        laps.append(race.ours(f"engine, {threads} threads", race.search(build, False, threads), ROUNDS, native=True))
    laps.append(race.ours("engine, reduced", race.search(build, reduction=True), ROUNDS, native=True))
    laps.append(race.ours("interpreted", race.search(build, reduction=False), ROUNDS))
    laps.append(race.ours("interpreted, reduced", race.search(build, reduction=True), ROUNDS))
    laps += [] if spin.missing() else race.spin(build, ROUNDS, base.states)
    laps += [] if tlc.missing() or base.states > TLC_MAX_STATES else [race.tlc(build, ROUNDS)]
    laps.append(race.cpython(build))
    table = Table(title=f"clock update beside {', '.join(BESIDE[: actors - 1])}", title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "engine" else "right")
    for lap in laps:
        size, smaller = "", ""
        if lap.bytes_per_state:
            size, smaller = f"{lap.bytes_per_state:.0f}", f"{lap.bytes_per_state / base.bytes_per_state:.2f} x"
        wall = f"{lap.wall:.3f}" if lap.wall else ""
        table.add_row(
            lap.engine, f"{lap.states:,}", f"{lap.seconds:.3f}", wall, f"{lap.rate:.3f}", size,
            f"{base.rate / lap.rate:.2f} x", smaller,
        )  # fmt: skip
    return table


def growth() -> Table:
    """Return the table of states and time by number of actors."""
    table = Table(title="growth with actors", title_justify="left")
    for name in ("actors", "states", "seconds", "reduced: states", "seconds", "fewer states"):
        table.add_column(name, justify="right")
    for actors in range(2, len(BESIDE) + 2):
        build = partial(crowd, BESIDE[: actors - 1])
        whole = race.ours("", race.search(build, reduction=False), 1)
        small = race.ours("", race.search(build, reduction=True), 1)
        table.add_row(
            str(actors), f"{whole.states:,}", f"{whole.seconds:.3f}", f"{small.states:,}", f"{small.seconds:.3f}",
            f"{whole.states / small.states:.1f} x",
        )  # fmt: skip
    return table


def verdicts() -> Table:
    """Return the table of times to a verdict, each engine with its own reductions, of default scenarios that hold."""
    table = Table(title="time to verdict, reductions on, compilers not counted", title_justify="left")
    for name in ("scenario", "engine: states", "CPU ms", "SPIN: states", "CPU ms", "SPIN takes"):
        table.add_column(name, justify="left" if name == "scenario" else "right")
    total = [0.0, 0.0]
    for name in spread(VERDICTS):
        build = partial(make_system, mainline_7_3, name)
        searching = race.search(build, reduction=True)
        if searching.run().verdict != "holds":
            continue
        own = race.ours("", searching, ROUNDS)
        whole = race.search(build, reduction=False).run()
        try:
            other = race.spin(build, ROUNDS, whole.states, ("reduced",), GCC_SECONDS)[0]
        except subprocess.TimeoutExpired:
            late = f"gcc takes more than {GCC_SECONDS} s"
            table.add_row(name, f"{own.states:,}", f"{own.seconds * 1e3:.1f}", "", late, "")
            continue
        total = [total[0] + own.seconds, total[1] + other.seconds]
        row = (f"{own.states:,}", f"{own.seconds * 1e3:.1f}", f"{other.states:,}", f"{other.seconds * 1e3:.0f}")
        table.add_row(name, *row, f"{other.seconds / own.seconds:.0f} x")
    table.add_row("all", "", f"{total[0] * 1e3:.1f}", "", f"{total[1] * 1e3:.0f}", f"{total[1] / total[0]:.0f} x")
    return table


def process(*arguments: str, **environment: str) -> float:
    """Run a process. Returns its wall time in seconds."""
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], env=os.environ | environment, capture_output=True, check=False, timeout=600
    )
    return time.perf_counter() - started


def startup() -> Table:
    """Return the table of start-up times."""
    one = ("-m", "pfncache", "verify", "mainline-7.3", "-s", "clock/anon/munmap", "--jobs", "1")
    with tempfile.TemporaryDirectory() as cache:
        cold = process(*one, NUMBA_CACHE_DIR=cache)
        warm = process(*one, NUMBA_CACHE_DIR=cache)
    helps = min(process("-m", "pfncache", "--help") for _ in range(ROUNDS))
    table = Table("what", "seconds", title="start", title_justify="left")
    for what, seconds in (("one scenario, engine not compiled yet", cold), ("again", warm), ("pfncache --help", helps)):
        table.add_row(what, f"{seconds:.2f}")
    return table


def run(actors: tuple[int, ...] = ()) -> None:
    """Print every table; with numbers of actors, only those of `rates` for them."""
    out = console()
    out.print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}; medians of {ROUNDS}")
    for name, reason in (("SPIN", spin.missing()), ("TLC", tlc.missing())):
        if reason:
            out.print(f"no race against {name}: {reason}")
    for count in actors or (3, 4):
        out.print(rates(count))
    if actors:
        return
    out.print(growth())
    if not spin.missing():
        out.print(verdicts())
    out.print(startup())


@click.command()
@click.argument("actors", type=click.IntRange(2, len(BESIDE) + 1), nargs=-1)
def main(actors: tuple[int, ...]) -> None:
    """Print every table; with ACTORS, only the comparison of engines with so many actors."""
    run(actors)


if __name__ == "__main__":
    main()
