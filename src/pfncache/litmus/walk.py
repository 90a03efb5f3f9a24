# SPDX-License-Identifier: GPL-2.0-only
"""Walks a C function along a path, and lists the events of the shared places that a slice tracks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tree_sitter import Node

from pfncache.csource.parse import FunctionNode, child, children, line_of, peel, text_of, walk
from pfncache.litmus.event import EventKind, MemoryEvent, Order
from pfncache.litmus.primitives import ACCESS_MACROS, FENCES, GUARDS, LOCKS, SRCU, UNLOCKS
from pfncache.litmus.slice import Slice
from pfncache.litmus.source import KernelSource, NoSuchFunction

_LEAVES = {"return_statement", "goto_statement", "break_statement", "continue_statement"}
_MAX_DEPTH = 12
"""Calls that are walked into, one in the other."""
_MAX_JUMPS = 8


class _Left(Exception):
    """A function that is left, or a jump to a label of it."""

    def __init__(self, label: str = "") -> None:
        super().__init__(label)
        self.label = label


class _LoopLeft(Exception):
    """The end of a pass through a loop."""


@dataclass(frozen=True)
class _Found:
    event: MemoryEvent
    statement: str
    """The words of the statement of the slice's own function."""
    number: int
    """Of that statement on the path."""
    inner: str
    """The words of the innermost statement."""


def events(source: KernelSource, part: Slice) -> list[MemoryEvent]:
    """Return the events of a slice. Raises NoSuchFunction if it has no such function, or no such part."""
    walker = _Walker(source, part)
    walker.function(source.function(part.function.file, part.function.name))
    return [event for event in walker.chosen() if event.kind is not EventKind.READ or event.name not in part.left_out]


