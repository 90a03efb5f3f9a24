# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.edit``: seconds from a save to the verdict of ``pfncache verify FILE.py --watch``."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.results import HERE

ROUNDS = 5
"""Edits of which the median counts."""
FIRST_RUN, AGAIN = 1800, 600
"""Seconds that a run may take."""
DESIGN = """
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.arch.x86.kvm.{module} import {owner}


class Mine(Patch, {owner}):
    '''A function that is edited.'''

    def {function}(self, {parameters}):
        return super().{function}({parameters}){edit}


mine = mainline_7_3 + [Mine]
"""


@dataclass(frozen=True)
class Edited:
    """A function that is edited, and where it stands below linux/arch/x86/kvm."""

    module: str
    owner: str
    function: str
    parameters: str

    def text(self, edit: int) -> str:
        """Return a file whose design has the function; no two numbers give the same."""
        return DESIGN.format(
            module=self.module, owner=self.owner, function=self.function, parameters=self.parameters,
            edit=f" or {edit}" if edit else "",
        )  # fmt: skip


CLOCK = Edited("x86", "X86", "kvm_guest_time_update", "vcpu")
STEAL_TIME = Edited("x86", "X86", "record_steal_time", "vcpu")
LOOPS = (
    ("one scenario, which runs it", CLOCK, ("-s", "clock/anon/munmap")),
    ("the named default scenarios, most of which run it", CLOCK, ()),
    ("the same, few of which run it", STEAL_TIME, ()),
)
"""What is searched, the function that is edited, and the options."""


@contextlib.contextmanager
def watching(path: Path, options: tuple[str, ...]) -> Iterator[queue.Queue[str]]:
    """Watch a file. Yields the lines that the command prints."""
    lines: queue.Queue[str] = queue.Queue()
    environment = {**os.environ, "PYTHONPATH": str(HERE / "src"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "pfncache", "verify", str(path), *options, "--watch"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        reader = threading.Thread(target=_read, args=(process.stdout or (), lines), daemon=True)
        reader.start()
        try:
            yield lines
        finally:
            process.terminate()
            process.wait(60)
            reader.join(60)


def _read(output: Iterable[str], lines: queue.Queue[str]) -> None:
    for line in output:
        lines.put(line)


def until(lines: queue.Queue[str], seconds: float) -> str:
    """Return what the command prints until it watches again. Raises queue.Empty if no line comes for so long."""
    said = ""
    while "watching " not in said:
        said += lines.get(timeout=seconds)
    return said


def loop(edited: Edited, options: tuple[str, ...]) -> list[float]:
    """Edit the function ROUNDS times. Returns the seconds that each run took, as the command says."""
    found = []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "own.py"
        path.write_text(edited.text(0))
        with watching(path, options) as lines:
            until(lines, FIRST_RUN)
            for edit in range(1, ROUNDS + 1):
                path.write_text(edited.text(edit))
                said = until(lines, AGAIN)
                again = re.search(r"again in ([0-9.]+) s", said)
                if again is None:
                    raise RuntimeError(said)
                found.append(float(again[1]))
    return found


def main() -> None:
    """Print a line for each loop."""
    for name, edited, options in LOOPS:
        seconds = loop(edited, options)
        print(f"{edited.function}: {name}: median {median(seconds)} s of {sorted(seconds)}", flush=True)


if __name__ == "__main__":
    main()
