# SPDX-License-Identifier: GPL-2.0-only
"""The parts of the state that actors write."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from pfncache.check.compile.numbering import Numbering
from pfncache.check.ir import Column, Variable
from pfncache.check.system import Heap


@dataclass
class Written:
    """The scalars that actors write. All others keep their initial value: they are constants."""

    variables: set[Variable] = field(default_factory=set)
    columns: set[Column] = field(default_factory=set)
    """Columns that are written by a record's number."""
    mixed: set[Column] = field(default_factory=set)
    """Columns that are read by a record's number although only some of their variables are written."""

    def stores(self, variable: Variable) -> bool:
        """Return whether some actor may write this scalar."""
        return variable.column in self.columns or variable in self.variables

    def varies(self, variable: Variable) -> bool:
        """Return whether an access of this scalar is a step: some actor may write it, or another of a mixed column.

        An access by number may be of any record of the class, and is always a step. An access of a known record is
        then one too, so that the Python source, where every record is known, has the same preemption points.
        """
        return variable.column in self.mixed or self.stores(variable)


class Writes(NamedTuple):
    """What some code writes, as Written: bit masks over the places that a memo has numbered."""

    variables: int = 0
    columns: int = 0
    mixed: int = 0

    def __or__(self, other: Writes) -> Writes:
        return Writes(self.variables | other.variables, self.columns | other.columns, self.mixed | other.mixed)


class Assumed:
    """What code is compiled beside: the writes of all actors, as far as they are known. It only grows."""

    def __init__(self, places: Numbering[Variable | Column], heap: Heap) -> None:
        self.places = places
        self.heap = heap
        self.writes = Writes()
        self.varying = 0
        """The variables for which Written.varies() is true, and the columns of which some variable is written."""

    def copy(self) -> Assumed:
        """Return the same assumption, to be added to."""
        other = Assumed(self.places, self.heap)
        other.writes, other.varying = self.writes, self.varying
        return other

    def add(self, writes: Writes) -> None:
        """Add what some code writes."""
        old, bit = self.writes, self.places.bit
        new = self.writes = old | writes
        if new == old:
            return
        for variable in self.places.things(new.variables & ~old.variables):
            assert isinstance(variable, Variable)
            self.varying |= bit(variable) | bit(variable.column)
        for column in self.places.things(new.columns & ~old.columns):
            self.varying |= bit(column)
        for column in self.places.things((new.columns | new.mixed) & ~(old.columns | old.mixed)):
            assert isinstance(column, Column)
            for variable in self.heap.variables(column):
                self.varying |= bit(variable)

    def written(self) -> Written:
        """Return the assumption in terms of the system."""
        found = (set(self.places.things(mask)) for mask in self.writes)
        return Written(*found)  # type: ignore[arg-type]
