# SPDX-License-Identifier: GPL-2.0-only
"""What the C says of a recorded access: how it is marked, and whether a condition on one access controls another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from tree_sitter import Node

from pfncache.csource.parse import children, line_of, peel, text_of, walk
from pfncache.litmus.event import EventKind, Order
from pfncache.litmus.generated.recorded import Recorded, SourceFrame
from pfncache.litmus.primitives import ACCESS_MACROS, FENCES
from pfncache.litmus.source import KernelSource, NoSuchFunction

_LEAVES = {"return_statement", "goto_statement", "break_statement", "continue_statement"}
_CONDITIONS = {"if_statement", "while_statement", "do_statement", "for_statement"}
_BLOCKS = {"compound_statement", "labeled_statement", "case_statement"}
_FULL = frozenset({"test_and_set_bit", "test_and_clear_bit", "xchg", "cmpxchg"})
_UNSEEN = {*FENCES, *_FULL} - {"rcu_read_lock", "rcu_read_unlock", "barrier"}
_MODELLED = ("kernel/locking/", "kernel/rcu/")
"""Files by hand whose functions are locks and sections of the memory model."""
_KVM = ("virt/kvm/", "arch/x86/kvm/", "include/linux/kvm", "arch/x86/include/asm/kvm")
"""Files whose structures the model has member by member."""
_KINDS = {EventKind.READ: {EventKind.READ, EventKind.UPDATE}, EventKind.WRITE: {EventKind.WRITE, EventKind.UPDATE}}


class Marks:
    """The marks and conditions of a kernel tree's C."""

    def __init__(self, source: KernelSource) -> None:
        self._source = source
        self.order = cache(self._order)
        self.controls = cache(self._controls)
        self.barriers = cache(self._barriers)

    def _order(self, event: Recorded) -> Order | None:
        """Return how an access is marked; None if the C does not say."""
        for frame in dict.fromkeys((event.stack[-1], event.frame)):
            if not (frame.cited or frame.file).startswith(_KVM):
                continue
            function = self._function(frame)
            piece = _statement(function, frame.line) if function is not None and frame.is_c else function
            found = set(_orders(piece, event)) if piece is not None else set()
            if len(found) == 1:
                return found.pop()
        return None

    def _function(self, frame: SourceFrame) -> Node | None:
        """Return the C of a frame's function; of one by hand, that which it cites."""
        try:
            if frame.is_c:
                return self._source.function_at(frame.file, frame.line).node
            return self._source.function(frame.cited, frame.function).node if frame.cited else None
        except NoSuchFunction:
            return None

    def _barriers(self, frame: SourceFrame) -> tuple[str, ...]:
        """Return the barriers in the C of a function by hand, of which an execution of the model shows nothing."""
        function = self._function(frame) if not frame.file.startswith(_MODELLED) else None
        calls = [text_of(n.children[0]) for n in walk(function) if n.type == "call_expression"] if function else []
        return tuple(name for name in calls if name in _UNSEEN)

    def _controls(self, read: Recorded, other: Recorded) -> bool:
        """Whether the C executes `other` because of a condition on `read`, which comes before it in one execution."""
        for before, after in zip(read.stack, other.stack, strict=False):
            if (before.file, before.function) != (after.file, after.function):
                return False
            if before.line != after.line:
                function = self._function(before) if before.is_c else None
                return function is not None and _controls(function, before.line, after.line, read.member)
        return False


def _statement(function: Node, line: int) -> Node | None:
    """Return the innermost statement of a function that has a line; of one with a body, what stands around the body."""
    found = None
    for node in walk(function):
        if not node.type.endswith(("_statement", "declaration")) or node.type in _BLOCKS:
            continue
        head = node.child_by_field_name("condition") or node
        if (line_of(node) if node.type != "do_statement" else line_of(head)) <= line <= head.end_point[0] + 1:
            found = head
    return found


def _orders(node: Node, event: Recorded) -> Iterator[Order]:
    """Yield the marks of the accesses to a member in a piece of C, of which some read and some write."""
    kinds = _KINDS[event.kind]
    for found in walk(node):
        if found.type != "field_expression" or text_of(found.child_by_field_name("field") or found) != event.member:
            continue
        macro = _macro(found)
        if macro is not None:
            if ACCESS_MACROS[macro].kind in kinds:
                yield ACCESS_MACROS[macro].order
        elif not _is_address(found) and event.kind in _plain_kinds(found):
            yield Order.PLAIN


def _macro(place: Node) -> str | None:
    """Return the macro or function that accesses a place, if it is the argument of one."""
    node = place
    while node.parent is not None and node.parent.type in (
        "pointer_expression", "parenthesized_expression", "argument_list", "subscript_expression", "cast_expression",
    ):  # fmt: skip
        node = node.parent
    call = node.parent
    if call is None or call.type != "call_expression" or node.type != "argument_list":
        return None
    name = text_of(call.children[0])
    if name not in ACCESS_MACROS:
        return None
    argument = children(node)[ACCESS_MACROS[name].argument]
    return name if argument.start_byte <= place.start_byte < argument.end_byte else None


def _is_address(place: Node) -> bool:
    parent = place.parent
    return parent is not None and parent.type == "pointer_expression" and text_of(parent).startswith("&")


def _plain_kinds(place: Node) -> set[EventKind]:
    """Return what a plain access does."""
    node, parent = place, place.parent
    while parent is not None and parent.type == "parenthesized_expression":
        node, parent = parent, parent.parent
    if parent is not None and parent.type == "update_expression":
        return {EventKind.READ, EventKind.WRITE}
    if parent is not None and parent.type == "assignment_expression" and parent.child_by_field_name("left") == node:
        operator = text_of(parent.child_by_field_name("operator") or parent)
        return {EventKind.WRITE} if operator == "=" else {EventKind.READ, EventKind.WRITE}
    return {EventKind.READ}


def _controls(function: Node, before: int, after: int, member: str) -> bool:
    """Whether a condition on what the statement at line `before` has read decides about the line `after`."""
    names = {name for name in _assigned(function, before, member) if name}
    for node in walk(function):
        if node.type not in _CONDITIONS:
            continue
        condition = node.child_by_field_name("condition")
        if condition is None or not line_of(condition) <= after:
            continue
        lines = range(line_of(condition), condition.end_point[0] + 2)
        if before not in lines and not (names and line_of(condition) > before and names & _words(condition)):
            continue
        if _decides(node, after):
            return True
    return False


def _assigned(function: Node, line: int, member: str) -> Iterator[str]:
    """Yield the locals that the statement at a line assigns."""
    statement = _statement(function, line)
    for node in walk(statement) if statement is not None else ():
        if node.type == "assignment_expression":
            yield text_of(peel(node.child_by_field_name("left") or node))
        elif node.type == "init_declarator":
            yield re.sub(r"\W", "", text_of(node.child_by_field_name("declarator") or node))


def _words(node: Node) -> set[str]:
    return {text_of(n) for n in walk(node) if n.type == "identifier"}


def _decides(node: Node, line: int) -> bool:
    """Whether a line is in a branch of a condition, or after one that leaves the function or the loop."""
    condition = node.child_by_field_name("condition")
    assert condition is not None
    if condition.end_point[0] + 1 < line <= node.end_point[0] + 1:
        return True
    body = node.child_by_field_name("consequence") or node.child_by_field_name("body")
    return body is not None and line > node.end_point[0] + 1 and node.type == "if_statement" and _leaves(body)


def _leaves(node: Node) -> bool:
    if node.type == "compound_statement":
        inside = children(node)
        return bool(inside) and _leaves(inside[-1])
    return node.type in _LEAVES
