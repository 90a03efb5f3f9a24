# SPDX-License-Identifier: GPL-2.0-only
"""Jumps: break, continue and goto become break and continue of Python's loops, or a copy of what follows a label.

Python has no goto. A label that is jumped back to begins a loop. What follows a label that is jumped forward to is
translated once more at each goto. A jump out of several loops sets a local, which is tested behind each of them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

from tree_sitter import Node

from pfncache.csource import pytree
from pfncache.csource.kinds import BOOL, annotation
from pfncache.csource.parse import line_of
from pfncache.csource.structs import StructLayer

Emit = Callable[[], list[ast.stmt]]


@dataclass
class Level:
    """A loop of Python that is being translated."""

    place: int
    """First byte of the construct in C: a loop, a switch, or a label that is jumped back to."""
    before_continue: Emit | None = None
    """What the next turn needs to have executed: the update of a for, the test of a do."""
    exits: list[tuple[str, Emit]] = field(default_factory=list)
    """Jumps that go further than out of this loop: the local that is set for one, and its next part."""
    is_guard: bool = False
    """It is no loop but the block of a guard, which a forward goto must not copy code into."""
    end: int = 0
    """Of a guard: the last byte of its block."""


class JumpLayer(StructLayer):
    """The layer for jumps."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.levels: list[Level] = []

    def loop(self, node: Node, place: int, build: Emit, before_continue: Emit | None = None) -> list[ast.stmt]:
        """Return a loop, with the tests behind it for jumps that go further."""
        level = Level(place, before_continue)
        self.levels.append(level)
        statements = build()
        self.levels.pop()
        return self._with_exits(node, level, statements)

    def _with_exits(self, node: Node, level: Level, statements: list[ast.stmt]) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for flag, _ in level.exits:
            out.append(pytree.local(flag, annotation(BOOL), pytree.constant(False)))
        out += statements
        for flag, emit in level.exits:
            out.append(ast.If(pytree.name(flag), emit(), []))
        for statement in out:
            pytree.place(statement, line_of(node))
        return out

    def leave(self, node: Node, place: int) -> list[ast.stmt]:
        """Return a break out of the loop at `place`, or what begins one."""
        return self._jump(node, place, lambda: [ast.Break()])

    def repeat(self, node: Node, place: int) -> list[ast.stmt]:
        """Return the next turn of the loop at `place`, or what begins one."""

        def emit() -> list[ast.stmt]:
            before = self._level(place).before_continue
            return [*(before() if before is not None else []), ast.Continue()]

        return self._jump(node, place, emit)

    def _jump(self, node: Node, place: int, emit: Emit) -> list[ast.stmt]:
        loops = [level for level in self.levels if not level.is_guard]
        if loops[-1].place == place:
            return emit()
        flag = self.temporary(BOOL).tree
        assert isinstance(flag, ast.Name)
        loops[-1].exits.append((flag.id, lambda: self._jump(node, place, emit)))
        return [pytree.local(flag.id, annotation(BOOL), pytree.constant(True)), ast.Break()]

    def _level(self, place: int) -> Level:
        return next(level for level in reversed(self.levels) if level.place == place)

    def has_level(self, place: int) -> bool:
        """Return whether the loop at `place` is being translated."""
        return any(level.place == place and not level.is_guard for level in self.levels)
