# SPDX-License-Identifier: GPL-2.0-only
"""What the translation of a set of C functions gives: what was translated, and what was not, each with its place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CFunction:
    """A C function that was translated."""

    name: str
    """Its name in C."""
    file: str
    """Path in the kernel tree."""
    line: int
    """First line, that of its declaration."""
    end_line: int
    """Last line."""
    method: str
    """Name of the model function that it becomes. It differs from `name` where Python would mangle that, or where the
    model's function of that name takes other arguments."""
    barriers: tuple[str, ...] = ()
    """Memory barriers in the order of the text, such as ``smp_rmb``. A search does not see them: each step of the model
    is a full barrier."""
    calls: tuple[str, ...] = ()
    """C functions that it calls and that are translated with it, sorted."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A C function that was not translated."""

    name: str
    file: str
    """Path in the kernel tree."""
    line: int
    """Line of the construct, or of the call of what is missing."""
    what: str
    """The construct, or the missing name."""
    hint: str
    """What to do."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.name}(): {self.what}; {self.hint}"
