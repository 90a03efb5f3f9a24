# SPDX-License-Identifier: GPL-2.0-only
"""One search of a sweep, by names and numbers alone, so that any worker anywhere can do it."""

from __future__ import annotations

from dataclasses import dataclass

from pfncache.check.compile.compiler import compile_system
from pfncache.check.compile.memo import Memo
from pfncache.check.compile.source import CompileError
from pfncache.check.program.layout import link
from pfncache.check.search import Search
from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import DESIGNS
from pfncache.scenarios.shape import Shape
from pfncache.verify.systems import make_kernel_system

OVERHEAD = 32
"""Bytes of a state beyond its words: its place in the table, its parent, and room to grow."""


@dataclass(frozen=True)
class Limits:
    """When to give a job up."""

    seconds: float = 60.0
    megabytes: int = 1024


@dataclass(frozen=True)
class Row:
    """What came out of a job."""

    design: str
    scenario: str
    memory: str
    operations: str
    actors: int
    updates: int
    rounds: int
    pages: int
    verdict: str
    property: str | None
    states: int
    transitions: int
    seconds: float
    reason: str


_memo = Memo()
"""Of this worker: shapes have most of their actors in common."""


def run_job(design: str, shape: Shape, limits: Limits) -> Row:
    """Search a shape under a design."""
    verdict, broken, states, transitions, seconds, reason = Verdict.BOUNDED, None, 0, 0, 0.0, ""
    try:
        program = link(compile_system(make_kernel_system(DESIGNS[design], shape.build), _memo))
        most = limits.megabytes * 2**20 // (program.words * 8 + OVERHEAD)
        result = Search(program, most).run(seconds=limits.seconds)
        verdict, broken, states = result.verdict, result.property, result.states
        transitions, seconds, reason = result.transitions, result.seconds, result.reason
    except CompileError as error:
        reason = str(error)
    except MemoryError:
        reason = "the memory that there is"
    return Row(
        design, shape.name, str(shape.memory), "+".join(shape.operations), shape.actors, shape.updates, shape.rounds,
        shape.pages, verdict, broken, states, transitions, seconds, reason,
    )  # fmt: skip
