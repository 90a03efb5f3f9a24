# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.results [FILE]``: figures of this tree on this machine, in a file for benchmarks.compare.

Times are of the processor, of the command and of all its processes: they depend less on what else runs than others.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks import race
from benchmarks.models import BESIDE, crowd
from benchmarks.race import Lap
from pfncache.check.system import System

HERE = Path(__file__).parents[1]
ROUNDS = 5
"""Runs of which the median counts; what takes a minute is done once."""
ONE = ("mainline-7.3", "-s", "clock/anon/munmap")
OWN = """
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.arch.x86.kvm.x86 import X86


class Mine(Patch, X86):
    '''A function that is edited.'''

    def {function}(self, vcpu):
        return super().{function}(vcpu){edit}


mine = mainline_7_3 + [Mine]
"""


@dataclass(frozen=True)
class Figure:
    """A measured value."""

    value: float
    unit: str
    more_is_better: bool = False


def own(function: str, edit: int) -> str:
    """Return a user's file whose design has a function of X86; no two numbers of edits give the same."""
    return OWN.format(function=function, edit=f" or {edit}" if edit else "")


def verify(cache: str, *arguments: str) -> Figure:
    """Return the CPU seconds of ``pfncache verify`` in one process."""
    before = os.times()
    environment = {**os.environ, "PYTHONPATH": str(HERE / "src"), "XDG_CACHE_HOME": cache}
    command = [sys.executable, "-m", "pfncache", "verify", *arguments, "--jobs", "1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):  # 1: something is violated
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    after = os.times()
    user, system = after.children_user - before.children_user, after.children_system - before.children_system
    return Figure(user + system, "CPU s")


def commands() -> Iterator[tuple[str, Figure]]:
    """Yield the time of runs with nothing kept, with everything kept, and after an edit of a user's file."""
    with tempfile.TemporaryDirectory() as cache:
        yield "one scenario, nothing kept", verify(cache, *ONE)
        yield "one scenario, kept", _median([verify(cache, *ONE) for _ in range(ROUNDS)])
        yield "mainline 7.3, the engine kept", verify(cache, "mainline-7.3")
        yield "mainline 7.3, kept", _median([verify(cache, "mainline-7.3") for _ in range(ROUNDS)])
        path = Path(cache) / "own.py"
        edited = []
        for number in range(ROUNDS + 1):
            path.write_text(own("kvm_guest_time_update", number))
            edited.append(verify(cache, str(path), *ONE[1:]))
        yield "one scenario, after an edit", _median(edited[1:])


def engine() -> Iterator[tuple[str, Figure]]:
    """Yield the rate of a search, and its memory."""
    searches = {"without reductions": False, "reduced": True}
    laps = {name: race.ours(name, race.search(_model, reduced), ROUNDS) for name, reduced in searches.items()}
    for name, lap in laps.items():
        yield f"search {name}", _rate(lap)
    yield "memory", Figure(laps["without reductions"].bytes_per_state, "bytes a state")


def _model() -> System:
    return crowd(BESIDE[:2])


def _rate(lap: Lap) -> Figure:
    return Figure(lap.rate, "M states/CPU s", more_is_better=True)


def _median(figures: list[Figure]) -> Figure:
    return Figure(median(figure.value for figure in figures), figures[0].unit)


def machine() -> str:
    """Return the name of this machine, its processor and the number of its cores."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{platform.node()}, {model or platform.machine()}, {os.cpu_count()} cores"


def commit() -> str:
    """Return the commit of this tree; empty outside of a repository."""
    done = subprocess.run(
        ["git", "-C", str(HERE), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def main() -> None:
    """Measure, print each figure when it is there, and write the file."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else f"bench-{platform.node()}.json")
    figures = {}
    for measure in (engine, commands):
        for name, figure in measure():
            figures[name] = asdict(figure)
            print(f"{name}: {figure.value:.3g} {figure.unit}", flush=True)
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    found = {"machine": machine(), "commit": commit(), "date": date, "figures": figures}
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(path)


if __name__ == "__main__":
    main()
