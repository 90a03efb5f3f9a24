# SPDX-License-Identifier: GPL-2.0-only
"""Compiles expressions, in Python's order of evaluation."""

from __future__ import annotations

import ast
import builtins
import difflib
from types import FunctionType
from typing import Any, cast

from pfncache.check.compile.bounds import bounds_of
from pfncache.check.compile.elements import Elements
from pfncache.check.compile.queries import Queries, Query
from pfncache.check.compile.source import unwrap
from pfncache.check.compile.values import (
    ANY_INT,
    BOOL,
    NONE,
    Const,
    IntKind,
    Method,
    Parts,
    RefKind,
    Reg,
    Super,
    Tuple,
    Value,
)
from pfncache.check.ops import EVALUATE, Op
from pfncache.lang.records import Record

BINARY = {
    ast.Add: Op.ADD, ast.Sub: Op.SUB, ast.Mult: Op.MUL, ast.FloorDiv: Op.DIV, ast.Mod: Op.MOD, ast.BitAnd: Op.AND,
    ast.BitOr: Op.OR, ast.BitXor: Op.XOR, ast.LShift: Op.SHL, ast.RShift: Op.SHR,
}  # fmt: skip
COMPARE = {
    ast.Eq: (Op.EQ, False), ast.NotEq: (Op.NE, False), ast.Is: (Op.EQ, False), ast.IsNot: (Op.NE, False),
    ast.Lt: (Op.LT, False), ast.LtE: (Op.LE, False), ast.Gt: (Op.LT, True), ast.GtE: (Op.LE, True),
}  # fmt: skip


