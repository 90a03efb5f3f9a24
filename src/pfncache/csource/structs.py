# SPDX-License-Identifier: GPL-2.0-only
"""Structures without a record in the model: each member is a local."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tree_sitter import Node

from pfncache.csource import pytree
from pfncache.csource.assembly import AssemblyLayer
from pfncache.csource.base import IN_TABLES
from pfncache.csource.kinds import BOOL, INT, Form, Kind, Typed, annotation, null_of
from pfncache.csource.parse import CType, child, children, peel, shown, text_of
from pfncache.csource.runtime import call_nothing
from pfncache.csource.scope import Local

MAX_DEPTH = 3
"""Structures inside one another that are taken apart."""


class StructLayer(AssemblyLayer):
    """The layer for structures that are taken apart."""

    def struct_local(self, node: Node, name: str, kind: Kind, depth: int = 0) -> Local:
        """Return a local for a structure, with one for each member that the model can represent."""
        members = self.program.layout.members(kind.struct)
        if not members and depth == 0:
            raise self.refuse(node, f"struct {kind.struct} is not defined in what was read", "declare it in the tables")
        local = Local(name, CType(kind.struct, True), kind)
        for word, given in members.items():
            inner = self._member(node, f"{name}_{word}", given, depth)
            if inner is not None:
                local.members[word] = inner
        return local

    def _member(self, node: Node, name: str, given: CType, depth: int) -> Local | None:
        layout = self.program.layout
        if layout.is_out(given):
            return Local(name, given, self.program.kind_of(given.pointee), is_out=True, is_member=True)
        kind = self.program.kind_of(given)
        if given.is_array or kind.form is Form.OPAQUE:
            return None
        if kind.form is Form.STRUCT:
            if depth >= MAX_DEPTH or not layout.members(kind.struct):
                return None
            return self.struct_local(node, name, kind, depth + 1)
        return Local(name, given, kind, is_member=True)

    def scalar_paths(self, local: Local, prefix: str = "") -> Iterator[tuple[str, Local]]:
        """Yield the scalars of a member, by their path with underscores below the structure."""
        for name, inner in local.members.items():
            path = f"{prefix}{name}"
            if inner.kind.form is Form.STRUCT:
                yield from self.scalar_paths(inner, f"{path}_")
            else:
                yield path, inner

    def initialised(self, node: Node, local: Local, value: Node | None) -> list[ast.stmt]:
        """Give the members of a structure their values; those that the initialiser leaves out are zero."""
        given: dict[str, Node] = {}
        for pair in children(value) if value is not None else []:
            if pair.type != "initializer_pair":
                if text_of(pair) in ("0", "NULL"):
                    continue
                raise self.refuse(pair, "a structure is initialised by position", "write .member = value")
            designators = pair.children_by_field_name("designator")
            if any(designator.type != "field_designator" for designator in designators):
                raise self.refuse(pair, f"the initialiser {shown(pair)!r}", "write .member = value")
            given[".".join(text_of(children(d)[0]) for d in designators)] = child(pair, "value")
        out: list[ast.stmt] = []
        for word, inner in local.members.items():
            out += self._member_value(node, inner, given.pop(word, None), value is not None)
            for path in [path for path in given if path.startswith(f"{word}.")]:  # .member.inner = value
                deep = inner.members.get(path.removeprefix(f"{word}."))
                if deep is not None:
                    out += self._member_value(node, deep, given.pop(path), True)
        if given:
            raise self.refuse(node, f"struct {local.kind.struct} has no {', '.join(given)} here", "declare the member")
        return out

    def _member_value(self, node: Node, local: Local, value: Node | None, is_zeroed: bool) -> list[ast.stmt]:
        if local.kind.form is Form.STRUCT:
            if value is not None and value.type != "initializer_list":
                return self.copied(node, local, self.expression(value))
            inner = value if value is not None else None
            if inner is None and is_zeroed:
                return [s for m in local.members.values() for s in self._member_value(node, m, None, True)]
            return self.initialised(node, local, inner)
        if local.is_out:
            return self._pointer_value(node, local, value)
        if local.kind.form is Form.FUNCTION:
            return self.function_stored(node, local, value)
        if value is None and not is_zeroed:
            self.unset[local.name] = local.kind
            return []
        with self.collected() as first:
            typed = self.expression(value, local.kind) if value is not None else Typed(null_of(local.kind), local.kind)
            tree = self.converted(value or node, typed, local.kind)
        return [*first, pytree.local(local.name, annotation(local.kind), tree)]

    def _pointer_value(self, node: Node, local: Local, value: Node | None) -> list[ast.stmt]:
        """Bind a member that is a pointer to a result: to a local, or to nothing."""
        if value is not None and not (peel(value).type == "null" or text_of(peel(value)) == "NULL"):
            typed = self.expression(value)
            if not typed.is_address or not isinstance(typed.place, Local):
                raise self.refuse(value, f"{shown(value)!r} is no address of a local", "point to a local")
            local.target = typed.place
            return []
        local.target = None
        return [
            pytree.local(local.name, annotation(local.kind), null_of(local.kind)),
            pytree.local(local.given, annotation(BOOL), pytree.constant(False)),
        ]

    def function_stored(self, node: Node, local: Local, value: Node | None) -> list[ast.stmt]:
        """Store a function in a member."""
        typed = self.expression(value) if value is not None else Typed(pytree.constant(None), INT)
        number = self.function_number(value or node, typed)
        if typed.kind.form is not Form.FUNCTION and not isinstance(typed.tree, ast.Constant):
            raise self.refuse(value or node, f"{shown(value or node)!r} is no function", IN_TABLES)
        tree = typed.tree if typed.kind.form is Form.FUNCTION else pytree.name(call_nothing.__name__)
        return [pytree.assign(pytree.name(local.name), tree), pytree.assign(pytree.name(local.identity), number)]

    def copied(self, node: Node, local: Local, value: Typed) -> list[ast.stmt]:
        """Copy a structure."""
        source = value.place
        if not isinstance(source, Local) or source.kind != local.kind:
            raise self.refuse(node, f"a struct {local.kind.struct} gets another type", "correct the type")
        out: list[ast.stmt] = []
        for target, origin in zip(local.scalars(), source.scalars(), strict=True):
            if target.kind.form is Form.FUNCTION or target.is_out:
                raise self.refuse(node, f"a copy of struct {local.kind.struct}, which has pointers", "copy its members")
            out.append(pytree.local(target.name, annotation(target.kind), pytree.name(origin.name)))
        return out
