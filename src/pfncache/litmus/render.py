# SPDX-License-Identifier: GPL-2.0-only
"""A litmus test as text, in the memory model's C."""

from __future__ import annotations

from collections.abc import Sequence, Set

from pfncache.litmus.event import EventKind
from pfncache.litmus.protocol import LitmusTest
from pfncache.litmus.step import NotLitmus, Step

_TYPES = {
    EventKind.LOCK: "spinlock_t ",
    EventKind.UNLOCK: "spinlock_t ",
    EventKind.SRCU_LOCK: "struct srcu_struct ",
    EventKind.SRCU_UNLOCK: "struct srcu_struct ",
    EventKind.SRCU_SYNC: "struct srcu_struct ",
}


def render(test: LitmusTest, threads: Sequence[Sequence[Step]]) -> str:
    """Return the text of a test with these steps of its threads."""
    parts = [f"C {test.name.replace('/', '+')}\n", f"{{ {test.init} }}\n" if test.init else "{}\n"]
    pointers = set(test.pointers.split())
    parts += [_thread(number, steps, pointers) for number, steps in enumerate(threads)]
    return "\n".join([*parts, f"exists ({test.never})\n"])


def _thread(number: int, steps: Sequence[Step], pointers: Set[str]) -> str:
    shared: dict[str, str] = {}
    registers: dict[str, str] = {}
    for step in steps:
        name, is_pointer = step.event.name, step.event.name in pointers
        if step.event.kind is not EventKind.FENCE and not step.through:
            shared[name] = "int *" if is_pointer else _TYPES.get(step.event.kind, "int ")
        if is_pointer and step.event.kind is EventKind.WRITE:
            shared.setdefault(step.value, "int ")
        if step.writes:
            registers[step.writes] = "int *" if is_pointer and step.register else "int "
    if both := sorted(shared.keys() & registers.keys()):
        raise NotLitmus(f"P{number}: a variable and a register have the name {both[0]}")
    parameters = ", ".join(f"{kind}*{name}" for name, kind in shared.items())
    lines = [f"\t{kind}{name};" for name, kind in registers.items()]
    lines += [f"\t{step.text}" for step in steps]
    return "\n".join([f"P{number}({parameters})", "{", *lines, "}\n"])
