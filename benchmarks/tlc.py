# SPDX-License-Identifier: GPL-2.0-only
"""TLC, on the module that `pfncache export --tla` writes. $TLA2TOOLS is the path of its tla2tools.jar."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pfncache.check.export.tla.module import CONFIGURATION

NO_SEARCH = "INIT Init\nNEXT Ended\n"
"""A configuration with which TLC reads the module and stops at its initial state, a deadlock."""


def missing() -> str:
    """Return why TLC cannot run; empty if it can."""
    if shutil.which("java") is None:
        return "java not installed"
    return "" if Path(os.environ.get("TLA2TOOLS", "")).is_file() else "set TLA2TOOLS to the path of tla2tools.jar"


@dataclass(frozen=True)
class Answer:
    """The report of TLC."""

    states: int
    transitions: int
    """TLC's "states generated", which include the initial state."""
    error: str
    seconds: float
    """CPU time of all threads, with the start of Java and the parser."""
    wall: float
    """Wall time by TLC's own report."""


class Tlc:
    """A module of the name `model`, in a directory of its own."""

    def __init__(self, module: str, directory: Path) -> None:
        self.directory = directory
        (directory / "model.tla").write_text(module)

    def run(self, configuration: str = CONFIGURATION, heap: str = "2g") -> Answer:
        """Run TLC: breadth first, on one thread."""
        (self.directory / "model.cfg").write_text(configuration)
        command = (
            "java", f"-Xmx{heap}", "-XX:+UseParallelGC", "-XX:-UsePerfData", f"-Djava.io.tmpdir={self.directory}",
            "-cp", os.environ["TLA2TOOLS"], "tlc2.TLC", "-tool", "-workers", "1", "model.tla",
        )  # fmt: skip
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            command,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)

        def number(pattern: str) -> int:
            found = re.search(pattern, done.stdout, re.MULTILINE)
            if found is None:
                raise RuntimeError(f"no {pattern!r} in the output of TLC: {done.stdout[-2000:]}{done.stderr[-2000:]}")
            return int(found.group(1))

        error = re.search(r"^(Invariant .* violated|Deadlock reached)", done.stdout, re.MULTILINE)
        if done.returncode and error is None:
            raise RuntimeError(f"TLC fails: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return Answer(
            number(r"(\d+) distinct states found, \d+ states left on queue"),
            number(r"^(\d+) states generated, \d+ distinct states found, \d+ states left on queue"),
            error.group(1) if error is not None else "",
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            number(r"^Finished in (\d+)ms") / 1000,
        )