class _Walker:
    def __init__(self, source: KernelSource, part: Slice) -> None:
        self._source = source
        self._part = part
        self._found: list[_Found] = []
        self._stack: list[FunctionNode] = []
        self._guarded: list[MemoryEvent] = []
        """Unlocks at the end of the function."""
        self._statement = self._inner = ""
        self._statements: list[str] = []

    def chosen(self) -> list[MemoryEvent]:
        """Return the events between the first and the last statement that count."""
        found, part = self._found, self._part
        for words in (part.since, part.until):
            if words and not any(words in statement for statement in self._statements):
                raise NoSuchFunction(f"{part.function} has no statement with {words!r}")
        if part.since:
            first = next((n for n, f in enumerate(found) if part.since in f.statement), len(found))
            found = found[first:]
        if part.until:
            first = next((n for n, f in enumerate(found) if part.until in f.statement), len(found))
            ends = (n for n in range(first, len(found)) if found[n].number != found[first].number)
            found = found[: next(ends, len(found))]
        return [f.event for f in found if not any(w in f.inner or w in f.statement for w in part.omit)]

    # Statements

    def function(self, function: FunctionNode) -> None:
        """Walk a function from its first statement to the return."""
        if len(self._stack) == _MAX_DEPTH:
            raise NoSuchFunction(f"{function.name}() is too deep in calls of {self._part.function}")
        self._stack.append(function)
        guarded: list[MemoryEvent] = []
        self._guarded, outer = guarded, self._guarded
        statements = children(function.body)
        for _ in range(_MAX_JUMPS):
            try:
                for statement in statements:
                    self._walk(statement)
            except _Left as left:
                if left.label:
                    statements = _from_label(function, left.label)
                    continue
            break
        for event in reversed(guarded):
            self._add(event)
        self._guarded = outer
        self._stack.pop()

    def _walk(self, node: Node) -> None:
        if node.type not in ("compound_statement", "labeled_statement"):
            self._begin(node if node.type in _SIMPLE else node.child_by_field_name("condition") or node)
        match node.type:
            case "compound_statement":
                for statement in children(node):
                    self._walk(statement)
            case "labeled_statement":
                self._walk(children(node)[-1])
            case "if_statement":
                self._if(node)
            case "switch_statement":
                self._switch(node)
            case "while_statement" | "for_statement" | "do_statement":
                self._loop(node)
            case "return_statement":
                self._parts(node)
                raise _Left
            case "goto_statement":
                raise _Left(text_of(children(node)[0]))
            case "break_statement" | "continue_statement":
                raise _LoopLeft
            case _:
                self._expression(node)

    def _begin(self, node: Node) -> None:
        """Note which statement is walked, of the slice's own function and of the innermost one."""
        self._inner = _words(node)
        if len(self._stack) == 1:
            self._statement = self._inner
            self._statements.append(self._statement)

    def _if(self, node: Node) -> None:
        condition = child(node, "condition")
        words = _words(condition)
        self._expression(condition)
        consequence, alternative = child(node, "consequence"), node.child_by_field_name("alternative")
        if words not in self._part.skip and (words in self._part.enter or not _leaves(consequence)):
            self._walk(consequence)
        elif alternative is not None:
            self._walk(children(alternative)[0])

    def _switch(self, node: Node) -> None:
        """Walk the cases that are entered."""
        self._expression(child(node, "condition"))
        for case in children(child(node, "body")):
            value = case.child_by_field_name("value")
            if case.type != "case_statement" or value is None or text_of(value) not in self._part.enter:
                continue
            try:
                for statement in children(case)[1:]:
                    self._walk(statement)
            except _LoopLeft:
                return

    def _loop(self, node: Node) -> None:
        """Walk a loop once; but the body of a while that is no macro of the kernel only if its condition is entered."""
        condition = node.child_by_field_name("condition")
        if node.type == "for_statement" and (initializer := node.child_by_field_name("initializer")) is not None:
            self._expression(initializer)
        if node.type != "do_statement" and condition is not None:
            self._expression(condition)
            if _words(condition) in self._part.skip:
                return
        if node.type == "while_statement" and condition is not None and not self._is_entered(condition):
            return
        try:
            self._walk(child(node, "body"))
        except _LoopLeft:
            return
        if node.type == "do_statement" and condition is not None:
            self._begin(condition)
            self._expression(condition)

    def _is_entered(self, condition: Node) -> bool:
        inner = peel(condition)
        is_macro = inner.type == "call_expression" and re.search(r"for_each|scoped_guard", _called(inner)) is not None
        return is_macro or _words(condition) in self._part.enter

    # Expressions

    def _expression(self, node: Node) -> None:
        match node.type:
            case "call_expression":
                self._call(node)
            case "assignment_expression":
                self._assignment(node)
            case "update_expression":
                self._access(child(node, "argument"), EventKind.READ)
                self._access(child(node, "argument"), EventKind.WRITE)
            case "field_expression" | "subscript_expression" | "pointer_expression":
                if text_of(node).startswith("&"):
                    self._parts_of_place(child(node, "argument"))
                else:
                    self._access(node, EventKind.READ)
            case "gnu_asm_expression":
                self._assembly(node)
            case "sizeof_expression" | "alignof_expression" | "offsetof_expression":
                return
            case _:
                self._parts(node)

    def _parts(self, node: Node) -> None:
        for part in children(node):
            self._expression(part)

    def _parts_of_place(self, place: Node) -> None:
        """Walk what is evaluated to find a place, but not the place itself."""
        place = peel(place)
        argument = place.child_by_field_name("argument")
        if argument is None or place.type not in _PLACES:
            if place.type != "identifier":
                self._expression(place)
            return
        if place.type == "field_expression":
            if "->" in text_of(place)[len(text_of(argument)) :]:
                self._expression(argument)
            else:
                self._parts_of_place(argument)
        elif place.type == "subscript_expression":
            self._parts_of_place(argument)
            for index in children(place)[1:]:
                self._expression(index)
        else:
            self._expression(argument)

    def _access(self, place: Node, kind: EventKind, order: Order = Order.PLAIN) -> None:
        """Add an access of a place, after those that find it."""
        place = peel(place)
        self._parts_of_place(place)
        name = self._variable(place)
        if name is not None:
            self._add(MemoryEvent(kind, name, order), place)

    def _assignment(self, node: Node) -> None:
        left = child(node, "left")
        self._expression(child(node, "right"))
        if text_of(child(node, "operator")) != "=":
            self._access(left, EventKind.READ)
        self._access(left, EventKind.WRITE)

    def _call(self, node: Node) -> None:
        name, part = _called(node), self._part
        arguments = children(child(node, "arguments"))
        if name in part.calls:
            for event in part.events_of_call(name):
                self._add(event, node)
        elif name in FENCES:
            self._add(MemoryEvent(EventKind.FENCE, FENCES[name]), node)
        elif name in ACCESS_MACROS:
            self._macro(name, arguments, node)
        elif name in LOCKS or name in UNLOCKS:
            self._lock(EventKind.LOCK if name in LOCKS else EventKind.UNLOCK, arguments, node)
        elif name in SRCU:
            self._lock(SRCU[name], arguments, node)
        elif name.startswith("guard(") and name[6:-1] in GUARDS:
            self._guard(arguments, node)
        else:
            for argument in arguments:
                self._expression(argument)
            if (callee := part.inline.get(name)) is not None:
                self.function(self._source.function(*callee))

    def _macro(self, name: str, arguments: Sequence[Node], node: Node) -> None:
        macro = ACCESS_MACROS[name]
        for number, argument in enumerate(arguments):
            if number != macro.argument:
                self._expression(argument)
        place = peel(arguments[macro.argument])
        if place.type == "pointer_expression" and text_of(place).startswith("&"):
            place = peel(child(place, "argument"))
        self._parts_of_place(place)
        variable = self._variable(place, is_pointer=True)
        if variable is not None:
            self._add(MemoryEvent(macro.kind, variable, macro.order), node)
            if macro.fence_after:
                self._add(MemoryEvent(EventKind.FENCE, macro.fence_after), node)

    def _lock(self, kind: EventKind, arguments: Sequence[Node], node: Node) -> None:
        event = self._lock_event(kind, arguments, node)
        if event is not None:
            self._add(event)

    def _lock_event(self, kind: EventKind, arguments: Sequence[Node], node: Node) -> MemoryEvent | None:
        place = peel(arguments[0]) if arguments else node
        if place.type == "pointer_expression":
            place = peel(child(place, "argument"))
        name = self._variable(place, is_pointer=True)
        return (
            MemoryEvent(kind, name, place=self._place(node), function=self._stack[-1].name)
            if name is not None
            else None
        )

    def _guard(self, arguments: Sequence[Node], node: Node) -> None:
        event = self._lock_event(EventKind.LOCK, arguments, node)
        if event is not None:
            self._add(event)
            self._guarded.append(replace(event, kind=EventKind.UNLOCK))

    def _assembly(self, node: Node) -> None:
        """Add an update for each shared operand that is read and written; with a lock prefix, it is a full barrier."""
        is_locked = re.search(r"\bLOCK_PREFIX\b|\block\b", text_of(node)) is not None
        for operand in walk(node):
            if operand.type != "gnu_asm_output_operand" or "+m" not in text_of(operand):
                continue
            place = child(operand, "value")
            if is_locked:
                self._access(place, EventKind.UPDATE, Order.FULL)
            else:
                self._access(place, EventKind.READ)
                self._access(place, EventKind.WRITE)

    # Places

    def _variable(self, place: Node, is_pointer: bool = False) -> str | None:
        """Return the variable of a place; `is_pointer` if it is the address that an access is given."""
        while place.type == "subscript_expression":
            place, is_pointer = peel(child(place, "argument")), True
        if place.type == "pointer_expression":
            place, is_pointer = peel(child(place, "argument")), True
        if place.type not in ("field_expression", "identifier") or (place.type == "identifier" and not is_pointer):
            return None
        words = _words(place)
        for tracked, name in self._part.variables.items():
            if words == tracked or words.endswith((f"->{tracked}", f".{tracked}")):
                return name
        return None

    def _place(self, node: Node) -> str:
        return f"{self._stack[-1].file}:{line_of(node)}"

    def _add(self, event: MemoryEvent, node: Node | None = None) -> None:
        if node is not None:
            event = replace(event, place=self._place(node), function=self._stack[-1].name)
        self._found.append(_Found(event, self._statement, len(self._statements), self._inner))


