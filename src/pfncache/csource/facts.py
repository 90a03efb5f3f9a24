# SPDX-License-Identifier: GPL-2.0-only
"""Facts about the text of a function, found before it is translated."""

from __future__ import annotations

from dataclasses import dataclass, field

from tree_sitter import Node

from pfncache.csource.parse import FunctionNode, child, children, peel, text_of, walk

BARRIERS = frozenset({
    "smp_mb", "smp_rmb", "smp_wmb", "mb", "rmb", "wmb", "barrier", "smp_mb__before_atomic", "smp_mb__after_atomic",
    "smp_mb__after_spinlock", "smp_mb__after_srcu_read_unlock", "smp_store_mb", "smp_load_acquire",
    "smp_store_release", "smp_acquire__after_ctrl_dep", "dma_rmb", "dma_wmb", "smp_cond_load_acquire",
})  # fmt: skip
"""Macros that order memory accesses. Each step of a search is a full barrier."""
STORES = frozenset({"WRITE_ONCE", "smp_store_release", "rcu_assign_pointer", "smp_store_mb", "RCU_INIT_POINTER"})
"""Macros that store their second argument to the first one."""
LOOPS = ("while_statement", "do_statement", "for_statement")


@dataclass
class TextFacts:
    """What a function's text shows without types."""

    barriers: tuple[str, ...] = ()
    calls: frozenset[str] = frozenset()
    assigned_from: dict[str, set[str]] = field(default_factory=dict)
    """By local: the functions whose result is assigned to it; ERR_PTR among them."""
    values: dict[str, list[Node]] = field(default_factory=dict)
    """By local: the expressions that it is assigned."""
    returned_calls: frozenset[str] = frozenset()
    """Functions whose result is returned."""
    returned_names: frozenset[str] = frozenset()
    member_stores: frozenset[tuple[str, str]] = frozenset()
    """Locals and their members that are assigned."""
    passed: frozenset[tuple[str, str, int]] = frozenset()
    """Locals, or their addresses, that are passed: local, function, position."""
    gotos: dict[str, list[Node]] = field(default_factory=dict)
    labels: dict[str, Node] = field(default_factory=dict)
    tested: frozenset[str] = frozenset()
    """Locals that are tested as a pointer, with ``!x``, ``if (x)`` or a comparison with NULL."""


def called(node: Node) -> str:
    """Return the name of the function that an expression calls directly; empty for any other expression."""
    node = peel(node)
    if node.type != "call_expression":
        return ""
    function = child(node, "function")
    while function.type == "parenthesized_expression":
        function = children(function)[0]
    return text_of(function) if function.type == "identifier" else ""


def facts_of(function: FunctionNode) -> TextFacts:
    """Return the facts of a function."""
    found = TextFacts()
    barriers: list[str] = []
    calls: set[str] = set()
    returned: set[str] = set()
    names: set[str] = set()
    stores: set[tuple[str, str]] = set()
    passed: set[tuple[str, str, int]] = set()
    tested: set[str] = set()
    for node in walk(function.body):
        match node.type:
            case "call_expression":
                _call(node, barriers, calls, passed)
                if called(node) in STORES:
                    _macro_store(node, stores)
            case "assignment_expression":
                _assignment(node, found, stores)
            case "update_expression":
                _store(peel(child(node, "argument")), stores)
            case "init_declarator":
                name, value = child(node, "declarator"), node.child_by_field_name("value")
                while name.type == "pointer_declarator":
                    name = child(name, "declarator")
                if value is not None:
                    _assigned(text_of(name), value, found)
            case "return_statement":
                for value in children(node):
                    returned |= _sources(value)
                    names |= _names(value)
            case "goto_statement":
                found.gotos.setdefault(text_of(child(node, "label")), []).append(node)
            case "labeled_statement":
                found.labels[text_of(child(node, "label"))] = node
            case "if_statement" | "unary_expression" | "binary_expression" | "conditional_expression":
                _tests(node, tested)
    found.barriers, found.calls = tuple(barriers), frozenset(calls)
    found.returned_calls, found.returned_names = frozenset(returned), frozenset(names)
    found.member_stores, found.passed, found.tested = frozenset(stores), frozenset(passed), frozenset(tested)
    return found


def _call(node: Node, barriers: list[str], calls: set[str], passed: set[tuple[str, str, int]]) -> None:
    name = called(node)
    if not name:
        return
    calls.add(name)
    if name in BARRIERS:
        barriers.append(name)
    for position, argument in enumerate(children(child(node, "arguments"))):
        inner = peel(argument)
        if inner.type == "pointer_expression":
            inner = peel(child(inner, "argument"))
        if inner.type == "identifier":
            passed.add((text_of(inner), name, position))


def _assignment(node: Node, found: TextFacts, stores: set[tuple[str, str]]) -> None:
    left = peel(child(node, "left"))
    if left.type == "identifier" and text_of(child(node, "operator")) == "=":
        _assigned(text_of(left), child(node, "right"), found)
    _store(left, stores)


def _store(left: Node, stores: set[tuple[str, str]]) -> None:
    """Note ``x->m = ...``, ``x.m = ...`` and ``*x->m = ...``."""
    if left.type == "pointer_expression":
        left = peel(child(left, "argument"))
    path: list[str] = []
    while left.type == "field_expression":
        path.insert(0, text_of(child(left, "field")))
        left = peel(child(left, "argument"))
    if path and left.type == "identifier":
        stores.add((text_of(left), path[0]))


def _macro_store(node: Node, stores: set[tuple[str, str]]) -> None:
    """Note the store of a macro to a member, or to what the address of one is given for."""
    target = peel(children(child(node, "arguments"))[0])
    if target.type == "pointer_expression":
        target = peel(child(target, "argument"))
    _store(target, stores)


def _assigned(name: str, value: Node, found: TextFacts) -> None:
    found.values.setdefault(name, []).append(value)
    sources = _sources(value)
    if sources:
        found.assigned_from.setdefault(name, set()).update(sources)


def _sources(value: Node) -> set[str]:
    """Return the functions whose results an expression may be."""
    value = peel(value)
    if value.type == "conditional_expression":
        inner = [value.child_by_field_name(n) for n in ("condition", "consequence", "alternative")]
        return set[str]().union(*(_sources(n) for n in inner[1:] if n is not None))
    name = called(value)
    return {name} if name else set()


def _names(value: Node) -> set[str]:
    value = peel(value)
    if value.type == "conditional_expression":
        inner = [value.child_by_field_name(n) for n in ("consequence", "alternative")]
        return set[str]().union(*(_names(n) for n in inner if n is not None))
    return {text_of(value)} if value.type == "identifier" else set()


def _tests(node: Node, tested: set[str]) -> None:
    candidates: list[Node] = []
    if node.type in ("if_statement", "conditional_expression"):
        candidates.append(child(node, "condition"))
    elif node.type == "unary_expression" and text_of(child(node, "operator")) == "!":
        candidates.append(child(node, "argument"))
    elif node.type == "binary_expression":
        left, right = child(node, "left"), child(node, "right")
        if text_of(child(node, "operator")) in ("&&", "||"):
            candidates += [left, right]
        elif peel(right).type == "null" or text_of(peel(right)) == "NULL":
            candidates.append(left)
    for candidate in candidates:
        inner = peel(candidate)
        if inner.type == "identifier":
            tested.add(text_of(inner))
