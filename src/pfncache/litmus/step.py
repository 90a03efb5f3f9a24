# SPDX-License-Identifier: GPL-2.0-only
"""The statements of a litmus test, each with one event."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pfncache.litmus.event import EventKind, MemoryEvent, Order
from pfncache.litmus.primitives import FENCES

_THROUGH = re.compile(r"(?P<statement>.*;) +// (?P<variable>\w+)")
_CONDITION = re.compile(r"if \(([^()]*)\) ")
_CALL = re.compile(r"(?:(?P<register>\w+) = )?(?P<name>\w+)\((?P<arguments>.*)\);")
_LOAD = re.compile(r"(?P<register>\w+) = \*(?P<variable>\w+);")
_STORE = re.compile(r"\*(?P<variable>\w+) = (?P<value>.+);")
_READS = {Order.PLAIN: "*{}", Order.ONCE: "READ_ONCE(*{})", Order.ACQUIRE: "smp_load_acquire({})"}
_WRITES = {
    Order.PLAIN: "*{} = {};",
    Order.ONCE: "WRITE_ONCE(*{}, {});",
    Order.RELEASE: "smp_store_release({}, {});",
}
_READ_ORDERS = {"READ_ONCE": Order.ONCE, "smp_load_acquire": Order.ACQUIRE}
_WRITE_ORDERS = {"WRITE_ONCE": Order.ONCE, "smp_store_release": Order.RELEASE}
_SUFFIXES = {Order.RELAXED: "_relaxed", Order.ACQUIRE: "_acquire", Order.RELEASE: "_release", Order.FULL: ""}
_RELAXED = {"atomic_or", "atomic_andnot", "atomic_inc", "atomic_dec", "atomic_add"}
"""Updates without a result."""
_PLACE_FIRST = {"xchg", "cmpxchg", "atomic_inc", "atomic_dec", "atomic_dec_return", "atomic_add_unless"}
"""Updates whose first argument is the variable; of the others, it is the second."""
_LOCKS = {"spin_lock": EventKind.LOCK, "spin_unlock": EventKind.UNLOCK}
_SRCU = {kind.value: kind for kind in (EventKind.SRCU_LOCK, EventKind.SRCU_UNLOCK, EventKind.SRCU_SYNC)}


class NotLitmus(Exception):
    """A statement that is none of a litmus test."""


@dataclass(frozen=True)
class Step:
    """One statement."""

    event: MemoryEvent
    conditions: tuple[str, ...] = ()
    """All of them hold if it is executed."""
    register: str = ""
    """Takes what is read."""
    value: str = ""
    """What is written; of an update, its function and its arguments, with {} for the variable."""
    through: str = ""
    """The register that has the variable's address, if the variable is not named."""
    is_environment: bool = False
    """Whether it abstracts no function of the kernel's C."""

    @property
    def text(self) -> str:
        """The statement in the memory model's C."""
        text = self._statement
        for condition in reversed(self.conditions):
            text = f"if ({condition}) {{ {text} }}"
        return text

    @property
    def _statement(self) -> str:
        event, name = self.event, self.through or self.event.name
        match event.kind:
            case EventKind.READ:
                return f"{self.register} = {_READS[event.order].format(name)};"
            case EventKind.WRITE:
                return _WRITES[event.order].format(name, self.value)
            case EventKind.UPDATE:
                return self._update
            case EventKind.FENCE:
                return f"{name}();"
            case EventKind.LOCK:
                return f"spin_lock({name});"
            case EventKind.UNLOCK:
                return f"spin_unlock({name});"
            case EventKind.SRCU_LOCK:
                return f"{srcu_index(name)} = srcu_read_lock({name});"
            case EventKind.SRCU_UNLOCK:
                return f"srcu_read_unlock({name}, {srcu_index(name)});"
            case EventKind.SRCU_SYNC:
                return f"synchronize_srcu({name});"

    @property
    def _update(self) -> str:
        function, _, arguments = self.value.partition("(")
        if function not in _RELAXED:
            function += _SUFFIXES[self.event.order]
        result = f"{self.register} = " if self.register else ""
        return f"{result}{function}({arguments.format(self.event.name)};"

    @property
    def reads(self) -> set[str]:
        """Registers that it reads, and other words."""
        words = {
            word
            for condition in (*self.conditions, self.value, self.through)
            for word in re.findall(r"\b[a-z]\w*", condition)
        }
        return words | ({srcu_index(self.event.name)} if self.event.kind is EventKind.SRCU_UNLOCK else set())

    @property
    def writes(self) -> str:
        """The register that it writes; empty if it writes none."""
        return srcu_index(self.event.name) if self.event.kind is EventKind.SRCU_LOCK else self.register

    def ordered(self, order: Order) -> Step:
        """Return the same access with another order. Raises NotLitmus if the memory model has no such one."""
        kinds = {EventKind.READ: _READS, EventKind.WRITE: _WRITES, EventKind.UPDATE: _SUFFIXES}
        is_relaxed = self.event.kind is EventKind.UPDATE and self.value.partition("(")[0] in _RELAXED
        if order not in kinds[self.event.kind] or (is_relaxed and order is not Order.RELAXED):
            raise NotLitmus(f"the litmus test has no {replace(self.event, order=order)}")
        return replace(self, event=replace(self.event, order=order))

    def at(self, event: MemoryEvent) -> Step:
        """Return the step with the order of an event of the C, and its place."""
        step = self.ordered(event.order) if self.event.is_access else self
        return replace(step, event=event)


