# SPDX-License-Identifier: GPL-2.0-only
"""Run herd7 on a litmus test, with the memory model of a kernel tree."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from pfncache import user_cache as cache
from pfncache.litmus.herd import Herd, HerdError

MODEL = "tools/memory-model"
"""Where a kernel tree has its memory model."""
STOPPED = "the run was interrupted"
_CONFIG = "linux-kernel.cfg"
_SECONDS = 120.0
_OBSERVATION = re.compile(r"^Observation \S+ (Never|Sometimes|Always) \d+ \d+$", re.M)
_RACE = re.compile(r"^Flag data-race$", re.M)


@dataclass(frozen=True)
class MemoryModel:
    """A memory model, and the program that simulates it."""

    herd: Herd
    folder: Path
    """The kernel's memory model."""
    stopped: Event = field(default_factory=Event, compare=False)
    """Set to answer no more questions."""

    def __post_init__(self) -> None:
        if not (self.folder / _CONFIG).is_file():
            raise HerdError(f"there is no memory model in {self.folder}")

    def reaches(self, text: str) -> bool:
        """Whether an execution of a test ends in the state that it asks for."""
        return self.run(text, "-speedcheck", "fast")[1] != "Never"

    def races(self, text: str) -> bool:
        """Whether two accesses of a test, of which one is plain and one writes, can happen at the same time."""
        return _RACE.search(self.run(text, "-optace", "true").string) is not None

    def run(self, text: str, *options: str) -> re.Match[str]:
        """Run herd7. Returns the line of the result; raises HerdError if there is none."""
        if self.stopped.is_set():
            raise HerdError(STOPPED)
        with cache.scratch() as folder:
            path = folder / "test.litmus"
            path.write_text(text)
            command = [*self.herd.command, "-conf", _CONFIG, *options, str(path)]
            try:
                done = subprocess.run(
                    command, cwd=self.folder, capture_output=True, text=True, timeout=_SECONDS, check=False,
                    stdin=subprocess.DEVNULL,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                raise HerdError(f"herd7 has not ended after {_SECONDS:.0f} s") from None
            except OSError as error:
                raise HerdError(f"herd7 does not run: {cache.explain(error)}") from None
        found = _OBSERVATION.search(done.stdout)
        if done.returncode != 0 or found is None:  # of a test that it cannot read, it warns and returns 0
            said = (done.stderr or done.stdout).strip().replace(f"{folder}/", "").splitlines()
            raise HerdError(f"herd7: {said[0] if said else f'exit status {done.returncode}'}")
        return found
