# SPDX-License-Identifier: GPL-2.0-only
"""Reuse of step code: most actors of a system are the same as in another system."""

from __future__ import annotations

from dataclasses import dataclass

from pfncache.check.compile.queries import Queries, Query
from pfncache.check.compile.writes import Written
from pfncache.check.ir import Code
from pfncache.check.system import Actor, Call

MAX_PIECES = 400
"""Pieces that are kept, of somewhat less than 1 MB each; those with the least recently used start go first."""


@dataclass
class Piece:
    """The step code of one actor, with all that it depends on."""

    code: Code
    own: Written
    used: frozenset[str]
    write_dependencies: tuple[tuple[Query, bool], ...]
    """Queries about what the other actors write, with the answers."""
    dependencies: tuple[tuple[Query, object], ...]
    """Queries about the rest of the system, with the answers."""
    last_mismatch: int = 0
    """The write dependency that did not hold in the last system that the code was not valid for; it is tried first."""

    def holds(self, written: Written) -> bool:
        """Return whether the code is valid beside actors that write `written`."""
        if self.write_dependencies:
            query, answer = self.write_dependencies[self.last_mismatch]
            if query[0](written, *query[1:]) != answer:
                return False
        for n, (query, answer) in enumerate(self.write_dependencies):
            if query[0](written, *query[1:]) != answer:
                self.last_mismatch = n
                return False
        return True

    def is_within(self, written: Written) -> bool:
        """Return whether `written` has all that the code takes for written.

        The actor then writes what this code does, or more.
        """
        return all(query[0](written, *query[1:]) for query, answer in self.write_dependencies if answer)

    def fits(self, queries: Queries) -> bool:
        """Return whether the code is valid in a system, regardless of what is written there."""
        return all(queries.answer(query) == answer for query, answer in self.dependencies)


class Memo:
    """Pieces by what their compilation began with.

    The compiler is a function of that and of the answers to its queries, which it makes one after the other. Where the
    start and all answers are the same, so are the queries, and the code.
    """

    def __init__(self) -> None:
        self._pieces: dict[Query, list[Piece]] = {}
        self._count = 0

    def find(self, queries: Queries, written: Written, actor: Actor | Call) -> Piece | None:
        """Return the code of an actor beside others that write `written`; None if there is none."""
        for piece in self._with_start_of(queries, actor):
            if piece.holds(written) and piece.fits(queries):
                return piece
        return None

    def extend(self, queries: Queries, written: Written, actor: Actor | Call) -> bool:
        """Add to `written` what the actor certainly writes. Returns whether that was more.

        The writes of code for fewer written scalars are a lower bound: a scalar that varies closes no branch that a
        constant leaves open.
        """
        before = len(written)
        for piece in self._with_start_of(queries, actor):
            if not piece.own <= written and piece.is_within(written) and piece.fits(queries):
                written.add(piece.own)
        return len(written) > before

    def keep(self, queries: Queries, actor: Actor | Call, piece: Piece) -> None:
        """Store the code of an actor."""
        self._with_start_of(queries, actor).append(piece)
        self._count += 1
        while self._count > MAX_PIECES:
            self._count -= len(self._pieces.pop(next(iter(self._pieces))))

    def _with_start_of(self, queries: Queries, actor: Actor | Call) -> list[Piece]:
        """Return the pieces with the start of an actor, and make it the most recently used one."""
        start = queries.start(actor)
        pieces = self._pieces[start] = self._pieces.pop(start, [])
        return pieces
