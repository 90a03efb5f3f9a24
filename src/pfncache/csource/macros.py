# SPDX-License-Identifier: GPL-2.0-only
"""Macros that belong to the kernel's C: error pointers, barriers, single accesses, container_of(), lists."""

from __future__ import annotations

import ast
import re

from tree_sitter import Node

from pfncache.csource import pytree
from pfncache.csource.base import IN_TABLES
from pfncache.csource.expressions import ExpressionLayer
from pfncache.csource.facts import BARRIERS, STORES
from pfncache.csource.kinds import BOOL, INT, Form, Kind, Typed, kind_of_text
from pfncache.csource.mapped import COPIES
from pfncache.csource.parse import child, line_of, peel, shown, text_of
from pfncache.csource.scope import Local

VALUE = {
    "READ_ONCE", "likely", "unlikely", "smp_load_acquire", "rcu_dereference", "data_race", "rcu_access_pointer",
    "rcu_dereference_raw", "__rcu_dereference_raw", "atomic_read", "refcount_read",
}  # fmt: skip
"""Macros whose value is that of their argument."""
STORE = {"WRITE_ONCE", "smp_store_release", "rcu_assign_pointer", "smp_store_mb", "RCU_INIT_POINTER", "atomic_set"}
NOTHING = {
    "static_assert",
    "cond_resched",
    "__acquire",
    "__release",
    "uninitialized_var",
}
LIST_CHANGES = {"list_add": "add", "list_add_tail": "add", "list_del": "remove", "list_del_init": "remove",
                "list_add_rcu": "add", "list_del_rcu": "remove"}  # fmt: skip
EXTREMES = {"min": "min", "max": "max", "min_t": "min", "max_t": "max"}
VOID = Kind(Form.VOID)


class MacroLayer(ExpressionLayer):
    """The layer for macros of the kernel's C."""

    def macro(self, node: Node, name: str, arguments: list[Node]) -> Typed | None:
        """Translate a call of a macro; None for any other function."""
        if self.tables.call(name, len(arguments)) is not None:
            return None
        if name in VALUE:
            value = self.expression(arguments[0])
            return self.value_of(value.place) if value.is_address and isinstance(value.place, Local) else value
        if name == "atomic_inc":
            return self._atomic_increment(node, arguments[0])
        if name in STORES or name == "atomic_set":
            self.before += self.stored(node, arguments[0], arguments[1])
            return Typed(pytree.constant(None), VOID)
        if name in BARRIERS:
            self.emit(node, ast.Pass())  # a line that is executed: what follows the C there finds its barriers
            return Typed(pytree.constant(None), VOID)
        if name in NOTHING:
            return Typed(pytree.constant(None), VOID)
        if name in EXTREMES:
            values = [self.expression(argument).tree for argument in arguments[-2:]]
            return Typed(pytree.call(pytree.name(EXTREMES[name]), *values))
        if name in COPIES and self.copied_memory(node, arguments):
            return Typed(pytree.constant(None), VOID)
        if name == "IS_ENABLED":
            return Typed(pytree.constant(text_of(arguments[0]) in self.tables.config), BOOL)
        if name == "container_of":
            return self._container(node, arguments)
        if name in LIST_CHANGES:
            return self._list_change(node, LIST_CHANGES[name], arguments[0])
        if name == "list_empty":
            raise self.refuse(node, f"list_empty({shown(arguments[0])})", IN_TABLES)
        return self._error_pointer(name, arguments)

    def _atomic_increment(self, node: Node, argument: Node) -> Typed:
        """Translate atomic_inc() of a counter that is a truth value in the model: it is one store then."""
        inner = peel(argument)
        place = self.expression(child(inner, "argument") if inner.type == "pointer_expression" else inner)
        if place.kind is not BOOL:
            raise self.refuse(node, f"{shown(node)!r}: a load and a store would be two steps", IN_TABLES)
        self.emit(node, pytree.assign(place.tree, pytree.constant(True)))
        return Typed(pytree.constant(None), VOID)

    def stored(self, node: Node, target: Node, value: Node) -> list[ast.stmt]:
        """Translate a store by a macro, whose target may be given by its address."""
        raise NotImplementedError

    # Errors as pointers

    def _error_pointer(self, name: str, arguments: list[Node]) -> Typed | None:
        if name == "ERR_PTR":
            number = self.expression(arguments[0])
            return Typed(pytree.constant(None), Kind(Form.ERRPTR), number.tree)
        if name not in ("IS_ERR", "IS_ERR_OR_NULL", "PTR_ERR", "PTR_ERR_OR_ZERO", "ERR_CAST"):
            return None
        value = self.expression(arguments[0])
        if value.kind.form is not Form.ERRPTR or value.error is None:
            if value.kind.form is not Form.RECORD:
                raise self.refuse(arguments[0], f"{name}({shown(arguments[0])}): it is a {value.kind}", IN_TABLES)
            value = Typed(value.tree, value.kind, pytree.constant(0))
        assert value.error is not None
        if name == "IS_ERR":
            return Typed(ast.Compare(value.error, [ast.NotEq()], [pytree.constant(0)]), BOOL)
        if name == "IS_ERR_OR_NULL":
            return Typed(ast.Compare(value.tree, [ast.Is()], [pytree.constant(None)]), BOOL)
        if name == "ERR_CAST":
            return Typed(pytree.constant(None), Kind(Form.ERRPTR), value.error)
        return Typed(value.error, INT)

    # Structures around a member, and lists

    def _container(self, node: Node, arguments: list[Node]) -> Typed:
        struct = text_of(arguments[1]).strip()
        path = re.sub(r"\s", "", text_of(arguments[2]))
        key = (struct, path) if (struct, path) in self.tables.containers else (struct, re.split(r"\W", path)[0])
        if key not in self.tables.containers:
            raise self.refuse(node, f"container_of(): struct {key[0]} around its {key[1]}", IN_TABLES)
        entry = self.tables.containers[key]
        return Typed(self.fill(node, entry.text, arguments), kind_of_text(entry.returns))

    def _list_change(self, node: Node, change: str, argument: Node) -> Typed:
        """Translate list_add() or list_del() of ``&x->member``."""
        inner = peel(argument)
        if inner.type == "pointer_expression":
            inner = peel(child(inner, "argument"))
        if inner.type != "field_expression":
            raise self.refuse(node, f"the list entry {shown(argument)!r}", "name a member of a structure")
        owner = self.expression(child(inner, "argument"))
        key = (owner.kind.record.__name__ if owner.kind.record is not None else "", text_of(child(inner, "field")))
        walk = self.tables.entries.get(key)
        text = "" if walk is None else walk.add if change == "add" else walk.remove
        if not text:
            raise self.refuse(node, f"the list by which {shown(inner)!r} is on it", IN_TABLES)
        tree = self.fill(node, text, [], lambda word: owner.tree)
        pytree.place(tree, line_of(node))
        return Typed(tree, VOID)
