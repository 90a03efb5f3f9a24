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
from pathlib import Path
from statistics import median

from benchmarks.results import HERE, own

ROUNDS = 5
"""Edits of which the median counts."""
FIRST_RUN, AGAIN = 1800, 600
"""Seconds that a run may take."""
LOOPS = (
    ("one scenario, which runs it", "kvm_guest_time_update", ("-s", "clock/anon/munmap")),
    ("the named default scenarios, most of which run it", "kvm_guest_time_update", ()),
    ("the same, few of which run it", "record_steal_time", ()),
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


def loop(function: str, options: tuple[str, ...]) -> list[float]:
    """Edit a function ROUNDS times. Returns the seconds that each run took, as the command says."""
    found = []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "own.py"
        path.write_text(own(function, 0))
        with watching(path, options) as lines:
            until(lines, FIRST_RUN)
            for edit in range(1, ROUNDS + 1):
                path.write_text(own(function, edit))
                said = until(lines, AGAIN)
                again = re.search(r"again in ([0-9.]+) s", said)
                if again is None:
                    raise RuntimeError(said)
                found.append(float(again[1]))
    return found


def main() -> None:
    """Print a line for each loop."""
    for name, function, options in LOOPS:
        seconds = loop(function, options)
        print(f"{function}: {name}: median {median(seconds)} s of {sorted(seconds)}", flush=True)


if __name__ == "__main__":
    main()
