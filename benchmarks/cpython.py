# SPDX-License-Identifier: GPL-2.0-only
"""The same step code, searched breadth first by plain CPython with a set of tuples."""

from __future__ import annotations

import operator
from collections import deque
from collections.abc import Iterator
from typing import Any

from pfncache.check.ops import Op
from pfncache.check.program.image import (
    ACTOR,
    ACTORS,
    CODE,
    CONSTANTS,
    INSTR,
    N_ACTORS,
    N_CONSTANTS,
    REGISTERS,
    SAVE,
    SAVES,
    SLOT,
    TABLES,
    VARIABLES,
    YIELD,
    YIELDS,
)
from pfncache.check.program.layout import Program

State = tuple[int, ...]
ARITHMETIC = {
    Op.ADD: operator.add, Op.SUB: operator.sub, Op.MUL: operator.mul, Op.DIV: operator.floordiv,
    Op.MOD: operator.mod, Op.AND: operator.and_, Op.OR: operator.or_, Op.XOR: operator.xor, Op.SHL: operator.lshift,
    Op.SHR: operator.rshift, Op.EQ: operator.eq, Op.NE: operator.ne, Op.LT: operator.lt, Op.LE: operator.le,
}  # fmt: skip


class CPython:
    """Breadth-first search in Python of a program without violations."""

    def __init__(self, program: Program) -> None:
        self.image = [int(x) for x in program.image]
        self.initial = tuple(int(x) for x in program.initial)
        self.registers: list[Any] = [0] * (self.image[REGISTERS] + 1)
        for i in range(self.image[N_CONSTANTS]):
            at = self.image[CONSTANTS] + 2 * i
            self.registers[self.image[at]] = self.image[at + 1]

    def step(self, state: list[int], actor: int, choice: int) -> int:  # noqa: PLR0912 - one loop, as in the engine
        """Take one step in place. Returns the number of outcomes of its choice; 0 if it is blocked."""
        image, registers = self.image, self.registers
        word, shift, bits, base, start, end = image[image[ACTORS] + actor * ACTOR :][:6]
        counter = (state[word] >> shift) & ((1 << bits) - 1)
        resume = image[YIELDS] + (base + counter) * YIELD
        first = image[SAVES] + image[resume + 1] * SAVE
        for save in range(first, first + image[resume + 2] * SAVE, SAVE):
            register, at, low, width, least = image[save : save + SAVE]
            registers[register] = ((state[at] >> low) & ((1 << width) - 1)) + least
        pc = image[CODE] + image[resume] * INSTR
        choices = 1

        def clear() -> None:
            state[word] &= ~(((1 << bits) - 1) << shift)
            for bit in range(start, end):
                state[bit >> 6] &= ~(1 << (bit & 63))

        while True:
            op, a, b, c, d, e = image[pc : pc + INSTR]
            pc += INSTR
            if op == Op.LOAD:
                registers[a] = ((state[b] >> c) & ((1 << d) - 1)) + e
            elif op == Op.STORE:
                state[b] = (state[b] & ~(((1 << d) - 1) << c)) | ((registers[a] - e) << c)
            elif op == Op.LOADX:
                row = image[VARIABLES] + (b + registers[c] - 1) * SLOT
                at, low, width, least = image[row : row + SLOT]
                registers[a] = ((state[at] >> low) & ((1 << width) - 1)) + least
            elif op == Op.STOREX:
                row = image[VARIABLES] + (a + registers[b] - 1) * SLOT
                at, low, width, least = image[row : row + SLOT]
                state[at] = (state[at] & ~(((1 << width) - 1) << low)) | ((registers[c] - least) << low)
            elif op == Op.JNZ:
                if registers[a]:
                    pc = image[CODE] + b * INSTR
            elif op == Op.JZ:
                if not registers[a]:
                    pc = image[CODE] + b * INSTR
            elif op == Op.JUMP:
                pc = image[CODE] + a * INSTR
            elif op == Op.EVENT:
                if a < 0:
                    continue
                clear()
                state[word] |= a << shift
                resume = image[YIELDS] + (base + a) * YIELD
                first = image[SAVES] + image[resume + 1] * SAVE
                for save in range(first, first + image[resume + 2] * SAVE, SAVE):
                    register, at, low, width, least = image[save : save + SAVE]
                    state[at] |= (registers[register] - least) << low
                return choices
            elif op == Op.MOVE:
                registers[a] = registers[b]
            elif op == Op.TABLE:
                registers[a] = image[image[TABLES] + b + registers[c]]
            elif op in ARITHMETIC:
                registers[a] = int(ARITHMETIC[Op(op)](registers[b], registers[c]))
            elif op == Op.NOT:
                registers[a] = int(registers[b] == 0)
            elif op == Op.NEG:
                registers[a] = -registers[b]
            elif op == Op.INVERT:
                registers[a] = ~registers[b]
            elif op == Op.BLOCK:
                if not registers[a]:
                    return 0
            elif op == Op.CHOOSE:
                choices = b
                registers[a] = choice
            elif op == Op.FAIL:
                raise AssertionError("the program has a violation")
            elif op == Op.HALT:
                clear()
                return choices

    def may_run(self, state: list[int] | tuple[int, ...], actor: int) -> bool:
        """Whether an actor has not ended, and its CPU is not busy with an interrupt."""
        if self._counter(state, actor) == 0:
            return False
        interrupter = self.image[self.image[ACTORS] + actor * ACTOR + 6]
        if interrupter < 0:
            return True
        return self._counter(state, interrupter) in (0, self.image[self.image[ACTORS] + interrupter * ACTOR + 7])

    def _counter(self, state: list[int] | tuple[int, ...], actor: int) -> int:
        word, shift, bits = self.image[self.image[ACTORS] + actor * ACTOR :][:3]
        return (state[word] >> shift) & ((1 << bits) - 1)

    def successors(self, before: State) -> Iterator[tuple[int, int, State]]:
        """Yield each transition: its actor, the outcome of its choice, and the state behind it."""
        for actor in range(self.image[N_ACTORS]):
            if not self.may_run(before, actor):
                continue
            choice = 0
            choices = 1
            while choice < choices:
                state = list(before)
                choices = self.step(state, actor, choice)
                if not choices:
                    break
                yield actor, choice, tuple(state)
                choice += 1

    def search(self, limit: int) -> tuple[int, int]:
        """Search up to `limit` states. Returns the numbers of states and transitions found."""
        seen = {self.initial}
        queue = deque(seen)
        transitions = 0
        while queue and len(seen) < limit:
            before = queue.popleft()
            for _, _, after in self.successors(before):
                transitions += 1
                if after not in seen:
                    seen.add(after)
                    queue.append(after)
        return len(seen), transitions
