# SPDX-License-Identifier: GPL-2.0-only
"""Locals of a C function: what each is in the model, and its name there."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from pfncache.csource.kinds import INT, Form, Kind
from pfncache.csource.parse import CType


@dataclass
class Local:
    """A local or parameter."""

    name: str
    """Its name in Python."""
    type: CType
    kind: Kind = INT
    is_out: bool = False
    """A parameter that is a pointer through which a result is returned; the local holds the value."""
    is_error: bool = False
    """It may hold an error instead of a pointer: `error` is the name of the errno."""
    members: dict[str, Local] = field(default_factory=dict)
    """Of a structure that is taken apart."""
    is_member: bool = False
    """A member of a structure that is taken apart."""
    is_nullable: bool = False
    """A structure that a parameter points to, unless it is NULL: `given` says which."""
    target: Local | None = None
    """Of a pointer that is known: the local whose address it has."""
    pointer: Any = None
    """Of a pointer into mapped memory: a mapped.Pointer."""
    is_moving: bool = False
    """Of a pointer into mapped memory: where it points to is known only when the function runs."""

    head: Any = None
    """Of a pointer to the head of a list: the expression in C that it stands for."""

    @property
    def error(self) -> str:
        """Name of the local that has the errno."""
        return f"{self.name}_err"

    @property
    def given(self) -> str:
        """Of a parameter that returns a result: name of the local that says whether it is not NULL."""
        return f"{self.name}_given"

    @property
    def mapping(self) -> str:
        """Of a pointer that is moving: name of the local that has the record with the mapping, or None for others."""
        return f"{self.name}_in"

    @property
    def was_set(self) -> str:
        """Name of the local that says whether this one has a value."""
        return f"{self.name}_set"

    @property
    def identity(self) -> str:
        """Of a function: name of the local that says which one it is."""
        return f"{self.name}_is"

    def scalars(self) -> Iterator[Local]:
        """Yield the locals that a structure is taken apart into, or the local itself."""
        if self.kind.form is not Form.STRUCT:
            yield self
            return
        for inner in self.members.values():
            yield from inner.scalars()


class Scopes:
    """The blocks of a function, and unique Python names for its locals."""

    def __init__(self, reserved: Collection[str]) -> None:
        self._reserved = {"self", *reserved, *keyword.kwlist, *dir(builtins)}
        self._blocks: list[dict[str, Local]] = [{}]
        self._names: dict[tuple[int, str], str] = {}
        self._used: set[str] = set()

    def enter(self) -> None:
        """Enter a block."""
        self._blocks.append({})

    def leave(self) -> None:
        """Leave a block."""
        self._blocks.pop()

    def depth(self) -> int:
        """Return the number of blocks that are open."""
        return len(self._blocks)

    def suspend(self, depth: int) -> list[dict[str, Local]]:
        """Leave the blocks above `depth`, and return them for resume()."""
        saved = self._blocks[depth:]
        del self._blocks[depth:]
        return saved

    def resume(self, saved: list[dict[str, Local]]) -> None:
        """Enter the blocks again that suspend() has left."""
        self._blocks.extend(saved)

    def name(self, place: int, word: str) -> str:
        """Return the Python name of the local that is declared at a place; always the same for one place."""
        key = (place, word)
        if key not in self._names:
            candidate, count = word, 1
            while candidate in self._reserved or candidate in self._used:
                count += 1
                candidate = f"{word}_{count}"
            self._used.add(candidate)
            self._names[key] = candidate
        return self._names[key]

    def declare(self, word: str, local: Local) -> Local:
        """Add a local to the innermost block."""
        self._blocks[-1][word] = local
        return local

    def find(self, word: str) -> Local | None:
        """Return the local of a name; None if there is none."""
        for block in reversed(self._blocks):
            if word in block:
                return block[word]
        return None

    def pointing_to(self, struct: str) -> Local | None:
        """Return a local that points to a structure; None if there is none."""
        for block in self._blocks:
            for local in block.values():
                if local.type.is_struct and local.type.base == struct and local.type.stars == 1:
                    return local
        return None
