# SPDX-License-Identifier: GPL-2.0-only
"""A change that a series makes, and whether it is checked from its own C. Imports nothing of the translation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ItemKind(StrEnum):
    """What a C file defines."""

    FUNCTION = "function"
    STRUCT = "struct"
    MACRO = "macro"
    ENUMERATOR = "enumerator"
    VARIABLE = "variable"


class Status(StrEnum):
    """How a change is checked."""

    REFUSED = "refused"
    """It cannot be translated: nothing is searched."""
    BY_HAND = "by hand"
    """The model has it by hand on purpose: the search has the model's."""
    NOT_COMPILED = "not compiled"
    """The configuration of the translation leaves the lines out."""
    CHECKED = "checked from C"
    OUTSIDE = "outside the model"


@dataclass(frozen=True, kw_only=True)
class SourceChange:
    """A definition that a series adds, changes or removes."""

    kind: str
    """What it is: a kind of item, or file."""
    name: str
    file: str
    line: int
    """Line after the series; of what is removed, before it."""
    status: Status
    how: str = "changed"
    """changed, new, removed, or renamed from what."""
    what: str = ""
    """Why it is not checked, and what to do."""
    barriers: tuple[str, ...] = ()
    """Memory barriers that it adds, drops or moves, which no search sees."""

    @property
    def place(self) -> str:
        """file:line."""
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def is_complete(self) -> bool:
        """True if a search sees all of it, or the model has nothing of it."""
        return self.status in (Status.CHECKED, Status.OUTSIDE) and not self.barriers

    def __str__(self) -> str:
        parens = "()" if self.kind == ItemKind.FUNCTION else ""
        return f"{self.place}: {self.name}{parens}: {self.what}"
