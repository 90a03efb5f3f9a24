# SPDX-License-Identifier: GPL-2.0-only
"""Members, locals and what pointers point to."""

from __future__ import annotations

import ast

from tree_sitter import Node

from pfncache.csource import pytree
from pfncache.csource.base import IN_TABLES, Base
from pfncache.csource.kinds import Form, Kind, Typed, add_member, kind_of_text, member_kind
from pfncache.csource.parse import child, peel, shown, text_of
from pfncache.csource.scope import Local
from pfncache.csource.tables import MemberEntry, NameEntry
from pfncache.lang.records import Record


class PlaceLayer(Base):
    """The layer for names, members and addresses."""

    def local(self, node: Node) -> Local | None:
        """Return the local that an expression names; None for any other expression."""
        node = peel(node)
        return self.scopes.find(text_of(node)) if node.type == "identifier" else None

    def of_local(self, local: Local) -> Typed:
        """Return what the name of a local is: its value, or for a parameter that returns a result, an address."""
        if local.target is not None or local.is_out:
            return Typed(pytree.name(local.name), local.kind, place=local.target or local, is_address=True)
        return self.value_of(local)

    def value_of(self, local: Local) -> Typed:
        """Return the value of a local; of a parameter that returns a result, that of the result."""
        if local.is_moving:
            return Typed(pytree.name(local.given), local.kind, place=local)
        if local.is_error:
            return Typed(pytree.name(local.name), Kind(Form.ERRPTR, local.kind.record), pytree.name(local.error), local)
        return Typed(pytree.name(local.name), local.kind, place=local)

    def identifier(self, node: Node, wanted: Kind | None) -> Typed:
        """Translate a name: a local, an entry of the tables, a constant."""
        word = text_of(node)
        local = self.scopes.find(word)
        if local is not None:
            return self.of_local(local)
        if word == "NULL":
            return self.null(wanted)
        if word in self.tables.names:
            return self.known_value(node, self.tables.names[word])
        if isinstance(self.tables.scope.get(word), int):
            return Typed(pytree.name(word))
        if word in self.program.constants:
            return Typed(pytree.constant(self.program.constants[word]))
        if word in self.program.signatures:
            return self.function(word, node)
        raise self.refuse(node, f"the model has no {word}", IN_TABLES)

    def known_value(self, node: Node, entry: NameEntry) -> Typed:
        """Return the value that the tables have for what is not modelled."""
        return Typed(self.fill(node, entry.text, []), kind_of_text(entry.returns), is_content=True)

    def function(self, word: str, node: Node) -> Typed:
        """Return a C function as a value."""
        self.note_call(word, node)
        return Typed(pytree.method(self.program.signatures[word].method), Kind(Form.FUNCTION, struct=word))

    def note_call(self, word: str, node: Node) -> None:
        """Record that the function refers to another C function."""
        self.calls.setdefault(word, node.start_point[0] + 1)

    def null(self, wanted: Kind | None) -> Typed:
        """Return NULL: None for a record, 0 for an address."""
        if wanted is not None and wanted.form in (Form.RECORD, Form.ERRPTR):
            return Typed(pytree.constant(None), Kind(Form.RECORD, wanted.record))
        if wanted is not None and self.is_number(wanted):
            return Typed(pytree.constant(0))
        return Typed(pytree.constant(None), Kind(Form.RECORD))

    # Members

    def field(self, node: Node) -> Typed:
        """Translate ``a->b.c``: by the tables, by the record's own member, or by the joined names."""
        path: list[str] = []
        base = node
        while base.type == "field_expression":
            path.insert(0, text_of(child(base, "field")))
            base = peel(child(base, "argument"))
            if base.type == "pointer_expression" and text_of(child(base, "operator")) in ("&", "*"):
                base = peel(child(base, "argument"))
        return self.members_of(node, self.expression(base), path)

    def members_of(self, node: Node, value: Typed, path: list[str]) -> Typed:
        """Return the member that a path leads to from a value."""
        while path:
            if value.kind.form is Form.OPAQUE:
                known = self.tables.mapped_values.get((value.kind.struct, path[-1]))
                return self.known_value(node, known) if known else Typed(pytree.constant(0), value.kind)
            if value.kind.form is Form.STRUCT:
                value, path = self._struct_member(node, value, path)
            elif value.kind.form in (Form.RECORD, Form.ERRPTR) and value.kind.record is not None:
                value, path = self._record_member(node, value, path)
            else:
                raise self.refuse(
                    node, f"{shown(node)!r}: nothing is known of what {'.'.join(path)} is a member of", IN_TABLES
                )
        return value

    def _struct_member(self, node: Node, value: Typed, path: list[str]) -> tuple[Typed, list[str]]:
        local = value.place
        if not isinstance(local, Local) or path[0] not in local.members:
            known = ", ".join(local.members) if isinstance(local, Local) else "none"
            raise self.refuse(
                node, f"struct {value.kind.struct} has no member {path[0]} (it has {known})", "declare the member"
            )
        inner = local.members[path[0]]
        return self.of_local(inner), path[1:]

    def _record_member(self, node: Node, value: Typed, path: list[str]) -> tuple[Typed, list[str]]:
        record = value.kind.record
        assert record is not None
        for count in range(len(path), 0, -1):
            for name in (owner.__name__ for owner in record.__mro__):
                entry = self.tables.members.get((name, ".".join(path[:count])))
                if entry is not None:
                    return self._entry(node, entry, value), path[count:]
            joined = "_".join(path[:count])
            kind = member_kind(record, joined)
            if kind is not None:
                return Typed(pytree.member(value.tree, joined), kind), path[count:]
        for name in (owner.__name__ for owner in record.__mro__):
            if (name, path[0]) in self.tables.opaque_members:
                return Typed(pytree.constant(0), Kind(Form.OPAQUE, struct=f"{name}.{path[0]}")), []
        if path[0] in self.tables.transparent:
            return value, path[1:]
        added = self.added_member(node, record, path[0])
        if added is not None:
            return Typed(pytree.member(value.tree, path[0]), added), path[1:]
        raise self.refuse(node, f"the model's {record.__name__} has no member {'.'.join(path)}", IN_TABLES)

    def _entry(self, node: Node, entry: MemberEntry, value: Typed) -> Typed:
        tree = self.fill(node, entry.text, [], lambda word: value.tree)
        found = Typed(tree, kind_of_text(entry.returns), place=value.place)
        if entry.store:
            found.store = (entry.store, value.tree)
        return found

    def added_member(self, node: Node, record: type[Record], name: str) -> Kind | None:
        """Return the kind of a member that the series adds to a structure, and add it to the record; None for another.

        A member that the unpatched kernel has, too, and the model has not, has a value that the model does not know.
        """
        given = self.program.added.get((record.__name__, name))
        if given is None:
            return None
        kind = self.program.kind_of(given)
        is_scalar = self.is_number(kind) or (kind.form is Form.RECORD and given.stars == 1)
        if not is_scalar or given.is_array or given.stars > 1:
            what = f"the series adds {name} of the type {given}{'[]' * given.is_array} to the model's {record.__name__}"
            raise self.refuse(node, what, "add a truth value, a number, or a pointer to a structure of the model")
        add_member(record, name, kind)
        return kind

    # Addresses

    def address(self, node: Node) -> Typed:
        """Translate ``&x``: a record's part is the same expression, and of a local the place is known."""
        inner = peel(child(node, "argument"))
        in_user = self.user_address(inner)
        if in_user is not None:
            return Typed(in_user)
        if inner.type in ("field_expression", "subscript_expression"):
            value = self.expression(inner)
            local = value.place
            if isinstance(local, Local) and local.is_member and local.kind.form is Form.RECORD and not local.is_out:
                return Typed(pytree.name(local.name), local.kind, place=local, is_address=True)  # of a pointer
            if value.kind.form in (Form.RECORD, Form.STRUCT, Form.OPAQUE, Form.TUPLE):
                return value
            return Typed(value.tree, value.kind, place=value.place or value.tree)
        local = self.local(inner)
        if local is not None:
            return Typed(pytree.name(local.name), local.kind, place=local, is_address=True)
        if text_of(inner) in self.tables.names:
            return self.expression(inner)
        raise self.refuse(node, f"the address {shown(node)!r}", "use a local, or a member")

    def user_address(self, node: Node) -> ast.expr | None:
        """Return the address of a member of a structure in user memory; by the layer above."""
        raise NotImplementedError

    def pointed(self, node: Node) -> Typed:
        """Translate ``*p``: p is a parameter for a result, or a pointer whose target is known."""
        inner = peel(child(node, "argument"))
        value = self.expression(inner)
        local = value.place
        if isinstance(local, Local) and (value.is_address or local.kind.form is Form.STRUCT):
            return self.value_of(local)
        if value.kind.form is Form.RECORD:
            return value
        raise self.refuse(node, f"{shown(node)!r} reads through a pointer", "read a parameter for a result so")

    def target(self, node: Node) -> Typed:
        """Translate an expression that is assigned to."""
        node = peel(node)
        if node.type == "identifier":
            local = self.local(node)
            if local is None:
                raise self.refuse(node, f"{text_of(node)} is a variable outside the function", IN_TABLES)
            return self.of_local(local)
        if node.type == "pointer_expression" and text_of(child(node, "operator")) == "*":
            return self.pointed(node)
        if node.type in ("field_expression", "subscript_expression"):
            value = self.field(node) if node.type == "field_expression" else self.element(node)
            if value.store is not None or isinstance(value.tree, ast.Attribute | ast.Name):
                return value
        raise self.refuse(node, f"{shown(node)!r} cannot be assigned", "assign a local, or a scalar of a record")

    def element(self, node: Node) -> Typed:
        """Translate ``a[i]``: by the tables, or as an element of a tuple of the model."""
        array, index = peel(child(node, "argument")), self.expression(child(node, "index"))
        word = text_of(child(array, "field")) if array.type == "field_expression" else ""
        if any(key[1] == word for key in self.tables.elements):
            base = self.expression(child(array, "argument"))
            for owner in base.kind.record.__mro__ if base.kind.record is not None else ():
                entry = self.tables.elements.get((owner.__name__, word))
                if entry is not None:
                    tree = self.fill(node, entry.text, [], {"0": base.tree, "1": index.tree}.__getitem__)
                    found = Typed(tree, kind_of_text(entry.returns))
                    if entry.store:
                        found.store = (entry.store, base.tree)
                    return found
        value = self.expression(array)
        if value.kind.form is Form.OPAQUE:
            return Typed(pytree.constant(0), value.kind)
        if value.kind.form is not Form.TUPLE:
            raise self.refuse(node, f"{shown(node)!r} is no array of the model", IN_TABLES)
        return Typed(ast.Subscript(value.tree, index.tree, ast.Load()), Kind(Form.RECORD, value.kind.record))

    def flag(self, left: Node, right: Node) -> ast.expr | None:
        """Return the field that stands for ``x->flags & FLAG``; None if the tables have none."""
        left, right = peel(left), peel(right)
        if right.type == "unary_expression" and text_of(child(right, "operator")) == "~":
            right = peel(child(right, "argument"))
        if left.type != "field_expression" or right.type != "identifier":
            return None
        member, word = text_of(child(left, "field")), text_of(right)
        if not any(entry[1:] == (member, word) for entry in self.tables.flags):
            return None
        base = self.expression(child(left, "argument"))
        for owner in base.kind.record.__mro__ if base.kind.record is not None else ():
            known = self.tables.flags.get((owner.__name__, member, word))
            if known is not None:
                return pytree.member(base.tree, known)
        return None
