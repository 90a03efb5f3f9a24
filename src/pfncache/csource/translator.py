# SPDX-License-Identifier: GPL-2.0-only
"""Translates one C function: its parameters, its body, its results."""

from __future__ import annotations

import ast
import re

from tree_sitter import Node

from pfncache.csource import pytree
from pfncache.csource.assigned import guard_unset
from pfncache.csource.base import IN_TABLES, Translated
from pfncache.csource.kinds import BOOL, INT, VOID, Form, Kind, Typed, annotation, null_of
from pfncache.csource.loops import LoopLayer
from pfncache.csource.parse import line_of, shown, text_of
from pfncache.csource.program import CProgram, Signature
from pfncache.csource.scope import Local
from pfncache.csource.user import WRITTEN


class Translator(LoopLayer):
    """The translation of one C function into one function of the modelling language."""

    _flags: frozenset[str] = frozenset()
    """Locals whose flag is a parameter."""

    def run(self) -> Translated:
        """Translate the function. Raises RefusedError."""
        signature = self.signature
        body = signature.function.body
        arguments = self._parameters()
        statements = self.block(list(_statements(body)))
        if not pytree.ends(statements):
            statements += self.fallen_off(body)
        if self.has_written:
            first = pytree.local(WRITTEN, annotation(BOOL), pytree.constant(False))
            pytree.place(first, signature.function.line)
            statements.insert(0, first)
        tree = ast.FunctionDef(signature.method, arguments, statements or [ast.Pass()], [], self._result_hint())
        guard_unset(tree, self.unset, self._flags)
        tree.body = self._declared_records(tree) + tree.body
        pytree.place(tree, signature.function.line)
        ast.fix_missing_locations(tree)
        return Translated(tree, self.calls, self.needed)

    def _declared_records(self, tree: ast.FunctionDef) -> list[ast.stmt]:
        """Return declarations of the locals that get a record from a tuple, which does not say of which class."""
        items = {e.id for n in ast.walk(tree) if isinstance(n, ast.Tuple) for e in n.elts
                 if isinstance(e, ast.Name) and isinstance(e.ctx, ast.Store)}  # fmt: skip
        known = {argument.arg for argument in tree.args.args}
        for statement in tree.body:  # those that may be read before they have a value are declared already
            if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                break
            known.add(statement.target.id)
        names = sorted(n for n in items & set(self.unset) - known if self.unset[n].record is not None)
        return [pytree.local(name, annotation(self.unset[name]), pytree.constant(None)) for name in names]

    # Parameters

    def _parameters(self) -> ast.arguments:
        plain: list[ast.arg] = []
        members: list[ast.arg] = []
        flags: list[str] = []
        names = self.signature.names or tuple(p.name for p in self.signature.parameters)
        for parameter, word in zip(self.signature.parameters, names, strict=True):
            if parameter.kind.form is Form.STRUCT:
                local = self.struct_local(self.signature.function.node, parameter.name, parameter.kind)
                local.type, local.is_nullable = parameter.type, parameter.is_nullable
                if parameter.is_nullable:
                    plain.append(ast.arg(local.given, annotation(BOOL)))
                self.scopes.declare(parameter.name, local)
                members += self._member_parameters(local)
                flags += [inner.name for inner in self.flagged(local)]
                continue
            name = self.scopes.name(-1, word)
            local = Local(name, parameter.type, parameter.kind, is_out=parameter.is_out)
            self.scopes.declare(parameter.name, local)
            if parameter.is_out:
                plain += [ast.arg(name, annotation(parameter.kind)), ast.arg(local.given, annotation(BOOL))]
                flags.append(name)
            elif parameter.kind.form is Form.FUNCTION:
                plain += [ast.arg(name, annotation(parameter.kind)), ast.arg(local.identity, annotation(INT))]
            else:
                plain.append(ast.arg(name, annotation(parameter.kind)))
        for local in (local for p in self.signature.parameters for local in self._locals_of(p.name)):
            self.unset[local.name] = local.kind
        self._flags = frozenset(flags)
        last = [ast.arg(f"{name}_set", annotation(BOOL)) for name in flags]
        arguments = [ast.arg("self"), *plain, *members, *last]
        return ast.arguments([], arguments, None, [], [], None, [pytree.constant(True) for _ in flags])

    def _locals_of(self, parameter: str) -> list[Local]:
        """Return the locals of a parameter that may come without a value."""
        local = self.scopes.find(parameter)
        assert local is not None
        if local.kind.form is Form.STRUCT:
            return self.flagged(local)
        return [local] if local.is_out else []

    def _member_parameters(self, local: Local) -> list[ast.arg]:
        out: list[ast.arg] = []
        for path, inner in self.scalar_paths(local):
            inner.name = self.scopes.name(-1, f"{local.name}_{path}")
            out.append(ast.arg(inner.name, annotation(inner.kind)))
            if inner.is_out:
                out.append(ast.arg(inner.given, annotation(BOOL)))
            if inner.kind.form is Form.FUNCTION:
                out.append(ast.arg(inner.identity, annotation(INT)))
        return out

    # Results

    def _further_results(self) -> list[Local]:
        """Return the locals whose values are returned beside the result."""
        out: list[Local] = []
        for parameter in self.signature.parameters:
            local = self.scopes.find(parameter.name)
            assert local is not None
            if parameter.is_out:
                out.append(local)
            if parameter.kind.form is Form.STRUCT:
                for member in sorted(parameter.written & set(local.members)):
                    out += local.members[member].scalars()
        return out

    def _result_hint(self) -> ast.expr:
        result = self.signature.result
        hints: list[ast.expr] = []
        if result.form is Form.STRUCT:
            place = self.struct_local(self.signature.function.node, "result", result)
            hints = [annotation(local.kind) for local in place.scalars()]
        elif result.form is not Form.VOID:
            hints = [self._hint_of(result)]
        if result.form is Form.ERRPTR:
            hints.append(annotation(INT))
        further = self._further_results()
        hints += [annotation(local.kind) for local in further] + [annotation(BOOL) for _ in further]
        if not hints:
            return ast.Constant(None)
        return (
            hints[0]
            if len(hints) == 1
            else ast.Subscript(pytree.name("tuple"), ast.Tuple(hints, ast.Load()), ast.Load())
        )

    def _hint_of(self, result: Kind) -> ast.expr:
        own = self.program.model_function(self.signature.method) if self.signature.names else None
        return annotation(own.result if own is not None and self.is_number(result) else result)

    def returned(self, node: Node, value: Node | None) -> list[ast.stmt]:
        """Translate a return."""
        with self.collected() as first:
            values = self._values(node, value)
            values += self._further_values()
            self._report_return(node, value)
        tree: ast.expr | None = None
        if values:
            tree = values[0] if len(values) == 1 else ast.Tuple(values, ast.Load())
        statement = ast.Return(tree)
        pytree.place(statement, line_of(node))
        return [*first, statement]

    def _report_return(self, node: Node, value: Node | None) -> None:
        """Execute what the model's reports need before the function returns; its value is executed after that."""
        hook = self.tables.returns.get(self.signature.function.name)
        text = text_of(value) if value is not None else ""
        if hook is not None and not (hook.unless and re.search(hook.unless, text)):
            self.emit(node, ast.Expr(self.fill(node, hook.text, [])))

    def _further_values(self) -> list[ast.expr]:
        """Return the further results, and whether each has a value."""
        further = self._further_results()
        return [*(pytree.raw(local.name) for local in further), *(self.has_value(local.name) for local in further)]

    def _values(self, node: Node, value: Node | None) -> list[ast.expr]:
        result = self.signature.result
        if value is None:
            if result.form is not VOID.form:
                raise self.refuse(node, "a return without a value", "return a value")
            return []
        if result.form is Form.VOID:
            self.before += self.effect(value)
            return []
        typed = self.expression(value, result)
        if result.form is Form.STRUCT:
            if not isinstance(typed.place, Local) or typed.kind != result:
                raise self.refuse(node, f"{shown(value)!r} is no struct {result.struct}", IN_TABLES)
            return [pytree.name(local.name) for local in typed.place.scalars()]
        if typed.error is not None and result.form is not Form.ERRPTR:
            raise self.refuse(node, f"{shown(value)!r} may be an error", "the function must be one that returns errors")
        if typed.is_address:
            raise self.refuse(node, f"{shown(value)!r} is an address", "return what is there")
        out = [self.converted(value, typed, self._own_result())]
        if result.form is Form.ERRPTR:
            out.append(typed.error if typed.error is not None else pytree.constant(0))
        return out

    def _own_result(self) -> Kind:
        """Return the kind of the result: that of the model's function of this name, if there is one."""
        if not self.signature.names or not self.is_number(self.signature.result):
            return self.signature.result
        own = self.program.model_function(self.signature.method)
        return own.result if own is not None else self.signature.result

    def fallen_off(self, node: Node) -> list[ast.stmt]:
        """Return the end of the function."""
        if self.signature.result.form is Form.VOID:
            ends = self._further_results() or self.signature.function.name in self.tables.returns
            return self.returned(node, None) if ends else []
        further = self._further_values()
        first = [null_of(self._own_result())]
        if self.signature.result.form is not Form.INT and self.signature.result.form is not Form.BOOL:
            return []
        statement = ast.Return(ast.Tuple([*first, *further], ast.Load()) if further else first[0])
        return [statement]


def _statements(body: Node) -> list[Node]:
    return [node for node in body.named_children if node.type != "comment"]


def translate_function(program: CProgram, signature: Signature) -> Translated:
    """Translate one function of a program. Raises RefusedError."""
    return Translator(program, signature).run()


__all__ = ["Translator", "Typed", "translate_function"]
