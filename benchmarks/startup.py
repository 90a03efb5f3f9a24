# SPDX-License-Identifier: GPL-2.0-only
"""How long each verb takes to show its help, and which of the packages that it imports take longest.

python -m benchmarks.startup
"""

from __future__ import annotations

import re
import subprocess
import sys
import time

from pfncache.commands.main import VERBS

TARGET = 0.3
"""Seconds within which a verb is to show its help."""
RUNS = 3
SLOWEST = 3
"""Imports that are shown of each verb."""


def seconds(verb: str) -> float:
    """Return the least time of a few runs of ``pfncache VERB --help``, in seconds."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "pfncache", verb, "--help"], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - started)
    return min(times)


def slowest_imports(verb: str) -> str:
    """Return the modules whose own code took longest to import, with milliseconds."""
    command = [sys.executable, "-X", "importtime", "-m", "pfncache", verb, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", done.stderr)
    found = sorted(((int(own), module) for own, module in lines), reverse=True)[:SLOWEST]
    return ", ".join(f"{module} {own / 1000:.0f} ms" for own, module in found)


def main() -> None:
    """Print a line for each verb."""
    for verb in VERBS:
        took = seconds(verb)
        late = "" if took <= TARGET else f"  more than {TARGET} s"
        print(f"{verb:<10} {took:.2f} s{late}  ({slowest_imports(verb)})")


if __name__ == "__main__":
    main()
