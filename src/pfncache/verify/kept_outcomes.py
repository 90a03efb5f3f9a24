# SPDX-License-Identifier: GPL-2.0-only
"""Outcomes of one scenario under several designs: one search stands for each other that would be the same.

A search is determined by its scenario and bounds, and by the functions that set the scenario up and that the actors
may call. What these are is known once a search is done; it is kept with the outcome. A design in which all of them are
the same has that outcome, and its system need not be built. Where another function sets the same system up, those that
the actors may call suffice, and nothing is compiled.

On disk, there is a file for each scenario and its bounds, in the folder of the package's present sources.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from pfncache import user_cache
from pfncache.check.system import Heap, System
from pfncache.properties import PROBES
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.space.point import Point
from pfncache.verify import unknown
from pfncache.verify.generation import newest_folder, remove_old
from pfncache.verify.identity import class_digest, digest, function_names, functions_digest
from pfncache.verify.job import Job
from pfncache.verify.kept_outcome import KeptLine, KeptOutcome, content_of, read
from pfncache.verify.outcome import Outcome
from pfncache.verify.system_key import description
from pfncache.verify.user_source import file_of

MAX_KEPT = 100
"""Outcomes that a file has at most; the oldest go first. The catalogue has some 50 designs."""


class KeptOutcomes:
    """The outcomes of a scenario: in memory, and for a job whose outcomes are to be kept, on disk."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.lines: list[KeptLine] = read(path) if path is not None else []
        """Those that were found last come last."""
        self._is_changed = False

    @classmethod
    def of(cls, job: Job) -> KeptOutcomes:
        """Return those of a job's scenario and bounds."""
        folder = newest_folder() if job.kept and not job.coverage else None
        if folder is None:
            return cls()
        return cls(folder / f"outcomes-{digest((scenario_key(job), repr(job.bounds)))[:40]}")

    def find(self, job: Job, before: frozenset[str]) -> Outcome | None:
        """Return the outcome of a job, if all functions that a search of its scenario reached are the same."""
        name = job.design.name
        for line in sorted(self.lines, key=lambda kept: kept.design == name, reverse=True):
            if line.functions == functions_key(job, line.entry.outcome.used):
                found = line.entry.under(job.design, before)
                if found is not None:
                    return found
        return None

    def find_system(self, job: Job, system: System, used: frozenset[str], before: frozenset[str]) -> Outcome | None:
        """Return the outcome of a job whose system is the same; `used` are the functions of its set-up."""
        key = system_key(job, system)
        for entry in (line.entry for line in self.lines):
            if entry.system == _with_functions(key, job, entry.called):
                found = replace(entry, unreachable=system.unreachable).under(job.design, before)
                if found is not None:
                    found = found if used <= found.used else replace(found, used=found.used | used)
                    self.add(job, system, found, called=entry.called, is_unreduced=entry.is_unreduced)
                    return found
        return None

    def add(self, job: Job, system: System, outcome: Outcome, *, called: frozenset[str], is_unreduced: bool) -> None:
        """Keep the outcome of a search, unless it was not complete."""
        if not outcome.is_complete:
            return
        entry = KeptOutcome(
            design=job.design.name,
            outcome=outcome,
            called=called,
            functions=functions_key(job, outcome.used),
            system=_with_functions(system_key(job, system), job, called),
            unreachable=dict(system.unreachable),
            is_unreduced=is_unreduced,
        )
        others = [line for line in self.lines if line.functions != entry.functions]
        self.lines = [*others[1 - MAX_KEPT :], KeptLine.of(entry)]
        self._is_changed = True

    def write(self) -> None:
        """Write what is to be kept on disk. Without space for it, it is searched again."""
        if self._path is None or not self._is_changed:
            return
        content = content_of(self.lines)
        self._is_changed = False
        try:
            remove_old(self._path.parent)
            user_cache.write(self._path, content)
        except OSError as error:
            notice = f"outcomes are not kept: {user_cache.explain(error)}"
            user_cache.notify(user_cache.Notice.UNWRITABLE, notice)


# What determines a search


def scenario_key(job: Job) -> str:
    """Return what a scenario is distinguished by: one of the package by its name, a user's by all of its file."""
    scenario = _scenario(job)
    if _is_ours(scenario):
        return scenario.name
    function = inspect.unwrap(scenario.build)
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    return f"{scenario.name} {file_of(module) or unknown.name_of(scenario)}"


def _scenario(job: Job) -> Scenario:
    return SCENARIOS[job.scenario] if isinstance(job.scenario, str) else job.scenario


def _is_ours(scenario: Scenario) -> bool:
    """Whether the name of a scenario determines it, given the package's sources."""
    point = getattr(scenario.build, "__self__", None)
    return (type(point) is Point and point.name == scenario.name) or SCENARIOS.get(scenario.name) is scenario


def functions_key(job: Job, used: frozenset[str]) -> str:
    """Return a digest of what the functions are that set a scenario up, and that its actors may call."""
    kernel = job.design.kernel(*PROBES)
    parts = [scenario_key(job), repr(job.bounds), functions_digest(kernel, used)]
    parts += (f"{class_digest(old)} {class_digest(new)}" for old, new in kernel.extended_structs.items())
    if not _is_ours(_scenario(job)):  # it may ask whether the kernel has a function; no scenario of the catalogue does
        parts.append(function_names(kernel))
    return digest(parts)


def system_key(job: Job, system: System) -> str:
    """Return a digest of a closed system apart from the functions that its actors may call."""
    heap = Heap.of(system)
    parts = [job.scenario_name, repr((job.bounds, system.targets)), *description(system, heap, _other)]
    return digest((*parts, *map(class_digest, heap.pools)))


def _other(value: Any) -> str:
    return class_digest(value) if isinstance(value, type) else unknown.name_of(value)


def _with_functions(key: str, job: Job, called: frozenset[str]) -> str:
    return digest((key, functions_digest(job.design.kernel(*PROBES), called)))