_PLACES = {"field_expression", "subscript_expression", "pointer_expression"}
_SIMPLE = {"expression_statement", "return_statement", "declaration", "goto_statement"}


def _called(node: Node) -> str:
    """Return the name of what is called; of a call through a member, that of the member."""
    function = peel(child(node, "function"))
    if function.type == "field_expression":
        return text_of(child(function, "field"))
    return _words(function)


def _words(node: Node) -> str:
    """Return the text of a node in one line, without the parentheses around it and without marks.

    A test names statements by it, and is not to be out of date when an access is marked.
    """
    text = re.sub(r"\s+", " ", text_of(peel(node) if node.type == "parenthesized_expression" else node))
    text = re.sub(r"\bREAD_ONCE\(([^()]*)\)", r"\1", text)
    return re.sub(r"\bWRITE_ONCE\(([^(),]*), ([^()]*)\)", r"\1 = \2", text).strip()


def _leaves(node: Node) -> bool:
    """Whether a statement ends in a jump."""
    if node.type == "compound_statement":
        inside = children(node)
        return bool(inside) and _leaves(inside[-1])
    return node.type in _LEAVES


def _from_label(function: FunctionNode, label: str) -> list[Node]:
    """Return the statements of a function from a label on."""
    statements = children(function.body)
    for number, statement in enumerate(statements):
        if statement.type == "labeled_statement" and text_of(child(statement, "label")) == label:
            return statements[number:]
    raise NoSuchFunction(f"{function.name}() has no label {label} in its outermost block")
