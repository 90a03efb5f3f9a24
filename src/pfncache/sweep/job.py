# SPDX-License-Identifier: GPL-2.0-only
"""One search of a sweep, by names, numbers and files alone, so that any worker process can do it."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pfncache.check.compile.compiler import Compiled, compile_system
from pfncache.check.compile.memo import Memo
from pfncache.check.compile.source import CompileError
from pfncache.check.program.layout import link
from pfncache.check.result import SearchResult
from pfncache.check.search import Search
from pfncache.check.system import System
from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.shape import Shape
from pfncache.scenarios.space.names import is_point, point_named, scenario_of, values_of_name
from pfncache.scenarios.space.space import SPACE
from pfncache.sweep.sources import sources
from pfncache.verify.loader import UserFile, UserFileError, load
from pfncache.verify.reach import missed, results_of, vacuity
from pfncache.verify.runner import OUT_OF_MEMORY
from pfncache.verify.systems import make_kernel_system, make_system
from pfncache.verify.workers import LOST

STATE_OVERHEAD = 32
"""Bytes of a state beyond its words: its slots of the hash table, its parent, and room to grow."""
PROPERTY_SEPARATOR = ", "
DIGEST_DIGITS = 8
"""Hexadecimal digits of a file's digest in the name of a job's design."""


@dataclass(frozen=True)
class Limits:
    """The limits of one search."""

    seconds: float = 60.0
    megabytes: int = 1024
    first: bool = False
    """Whether it ends at the first violation."""


@dataclass(frozen=True)
class FileVersion:
    """A user's file with its digest."""

    path: str
    digest: str

    @classmethod
    def of(cls, path: str) -> FileVersion:
        """Return the file as it is now."""
        return cls(str(Path(path).absolute()), hashlib.sha256(Path(path).read_bytes()).hexdigest())


@dataclass(frozen=True)
class SweepJob:
    """A scenario to search under a design: one of the catalogue's, or of a user's file."""

    design: str
    scenario: Shape | str
    """A generated scenario, or the name of a point of the space, or of a scenario of `scenario_file`."""
    design_file: FileVersion | None = None
    scenario_file: FileVersion | None = None

    @property
    def design_key(self) -> str:
        """The name of the design in the results; a user's has the digest of the file, so that an edit is another."""
        return f"{self.design}@{self.design_file.digest[:DIGEST_DIGITS]}" if self.design_file else self.design

    @property
    def scenario_key(self) -> str:
        """The name of the scenario in the results, as design_key."""
        if isinstance(self.scenario, Shape):
            return self.scenario.name
        return f"{self.scenario}@{self.scenario_file.digest[:DIGEST_DIGITS]}" if self.scenario_file else self.scenario

    @property
    def key(self) -> tuple[str, str]:
        """The key of the job's result."""
        return self.design_key, self.scenario_key


@dataclass(frozen=True, kw_only=True)
class SweepRow:
    """The result of a job. A scenario of a user's file has its name for operations, and 0 updates and rounds.

    A point of the space has user and operation for operations; its name has the value of every dimension.
    """

    design: str
    scenario: str
    memory: str = ""
    operations: str
    actors: int = 0
    updates: int = 0
    rounds: int = 0
    pages: int = 0
    verdict: str = Verdict.BOUNDED
    property: str | None = None
    """The violated properties, separated by PROPERTY_SEPARATOR."""
    states: int = 0
    transitions: int = 0
    seconds: float = 0.0
    reason: str = ""
    max_seconds: float
    """The limits of the search."""
    max_megabytes: int
    first: int = 0
    sources: str = field(default_factory=sources)
    """The version of pfncache's sources where it was searched."""


_memo = Memo()
"""Compiled actors of this worker: shapes have most of their actors in common."""


