# SPDX-License-Identifier: GPL-2.0-only
"""SPIN, on the model that `pfncache export --promela` writes."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

PLAIN = ("-DSAFETY", "-DNOREDUCE")
BREADTH_FIRST = (*PLAIN, "-DBFS")
REDUCED = ("-DSAFETY",)
"""How SPIN's verifier is compiled: depth first without reduction, breadth first, with partial order reduction."""
UNMERGED = "-o3"
EXACT = ("-o2", UNMERGED)
"""Options of spin: do not merge statements; nor reset local variables that are dead, which makes states equal."""
TOO_LONG = "merge requires more than"
"""What spin says of a sequence that it cannot merge."""


def missing() -> str:
    """Return why SPIN cannot run; empty if it can."""
    absent = [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]
    return f"{' and '.join(absent)} not installed" if absent else ""


@dataclass(frozen=True)
class Answer:
    """The report of SPIN's verifier."""

    errors: int
    states: int
    transitions: int
    seconds: float
    """CPU time of the verifier's process: its own report is rounded to hundredths."""
    megabytes: float
    """Of the states that are stored, without the hash table and the stack."""
    error: str

    @property
    def bytes_per_state(self) -> float:
        """Of a stored state."""
        return self.megabytes * 1e6 / max(1, self.states)


class Spin:
    """A model, compiled by SPIN to C in a directory of its own.

    SPIN merges statements, which changes no state, if it can: a sequence may be too long for that.
    """

    def __init__(self, model: str, directory: Path, *options: str) -> None:
        self.directory = directory
        (directory / "model.pml").write_text(model)
        try:
            self._call("spin", "-a", *options, "model.pml")
        except RuntimeError as error:
            if TOO_LONG not in str(error):
                raise
            self._call("spin", "-a", *options, UNMERGED, "model.pml")

    def _call(self, *command: str, timeout: float = 600) -> str:
        with subprocess.Popen(
            command, cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        ) as process:  # fmt: skip
            try:
                out, err = process.communicate(timeout=timeout)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)  # gcc has children
                raise
        if process.returncode or "Error" in out:
            raise RuntimeError(f"{' '.join(command)}: {out[-2000:]}{err[-2000:]}")
        return out

    def build(self, *flags: str, optimise: str = "", seconds: float = 600) -> str:
        """Compile a verifier. Returns the name of the program; raises TimeoutExpired if that takes longer.

        Without an option to optimise, by tcc if it is installed: what it compiles in 3 seconds, a verifier of 90 MB
        of C, takes gcc -O0 more than ten minutes.
        """
        name = "_".join(["pan", *flags]).replace("-D", "").replace("=", "_")
        quick = ["tcc"] if shutil.which("tcc") else ["gcc", "-O0"]
        compiler = ["gcc", optimise] if optimise else quick
        self._call(*compiler, "-w", "-DMEMLIM=16000", *flags, "-o", name, "pan.c", timeout=seconds)
        return name

    def run(self, verifier: str, *arguments: str) -> Answer:
        """Run a verifier."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        out = self._call(f"./{verifier}", *arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        def number(pattern: str) -> float:
            found = re.search(pattern, out)
            if found is None:
                raise RuntimeError(f"no {pattern!r} in the output of SPIN: {out[-2000:]}")
            return float(found.group(1))

        error = re.search(r"pan:\d+: (.*?) \(at depth", out)
        return Answer(
            int(number(r"errors: (\d+)")),
            int(number(r"(\d+) states, stored")),
            int(number(r"(\d+) transitions \(=")),
            seconds,
            number(r"([0-9.]+)\s+actual memory usage for states"),
            error.group(1) if error is not None else "",
        )
