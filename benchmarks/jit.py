# SPDX-License-Identifier: GPL-2.0-only
"""``python -m benchmarks.jit``: CPU seconds that Numba takes to compile the engine, by its passes, with none kept."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from functools import partial
from typing import Any

from numba.core import event

from benchmarks import race
from pfncache.designs.catalogue import mainline_7_3
from pfncache.verify.systems import make_system

CHILD = "child"
"""The argument of the process that compiles."""
TIMEOUT = 600
"""Seconds."""
SCENARIO = "clock/anon/munmap"
MOST = 12
"""Passes that are shown."""


def main() -> None:
    """Search one scenario in a process that has nothing compiled, and print what that took."""
    if sys.argv[1:] == [CHILD]:
        measure()
        return
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-m", "benchmarks.jit", CHILD]
        subprocess.run(command, env=os.environ | {"XDG_CACHE_HOME": cache}, check=True, timeout=TIMEOUT)


def measure() -> None:
    """Search, and print the seconds of each of Numba's passes without those of the passes within it."""
    own: defaultdict[str, float] = defaultdict(float)
    open_since: list[list[float]] = []

    class Clock(event.Listener):
        """Adds up CPU seconds, and leaves out those of events within an event."""

        def on_start(self, _event: Any) -> None:
            open_since.append([time.process_time(), 0.0])

        def on_end(self, ended: Any) -> None:
            began, within = open_since.pop()
            took = time.process_time() - began
            if open_since:
                open_since[-1][1] += took
            name = ended.data.get("name", ended.kind)
            own[name.partition(" [")[0]] += took - within  # without the function

    for kind in ("numba:compile", "numba:run_pass"):
        event.register(kind, Clock())  # type: ignore[no-untyped-call]
    before = time.process_time()
    race.search(partial(make_system, mainline_7_3, SCENARIO), reduction=True).run()
    whole = time.process_time() - before
    print(f"{SCENARIO}: {whole:.1f} CPU s, {sum(own.values()):.1f} of them Numba's")
    for name, seconds in sorted(own.items(), key=lambda found: found[1], reverse=True)[:MOST]:
        print(f"{seconds:6.1f}  {name}")


if __name__ == "__main__":
    main()
