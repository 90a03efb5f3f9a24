# SPDX-License-Identifier: GPL-2.0-only
"""Memory outside the model, such as a guest's, that C accesses through pointers derived from a mapping of a record."""

from __future__ import annotations

import ast
import functools
from dataclasses import dataclass, replace

from tree_sitter import Node

from pfncache.csource import pytree
from pfncache.csource.kinds import BOOL, CONTENTS, Form, Kind, Typed, annotation
from pfncache.csource.parse import child, peel, shown, text_of, walk
from pfncache.csource.places import PlaceLayer
from pfncache.csource.scope import Local
from pfncache.csource.tables import MappingEntry

COPIES = {"memcpy", "memset", "memmove"}


@dataclass(frozen=True)
class Pointer:
    """A pointer into mapped memory: the record that has the mapping, and what is pointed to."""

    owner: ast.expr
    entry: MappingEntry
    kind: Kind
    """That of the record."""
    struct: str = ""
    """The structure that the pointer's type names."""
    member: str = ""
    """``struct.member`` of which it has the address."""
    is_certain: bool = True
    """If not, the owner is None where the pointer leads to a local of the function."""


class MappedLayer(PlaceLayer):
    """The layer for loads and stores of memory outside the model."""

    def pointer(self, node: Node) -> Pointer | None:
        """Return where an expression points to in mapped memory; None if it does not."""
        node = peel(node)
        match node.type:
            case "identifier":
                local = self.local(node)
                return local.pointer if local is not None else None
            case "binary_expression":
                return self.pointer(child(node, "left")) or self.pointer(child(node, "right"))
            case "pointer_expression" if text_of(child(node, "operator")) == "&":
                inner = peel(child(node, "argument"))
                found = self.accessed(inner)
                if found is None or inner.type != "field_expression" or not found.struct:
                    return found
                return replace(found, member=f"{found.struct}.{text_of(child(inner, 'field'))}")
            case "field_expression":
                return self._mapping(node)
        return None

    def _mapping(self, node: Node) -> Pointer | None:
        """Return a pointer to the memory that ``x->member`` maps."""
        word = text_of(child(node, "field"))
        if not any(key[1] == word for key in self.tables.mappings):
            return None
        owner = self.expression(child(node, "argument"))
        for record in owner.kind.record.__mro__ if owner.kind.record is not None else ():
            entry = self.tables.mappings.get((record.__name__, word))
            if entry is not None:
                return Pointer(owner.tree, entry, Kind(Form.RECORD, owner.kind.record))
        return None

    def accessed(self, node: Node) -> Pointer | None:
        """Return the place in mapped memory that an expression reads or writes; None if it is elsewhere."""
        node = peel(node)
        if node.type == "field_expression":
            base = peel(child(node, "argument"))
            return self.pointer(base) if base.type != "field_expression" else self.accessed(base) or self.pointer(base)
        if node.type == "pointer_expression" and text_of(child(node, "operator")) == "*":
            return self.pointer(child(node, "argument"))
        return self.pointer(child(node, "argument")) if node.type == "subscript_expression" else None

    def owner(self, node: Node) -> ast.expr:
        """Return the record that has the mapping which a pointer is derived from, or the structure of a member."""
        place = (self.pointer(node) or self.accessed(node)) if self.tables.mappings else None
        if place is None:
            return super().owner(node)
        if not place.is_certain:
            raise self.refuse(node, f"{shown(node)!r} may point to a local", "pass a pointer to mapped memory")
        return place.owner

    # Loads and stores

    def load(self, node: Node, place: Pointer) -> Typed:
        """Load mapped memory: a step, and a value that is known only if the tables have it."""
        self._access(node, place, place.entry.load)
        member = text_of(child(node, "field")) if node.type == "field_expression" else "*"
        for (struct, word), value in self.tables.mapped_values.items():
            if word == member and place.struct in ("", struct):
                return self.known_value(node, value)
        return Typed(pytree.constant(0), CONTENTS)

    def _access(self, node: Node, place: Pointer, text: str) -> None:
        self.emit(node, self._guarded_access(place, ast.Expr(self.fill(node, text, [], lambda word: place.owner))))

    @staticmethod
    def _guarded_access(place: Pointer, access: ast.stmt) -> ast.stmt:
        if place.is_certain:
            return access
        return ast.If(ast.Compare(place.owner, [ast.IsNot()], [pytree.constant(None)]), [access], [])

    def store_mapped(self, node: Node, place: Pointer) -> ast.stmt:
        """Return a store to mapped memory."""
        member = text_of(child(node, "field")) if node.type == "field_expression" else "*"
        text = self._store_text(place.struct, member) or place.entry.store
        return self._guarded_access(place, ast.Expr(self.fill(node, text, [], lambda word: place.owner)))

    def _store_text(self, struct: str, member: str) -> str | None:
        """Return what the tables have for a store: in this function, or anywhere."""
        function = self.signature.function.name
        for key in ((function, struct, member), (function, struct, "*"), (function, "*", "*")):
            if key in self.tables.mapped_stores_in:
                return self.tables.mapped_stores_in[key]
        return self.tables.mapped_stores.get((struct, member))

    def copied_memory(self, node: Node, arguments: list[Node]) -> bool:
        """Translate memcpy() and its like if an end is mapped memory, or an opaque structure."""
        target, source = self.pointer(arguments[0]), self.pointer(arguments[1])
        if source is not None:
            self._access(node, source, source.entry.load)
        if target is not None:
            self.emit(node, self.store_mapped(arguments[0], target))
        return target is not None or self._is_opaque_memory(arguments[0])

    def _is_opaque_memory(self, node: Node) -> bool:
        node = peel(node)
        if node.type == "pointer_expression":
            node = peel(child(node, "argument"))
        local = self.local(node)
        return local is not None and local.kind.form is Form.OPAQUE

    # Pointers that are kept

    def pointer_of(self, local: Local, word: str, right: Node) -> Pointer | None:
        """Return where a local points to in mapped memory, with the structure that its type names.

        The record with the mapping is kept in a local of its own, unless it is the same wherever the pointer is used.
        """
        if not local.type.stars or local.type.base in ("void", "char"):
            return None
        found = self.pointer(right)
        if found is None:
            return None
        if not found.is_certain:
            raise self.refuse(right, f"{shown(right)!r} may point to a local", "assign it to such a pointer alone")
        owner = found.owner
        if not (self._is_assigned_once(word) and isinstance(owner, ast.Name) and self._is_assigned_once(owner.id)):
            self.emit(right, pytree.local(local.mapping, annotation(found.kind), owner))
            owner = pytree.name(local.mapping)
        return replace(found, owner=owner, struct=local.type.base)

    def _is_assigned_once(self, word: str) -> bool:
        """Return whether a local has one value, that of a parameter or of its one assignment."""
        parameters = {parameter.name for parameter in self.signature.parameters}
        return len(self.facts.values.get(word, ())) + (word in parameters) == 1

    @functools.cached_property
    def moving(self) -> frozenset[str]:
        """Pointers that lead to mapped memory on one path, and to a local or nowhere on another."""
        mapped: set[str] = set()
        others: set[str] = set()
        words = {member for _, member in self.tables.mappings}
        values = [(name, value) for name, found in self.facts.values.items() if len(found) > 1 for value in found]
        for _ in range(len(values) + 1):
            for name, value in values:
                inside = {text_of(n) for n in walk(value) if n.type in ("identifier", "field_identifier")}
                if inside & words:
                    mapped.add(name)
                elif _is_nowhere(value) or inside & others:
                    others.add(name)
        return frozenset(mapped & others)

    def declare_moving(self, local: Local) -> None:
        """Make a local one whose place is known when the function runs."""
        (record, _member), entry = next(iter(self.tables.mappings.items()))
        kind = Kind(Form.RECORD, self.tables.scope[record])
        local.is_moving, local.kind = True, Kind(Form.GUEST)
        local.pointer = Pointer(pytree.name(local.mapping), entry, kind, local.type.base, is_certain=False)
        self.unset[local.mapping] = kind
        self.unset[local.given] = BOOL

    def moved(self, local: Local, right: Node) -> list[ast.stmt]:
        """Return the assignment to a pointer whose place is known when the function runs."""
        place, value = self.pointer(right), peel(right)
        kind = local.pointer.kind
        is_null = value.type == "null" or text_of(value) == "NULL"
        if place is None and not is_null and not _is_nowhere(value):
            raise self.refuse(right, f"{shown(right)!r} is no pointer to a guest's memory", "point to one place")
        owner = place.owner if place is not None else pytree.constant(None)
        return [
            pytree.local(local.mapping, annotation(kind), owner),
            pytree.local(local.given, annotation(BOOL), pytree.constant(not is_null)),
        ]


def _is_nowhere(value: Node) -> bool:
    """Return whether an expression is NULL, or the address of a local or of a part of one."""
    value = peel(value)
    if value.type == "null" or text_of(value) == "NULL":
        return True
    if value.type != "pointer_expression" or text_of(child(value, "operator")) != "&":
        return False
    inner = peel(child(value, "argument"))
    while inner.type == "field_expression" and text_of(child(inner, "operator")) == ".":
        inner = peel(child(inner, "argument"))
    return inner.type == "identifier"
