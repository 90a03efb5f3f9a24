# SPDX-License-Identifier: GPL-2.0-only
"""What an operation of an actor has done in one execution: accesses, locks and barriers, in program order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pfncache.litmus.event import ACCESSES, EventKind


class SourceFrame(NamedTuple):
    """A line of a function on the call stack."""

    file: str
    """In the kernel tree; of a function by hand, its file in the model."""
    line: int
    function: str
    """Linux's name."""
    cited: str = ""
    """Of a function by hand: the file of Linux that has the function, if its docstring says so. Empty for C."""
    is_c: bool = True

    def __str__(self) -> str:
        return f"{self.function}() {self.file}:{self.line}"


@dataclass(frozen=True)
class Recorded:
    """One event of an operation."""

    kind: EventKind
    name: str
    """The variable or lock, as ``kvm.gpc_invalidate_seq``; of a fence, its function."""
    stack: tuple[SourceFrame, ...] = ()
    """Outermost first."""
    value: str = ""
    """What an access has read or written."""
    old: str = ""
    """What was there before a write."""
    is_exclusive: bool = True
    """Of a lock."""
    is_private: bool = False
    """Of a write: to a part of a set of memslots that is not active."""
    is_call: bool = False
    """It is no event, but the call of a function by hand, whose barriers were not seen."""

    @property
    def is_access(self) -> bool:
        """Whether it reads or writes a variable."""
        return self.kind in ACCESSES and not self.is_call

    @property
    def member(self) -> str:
        """The member of the structure."""
        return self.name.rpartition(".")[2]

    @property
    def writes(self) -> bool:
        """Whether it writes the variable."""
        return self.kind is not EventKind.READ

    @property
    def is_pointer(self) -> bool:
        """Whether its value is an object."""
        return self.value not in ("None", "True", "False", "") and not self.value.lstrip("-").isdigit()

    def is_of(self, thing: str) -> bool:
        """Whether the variable is a part of an object."""
        return self.name.startswith((f"{thing}.", f"{thing}["))

    @property
    def frame(self) -> SourceFrame:
        """Its innermost line of C, or of a function by hand if there is no C around it."""
        return next((frame for frame in reversed(self.stack) if frame.is_c), self.stack[-1])

    @property
    def is_in_c(self) -> bool:
        """Whether it is C itself that accesses the variable."""
        return self.stack[-1].is_c


@dataclass(frozen=True)
class RecordedOperation:
    """One operation of an actor, in one execution."""

    actor: str
    name: str
    events: tuple[Recorded, ...]
    ended: bool = True
    """Whether it has come to its end: alone, it may wait for another actor, or violate a property."""

    def __str__(self) -> str:
        return f"{self.actor}: {self.name}()"
