# SPDX-License-Identifier: GPL-2.0-only
"""The parts of the state that actors write."""

from __future__ import annotations

from dataclasses import dataclass, field

from pfncache.check.ir import Column, Variable


@dataclass
class Written:
    """The scalars that actors write. All others keep their initial value: they are constants."""

    variables: set[Variable] = field(default_factory=set)
    columns: set[Column] = field(default_factory=set)
    """Columns that are written by a record's number."""
    mixed: set[Column] = field(default_factory=set)
    """Columns that are read by a record's number although only some of their variables are written."""
    partly: set[Column] = field(default_factory=set)
    """The columns of `variables`."""

    def stores(self, variable: Variable) -> bool:
        """Return whether some actor may write this scalar."""
        return variable.column in self.columns or variable in self.variables

    def varies(self, variable: Variable) -> bool:
        """Return whether an access of this scalar is a step: some actor may write it, or another of a mixed column.

        An access by number may be of any record of the class, and is always a step. An access of a known record is
        then one too, so that the Python source, where every record is known, has the same preemption points.
        """
        return variable.column in self.mixed or self.stores(variable)

    def varies_any(self, column: Column) -> bool:
        """Return whether some actor may write some variable of a column."""
        return column in self.columns or column in self.partly

    def note(self, variable: Variable) -> None:
        """Add a scalar of a known record."""
        self.variables.add(variable)
        self.partly.add(variable.column)

    def __len__(self) -> int:
        return len(self.variables) + len(self.columns) + len(self.mixed)

    def __le__(self, other: Written) -> bool:
        return self.variables <= other.variables and self.columns <= other.columns and self.mixed <= other.mixed

    def add(self, other: Written) -> None:
        """Add what other actors write."""
        self.variables |= other.variables
        self.columns |= other.columns
        self.mixed |= other.mixed
        self.partly |= other.partly
