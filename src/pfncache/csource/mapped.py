# SPDX-License-Identifier: GPL-2.0-only
"""Memory outside the model, such as a guest's, that C accesses through pointers derived from a mapping of a record."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from tree_sitter import Node

from pfncache.csource import pytree
from pfncache.csource.kinds import Form, Kind, Typed, kind_of_text
from pfncache.csource.parse import child, peel, text_of
from pfncache.csource.places import PlaceLayer
from pfncache.csource.tables import MappingEntry

CONTENTS = Kind(Form.OPAQUE, struct="contents of memory that is not modelled")
COPIES = {"memcpy", "memset", "memmove"}


@dataclass
class Pointer:
    """A pointer into mapped memory: the record that has the mapping, and the structure that is pointed to."""

    owner: ast.expr
    entry: MappingEntry
    struct: str = ""


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
                return self.accessed(child(node, "argument"))
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
                return Pointer(owner.tree, entry)
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

    def load(self, node: Node, place: Pointer) -> Typed:
        """Load mapped memory: a step, and a value that is known only if the tables have it."""
        self.emit(node, ast.Expr(self.fill(node, place.entry.load, [], lambda word: place.owner)))
        member = text_of(child(node, "field")) if node.type == "field_expression" else "*"
        for (struct, word), value in self.tables.mapped_values.items():
            if word == member and place.struct in ("", struct):
                return Typed(self.fill(node, value.text, []), kind_of_text(value.returns))
        return Typed(pytree.constant(0), CONTENTS)

    def store_mapped(self, node: Node, place: Pointer) -> ast.stmt:
        """Return a store to mapped memory."""
        member = text_of(child(node, "field")) if node.type == "field_expression" else "*"
        text = self.tables.mapped_stores.get((place.struct, member), place.entry.store)
        return ast.Expr(self.fill(node, text, [], lambda word: place.owner))

    def copied_memory(self, node: Node, arguments: list[Node]) -> bool:
        """Translate memcpy() and its like if an end is mapped memory, or an opaque structure."""
        target, source = self.pointer(arguments[0]), self.pointer(arguments[1])
        if source is not None:
            self.emit(node, ast.Expr(self.fill(node, source.entry.load, [], lambda word: source.owner)))
        if target is not None:
            self.emit(node, self.store_mapped(arguments[0], target))
        return target is not None or self._is_opaque_memory(arguments[0])

    def _is_opaque_memory(self, node: Node) -> bool:
        node = peel(node)
        if node.type == "pointer_expression":
            node = peel(child(node, "argument"))
        local = self.local(node)
        return local is not None and local.kind.form is Form.OPAQUE
