# SPDX-License-Identifier: GPL-2.0-only
"""User memory: structures whose address is a number, and macros that jump to a label if an access faults."""

from __future__ import annotations

import ast

from tree_sitter import Node

from pfncache.csource import pytree
from pfncache.csource.base import IN_TABLES
from pfncache.csource.kinds import BOOL, INT, Typed, annotation
from pfncache.csource.mapped import MappedLayer
from pfncache.csource.parse import child, peel, shown, text_of

SIZES = {"__u8": 1, "u8": 1, "__u16": 2, "u16": 2, "__u32": 4, "u32": 4, "__u64": 8, "u64": 8}
"""Bytes of the types of members."""
WRITTEN = "t_written"
"""The local that says whether the function has stored to user memory."""


class UserLayer(MappedLayer):
    """The layer for accesses of user memory."""

    has_written = False
    """The function needs the local WRITTEN."""

    def user_address(self, node: Node) -> ast.expr | None:
        """Return the address of a member of a structure in user memory; None for any other expression."""
        place = self._user_member(node)
        if place is None:
            return None
        base, struct, member = place
        offset = self.tables.offsets.get((struct, member))
        if offset is None:
            raise self.refuse(node, f"offsetof(struct {struct}, {member})", IN_TABLES)
        return ast.BinOp(self.expression(base).tree, ast.Add(), self.fill(node, offset.text, []))

    def user_written(self) -> ast.expr:
        """Return whether the function has stored to user memory."""
        self.has_written = True
        return pytree.name(WRITTEN)

    def address_of(self, node: Node) -> ast.expr:
        """Return the address of a member in user memory. Raises RefusedError for any other expression."""
        found = self.user_address(node)
        if found is None:
            raise self.refuse(node, f"{shown(node)!r} is no member of a structure in user memory", IN_TABLES)
        return found

    def _user_member(self, node: Node) -> tuple[Node, str, str] | None:
        """Return the pointer, the structure and the member of ``st->member``."""
        node = peel(node)
        if node.type != "field_expression" or not self.tables.user_structs:
            return None
        base = peel(child(node, "argument"))
        local = self.local(base)
        if local is None or not local.type.is_struct or local.type.base not in self.tables.user_structs:
            return None
        return base, local.type.base, text_of(child(node, "field"))

    def user_access(self, node: Node, name: str, arguments: list[Node]) -> list[ast.stmt]:
        """Translate a macro of the tables that accesses user memory."""
        entry = self.tables.user_accesses[name]
        pointer = peel(arguments[1])
        inner = child(pointer, "argument") if pointer.type == "pointer_expression" else pointer
        place, address = self._user_member(inner), self.user_address(inner)
        if place is None or address is None:
            raise self.refuse(node, f"{shown(pointer)!r} is no address in a structure of user memory", IN_TABLES)
        size = SIZES[self.program.layout.members(place[1])[place[2]].base]
        words = {"address": address, "size": pytree.constant(size)}
        if not entry.is_load:
            words["value"] = self.expression(arguments[0]).tree
        tree = self.fill(node, entry.text, [], lambda word: words[word])
        done = self.temporary(BOOL)
        assert isinstance(done.tree, ast.Name)
        jump = ast.If(pytree.negated(done.tree), self.goto(node, text_of(peel(arguments[2]))), [])
        if not entry.is_load:
            self.has_written = True
            return [
                pytree.assign(done.tree, tree), jump, pytree.local(WRITTEN, annotation(BOOL), pytree.constant(True))
            ]  # fmt: skip
        value = self.temporary(INT)
        loaded = pytree.assign(ast.Tuple([done.tree, value.tree], ast.Load()), tree)
        return [loaded, jump, self.loaded(arguments[0], value)]

    # The layers above

    def goto(self, node: Node, label: str) -> list[ast.stmt]:
        """Return a jump to a label."""
        raise NotImplementedError

    def loaded(self, target: Node, value: Typed) -> ast.stmt:
        """Return the assignment of what was loaded."""
        raise NotImplementedError