class Expressions(Elements):
    """The layer above elements of tuples: expressions."""

    def expression(self, node: ast.expr) -> Value:
        """Compile an expression and return its value; NONE in unreachable code."""
        if self.dead:
            return NONE
        self.frame.node = node
        match node:
            case ast.Constant():
                return Const(node.value)
            case ast.Name():
                return self._name(node)
            case ast.Attribute():
                return self._attribute(node)
            case ast.Subscript():
                return self._subscript(node)
            case ast.Call():
                return self.call(node)
            case ast.BinOp():
                return self._binary(node)
            case ast.UnaryOp():
                return self._unary(node)
            case ast.Compare() | ast.BoolOp():
                return self._truth(node)
            case ast.IfExp():
                return self._choice(node)
            case ast.Tuple():
                return self._tuple(node)
        raise self.error(
            f"{construct(node)} is not in the model's language: use a plain expression, or a loop over records"
        )

    def call(self, node: ast.Call) -> Value:
        """Compile a call; overridden by the layer above."""
        raise NotImplementedError

    # Names and members

    def _name(self, node: ast.Name) -> Value:
        if node.id in self.frame.locals:
            return self.frame.locals[node.id]
        if node.id in self.frame.source.assigned:
            raise self.error(f"the local {node.id!r} may be read before it is assigned: assign it on every path")
        self.unit.depend_on(Queries.named, self.frame.source.function, node.id)
        scope = self.frame.source.function.__globals__
        if node.id in scope:
            self._require_state(node.id, scope[node.id])
            return Const(scope[node.id])
        if hasattr(builtins, node.id):
            return Const(getattr(builtins, node.id))
        closure = self.frame.source.function
        if node.id in closure.__code__.co_freevars:
            cell = (closure.__closure__ or ())[closure.__code__.co_freevars.index(node.id)]
            return Const(cell.cell_contents)
        raise self.error(f"the name {node.id!r} is not defined here")

    def _require_state(self, name: str, value: Any) -> None:
        """Refuse a record that is no part of the state, which every run of the set-up makes anew."""
        if isinstance(value, Record) and id(value) not in self.unit.heap.numbers:
            raise self.error(
                f"the record {name!r} is no part of the state: give it to an operation as an argument, or declare its"
                " members in a structure of the patch (Patch.structs)"
            )

    def _attribute(self, node: ast.Attribute) -> Value:
        base = self.expression(node.value)
        self.frame.node = node
        return self.member(base, node.attr)

    def member(self, base: Value, name: str) -> Value:
        """Compile ``base.name``."""
        if self.dead:
            return NONE
        if isinstance(base, Const) and base.value is None:
            self.fail("null-dereference")
            return NONE
        if isinstance(base, Super):
            receiver = base.receiver
            assert isinstance(receiver, Const)
            line = type(receiver.value).__mro__
            return self._method(receiver, name, line[line.index(base.owner) + 1 :], (Queries.above, base.query, name))
        if isinstance(base, Reg):
            if not isinstance(base.kind, RefKind):
                raise self.error(f"a number has no member {name!r}")
            return self._record_member(base, base.kind.record, name)
        if isinstance(base, Const):
            if isinstance(base.value, Record):
                return self._record_member(base, type(base.value), name)
            query = self.unit.queries.member_of(base.value, name)
            if isinstance(getattr(type(base.value), name, None), FunctionType):
                return self._method(base, name, type(base.value).__mro__, query)
            self.unit.depend_on(*query)
            try:
                return Const(getattr(base.value, name))
            except AttributeError:
                near = difflib.get_close_matches(name, dir(base.value), n=3)
                hint = f"; nearest: {', '.join(near)}" if near else ""
                raise self.error(f"there is no function or member {name!r}{hint}") from None
        raise self.error(f"a tuple has no member {name!r}")

    def _record_member(self, base: Const | Reg, kind: type[Record], name: str) -> Value:
        if isinstance(base, Reg) and not self.unit.pool(kind):  # no such record: the reference is NULL
            self.fail("null-dereference")
            return NONE
        if name in kind.fields:
            return self.load(base, name)
        if name in kind.parts:
            if isinstance(base, Const):
                return Const(self.unit.part(base.value, name))
            rows = [self.unit.part(record, name) for record in self.unit.pool(kind)]
            if isinstance(rows[0], tuple):
                self.check(base, "null-dereference")
                return Parts(base, tuple(rows))
            return self.part(base, name)
        if hasattr(kind, name):
            return self._method(base, name, kind.__mro__, (Queries.method, kind, name))
        raise self.error(f"{kind.__name__} has no member {name!r}; it has {', '.join([*kind.fields, *kind.parts])}")

    def _method(self, receiver: Value, name: str, line: tuple[type, ...], query: Query) -> Value:
        if isinstance(receiver, Const) and not isinstance(receiver.value, Record):
            self.unit.use(name)
        for owner in line:
            if name in owner.__dict__:
                self.unit.depend_on(*query)
                found = owner.__dict__[name]
                if isinstance(found, staticmethod):
                    return Const(found.__func__)
                return Method(found, receiver, owner, query)
        raise self.error(f"no {name!r} in {line[0].__name__} or what it derives from")

    def _subscript(self, node: ast.Subscript) -> Value:
        base = self.expression(node.value)
        index = self.expression(node.slice)
        self.frame.node = node
        return self.element(base, index)

    # Arithmetic and truth

    def _binary(self, node: ast.BinOp) -> Value:
        left = self.expression(node.left)
        right = self.expression(node.right)
        if type(node.op) not in BINARY:
            raise self.error(f"{construct(node.op)} is not in the model's language: use + - * // % & | ^ << >>")
        return self.arithmetic(BINARY[type(node.op)], left, right)

    def arithmetic(self, op: Op, left: Value, right: Value) -> Value:
        """Compile a binary operation on numbers."""
        if self.dead:
            return NONE
        if isinstance(left, Const) and isinstance(right, Const):
            return Const(EVALUATE[op](left.value, right.value))
        if op in (Op.DIV, Op.MOD) and isinstance(kind := self.kind_of(right), IntKind) and kind.low <= 0 <= kind.high:
            raise self.error("the divisor may be 0, which has no result: test it in a local with bounds")
        a, b = self.scalar(left, ANY_INT), self.scalar(right, ANY_INT)
        return self.compute(op, bounds_of(op, self.kind_of(left), self.kind_of(right)), a, b)

    def _unary(self, node: ast.UnaryOp) -> Value:
        if isinstance(node.op, ast.Not):
            return self._truth(node)
        value = self.expression(node.operand)
        if isinstance(node.op, ast.UAdd) or self.dead:
            return value
        op = Op.NEG if isinstance(node.op, ast.USub) else Op.INVERT
        if isinstance(value, Const):
            return Const(EVALUATE[op](value.value))
        kind = self.kind_of(value)
        assert isinstance(kind, IntKind)
        return self.compute(op, IntKind(EVALUATE[op](kind.high), EVALUATE[op](kind.low)), self.scalar(value))

    def _truth(self, node: ast.expr) -> Value:
        """Compile not, a comparison, or a boolean operation to a value of 0 or 1."""
        if isinstance(node, ast.UnaryOp):
            inner = self.truth_of(self.expression(node.operand))
            if self.dead:
                return NONE
            return Const(not inner.value) if isinstance(inner, Const) else self.compute(Op.NOT, BOOL, inner)
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            left = self.expression(node.left)
            right = self.expression(node.comparators[0])
            return self.compare(node.ops[0], left, right)
        yes, no, end = self.new_label(), self.new_label(), self.new_label()
        start = len(self.code.instrs)
        self.condition(node, yes, no)
        reaches = [label in self.labels_used for label in (yes, no)]
        if self.dead and reaches == [True, False] and len(self.code.instrs) == start + 1:
            self.code.instrs.pop()
            self.labels_used.discard(yes)
            self.dead = False
            return Const(True)
        if self.dead and reaches == [False, True] and len(self.code.instrs) == start + 1:
            self.code.instrs.pop()
            self.labels_used.discard(no)
            self.dead = False
            return Const(False)
        result = self.variable(BOOL)
        self.place(yes)
        self.emit(Op.MOVE, self.constant(1), dest=result)
        self.jump(end)
        self.place(no)
        self.emit(Op.MOVE, self.constant(0), dest=result)
        self.place(end)
        return result

    def truth_of(self, value: Value) -> Const | Reg:
        """Compile bool(value)."""
        if self.dead:
            return Const(False)
        if isinstance(value, Const):
            return Const(bool(value.value) if not isinstance(value.value, Record) else True)
        if isinstance(value, Reg):
            kind = self.kind_of(value)
            if kind == BOOL:
                return value
            return self.compute(Op.NE, BOOL, value, self.constant(0))
        raise self.error("this value has no truth value in the model's language")

    def condition(self, node: ast.expr, yes: int, no: int) -> None:
        """Compile a condition to jumps to `yes` and `no`, with the short-circuit evaluation of Python."""
        if isinstance(node, ast.BoolOp):
            conjunction = isinstance(node.op, ast.And)
            for value in node.values[:-1]:
                more = self.new_label()
                if conjunction:
                    self.condition(value, more, no)
                else:
                    self.condition(value, yes, more)
                self.place(more)
            self.condition(node.values[-1], yes, no)
            return
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            self.condition(node.operand, no, yes)
            return
        if isinstance(node, ast.Compare) and len(node.ops) > 1:
            left = self.expression(node.left)
            for op, comparator in zip(node.ops, node.comparators, strict=True):
                right = self.expression(comparator)
                more = self.new_label()
                self._branch(self.compare(op, left, right), more, no)
                self.place(more)
                left = right
            self.jump(yes)
            return
        self._branch(self.truth_of(self.expression(node)), yes, no)

    def _branch(self, value: Const | Reg, yes: int, no: int) -> None:
        if isinstance(value, Const):
            self.jump(yes if value.value else no)
        else:
            self.jump_if(value, yes)
            self.jump(no)

    def compare(self, op: ast.cmpop, left: Value, right: Value) -> Const | Reg:
        """Compile a comparison of numbers, or of records by identity."""
        if self.dead:
            return Const(False)
        if type(op) not in COMPARE:
            raise self.error(f"{construct(op)} is not in the model's language: compare with == != < <= > >= is")
        code, swapped = COMPARE[type(op)]
        if swapped:
            left, right = right, left
        if isinstance(left, Const) and isinstance(right, Const):
            if (
                isinstance(left.value, Record)
                or isinstance(right.value, Record)
                or left.value is None
                or right.value is None
            ):
                return Const((left.value is right.value) == (code == Op.EQ))
            return Const(bool(EVALUATE[code](left.value, right.value)))
        for value, other in ((left, right), (right, left)):
            if isinstance(value, Const) and isinstance(value.value, Record) != isinstance(self.kind_of(other), RefKind):
                if not (value.value is None and isinstance(self.kind_of(other), RefKind)):
                    raise self.error("a record is compared with a number")
        return self.compute(code, BOOL, self.scalar(left), self.scalar(right))

    def _choice(self, node: ast.IfExp) -> Value:
        test = self._static_truth(node.test)
        if test is not None:
            return self.expression(node.body if test else node.orelse)
        yes, no, end = self.new_label(), self.new_label(), self.new_label()
        self.condition(node.test, yes, no)
        self.place(yes)
        dead_yes = self.dead
        first = self.expression(node.body)
        result = self.variable(self.kind_of(first) or ANY_INT) if not dead_yes else None
        if result is not None:
            if self.kind_of(first) is None:
                raise self.error("write `x if c else None`, with None last")
            self.emit(Op.MOVE, self.scalar(first), dest=result)
            self.jump(end)
        self.place(no)
        if self.dead:
            self.place(end)
            return result if result is not None else NONE
        second = self.expression(node.orelse)
        if result is None:
            self.place(end)
            return second
        self.move(result, second)
        self.place(end)
        return result

    def _static_truth(self, node: ast.expr) -> bool | None:
        """Return the value of a test of constants, a name or a comparison; None for any other."""
        if isinstance(node, ast.Name):
            value = self._name(node)
            return bool(value.value) if isinstance(value, Const) else None
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.left, ast.Name):
            left = self._name(node.left)
            right = node.comparators[0]
            if isinstance(left, Const) and isinstance(right, ast.Constant):
                return bool(cast(Const, self.compare(node.ops[0], left, Const(right.value))).value)
        return None

    def _tuple(self, node: ast.Tuple) -> Value:
        items = tuple(self.expression(item) for item in node.elts)
        if all(isinstance(i, Const) for i in items):
            return Const(tuple(cast(Const, i).value for i in items))
        return Tuple(items)

    def plain_function(self, value: Value) -> Any:
        """Return the Python function that a value is, unwrapped; None if it is not callable."""
        if isinstance(value, Method):
            return unwrap(value.function)
        return unwrap(value.value) if isinstance(value, Const) and callable(value.value) else None


def construct(node: ast.AST) -> str:
    """Return the name of a syntactic construct, for an error."""
    names = {"JoinedStr": "an f-string", "Lambda": "a lambda", "ListComp": "a list comprehension", "Dict": "a dict",
             "List": "a list", "Set": "a set", "Await": "await", "NamedExpr": "an assignment inside an expression",
             "GeneratorExp": "a generator expression",
             "DictComp": "a dict comprehension", "Starred": "a starred expression",
             "Try": "try", "Raise": "raise", "Delete": "del", "FunctionDef": "a nested function",
             "ClassDef": "a nested class",
             "Global": "global", "Nonlocal": "nonlocal", "Import": "an import inside a function", "Match": "match",
             "In": "`in`", "NotIn": "`not in`", "Div": "the operator /", "Pow": "the operator **"}  # fmt: skip
    return names.get(type(node).__name__, type(node).__name__.lower())
