# SPDX-License-Identifier: GPL-2.0-only
"""Calls: of functions that are translated too, of the tables, and of the model's functions by their name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from inspect import unwrap
from typing import get_type_hints

from tree_sitter import Node

from pfncache.csource import pytree
from pfncache.csource.base import IN_TABLES
from pfncache.csource.facts import called
from pfncache.csource.kinds import BOOL, INT, Form, Kind, Typed, kind_of_hint, kind_of_text, null_of
from pfncache.csource.macros import MacroLayer
from pfncache.csource.parse import child, children, line_of, peel, shown, text_of
from pfncache.csource.program import Parameter, Signature
from pfncache.csource.runtime import call_nothing
from pfncache.csource.scope import Local
from pfncache.csource.tables import CallEntry
from pfncache.lang.records import Record


@dataclass
class Arguments:
    """The arguments of a call, and where its further results go."""

    given: list[ast.expr] = field(default_factory=list)
    keywords: list[ast.keyword] = field(default_factory=list)
    results: list[ast.expr] = field(default_factory=list)
    flags: list[ast.expr] = field(default_factory=list)
    """Where it goes whether each of the further results has a value."""

    def flag(self, word: str, tree: ast.expr) -> None:
        """Pass whether a local that is passed has a value, unless it certainly has."""
        if not isinstance(tree, ast.Constant):
            self.keywords.append(ast.keyword(word, tree))

    def result(self, target: ast.expr, flag: ast.expr) -> None:
        """Add a further result."""
        self.results.append(target)
        self.flags.append(flag)


class CallLayer(MacroLayer):
    """The layer for calls."""

    def call(self, node: Node) -> Typed:
        """Translate a call."""
        name, arguments = called(node) or self._made(node), children(child(node, "arguments"))
        if not name:
            return self._indirect(node, arguments)
        if len(arguments) == 1 and self._is_cast(child(node, "function"), name):
            return self.expression(arguments[0])
        return self.named_call(node, name, arguments)

    def _made(self, node: Node) -> str:
        """Return the name that a macro makes, as in ``kvm_x86_call(name)(x)``; empty for another call."""
        maker = child(node, "function")
        prefix = self.tables.call_makers.get(called(maker)) if maker.type == "call_expression" else None
        return prefix + text_of(children(child(maker, "arguments"))[0]) if prefix is not None else ""

    def _is_cast(self, function: Node, name: str) -> bool:
        """Return whether a call is a cast in the eyes of a parser that knows no types: ``(gfn_t)(x)``."""
        return function.type == "parenthesized_expression" and self.names_type(name)

    def named_call(self, node: Node, name: str, arguments: list[Node]) -> Typed:
        """Translate a call of a function by its name."""
        of_member = self._entry_of_member(name, arguments)
        if of_member is not None:
            return self._entered(node, of_member, arguments)
        special = self.macro(node, name, arguments)
        if special is not None:
            return special
        self._hook(node, name, arguments)
        signature = self.program.signatures.get(name)
        if signature is not None:
            return self._translated(node, signature, arguments)
        entry = self._entry_on(name, arguments) or self.tables.call(name, len(arguments))
        if entry is not None:
            return self._entered(node, entry, arguments)
        return self._of_model(node, name, arguments)

    def _hook(self, node: Node, name: str, arguments: list[Node]) -> None:
        hook = self.tables.before.get(name)
        words = pytree.placeholders(hook.text) if hook is not None else []
        structs = [w.removeprefix("struct:") for w in words if w.startswith("struct:")]
        if hook is not None and all(self.scopes.pointing_to(s) is not None for s in structs):
            self.emit(node, ast.Expr(self.fill(node, hook.text, arguments)))

    # Entries of the tables

    def _entry_on(self, name: str, arguments: list[Node]) -> CallEntry | None:
        """Return the entry for a call on the record that the first argument is; None if there is none."""
        if not arguments or not any(key[0] == name for key in self.tables.calls_on):
            return None
        record = self._record_of(arguments[0])
        return self.tables.calls_on.get((name, record.__name__)) if record is not None else None

    def _record_of(self, argument: Node) -> type[Record] | None:
        """Return the record that an argument is, or points to, or of which it is the size."""
        inner = peel(argument)
        if inner.type == "sizeof_expression" and inner.child_by_field_name("value") is not None:
            inner = peel(child(inner, "value"))
        if inner.type == "pointer_expression" and self.local(child(inner, "argument")) is not None:
            inner = peel(child(inner, "argument"))
        local = self.local(inner)
        return local.kind.record if local is not None else self.expression(argument).kind.record

    def _entry_of_member(self, name: str, arguments: list[Node]) -> CallEntry | None:
        """Return the entry for a call with the address of a member; None if there is none."""
        if not any(key[0] == name for key in self.tables.member_calls):
            return None
        found = (self.tables.member_calls.get((name, self._member_of(argument))) for argument in arguments)
        return next((entry for entry in found if entry is not None), None)

    def _member_of(self, argument: Node) -> str:
        """Return ``owner.member`` of which an argument is the address, or the array; empty for another argument."""
        place = self.pointer(argument)
        if place is not None:
            return place.member
        inner = peel(argument)
        if inner.type == "pointer_expression":
            inner = peel(child(inner, "argument"))
        if inner.type != "field_expression":
            return ""
        with self.collected():
            owner = self.expression(child(inner, "argument")).kind.record
        return f"{owner.__name__}.{text_of(child(inner, 'field'))}" if owner is not None else ""

    def _entered(self, node: Node, entry: CallEntry, arguments: list[Node]) -> Typed:
        if not entry.text:
            for argument in arguments:
                self._evaluate(argument)
            return Typed(pytree.constant(None), Kind(Form.VOID))
        used = {word[0] for word in pytree.placeholders(entry.text)}
        for number, argument in enumerate(arguments):
            if str(number) not in used:
                self._evaluate(argument)
        kind = kind_of_text(entry.returns)
        tree = self.fill(node, entry.text, arguments)
        if not entry.results and kind.form is not Form.ERRPTR:
            return Typed(tree, kind)
        targets = [self._result_place(node, text, arguments) for text in entry.results]
        return self._bound(node, tree, kind, targets)

    def _evaluate(self, argument: Node) -> None:
        """Keep the effects of an argument that is not used: a call, or an assignment."""
        if peel(argument).type in ("call_expression", "assignment_expression", "update_expression"):
            self.before += self.effect(argument)

    def _result_place(self, node: Node, text: str, arguments: list[Node]) -> ast.expr:
        number, arrow, member = text.partition("->") if "->" in text else text.partition(".")
        if int(number) >= len(arguments):
            raise self.refuse(
                node, f"{shown(node)!r} has {len(arguments)} arguments, the table expects more", "correct the table"
            )
        argument = arguments[int(number)]
        if not member:
            return self._out_target(argument)
        inner = self.struct_of(argument).members.get(member)
        if inner is None:
            raise self.refuse(node, f"{shown(argument)!r} has no member {member}", "declare the member")
        if arrow == "->":
            return pytree.name(inner.name)
        if inner.target is None and not inner.is_out:
            return pytree.name(self.discarded())
        return pytree.name((inner.target or inner).name)

    def discarded(self) -> str:
        """Return the name of a local for a result that C does not take."""
        tree = self.temporary(INT).tree
        assert isinstance(tree, ast.Name)
        return tree.id

    def _out_target(self, argument: Node) -> ast.expr:
        """Return what an argument for a result points to."""
        if peel(argument).type == "null" or text_of(peel(argument)) == "NULL":
            return pytree.name(self.discarded())
        value = self.expression(argument)
        if value.is_address and isinstance(value.place, Local):
            return pytree.name(value.place.name)
        raise self.refuse(argument, f"{shown(argument)!r} receives a result", "pass the address of a local")

    def _bound(self, node: Node, tree: ast.expr, kind: Kind, targets: list[ast.expr]) -> Typed:
        """Execute a call that returns a tuple before the expression; return its first value."""
        found = Typed(pytree.constant(None), kind)
        values: list[ast.expr] = []
        if kind.form is Form.STRUCT:
            place = self.struct_local(node, self.discarded(), kind)
            found = Typed(pytree.name(place.name), kind, place=place)
            values = [pytree.name(local.name) for local in place.scalars()]
        elif kind.form is not Form.VOID:
            found = self.temporary(kind)
            values = [found.tree]
        if kind.form is Form.ERRPTR:
            found.error = self.temporary(INT).tree
            values.append(found.error)
        values += targets
        if not values:
            self.emit(node, ast.Expr(tree))
        elif len(values) == 1:
            self.emit(node, pytree.assign(values[0], tree))
        else:
            self.emit(node, pytree.assign(ast.Tuple(values, ast.Load()), tree))
        return found

    # Functions that are translated too

    def _translated(self, node: Node, signature: Signature, arguments: list[Node]) -> Typed:
        name = signature.function.name
        if len(arguments) != len(signature.parameters):
            what = f"{name}() takes {len(signature.parameters)} arguments, the call has {len(arguments)}"
            raise self.refuse(node, what, "correct the call")
        self.note_call(name, node)
        passed_on = Arguments()
        for parameter, argument in zip(signature.parameters, arguments, strict=True):
            self._argument_of(parameter, argument, passed_on)
        tree = ast.Call(pytree.method(signature.method), passed_on.given, passed_on.keywords)
        if signature.is_plain:
            return Typed(tree, signature.result)
        return self._bound(node, tree, signature.result, passed_on.results + passed_on.flags)

    def _argument_of(self, parameter: Parameter, argument: Node, passed_on: Arguments) -> None:
        if parameter.is_out:
            self._out_argument(parameter, argument, passed_on)
        elif parameter.kind.form is Form.STRUCT:
            is_null = peel(argument).type == "null" or text_of(peel(argument)) == "NULL"
            if parameter.is_nullable:
                passed_on.given.append(self._given(argument, is_null))
            if parameter.is_nullable and is_null:
                self._null_struct(argument, parameter, passed_on)
                return
            local = self.struct_of(argument)
            if local.kind != parameter.kind:
                raise self.refuse(
                    argument, f"{shown(argument)!r} is a {local.kind}, not a {parameter.kind}", "correct the type"
                )
            self._struct_argument(parameter, local, passed_on)
        elif parameter.kind.form is Form.FUNCTION:
            value = self.expression(argument)
            passed_on.given += [value.tree, self.function_number(argument, value)]
        elif parameter.kind.form is Form.OPAQUE:
            passed_on.given.append(pytree.constant(0))
        else:
            value = self.expression(argument, parameter.kind)
            passed_on.given.append(self.converted(argument, value, parameter.kind))

    def _out_argument(self, parameter: Parameter, argument: Node, passed_on: Arguments) -> None:
        is_null = peel(argument).type == "null" or text_of(peel(argument)) == "NULL"
        target = self._out_target(argument)
        local = None if is_null else self.expression(argument).place
        assert isinstance(target, ast.Name)
        value = null_of(parameter.kind) if is_null else pytree.raw(target.id)
        given = pytree.name(local.given) if isinstance(local, Local) and local.is_out else pytree.constant(not is_null)
        passed_on.given += [value, given]
        passed_on.flag(f"{parameter.name}_set", self.has_value(target.id))
        passed_on.result(target, self._flag_target(target.id))

    def _flag_target(self, name: str) -> ast.Name:
        """Return where the flag of a result goes."""
        return pytree.name(f"{name}_set" if name in self.unset else self.discarded())

    def _struct_argument(self, parameter: Parameter, local: Local, passed_on: Arguments) -> None:
        """Pass the scalars of a structure by their names in the function that is called."""
        for path, inner in self.scalar_paths(local):
            word = f"{parameter.name}_{path}"
            passed_on.keywords += [ast.keyword(f"{word}{end}", tree) for end, tree in self.passed(inner)]
            if inner.kind.form is not Form.FUNCTION:
                passed_on.flag(f"{word}_set", self.has_value((inner.target or inner).name))
        for member in sorted(parameter.written & set(local.members)):
            for inner in local.members[member].scalars():
                name = (inner.target or inner).name
                passed_on.result(pytree.name(name), self._flag_target(name))

    def _given(self, argument: Node, is_null: bool) -> ast.expr:
        """Return whether a pointer to a structure is not NULL."""
        return pytree.constant(False) if is_null else self.truth(self.expression(argument))

    def _null_struct(self, node: Node, parameter: Parameter, passed_on: Arguments) -> None:
        """Pass zeroes for the scalars of a structure that is not there."""
        local = self.struct_local(node, self.discarded(), parameter.kind)
        for path, inner in self.scalar_paths(local):
            if inner.kind.form is Form.FUNCTION:
                raise self.refuse(node, f"NULL for a struct {local.kind.struct}, which has functions", "pass one")
            passed_on.keywords.append(ast.keyword(f"{parameter.name}_{path}", null_of(inner.kind)))
            if inner.is_out:
                passed_on.keywords.append(ast.keyword(f"{parameter.name}_{path}_given", pytree.constant(False)))
        for member in sorted(parameter.written & set(local.members)):
            for _ in local.members[member].scalars():
                passed_on.result(pytree.name(self.discarded()), pytree.name(self.discarded()))

    def flagged(self, local: Local) -> list[Local]:
        """Return the scalars of a structure of which it is passed on whether they have a value."""
        return [inner for _, inner in self.scalar_paths(local) if inner.kind.form is not Form.FUNCTION]

    def passed(self, local: Local) -> list[tuple[str, ast.expr]]:
        """Return the values that stand for one scalar of a structure, each with the end of its parameter's name."""
        value = pytree.raw((local.target or local).name)
        if local.is_out:
            given = pytree.constant(True) if local.target is not None else pytree.name(local.given)
            return [("", value), ("_given", given)]
        if local.kind.form is Form.FUNCTION:
            return [("", value), ("_is", pytree.name(local.identity))]
        return [("", value)]

    # Functions of the model

    def _of_model(self, node: Node, name: str, arguments: list[Node]) -> Typed:
        if name in self.tables.scope and callable(self.tables.scope[name]):
            values = [self.expression(argument).tree for argument in arguments]
            return Typed(pytree.call(pytree.name(name), *values), self.scope_kind(name))
        found = self.program.model_function(name)
        if found is None:
            if name.startswith("trace_"):
                return Typed(pytree.constant(None), Kind(Form.VOID))
            raise self.refuse(node, f"the model has no {name}()", "add the function to the model, or " + IN_TABLES)
        if found.arity not in (-1, len(arguments)):
            what = f"{name}() has {len(arguments)} arguments in C, and {found.arity} in the model"
            raise self.refuse(node, what, IN_TABLES)
        values = []
        for argument, wanted in zip(arguments, self.program.parameter_kinds(found.name), strict=False):
            value = self.expression(argument, wanted)
            if value.is_address and isinstance(value.place, Local) and value.kind.form is not Form.RECORD:
                raise self.refuse(argument, f"{name}() gets the address {shown(argument)!r}", IN_TABLES)
            values.append(self.converted(argument, value, wanted))
        self.needed.setdefault(found.name, line_of(node))
        return Typed(pytree.call(pytree.method(found.name), *values), found.result)

    def scope_kind(self, name: str) -> Kind:
        """Return the kind of result of a function among the names of the tables."""
        return kind_of_hint(get_type_hints(unwrap(self.tables.scope[name])).get("return"))

    def struct_local(self, node: Node, name: str, kind: Kind, depth: int = 0) -> Local:
        """Return a local for a structure; by the layer above."""
        raise NotImplementedError

    def scalar_paths(self, local: Local, prefix: str = "") -> Iterator[tuple[str, Local]]:
        """Yield the scalars of a structure; by the layer above."""
        raise NotImplementedError

    # Calls of what a pointer points to

    def _indirect(self, node: Node, arguments: list[Node]) -> Typed:
        function = self.expression(child(node, "function"))
        if function.kind.form is not Form.FUNCTION or not isinstance(function.place, Local):
            raise self.refuse(node, f"a call through {shown(child(node, 'function'))!r}", "call a function by its name")
        numbers = [0, *(self.number_of(name) for name in self.tables.null_functions if name in self.program.signatures)]
        none = [ast.Compare(pytree.name(function.place.identity), [ast.Eq()], [pytree.constant(n)]) for n in numbers]
        test = none[0] if len(none) == 1 else ast.BoolOp(ast.Or(), list[ast.expr](none))
        self.emit(node, ast.If(test, [ast.Expr(pytree.call(pytree.name(call_nothing.__name__)))], []))
        plain: list[ast.expr] = []
        members: list[ast.expr] = []
        flags: list[ast.expr] = []
        for argument in arguments:
            value = self.expression(argument)
            if isinstance(value.place, Local) and value.place.kind.form is Form.STRUCT:
                # by position, as every function of the pointer's type has the same parameters
                scalars = [inner for _, inner in self.scalar_paths(value.place)]
                members += [tree for inner in scalars for _, tree in self.passed(inner)]
                flags += [self.has_value((inner.target or inner).name) for inner in self.flagged(value.place)]
            else:
                plain.append(value.tree)
        return Typed(ast.Call(function.tree, plain + members + flags, []), self.function_result(function.place))

    def function_result(self, local: Local) -> Kind:
        """Return the kind of result of the functions that a local can be."""
        known = self.program.layout.resolve(local.type)
        return BOOL if known.base == "bool" else Kind(Form.VOID) if known.base == "void" else INT
