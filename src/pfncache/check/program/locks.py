# SPDX-License-Identifier: GPL-2.0-only
"""The locks and lockdep classes that are held at a place of step code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfncache.check.code import DEST, FIRST, NONE, OP, SECOND, SUBJECT, Code
from pfncache.check.ir import LockUse, Ref
from pfncache.check.ops import FINAL, JUMPS, Op
from pfncache.check.program.dataflow import by_op, derived, edges
from pfncache.check.program.liveness import add_values, live
from pfncache.check.program.lock_paths import Effects, Values, held_on_all_paths
from pfncache.check.program.solver import WORD, Sets, empty_sets, forwards, members

Held = frozenset[tuple[Ref, bool]]
"""Locks that are certainly held: the lock record, and whether exclusively."""
NOTED = FINAL | JUMPS | {Op.EVENT, Op.ACQUIRE, Op.RELEASE}
"""Operations that change a path (lock_paths.py), depend on it, or have other successors than the next instruction."""
FOLLOWED = frozenset({Op.MOVE, Op.NOT, Op.EQ, Op.NE, Op.LT, Op.LE})
"""Operations that are evaluated along a path; all others give an unknown value."""
IS_NOTED, IS_FOLLOWED = by_op(NOTED), by_op(FOLLOWED)


@dataclass(frozen=True)
class LocksHeld:
    """What is held on every path to each event and lock annotation."""

    held: dict[int, Held]
    """By instruction."""
    classes: dict[int, frozenset[str]]
    reached: NDArray[np.bool_]
    """By instruction, of those that change a path or depend on it: whether a path gets there."""


@dataclass(frozen=True)
class _Bits:
    """Numbers of what a path has: locks, then classes, then values of registers. Each part begins with a word."""

    locks: list[tuple[Ref, bool]]
    classes: list[str]
    first_class: int
    first_value: int
    words: int

    @classmethod
    def of(cls, uses: Iterable[LockUse], values: int) -> _Bits:
        """Return the numbers for the locks of a code, and so many values."""
        locks = list(dict.fromkeys((use.locks[0], use.exclusive) for use in uses if _is_certain(use)))
        classes = list(dict.fromkeys(use.name for use in uses))
        lock_words, class_words = _words(len(locks)) or 1, _words(len(classes))
        words = lock_words + class_words
        return cls(locks, classes, lock_words * WORD, words * WORD, words + _words(values))

    def taken(self, use: LockUse) -> list[int]:
        """Return what is held after a lock was taken."""
        found = [self.first_class + self.classes.index(use.name)]
        return found + ([self.locks.index((use.locks[0], use.exclusive))] if _is_certain(use) else [])

    def released(self, use: LockUse) -> list[int]:
        """Return what is not held after a lock was released."""
        gone = [number for number, (lock, _) in enumerate(self.locks) if lock in use.locks]
        return gone + [self.first_class + n for n, name in enumerate(self.classes) if name == use.name]


def _words(count: int) -> int:
    return -(-count // WORD)


def _is_certain(use: LockUse) -> bool:
    """Whether it is certain which lock is taken, and that it excludes others."""
    return use.excludes and len(use.locks) == 1


@derived
def locks_held(code: Code) -> LocksHeld:
    """Return, for each event and lock annotation, the locks and lockdep classes that are held on every path to it.

    A forward analysis. Linux takes a lock at the first hit of a loop and notes so in a local, by which it releases the
    lock after the loop. Paths are therefore told apart by the constants that locals hold on them.
    """
    rows = code.rows
    tested = decisive(code)
    pairs = _pairs(code, tested)
    noted = IS_NOTED[rows[:, OP]] | tested[rows[:, DEST]]
    onward = _next_noted(noted)
    follow = edges(code)
    follow = np.where(follow == NONE, NONE, onward[follow])
    annotations = code.where(Op.ACQUIRE, Op.RELEASE)
    numbers, which = np.unique(rows[annotations, SUBJECT], return_inverse=True)
    uses: list[LockUse] = [code.subjects.things[n] for n in numbers.tolist()]
    taken = [code.subjects.things[n] for n in np.unique(rows[code.where(Op.ACQUIRE), SUBJECT]).tolist()]
    bits = _Bits.of(taken, len(pairs))
    values = _values(code, tested, pairs, bits.first_value)
    use_of = np.zeros(len(rows), dtype=np.int64)
    use_of[annotations] = which
    acquired, released = (np.zeros((len(uses) or 1, bits.words), dtype=np.uint64) for _ in range(2))
    for number, use in enumerate(uses):
        for found, members_of in ((acquired, bits.taken if use in taken else None), (released, bits.released)):
            _fill(found, number, members_of, use)
    alive = np.zeros((len(rows) + 1, bits.words), dtype=np.uint64)
    alive[:, : bits.first_value // WORD] = ~np.uint64(0)
    add_values(live(code).begins, live(code).registers, values.first, alive)
    effects = Effects(use=use_of, acquired=acquired, released=released, live=alive)
    counts = np.zeros(len(alive), dtype=np.int64)
    places = held_on_all_paths(rows, follow, effects, values, counts)[:, 0]
    return _result(code, bits, places, counts[:-1] > 0)


def _fill(sets: Sets, number: int, members_of: Callable[[LockUse], list[int]] | None, use: LockUse) -> None:
    for bit in members_of(use) if members_of is not None else ():
        sets[number, bit // WORD] |= np.uint64(1 << bit % WORD)


def _result(code: Code, bits: _Bits, places: Sets, is_reached: NDArray[np.bool_]) -> LocksHeld:
    wanted = code.where(Op.EVENT, Op.ACQUIRE, Op.RELEASE)
    distinct, which = np.unique(places[wanted, : bits.first_value // WORD], axis=0, return_inverse=True)
    matrix = members(distinct) if distinct.size else np.zeros((len(distinct), 0), dtype=np.bool_)
    held = [frozenset(bits.locks[n] for n in np.flatnonzero(row[: len(bits.locks)])) for row in matrix]
    classes = [
        frozenset(bits.classes[n] for n in np.flatnonzero(row[bits.first_class :][: len(bits.classes)]))
        for row in matrix
    ]
    pairs = list(zip(wanted.tolist(), which.reshape(-1).tolist(), strict=True))
    return LocksHeld({i: held[n] for i, n in pairs}, {i: classes[n] for i, n in pairs}, is_reached)


def _next_noted(noted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return, for each instruction and for the end, the first one from there on that is noted, or the end."""
    size = len(noted)
    here = np.where(noted, np.arange(size), size)
    return np.append(np.minimum.accumulate(here[::-1])[::-1], size)