def run_job(job: SweepJob, limits: Limits) -> SweepRow:
    """Search a scenario under a design. Raises UserFileError for a file that has changed or cannot be loaded."""
    design = DESIGNS[job.design] if job.design_file is None else _loaded(job.design_file).design(job.design)
    row = _not_searched(job, limits)
    try:
        if isinstance(job.scenario, Shape):
            system = make_kernel_system(design, job.scenario.build)
        else:
            system = make_system(design, _scenario(job))
            row = replace(row, actors=len(system.actors), pages=len(system.kernel.mem_map))
        result = _searched(system, design, limits)
    except CompileError as error:
        return replace(row, reason=str(error))
    except MemoryError:
        return replace(row, reason=OUT_OF_MEMORY)
    return replace(
        row, verdict=result.verdict, property=PROPERTY_SEPARATOR.join(result.properties) or None,
        states=result.states, transitions=result.transitions, seconds=result.seconds, reason=result.reason,
    )  # fmt: skip


def _searched(system: System, design: Design, limits: Limits) -> SearchResult:
    """Search; if nothing is found, and what the scenario is there to reach is not reached, once more unreduced.

    What no search reaches makes the result vacuous. Raises CompileError.
    """
    compiled = compile_system(system, _memo)
    unreachable = {**system.unreachable, **design.unreachable}
    result, reached = _search(compiled, True, limits)
    if result.verdict != Verdict.HOLDS or not _missed(compiled, reached, unreachable):
        return result
    again, more = _search(compiled, False, limits)
    if again.verdict == Verdict.VIOLATED:
        return again
    names = _missed(compiled, reached | more, unreachable)
    if names:
        result.verdict, result.reason = Verdict.VACUOUS, vacuity(names)
    return result


def _search(compiled: Compiled, reduction: bool, limits: Limits) -> tuple[SearchResult, frozenset[str]]:
    """Search with or without reductions. Returns the result, and the targets that were reached."""
    program = link(compiled, reduction)
    most = limits.megabytes * 2**20 // (program.words * 8 + STATE_OVERHEAD)
    searching = Search(program, most)
    return searching.run(seconds=limits.seconds, wanted=int(limits.first)), searching.reached


def _missed(compiled: Compiled, reached: frozenset[str], unreachable: Mapping[str, str]) -> tuple[str, ...]:
    system = compiled.system
    return missed(results_of((), reached, required=system.targets, unreachable=unreachable))


def lost_row(job: SweepJob, limits: Limits) -> SweepRow:
    """Return the row of a job whose worker was killed each time."""
    return replace(_not_searched(job, limits), verdict=Verdict.LOST, reason=LOST)


def _not_searched(job: SweepJob, limits: Limits) -> SweepRow:
    """Return the row of a job before its search."""
    shape = job.scenario
    row = SweepRow(
        design=job.design_key, scenario=job.scenario_key, operations=str(shape), max_seconds=limits.seconds,
        max_megabytes=limits.megabytes, first=int(limits.first),
    )  # fmt: skip
    if not isinstance(shape, Shape):
        if not is_point(shape):
            return row
        values = values_of_name(shape)
        return replace(
            row, memory=values["memory"], operations=f"{values['user']}+{values['operation']}",
            updates=int(values["updates"]), rounds=int(values["rounds"]),
        )  # fmt: skip
    return replace(
        row, memory=str(shape.memory), operations="+".join(shape.operations), actors=shape.actors,
        updates=shape.updates, rounds=shape.rounds, pages=shape.pages,
    )  # fmt: skip


def _scenario(job: SweepJob) -> Scenario:
    """Return the point of the space, or the scenario of a user's file, that a job searches."""
    assert isinstance(job.scenario, str)
    file = _loaded(job.scenario_file) if job.scenario_file is not None else None
    if is_point(job.scenario):
        return scenario_of(point_named(job.scenario, (file and file.space) or SPACE))
    assert file is not None
    (scenario,) = (s for s in file.scenarios if s.name == job.scenario)
    return scenario


@functools.cache
def _loaded(source: FileVersion) -> UserFile:
    """Load a user's file, once in this worker."""
    if not Path(source.path).is_file():
        raise UserFileError(f"{source.path}: no such file on this worker")
    if FileVersion.of(source.path) != source:
        raise UserFileError(f"{source.path}: the file has changed since the sweep began; start the sweep again")
    return load(source.path)
