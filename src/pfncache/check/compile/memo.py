# SPDX-License-Identifier: GPL-2.0-only
"""Step code that is used again: most actors of a system are the same as in a system before."""

from __future__ import annotations

from dataclasses import dataclass

from pfncache.check.compile.queries import Facts, Question
from pfncache.check.compile.writes import Written
from pfncache.check.ir import Code
from pfncache.check.system import Actor, Call

ROOM = 400
"""Pieces that are kept, of somewhat less than a megabyte each; then those with the start that nobody asks for go."""


@dataclass
class Piece:
    """The step code of one actor, with all that it depends on."""

    code: Code
    own: Written
    used: frozenset[str]
    doubts: tuple[tuple[Question, bool], ...]
    """What was asked about the actors beside it, with the answers."""
    asked: tuple[tuple[Question, object], ...]
    """What was asked about the rest of the system, with the answers."""
    differs: int = 0
    """Which doubt told the last system apart that the code was not for: it is likely to do so again."""

    def holds(self, written: Written) -> bool:
        """Whether the code is right beside actors that write that."""
        if self.doubts:
            question, answer = self.doubts[self.differs]
            if question[0](written, *question[1:]) != answer:
                return False
        for n, (question, answer) in enumerate(self.doubts):
            if question[0](written, *question[1:]) != answer:
                self.differs = n
                return False
        return True

    def is_within(self, written: Written) -> bool:
        """Whether all that the code takes for written is: the actor then writes what this code does, or more."""
        return all(question[0](written, *question[1:]) for question, answer in self.doubts if answer)

    def fits(self, facts: Facts) -> bool:
        """Whether the code is right in a system."""
        return all(facts.answer(question) == answer for question, answer in self.asked)


class Memo:
    """Pieces by what compiling them began with.

    The compiler is a function of that and of the answers to its questions, and asks them one after the other. Where the
    start and all answers are the same, so are the questions, and the code.
    """

    def __init__(self) -> None:
        self._pieces: dict[Question, list[Piece]] = {}
        self._count = 0

    def find(self, facts: Facts, written: Written, actor: Actor | Call) -> Piece | None:
        """The code of an actor beside others that write `written`, if it is known."""
        for piece in self._begun(facts, actor):
            if piece.holds(written) and piece.fits(facts):
                return piece
        return None

    def extend(self, facts: Facts, written: Written, actor: Actor | Call) -> bool:
        """Add to `written` what the actor certainly writes, from what it writes where less is. True: that was more.

        A scalar that varies closes no branch that a constant leaves open.
        """
        before = len(written)
        for piece in self._begun(facts, actor):
            if not piece.own <= written and piece.is_within(written) and piece.fits(facts):
                written.add(piece.own)
        return len(written) > before

    def keep(self, facts: Facts, actor: Actor | Call, piece: Piece) -> None:
        """Remember the code of an actor."""
        self._begun(facts, actor).append(piece)
        self._count += 1
        while self._count > ROOM:
            self._count -= len(self._pieces.pop(next(iter(self._pieces))))

    def _begun(self, facts: Facts, actor: Actor | Call) -> list[Piece]:
        """The pieces with the start of an actor, which becomes the last one that was asked for."""
        start = facts.start(actor)
        pieces = self._pieces[start] = self._pieces.pop(start, [])
        return pieces
