# SPDX-License-Identifier: GPL-2.0-only
"""Relocation: the step code of an actor from that of the functions that it calls."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pfncache.check.code import COLUMNS, DEST, JUMP, NONE, OP, SECOND, STACK, Code, Rows, Stacks, Subjects
from pfncache.check.compile.function_code import Body, Inlined, LocalInstr, NewRegister
from pfncache.check.compile.source import Location
from pfncache.check.ir import Event, Failure, Subject
from pfncache.check.ops import JUMPS, Op

MAX_ROWS = 2_000_000
"""Instructions of functions that are kept with all calls in them inlined, of 28 bytes each; beyond that, all go."""


@dataclass(frozen=True, eq=False)
class Flat:
    """A function with all calls in it inlined. Its arguments are its first registers."""

    rows: Rows
    stacks: Stacks
    taken: list[NewRegister | int]
    """The registers behind the arguments, as in Code."""
    constants: dict[int, int]
    """By number: the register that holds it."""
    registers: list[int]
    """By number in the body."""


class Relocator:
    """Makes the step code of actors. A function is laid out once."""

    def __init__(self) -> None:
        self.subjects = Subjects()
        self._flat: dict[tuple[Body, int], Flat] = {}
        self._rows = 0

    def code(self, body: Body) -> Code:
        """Return the step code of an actor. Registers are numbered in the order in which the compiler took them."""
        if self._rows > MAX_ROWS:
            self._flat.clear()
            self._rows = 0
        flat = self.flat(body, 0)
        return Code(rows=flat.rows, subjects=self.subjects, stacks=flat.stacks, taken=flat.taken)

    def flat(self, body: Body, arguments: int) -> Flat:
        """Return a function that has so many arguments."""
        found = self._flat.get((body, arguments))
        if found is None:
            found = self._flat[body, arguments] = _Layout(self, body, arguments).flat()
            self._rows += len(found.rows)
        return found


class _Call(NamedTuple):
    """An inlined call: its function, the registers of the caller for those of it, and the node of the call."""

    inner: Flat
    registers: Rows
    node: int


class _Layout:
    """A function while it is laid out."""

    def __init__(self, relocator: Relocator, body: Body, arguments: int) -> None:
        self.relocator = relocator
        self.body = body
        self.taken: list[NewRegister | int] = []
        self.next = arguments
        self.constants: dict[int, int] = {}
        self.registers = list(range(arguments))
        """By number in the body."""
        self.nodes: dict[tuple[int, int], int] = {}
        """The call stacks in the function itself: by parent and line."""
        self.calls: list[_Call] = []

    def flat(self) -> Flat:
        """Return the function, laid out."""
        for what in self.body.registers:
            if isinstance(what, NewRegister):
                self.registers.append(self._take(what))
            elif isinstance(what, int):
                if what not in self.constants:
                    self.constants[what] = self._take(what)
                self.registers.append(self.constants[what])
            else:
                self._inline(what)
        rows, places = self._own_rows()
        parents, lines = self._own_nodes()
        for call, at in places:
            block, inner = rows[at : at + len(call.inner.rows)], call.inner
            block[:] = inner.rows
            block[:, DEST : SECOND + 1] = call.registers[inner.rows[:, DEST : SECOND + 1]]
            offset = sum(map(len, parents))
            block[:, STACK] += offset
            parents.append(np.where(inner.stacks.parents == NONE, call.node, inner.stacks.parents + np.int32(offset)))
            lines.append(inner.stacks.lines)
        stacks = Stacks(np.concatenate(parents), np.concatenate(lines))
        return Flat(rows, stacks, self.taken, self.constants, self.registers)

    def _take(self, what: NewRegister | int) -> int:
        self.taken.append(what)
        self.next += 1
        return self.next - 1

    def _inline(self, call: Inlined) -> None:
        """Take the registers of a call. Constants that the function has already are no new registers."""
        given = len(call.arguments)
        inner = self.relocator.flat(call.body, given)
        count = len(inner.taken)
        registers = np.empty(given + count + 1, dtype=np.int32)
        registers[:given] = [self.registers[n] for n in call.arguments]
        registers[NONE] = NONE
        known = [(own, self.constants[n]) for n, own in inner.constants.items() if n in self.constants]
        if known:
            places = [own for own, _ in known]
            is_new = np.ones(given + count, dtype=np.bool_)
            is_new[places] = False
            registers[given:NONE] = self.next - 1 + np.cumsum(is_new[given:])
            registers[places] = [there for _, there in known]
            self.taken += itertools.compress(inner.taken, is_new[given:].tolist())
        else:
            registers[given:NONE] = np.arange(self.next, self.next + count)
            self.taken += inner.taken
        self.next += count - len(known)
        for number, own in inner.constants.items():
            self.constants.setdefault(number, int(registers[own]))
        self.registers += [int(registers[inner.registers[n]]) for n in call.results]
        self.calls.append(_Call(inner, registers, self._node(call.stack)))

    def _node(self, stack: Sequence[Location]) -> int:
        """Return the node of a call stack within the function."""
        node = NONE
        for line in stack:
            node = self.nodes.setdefault((node, self.relocator.subjects.number(line)), len(self.nodes))
        return node

    def _own_rows(self) -> tuple[Rows, list[tuple[_Call, int]]]:
        """Return all rows, of which those of calls are to be filled in, and where each call has its rows."""
        starts, own, where, places = [], [], [], []
        at = 0
        for row in self.body.rows:
            starts.append(at)
            if isinstance(row, int):
                places.append((self.calls[row], at))
                at += len(self.calls[row].inner.rows)
            else:
                where.append(at)
                own.append(self._row(row))
                at += 1
        starts.append(at)
        targets = {label: starts[index] for label, index in self.body.labels}
        for row_at, values in zip(where, own, strict=True):
            if values[OP] in JUMPS:
                values[JUMP] = targets[values[JUMP]] - row_at
        rows = np.empty((at, COLUMNS), dtype=np.int32)
        if own:
            rows[where] = own
        return rows, places

    def _row(self, instr: LocalInstr) -> list[int]:
        op, reads, dest, subject = instr
        first = self.registers[reads[0]] if reads else NONE
        second = self.registers[reads[1]] if len(reads) > 1 else NONE
        written = NONE if dest is None else self.registers[dest]
        jump, number, node = self._operands(op, subject)
        return [op, written, first, second, jump, number, node]

    def _operands(self, op: Op, subject: Subject | None) -> tuple[int, int, int]:
        """Return the columns JUMP (for now, its label), SUBJECT and STACK."""
        if subject is None:
            return 0, NONE, 0
        if op in JUMPS:
            assert isinstance(subject, int)
            return subject, NONE, 0
        if isinstance(subject, Event):
            return 0, int(subject.atomic), self._node(subject.stack)
        if isinstance(subject, Failure):
            return 0, self.relocator.subjects.number(subject.kind), self._node(subject.stack)
        if op == Op.CHOOSE:
            assert isinstance(subject, int)
            return 0, subject, 0
        return 0, self.relocator.subjects.number(subject), 0

    def _own_nodes(self) -> tuple[list[Rows], list[Rows]]:
        pairs = np.array(list(self.nodes), dtype=np.int32).reshape(-1, 2)
        return [pairs[:, 0]], [pairs[:, 1]]
