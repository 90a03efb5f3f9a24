# SPDX-License-Identifier: GPL-2.0-only
"""What actors write."""

from __future__ import annotations

from dataclasses import dataclass, field

from pfncache.check.ir import Column, Variable


@dataclass
class Written:
    """The scalars that actors write. All others keep their first value for ever, and are constants."""

    variables: set[Variable] = field(default_factory=set)
    columns: set[Column] = field(default_factory=set)
    """Of a record that is known by a number only."""
    mixed: set[Column] = field(default_factory=set)
    """Columns that are read by a record's number although only some of the records are written."""
    partly: set[Column] = field(default_factory=set)
    """The columns of `variables`."""

    def stores(self, variable: Variable) -> bool:
        """True when some actor may write this scalar."""
        return variable.column in self.columns or variable in self.variables

    def varies(self, variable: Variable) -> bool:
        """True when an access of this scalar is a step: some actor may write it, or one like it.

        An access by number does not know which record it meets. That of a known record is treated alike, so that the
        source, which does know, passes the same preemption points.
        """
        return variable.column in self.mixed or self.stores(variable)

    def varies_any(self, column: Column) -> bool:
        """True when some actor may write this scalar of any record of its class."""
        return column in self.columns or column in self.partly

    def note(self, variable: Variable) -> None:
        """A scalar of a known record is written."""
        self.variables.add(variable)
        self.partly.add(variable.column)

    def __len__(self) -> int:
        return len(self.variables) + len(self.columns) + len(self.mixed)

    def __le__(self, other: Written) -> bool:
        return self.variables <= other.variables and self.columns <= other.columns and self.mixed <= other.mixed

    def add(self, other: Written) -> None:
        """What others write too."""
        self.variables |= other.variables
        self.columns |= other.columns
        self.mixed |= other.mixed
        self.partly |= other.partly
