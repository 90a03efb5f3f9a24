# SPDX-License-Identifier: GPL-2.0-only
"""Relocation: the step code of an actor from that of the functions that it calls."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from pfncache.check.compile.function_code import Body, NewRegister
from pfncache.check.compile.source import Location, attributed
from pfncache.check.compile.values import IntKind, Reg
from pfncache.check.ir import Code, Event, Failure, Instr, Subject
from pfncache.check.ops import JUMPS, Op
from pfncache.lang.part_of import CALLER

MOVED = JUMPS | {Op.EVENT, Op.FAIL}
"""Operations whose subject depends on where the function is inlined."""


class _Place(NamedTuple):
    """A function's registers where it is inlined, and the places of the calls in it."""

    registers: list[Reg]
    calls: list[tuple[Body, _Place, tuple[Location, ...]]]
    """Of each call in it: the body, its place, and the call stack within the function."""


def relocated(body: Body) -> Code:
    """Return the step code of an actor. Registers are numbered in the order in which the compiler has taken them."""
    code = Code()
    _Relocation(code).append(body, _placed(code, body, []), ())
    return code


def _placed(code: Code, body: Body, registers: list[Reg]) -> _Place:
    """Take the registers of a function, of which the arguments are given."""
    place = _Place(registers, [])
    for what in body.registers:
        if isinstance(what, int):
            registers.append(Reg(code.constant(what), IntKind(what, what)))
        elif isinstance(what, NewRegister):
            number = code.register()
            code.kinds[number] = what.widest
            registers.append(Reg(number, what.kind, what.variable))
        else:
            inner = _placed(code, what.body, [registers[n] for n in what.arguments])
            place.calls.append((what.body, inner, what.stack))
            registers.extend([inner.registers[n] for n in what.results])
    return place


class _Relocation:
    """Step code that grows, function by function."""

    def __init__(self, code: Code) -> None:
        self.code = code
        self.label_count = 0

    def append(self, body: Body, place: _Place, stack: tuple[Location, ...]) -> None:
        """Append the code of a function that is called with a call stack."""
        instrs, registers = self.code.instrs, place.registers
        first_label = self.label_count
        self.label_count += body.label_count
        starts: list[int] = []
        for row in body.rows:
            starts.append(len(instrs))
            if isinstance(row, int):
                inner, where, within = place.calls[row]
                self.append(inner, where, _below(stack, within))
                continue
            op, reads, dest, subject = row
            if op in MOVED:
                subject = _moved(subject, first_label, stack)
            instrs.append(
                Instr(op, tuple([registers[n] for n in reads]), registers[dest] if dest is not None else None, subject)
            )
        starts.append(len(instrs))
        for label, index in body.labels:
            self.code.labels[first_label + label] = starts[index]


def _moved(subject: Subject | None, first_label: int, stack: tuple[Location, ...]) -> Subject:
    """Return what a label, an event or a failure of a function is where the function is inlined."""
    if isinstance(subject, Event):
        return subject._replace(stack=_below(stack, subject.stack))
    if isinstance(subject, Failure):
        return replace(subject, stack=_below(stack, subject.stack))
    assert isinstance(subject, int)
    return first_label + subject


def _below(stack: tuple[Location, ...], more: tuple[Location, ...]) -> tuple[Location, ...]:
    """Return the call stack of a place in a function; lines at its top may belong to the caller."""
    if stack and more[0].function == CALLER:
        return (*stack, *attributed((stack[-1], *more))[1:])
    return stack + more
