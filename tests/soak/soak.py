# SPDX-License-Identifier: GPL-2.0-only
"""One run of a command that is killed at a random time, and what must be true afterwards."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pfncache.user_cache import root

MARKER = "PFNCACHE_SOAK"
"""Environment variable that every process of a run inherits, with a value of its own."""
GRACE_SECONDS = 10.0
"""How long processes may take to be gone after the command has ended."""
PARTIAL_SECONDS = 30.0
"""How long a command that is interrupted may take to show what it has."""
VERIFY = ("verify", "mainline-7.3", "-s", "clock/anon/", "-s", "clock/memfd/", "--json", "--jobs", "2")
SWEEP = ("sweep", "mainline-7.3", "--actors", "2", "--updates", "2", "--memory", "anon", "--jobs", "2")
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGKILL)


@dataclass(frozen=True, kw_only=True)
class Kill:
    """What is sent, to whom and when."""

    command: tuple[str, ...]
    number: signal.Signals
    worker: bool
    """To a random worker instead of the parent."""
    seconds: float

    @classmethod
    def at_random(cls, chance: random.Random, duration: dict[str, float]) -> Kill:
        """Choose one; `duration` is how long each command takes, by verb."""
        command = chance.choice((VERIFY, SWEEP))
        seconds = chance.uniform(0.05, duration[command[0]] * 1.05)
        worker = chance.random() < 1 / 3
        number = signal.SIGKILL if worker else chance.choice(SIGNALS)
        return cls(command=command, number=number, worker=worker, seconds=seconds)

    def __str__(self) -> str:
        who = "a worker of " if self.worker else ""
        return f"{self.number.name} to {who}{self.command[0]} after {self.seconds:.2f} s"


@dataclass(kw_only=True)
class Soak:
    """A folder for temporary files, caches and results, and what the commands give there undisturbed."""

    folder: Path
    problems: list[str] = field(default_factory=list)
    duration: dict[str, float] = field(default_factory=dict)
    right: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.temporary, self.cache = self.folder / "tmp", self.folder / "cache"
        self.temporary.mkdir()
        if (root() / "engine").is_dir():  # the search engine need not be compiled again
            shutil.copytree(root() / "engine", self.cache / "pfncache" / "engine")
        for command in (VERIFY, SWEEP):
            for _ in range(2):  # the second time with filled caches
                results = self.folder / "right.sqlite"
                results.unlink(missing_ok=True)
                started = time.monotonic()
                process, marker = self.start(command, results)
                out, _ = process.communicate()
                self.duration[command[0]] = time.monotonic() - started
                self.right[command[0]] = self.result(command, out, results)
                self.check_nothing_left(f"{command[0]}, undisturbed", marker)

    def start(self, command: tuple[str, ...], results: Path) -> tuple[subprocess.Popen[str], str]:
        """Start a command in a session of its own."""
        marker = uuid.uuid4().hex
        environment = {
            **os.environ, MARKER: marker, "TMPDIR": str(self.temporary), "XDG_CACHE_HOME": str(self.cache),
        }  # fmt: skip
        arguments = [*command, *(("-o", str(results)) if command is SWEEP else ())]
        process = subprocess.Popen(
            [sys.executable, "-m", "pfncache", *arguments], env=environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return process, marker

    def result(self, command: tuple[str, ...], out: str, results: Path) -> Any:
        """Return what a command found, without times."""
        if command is SWEEP:
            return rows(results)
        document = json.loads(out)
        return {
            (design["design"], scenario["scenario"]): (scenario["verdict"], scenario["states"])
            for design in document["designs"]
            for scenario in design["scenarios"]
        }

    def run(self, kill: Kill) -> None:
        """Run and kill a command; run it again, undisturbed; note what is wrong."""
        what = str(kill)
        results = self.folder / f"{uuid.uuid4().hex}.sqlite"
        process, marker = self.start(kill.command, results)
        time.sleep(kill.seconds)
        victims = [pid for pid in with_marker(marker) if pid != process.pid] if kill.worker else [process.pid]
        if victims and process.poll() is None:
            try:
                os.kill(random.choice(victims), kill.number)
            except ProcessLookupError:
                what += " (it had ended)"
        try:
            out, _ = process.communicate(timeout=PARTIAL_SECONDS + self.duration[kill.command[0]] * 3)
        except subprocess.TimeoutExpired:
            self.problems.append(f"{what}: does not end")
            process.kill()
            out, _ = process.communicate()
        self.check_nothing_left(what, marker)
        right = self.right[kill.command[0]]
        if kill.worker:
            if process.returncode not in (0, 1):
                self.problems.append(f"{what}: exit status {process.returncode}")
            elif self.result(kill.command, out, results) != right:
                self.problems.append(f"{what}: the run itself has other results")
        self.check_later_run(what, kill.command, results)
        for file in self.folder.glob(f"{results.name}*"):
            file.unlink()

    def check_nothing_left(self, what: str, marker: str) -> None:
        """Note processes of the run that live on, and temporary files."""
        end = time.monotonic() + GRACE_SECONDS
        while with_marker(marker) and time.monotonic() < end:
            time.sleep(0.05)
        for pid in with_marker(marker):
            self.problems.append(f"{what}: process {pid} is left")
            os.kill(pid, signal.SIGKILL)
        for path in self.temporary.iterdir():
            self.problems.append(f"{what}: {path.name} is left")
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def check_later_run(self, what: str, command: tuple[str, ...], results: Path) -> None:
        """Run the command again. Every row of before is still there, and what is found is what is right."""
        before = rows(results) if command is SWEEP and results.exists() else {}
        process, marker = self.start(command, results)
        out, _ = process.communicate()
        found = self.result(command, out, results)
        if command is SWEEP:
            lost = [key for key in before if found.get(key) != before[key]]
            done_now = int(out.split(" of them now")[0].rpartition(", ")[2])
            if lost or done_now != len(found) - len(before):
                self.problems.append(f"{what}: {len(lost)} of {len(before)} rows are lost, {done_now} done again")
        if found != self.right[command[0]]:
            self.problems.append(f"{what}: a later run has other results")
        self.check_nothing_left(f"after {what}", marker)


def rows(results: Path) -> dict[Any, Any]:
    """Return the verdict and number of states of each job, undoing a write that was cut short."""
    connection = sqlite3.connect(results)
    try:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'results'").fetchone():
            return {}
        return {row[:2]: row[2:] for row in connection.execute("SELECT design, scenario, verdict, states FROM results")}
    finally:
        connection.close()


def with_marker(marker: str) -> list[int]:
    """Return the processes that have the marker in their environment, except those that have ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ended = (folder / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
            if not ended and f"{MARKER}={marker}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found
