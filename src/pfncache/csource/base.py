# SPDX-License-Identifier: GPL-2.0-only
"""The lowest layer of the translation of one function: its state, its errors, and the filling of the tables' texts."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tree_sitter import Node

from pfncache.csource import pytree
from pfncache.csource.errors import RefusedError
from pfncache.csource.kinds import Form, Kind, Typed, kind_of_text
from pfncache.csource.parse import child, line_of, peel, shown
from pfncache.csource.program import CProgram, Signature
from pfncache.csource.scope import Local, Scopes

IN_TABLES = "enter it in the tables"


@dataclass
class Translated:
    """A function in the modelling language, not yet compiled."""

    tree: ast.FunctionDef
    calls: dict[str, int] = field(default_factory=dict)
    """C functions of the program that it calls, with the line of the first call."""
    needed: dict[str, int] = field(default_factory=dict)
    """Functions of the model that it calls, with the line of the first call."""


class Base:
    """The translation of one function."""

    def __init__(self, program: CProgram, signature: Signature) -> None:
        self.program, self.signature = program, signature
        self.tables, self.facts = program.tables, signature.facts
        self.scopes = Scopes(program.tables.scope)
        self.before: list[ast.stmt] = []
        """Statements that the expression that is being translated needs to be executed before it."""
        self.calls: dict[str, int] = {}
        self.needed: dict[str, int] = {}
        self.unset: dict[str, Kind] = {}
        """Locals that are declared without a value, by their Python name."""
        self._temporaries = 0
        self.line = signature.function.line
        """The line of the expression that is being translated."""

    def refuse(self, node: Node, what: str, hint: str) -> RefusedError:
        """Return the error that refuses the function for a construct."""
        return RefusedError(line_of(node), what, hint)

    def temporary(self, kind: Kind) -> Typed:
        """Return a new local that C does not have."""
        self._temporaries += 1
        return Typed(pytree.name(f"t_{self._temporaries}"), kind)

    def emit(self, node: Node, *statements: ast.stmt) -> None:
        """Add statements that are executed before the expression that is being translated."""
        for statement in statements:
            pytree.place(statement, line_of(node))
        self.before += statements

    def has_value(self, name: str) -> ast.expr:
        """Return whether a local has a value: the name of its flag, which guard_unset() may replace by True."""
        return pytree.name(f"{name}_set") if name in self.unset else pytree.constant(True)

    @contextmanager
    def collected(self) -> Iterator[list[ast.stmt]]:
        """Collect what expressions in the block need to be executed before them."""
        saved, self.before = self.before, []
        try:
            yield self.before
        finally:
            self.before = saved

    # The layers above

    def expression(self, node: Node, wanted: Kind | None = None) -> Typed:
        """Translate an expression; `wanted` decides what NULL becomes."""
        raise NotImplementedError

    def truth(self, value: Typed) -> ast.expr:
        """Return whether a value is not zero, and not NULL."""
        raise NotImplementedError

    # Texts of the tables

    def fill(
        self, node: Node, text: str, arguments: list[Node], own: Callable[[str], ast.expr] | None = None
    ) -> ast.expr:
        """Fill a text of the tables with the arguments of a call."""
        cache: dict[str, ast.expr] = {}

        def argument(word: str) -> ast.expr:
            if word not in cache:
                cache[word] = self._argument(node, word, arguments, own)
            return cache[word]

        tree = pytree.filled(text, argument)
        for inner in ast.walk(tree):
            if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id == "self":
                self.needed.setdefault(inner.attr, line_of(node))
        return tree

    def _argument(
        self, node: Node, word: str, arguments: list[Node], own: Callable[[str], ast.expr] | None
    ) -> ast.expr:
        if word.startswith("struct:"):
            return self.pointer_to(node, word.removeprefix("struct:"))
        if word.startswith("local:"):
            return self.local_named(node, word.removeprefix("local:"))
        if word == "written":
            return self.user_written()
        if own is not None:
            return own(word)
        number, _, rest = word.partition(":")
        place, _, member = number.partition(".")
        if not place.isdigit():
            raise self.refuse(node, f"the table's placeholder {{{word}}} is unknown", "correct the table")
        if int(place) >= len(arguments):
            raise self.refuse(
                node, f"{shown(node)!r} has {len(arguments)} arguments, the table expects more", "correct the table"
            )
        given = arguments[int(place)]
        if rest == "text":
            return ast.Constant(shown(given))
        if rest == "truth":
            return self.truth(self.expression(given))
        if rest == "owner":
            return self.owner(given)
        if rest == "address":
            return self.address_of(given)
        if member:
            return self.struct_member(given, member)
        return self.expression(given).tree

    def user_written(self) -> ast.expr:
        """Return whether the function has stored to user memory; by a layer above."""
        raise NotImplementedError

    def address_of(self, node: Node) -> ast.expr:
        """Return the address of a member in user memory; by a layer above."""
        raise NotImplementedError

    def owner(self, node: Node) -> ast.expr:
        """Return the structure of which an expression is the address of a member."""
        inner = peel(node)
        if inner.type == "pointer_expression":
            inner = peel(child(inner, "argument"))
        if inner.type != "field_expression":
            raise self.refuse(node, f"{shown(node)!r} is no address of a member", IN_TABLES)
        while inner.type == "field_expression":
            inner = peel(child(inner, "argument"))
        return self.expression(inner).tree

    def pointer_to(self, node: Node, struct: str) -> ast.expr:
        """Return the local that points to a structure, for the reports of the model."""
        local = self.scopes.pointing_to(struct)
        if local is None:
            raise self.refuse(node, f"no local points to a struct {struct}, which the model's reports need", IN_TABLES)
        return pytree.name(local.name)

    def local_named(self, node: Node, word: str) -> ast.expr:
        """Return a local by its name, for the reports of the model."""
        local = self.scopes.find(word)
        if local is None:
            raise self.refuse(node, f"there is no local {word}, which the model's reports need", IN_TABLES)
        return pytree.name(local.name)

    def struct_of(self, node: Node) -> Local:
        """Return the structure that an argument is, or points to, as a local."""
        local = self.expression(node).place
        if not isinstance(local, Local) or local.kind.form is not Form.STRUCT:
            raise self.refuse(node, f"{shown(node)!r} is no local structure", IN_TABLES)
        return local

    def struct_member(self, node: Node, member: str) -> ast.expr:
        """Return a member of the structure that an argument is, or points to."""
        local = self.expression(node).place
        inner: Any = local
        for word in member.split("."):
            if not isinstance(inner, Local) or word not in inner.members:
                raise self.refuse(node, f"{shown(node)!r} has no member {member} here", IN_TABLES)
            inner = inner.members[word]
        return pytree.name(inner.name)

    @staticmethod
    def kind_of_text(text: str) -> Kind:
        """Return the kind that a table's entry names."""
        return kind_of_text(text)

    @staticmethod
    def is_number(kind: Kind) -> bool:
        """Return whether values of the kind are numbers."""
        return kind.form in (Form.INT, Form.BOOL)