def decisive(code: Code) -> NDArray[np.bool_]:
    """Return, by register, whether its every definition is a constant, a copy or a comparison of such registers."""
    rows = code.rows
    writing = rows[rows[:, DEST] != NONE]
    is_followed = IS_FOLLOWED[writing[:, OP]]
    defined, opaque = (np.zeros(code.registers + 1, dtype=np.bool_) for _ in range(2))
    defined[writing[:, DEST]] = True
    opaque[writing[~is_followed, DEST]] = True
    followed = writing[is_followed]
    while True:
        before = opaque.sum()
        opaque[followed[opaque[followed[:, FIRST]] | opaque[followed[:, SECOND]], DEST]] = True
        if opaque.sum() == before:
            return defined & ~opaque


def _pairs(code: Code, tested: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the registers that are followed, in order, with each of their values: a superset of those on any path."""
    known: dict[int, set[int]] = {register: {number} for number, register in code.constants.items()}
    definitions = code.rows[tested[code.rows[:, DEST]]]
    for dest in definitions[definitions[:, OP] != Op.MOVE, DEST].tolist():
        known.setdefault(dest, set()).update((0, 1))
    moves = np.unique(definitions[definitions[:, OP] == Op.MOVE][:, [DEST, FIRST]], axis=0).tolist()
    changed = True
    while changed:
        changed = False
        for dest, source in moves:
            more = known.get(source, set()) - known.setdefault(dest, set())
            known[dest] |= more
            changed = changed or bool(more)
    return [(r, n) for r in np.flatnonzero(tested).tolist() for n in sorted(known.get(r, ()))]


def _values(code: Code, tested: NDArray[np.bool_], pairs: list[tuple[int, int]], first: int) -> Values:
    """Return the values of registers, whose bits begin at `first`."""
    registers = np.array([register for register, _ in pairs], dtype=np.int64)
    constants = np.zeros(code.registers + 1, dtype=np.int64)
    for number, register in code.constants.items():
        constants[register] = number
    return Values(
        first=np.searchsorted(registers, np.arange(code.registers + 1)) + first,
        numbers=np.array([*[0] * first, *(number for _, number in pairs)], dtype=np.int64),
        is_tested=tested,
        is_constant=code.is_constant,
        constants=constants,
    )


@derived
def stray_releases(code: Code) -> set[int]:
    """Return the releases of one lock, by instruction index, before which no path takes it without releasing it.

    A forward analysis, for what may be held. Releases that no path of locks_held() gets to are left out.
    """
    reached = locks_held(code).reached
    numbers: dict[Ref, int] = defaultdict(lambda: len(numbers))
    annotations = code.where(Op.ACQUIRE, Op.RELEASE).tolist()
    pairs = [(i, numbers[lock]) for i in annotations for lock in dict.fromkeys(code.subject(i).locks)]
    uses = empty_sets(len(code.rows), len(numbers) + 1)
    for i, number in pairs:
        uses[i, number // WORD] |= np.uint64(1 << number % WORD)
    acquires = (code.rows[:, OP] == Op.ACQUIRE)[:, None]
    nothing = np.zeros_like(uses)
    held = forwards(edges(code), np.where(acquires, uses, nothing), np.where(acquires, nothing, uses))
    releases = code.where(Op.RELEASE)
    free = ~np.any(held[releases] & uses[releases], axis=1) & reached[releases]
    return {i for i in releases[free].tolist() if len(code.subject(i).locks) == 1}