def srcu_index(name: str) -> str:
    """Return the register that has the index of a read section."""
    return f"{name}_idx"


def steps_of(body: str, is_environment: bool = False) -> tuple[Step, ...]:
    """Return the steps of a body, one a line. Raises NotLitmus for a line that is none."""
    lines = (line.strip() for line in body.splitlines())
    return tuple(replace(step_of(line), is_environment=is_environment) for line in lines if line)


def step_of(line: str) -> Step:
    """Return the step of a line: ``if (r0 == 0 && r1 == 1) WRITE_ONCE(*x, 1);``.

    Of an access through a register that has an address, a comment names the variable: ``r1 = *r0; // x``.
    """
    if (through := _THROUGH.fullmatch(line)) is not None:
        step = step_of(through["statement"])
        return replace(step, event=replace(step.event, name=through["variable"]), through=step.event.name)
    text, conditions = line, []
    while (found := _CONDITION.match(text)) is not None:
        conditions += [condition.strip() for condition in found[1].split("&&")]
        text = text[found.end() :]
    return replace(_statement(text), conditions=tuple(conditions))


def _statement(text: str) -> Step:
    if load := _LOAD.fullmatch(text):
        return Step(MemoryEvent(EventKind.READ, load["variable"], Order.PLAIN), register=load["register"])
    if store := _STORE.fullmatch(text):
        return Step(MemoryEvent(EventKind.WRITE, store["variable"], Order.PLAIN), value=store["value"])
    call = _CALL.fullmatch(text)
    if call is None:
        raise NotLitmus(f"no statement of a litmus test: {text}")
    name, register = call["name"], call["register"] or ""
    arguments = [argument.strip() for argument in call["arguments"].split(",")]
    first = arguments[0].lstrip("*")
    if name in FENCES:
        return Step(MemoryEvent(EventKind.FENCE, name))
    if name in _LOCKS or name in _SRCU:
        return Step(MemoryEvent((_LOCKS | _SRCU)[name], first))
    if name in _READ_ORDERS:
        return Step(MemoryEvent(EventKind.READ, first, _READ_ORDERS[name]), register=register)
    if name in _WRITE_ORDERS:
        return Step(MemoryEvent(EventKind.WRITE, first, _WRITE_ORDERS[name]), value=", ".join(arguments[1:]))
    if name.startswith(("atomic_", "xchg", "cmpxchg")):
        return _update(name, register, arguments)
    raise NotLitmus(f"no function of the memory model: {name}()")


def _update(name: str, register: str, arguments: list[str]) -> Step:
    order = next((o for o, suffix in _SUFFIXES.items() if suffix and name.endswith(suffix)), Order.FULL)
    function = name.removesuffix(_SUFFIXES[order])
    if function in _RELAXED:
        order = Order.RELAXED
    at = 0 if function in _PLACE_FIRST else 1
    variable = arguments[at]
    given = ", ".join("{}" if number == at else argument for number, argument in enumerate(arguments))
    return Step(MemoryEvent(EventKind.UPDATE, variable, order), register=register, value=f"{function}({given})")


def of_event(event: MemoryEvent) -> Step:
    """Return the statement of a fence or lock."""
    return Step(event)


def marked(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Return the steps with each plain access marked, by READ_ONCE or WRITE_ONCE."""
    return tuple(step.ordered(Order.ONCE) if step.event.order is Order.PLAIN else step for step in steps)
