# SPDX-License-Identifier: GPL-2.0-only
"""Assignments, and expressions whose value is not used."""

from __future__ import annotations

import ast
import re

from tree_sitter import Node

from pfncache.csource import pytree
from pfncache.csource.base import IN_TABLES
from pfncache.csource.expressions import BINARY
from pfncache.csource.facts import called
from pfncache.csource.jumps import JumpLayer
from pfncache.csource.kinds import BOOL, INT, Form, Typed, annotation
from pfncache.csource.parse import child, children, peel, shown, text_of
from pfncache.csource.scope import Local


class AssignmentLayer(JumpLayer):
    """The layer for assignments and other effects."""

    def effect(self, node: Node) -> list[ast.stmt]:
        """Translate an expression whose value is not used."""
        node = peel(node)
        match node.type:
            case "gnu_asm_expression":
                return self.assembly(node)
            case "call_expression" if called(node) in self.tables.user_accesses:
                return self.user_access(node, called(node), children(child(node, "arguments")))
            case "assignment_expression":
                return self.assignment(node)
            case "update_expression":
                return self._increment(node)
            case "comma_expression":
                return self._sequence(node)
            case "conditional_expression":
                test = self.condition(child(node, "condition"))
                yes, no = child(node, "consequence"), child(node, "alternative")
                return [ast.If(test, self._branch_effect(yes), self._branch_effect(no))]
        value = self.expression(node)
        if isinstance(value.tree, ast.Constant | ast.Name):
            return []
        after: list[ast.stmt] = []
        name = called(node)
        hook = self.tables.after.get(f"{self.signature.function.name}(): {name}") or self.tables.after.get(name)
        if hook is not None:
            after.append(ast.Expr(self.fill(node, hook.text, children(child(node, "arguments")))))
        return [ast.Expr(value.tree), *after]

    def _branch_effect(self, node: Node) -> list[ast.stmt]:
        with self.collected() as first:
            rest = self.effect(node)
        return [*first, *rest] or [ast.Pass()]

    def _sequence(self, node: Node) -> list[ast.stmt]:
        out: list[ast.stmt] = []
        for part in (child(node, "left"), child(node, "right")):
            with self.collected() as first:
                rest = self.effect(part)
            out += [*first, *rest]
        return out

    def _increment(self, node: Node) -> list[ast.stmt]:
        argument = child(node, "argument")
        operator = text_of(child(node, "operator"))
        place = self.accessed(argument)
        if place is not None:
            self.load(argument, place)
            return [self.store_mapped(argument, place)]
        if self._is_opaque(peel(argument)):
            return []
        target = self.target(argument)
        step: ast.operator = ast.Add() if operator == "++" else ast.Sub()
        if target.store is not None:
            return [self.written(node, target, ast.BinOp(target.tree, step, pytree.constant(1)))]
        statement = ast.AugAssign(pytree.stored(target.tree), step, pytree.constant(1))  # type: ignore[arg-type]
        return [statement, *self.reported(argument, operator, None)]

    def assignment(self, node: Node) -> list[ast.stmt]:
        """Translate an assignment, also one of several targets."""
        left, operator, right = peel(child(node, "left")), text_of(child(node, "operator")), child(node, "right")
        if operator != "=":
            return self._augmented(node, left, operator, right)
        targets = [left]
        while peel(right).type == "assignment_expression":
            inner = peel(right)
            targets.insert(0, peel(child(inner, "left")))
            right = child(inner, "right")
        out: list[ast.stmt] = []
        held: Typed | None = None
        if len(targets) > 1 and peel(right).type not in ("identifier", "number_literal", "true", "false", "null"):
            with self.collected() as first:
                value = self.expression(right)
                held = value if value.kind.form is Form.OPAQUE else self.temporary(value.kind)
                if held is not value:
                    self.emit(right, pytree.assign(held.tree, value.tree))
            out += first
        for target in targets:
            with self.collected() as first:
                new = self._store(target, right, held)
            out += [*first, *new]
        return out

    def _augmented(self, node: Node, left: Node, operator: str, right: Node) -> list[ast.stmt]:
        flag = self.flag(left, right) if operator in ("|=", "&=") else None
        if flag is not None:
            return [pytree.assign(flag, pytree.constant(operator == "|="))]
        place = self.accessed(left)
        if place is not None:
            self.load(left, place)
            self.expression(right)
            return [self.store_mapped(left, place)]
        if self._is_opaque(left):
            with self.collected() as first:
                self.expression(right)
            return first
        kind = BINARY.get(operator[:-1])
        target = self.target(left)
        if kind is None or not self.is_number(target.kind):
            raise self.refuse(node, f"the operator {operator} in {shown(node)!r}", "use it on numbers")
        value = self.expression(right)
        if target.kind.form is Form.BOOL:
            tree: ast.expr = ast.BinOp(target.tree, kind(), self.truth(value))
            return [self.written(node, target, self.truth(Typed(tree, INT))), *self.reported(left, "", right)]
        if not self.is_number(value.kind):
            raise self.refuse(right, f"{shown(right)!r} is no number in the model", IN_TABLES)
        if target.store is not None:
            return [self.written(node, target, ast.BinOp(target.tree, kind(), value.tree))]
        statement = ast.AugAssign(pytree.stored(target.tree), kind(), value.tree)  # type: ignore[arg-type]
        return [statement, *self.reported(left, "", right)]

    def stored(self, node: Node, target: Node, value: Node) -> list[ast.stmt]:
        """Translate a store by a macro, whose target may be given by its address."""
        inner = peel(target)
        if inner.type == "pointer_expression" and text_of(child(inner, "operator")) == "&":
            inner = peel(child(inner, "argument"))
        return self._store(inner, value)

    def _store(self, target: Node, right: Node, held: Typed | None = None) -> list[ast.stmt]:
        """Store a value; `held` is that of `right` where it has been evaluated already."""
        place = self.accessed(target)
        if place is not None:
            with self.collected() as first:
                if held is None:
                    self.expression(right)
            return [*first, self.store_mapped(target, place)]
        local = self.local(target)
        if local is not None and held is None:
            return self._store_named(local, target, right)
        if self._is_opaque(target):
            return self.evaluated(right) if held is None else []
        return self._store_at(self.target(target), target, right, held)

    def _store_named(self, local: Local, target: Node, right: Node) -> list[ast.stmt]:
        """Store to what a name is: a local, a structure, a pointer."""
        if local.is_moving:
            return self.moved(local, right)
        if local.kind.form is Form.OPAQUE or (local.type.stars and self.pointer(right) is not None):
            local.pointer = self.pointer_of(local, text_of(target), right)
            if local.pointer is not None or local.kind.form is Form.OPAQUE:
                return [] if local.pointer is not None else self.evaluated(right)
        if local.kind.form is Form.STRUCT and local.members:
            return self.copied(target, local, self.expression(right))
        if local.is_out and self._is_default(local, target, right):
            return [pytree.local(local.given, annotation(BOOL), pytree.constant(True))]
        if local.is_out:
            raise self.refuse(target, f"{shown(target)!r}, a pointer, is assigned", "assign what it points to")
        return self.store_local(right, local, self.expression(right, local.kind))

    def _store_at(self, place: Typed, target: Node, right: Node, held: Typed | None) -> list[ast.stmt]:
        owner = place.place
        if isinstance(owner, Local) and isinstance(place.tree, ast.Name):
            if place.is_address and peel(target).type == "field_expression":
                if not owner.is_out or not isinstance(self.expression(right, owner.kind).tree, ast.Constant):
                    raise self.refuse(target, f"{shown(target)!r}, a pointer, is assigned", "assign what it points to")
                return [pytree.local(owner.given, annotation(BOOL), pytree.constant(False))]
            if owner.kind.form is Form.FUNCTION:
                return self.function_stored(right, owner, right)
            if owner.kind.form is Form.STRUCT:
                return self.copied(target, owner, held or self.expression(right))
            return self.store_local(right, owner, held or self.expression(right, owner.kind))
        value = held or self.expression(right, place.kind)
        tree = self.converted(right, value, place.kind)
        return [self.written(target, place, tree), *self.reported(target, "", right)]

    def written(self, node: Node, place: Typed, value: ast.expr) -> ast.stmt:
        """Return the store of a value to a member: an assignment, or what the tables have for it."""
        if place.store is None:
            return pytree.assign(place.tree, value)
        text, owner = place.store
        return ast.Expr(self.fill(node, text, [], lambda word: owner if word == "0" else value))

    def _is_default(self, local: Local, target: Node, right: Node) -> bool:
        """Return whether a pointer to a result that is NULL gets a local to point to: ``p = p ?: &local``."""
        right = peel(right)
        if right.type != "conditional_expression" or right.child_by_field_name("consequence") is not None:
            return False
        if text_of(peel(child(right, "condition"))) != text_of(target):
            return False
        value = self.expression(child(right, "alternative"))
        return value.is_address and isinstance(value.place, Local) and value.kind == local.kind

    def _is_opaque(self, node: Node) -> bool:
        """Return whether a store is to what the model does not have: a structure, a pointer to one, a member."""
        member = text_of(child(node, "field")) if node.type == "field_expression" else ""
        base = peel(child(node, "argument")) if node.type == "field_expression" else node
        owner = self.local(base)
        if owner is not None and owner.kind.form is Form.STRUCT and member:
            given = self.program.layout.members(owner.kind.struct).get(member)
            return given is not None and self.program.kind_of(given).form is Form.OPAQUE
        while base.type == "field_expression":
            base = peel(child(base, "argument"))
        owner = self.local(base)
        if owner is not None and owner.kind.form is Form.OPAQUE:
            return True
        if node.type not in ("field_expression", "subscript_expression"):
            return False
        with self.collected():
            value = self.expression(node)
        return value.kind.form is Form.OPAQUE or value.is_content

    def evaluated(self, right: Node) -> list[ast.stmt]:
        """Keep the effects of a value that has no place in the model: its calls, and its accesses to memory."""
        inner = peel(right)
        if inner.type == "pointer_expression" and peel(child(inner, "argument")).type == "identifier":
            return []  # the address of a variable
        value = self.expression(right)
        return [ast.Expr(value.tree)] if any(isinstance(n, ast.Call) for n in ast.walk(value.tree)) else []

    def loaded(self, target: Node, value: Typed) -> ast.stmt:
        """Return the assignment of what was loaded to a local."""
        place = self.target(target)
        return pytree.assign(place.tree, value.tree)

    def store_local(self, node: Node, local: Local, value: Typed) -> list[ast.stmt]:
        """Return the assignment to a local."""
        if local.kind.form is Form.FUNCTION:
            number = self.function_number(node, value)
            return [
                pytree.assign(pytree.name(local.name), value.tree),
                pytree.assign(pytree.name(local.identity), number),
            ]
        if value.kind.form is Form.OPAQUE:
            local.kind = value.kind  # contents that are not modelled; the local cannot be tested either
            return []
        if value.is_address:
            what = f"the address {shown(node)!r} is kept in a local"
            raise self.refuse(node, what, "bind it where the local is declared")
        if value.error is not None and not local.is_error:
            raise self.refuse(
                node, f"{shown(node)!r} may be an error, and {local.name} is no pointer with an error", IN_TABLES
            )
        tree = self.converted(node, value, local.kind)
        out = [pytree.local(local.name, annotation(local.kind), tree)]
        if local.is_error:
            error = value.error if value.error is not None else pytree.constant(0)
            out.append(pytree.local(local.error, annotation(INT), error))
        return out

    def reported(self, target: Node, operator: str, right: Node | None) -> list[ast.stmt]:
        """Return what the model's reports need behind a store."""
        target = peel(target)
        if target.type != "field_expression":
            return []
        member = text_of(child(target, "field")) + operator
        if not any(key[1] == member for key in self.tables.stores):
            return []
        base = self.expression(child(target, "argument"))
        for owner in base.kind.record.__mro__ if base.kind.record is not None else ():
            hook = self.tables.stores.get((owner.__name__, member))
            if hook is not None and not (right is not None and hook.unless and re.search(hook.unless, text_of(right))):
                return [ast.Expr(self.fill(target, hook.text, [], lambda word: base.tree))]
        return []
