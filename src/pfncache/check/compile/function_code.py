# SPDX-License-Identifier: GPL-2.0-only
"""Relocatable step code: what one call of a function compiles to, wherever the call stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from pfncache.check.compile.source import Location
from pfncache.check.compile.values import Kind, Value
from pfncache.check.compile.writes import Writes
from pfncache.check.ir import Subject
from pfncache.check.ops import Op


class LocalInstr(NamedTuple):
    """An instruction whose registers and label are numbered within the function."""

    op: Op
    reads: tuple[int, ...]
    dest: int | None
    subject: Subject | None
    """Of an event or a failure: with the part of the call stack that lies within the function."""


class NewRegister(NamedTuple):
    """A register that the function takes."""

    kind: Kind
    """The kind of the value that it was taken for."""
    variable: bool
    widest: Kind
    """The join of the kinds of all values that are assigned to it."""


@dataclass(frozen=True, eq=False)
class Body:
    """The instructions of a call. A memo has equal ones once, so that they are compared by identity.

    Registers are the arguments first, then those that `registers` takes, in that order: new ones, constants (a number),
    and the results of inlined calls.
    """

    rows: tuple[LocalInstr | int, ...]
    """An inlined call is its number among those of `registers`."""
    labels: tuple[tuple[int, int], ...]
    """The labels that are jumped to, with the index of a row."""
    label_count: int
    registers: tuple[NewRegister | int | Inlined, ...]

    @property
    def content(self) -> tuple[object, ...]:
        """All of it, to be compared."""
        return self.rows, self.labels, self.label_count, self.registers


@dataclass(frozen=True, eq=False)
class FunctionCode:
    """The step code of a call, and on what it depends."""

    body: Body
    result: Value
    """Records in it are named by Ref."""
    kinds: Mapping[int, Kind]
    """Of the registers in the result: the joins of the kinds of all values that are assigned to them."""
    ends: bool
    """Whether the call may return."""
    touches_state: bool
    """Whether it has operations that only a step may have."""
    depth: int
    """Frames of the call stack below its own, at most."""
    facts: int
    """Mask of the facts that it depends on."""
    asked: int
    """Mask of the places of which it matters whether they vary where the call is compiled."""
    varying: int
    """Those of `asked` that vary."""
    writes: Writes
    used: int
    """Mask of the names of the kernel's functions that it is compiled from."""
    is_reusable: bool
    """False if its result has no name outside of the system."""


class Inlined(NamedTuple):
    """A call in the code of its caller."""

    body: Body
    arguments: tuple[int, ...]
    """Registers of the caller."""
    results: tuple[int, ...]
    """Registers of the callee that the caller goes on using."""
    stack: tuple[Location, ...]
    """The call stack within the caller."""
    touches_state: bool
    """FunctionCode.touches_state."""
