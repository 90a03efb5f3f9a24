# SPDX-License-Identifier: GPL-2.0-only
"""Statements: control flow, guards and results."""

from __future__ import annotations

import ast
from typing import Any

from pfncache.check.compile.calls import HOST_FUNCTIONS, Calls
from pfncache.check.compile.emitter import Frame
from pfncache.check.compile.expressions import BINARY, construct
from pfncache.check.compile.source import function_source
from pfncache.check.compile.values import (
    ANY_INT,
    BOOL,
    NONE,
    Const,
    Kind,
    Method,
    Parts,
    RefKind,
    Reg,
    Tuple,
    Value,
    is_tuple_hint,
)
from pfncache.check.ops import Op
from pfncache.lang.records import Record

PYTHON_ERRORS = (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError)
"""Exceptions of Python that code of a design causes while it is compiled."""


class Statements(Calls):
    """The top layer: statements, loops, guards and results."""

    def block(self, statements: list[ast.stmt]) -> None:
        """Compile statements in order, up to the first that is unreachable."""
        for statement in statements:
            if self.dead:
                return
            self.frame.node = statement
            self.cover()
            try:
                self.statement(statement)
            except PYTHON_ERRORS as error:  # of constants, which are computed here
                text = "recursion" if isinstance(error, RecursionError) else str(error).partition("\n")[0]
                raise self.error(f"cannot be compiled: {type(error).__name__}: {text}") from None

    def statement(self, node: ast.stmt) -> None:
        """Compile one statement."""
        match node:
            case ast.Expr(value=ast.Constant()):
                pass
            case ast.Expr(value=ast.Yield() as produced):
                value = self.expression(produced.value) if produced.value is not None else NONE
                if self.frame.on_yield is None:
                    raise self.error("yield belongs in a guard or in a generator that a for loop runs over")
                self.frame.on_yield(value)
            case ast.Expr():
                self.expression(node.value)
            case ast.Assign():
                value = self.expression(node.value)
                for target in node.targets:
                    self._assign(target, value)
            case ast.AnnAssign():
                if node.value is not None:
                    self._assign(node.target, self.expression(node.value), self._hint(node))
            case ast.AugAssign():
                self._augmented(node)
            case ast.If():
                self._if(node)
            case ast.While():
                self._while(node)
            case ast.For():
                self._for(node)
            case ast.With():
                self._with(node, 0)
            case ast.Return():
                self._return(node)
            case ast.Break() | ast.Continue():
                if not self.frame.loops:
                    raise self.error("outside a loop")
                label, depth = self.frame.loops[-1][isinstance(node, ast.Continue)]
                self._unwind(depth)
                self.jump(label)
            case ast.Assert():
                self._assert(node)
            case ast.Pass():
                pass
            case _:
                raise self.error(
                    f"{construct(node)} is not in the model's language: "
                    "use if, while, for, with, return and assignments"
                )

    def _hint(self, node: ast.AnnAssign) -> Any:
        scope = {**Record.registry, **self.frame.source.function.__globals__}
        try:
            return eval(compile(ast.Expression(node.annotation), self.frame.here.file, "eval"), scope)
        except NameError as error:
            raise self.error(f"an annotation names {error.name!r}, which is not defined here") from None

    def _assign(self, target: ast.expr, value: Value, hint: Any = None) -> None:
        if self.dead:
            return
        match target:
            case ast.Name():
                self._bind(target.id, value, hint)
            case ast.Attribute():
                base = self.expression(target.value)
                self.frame.node = target
                if isinstance(base, Const) and base.value is None:
                    self.fail("null-dereference")
                    return
                self.store(base, target.attr, value)
            case ast.Tuple():
                for i, item in enumerate(target.elts):
                    self._assign(item, self.element(value, Const(i)))
            case _:
                raise self.error("only a local or a scalar of a record can be assigned")

    def _augmented(self, node: ast.AugAssign) -> None:
        if type(node.op) not in BINARY:
            raise self.error("only += -= *= //= %= &= |= ^= <<= >>= are in the model's language")
        op = BINARY[type(node.op)]
        if isinstance(node.target, ast.Name):
            old = self.expression(node.target)
            self._bind(node.target.id, self.arithmetic(op, old, self.expression(node.value)))
        elif isinstance(node.target, ast.Attribute):
            base = self.expression(node.target.value)
            old = self.member(base, node.target.attr)
            value = self.arithmetic(op, old, self.expression(node.value))
            self.frame.node = node.target
            self.store(base, node.target.attr, value)
        else:
            raise self.error("only a local or a scalar of a record can be assigned")

    def _if(self, node: ast.If) -> None:
        yes, no, end = self.new_label(), self.new_label(), self.new_label()
        self.condition(node.test, yes, no)
        self.place(yes)
        before = dict(self.frame.locals)
        self.block(node.body)
        self.jump(end)
        after = self.frame.locals
        self.frame.locals = before
        self.place(no)
        self.frame.node = node
        if not node.orelse:
            self.cover(around=True)
        self.block(node.orelse)
        self.jump(end)
        self.place(end)
        for name, value in after.items():
            self.frame.locals.setdefault(name, value)

    def _while(self, node: ast.While) -> None:
        if node.orelse:
            raise self.error("while ... else is not in the model's language")
        head, body, end = self.new_label(), self.new_label(), self.new_label()
        self.jump(head)
        self.place(head)
        self.labels_used.add(head)
        self.condition(node.test, body, end)
        self.place(body)
        depth = len(self.cleanups)
        self.frame.loops.append(((end, depth), (head, depth)))
        self.block(node.body)
        self.frame.loops.pop()
        self.jump(head)
        self.place(end)
        self.frame.node = node
        self.cover(around=True)

    def _for(self, node: ast.For) -> None:
        if node.orelse:
            raise self.error("for ... else is not in the model's language")
        end = self.new_label()
        if isinstance(node.iter, ast.Call):
            func = self.expression(node.iter.func)
            plain = self.plain_function(func)
            if plain is not None and plain not in HOST_FUNCTIONS and function_source(plain).is_generator:
                self._for_generator(node, func, end)
                return
        iterable = self.expression(node.iter)
        items = self._items(iterable)
        width = self.width(iterable) if isinstance(iterable, Parts) and not self.dead else Const(len(items))
        for number, item in enumerate(items):
            if isinstance(iterable, Parts) and number >= iterable.least_width:
                self._leave_unless(self.compare(ast.Lt(), Const(number), width), end)
            if self.dead:
                break
            self._loop_body(node, item, end, len(self.cleanups))
        self.place(end)

    def _items(self, iterable: Value) -> list[Value]:
        if isinstance(iterable, Const) and isinstance(iterable.value, tuple | list | range):
            return [Const(i) for i in iterable.value]
        if isinstance(iterable, Tuple):
            return list(iterable.items)
        if isinstance(iterable, Parts):
            return [self.item(iterable, i) for i in range(iterable.most_width)]
        if self.dead:
            return []
        raise self.error(
            "a for loop runs over a tuple of records, range() of known numbers, or a generator of the model"
        )

    def _leave_unless(self, condition: Const | Reg, end: int) -> None:
        """Compile the jump out of an unrolled loop over a tuple that is shorter for some records than for others."""
        more = self.new_label()
        self._branch(condition, more, end)
        self.place(more)

    def _loop_body(self, node: ast.For, item: Value, end: int, break_depth: int) -> None:
        """Compile one unrolled iteration; break runs the cleanups above `break_depth`, among them a generator's."""
        again = self.new_label()
        self.frame.node = node
        self._assign(node.target, item)
        self.frame.loops.append(((end, break_depth), (again, len(self.cleanups))))
        self.block(node.body)
        self.frame.loops.pop()
        self.jump(again)
        self.place(again)

    def _for_generator(self, node: ast.For, func: Value, end: int) -> None:
        call = node.iter
        assert isinstance(call, ast.Call)
        arguments = [self.expression(a) for a in call.args]
        keywords = {k.arg or "": self.expression(k.value) for k in call.keywords}
        outer = list(self.frames)
        depth = len(self.cleanups)
        frame, source = self._enter(func, arguments, keywords)

        def on_yield(value: Value) -> None:
            inner, self.frames = self.frames, list(outer)
            self._loop_body(node, value, end, depth)
            self.frames = inner

        frame.on_yield = on_yield
        self.block(source.tree.body)
        self._leave(frame)
        self.frames.pop()
        self.place(end)

    def _with(self, node: ast.With, position: int) -> None:
        """Compile the guards from `position` on, then the body, then the cleanups in reverse order."""
        if position == len(node.items):
            self.block(node.body)
            return
        item = node.items[position]
        call = item.context_expr
        if not isinstance(call, ast.Call):
            raise self.error("with requires a guard of the model, such as spin_lock(lock)")
        target = self.expression(call.func)
        function = target.function if isinstance(target, Method) else getattr(target, "value", None)
        if not getattr(function, "is_guard", False):
            raise self.error(f"{ast.unparse(call.func)} is not a guard: decorate it with @guard")
        arguments = [self.expression(a) for a in call.args]
        keywords = {k.arg or "": self.expression(k.value) for k in call.keywords}
        outer = list(self.frames)
        _frame, source = self._enter(target, arguments, keywords)
        guard_frames = list(self.frames)
        body = source.tree.body
        at = next((i for i, s in enumerate(body) if isinstance(s, ast.Expr) and isinstance(s.value, ast.Yield)), None)
        if at is None:
            raise self.error(f"the guard {source.name}() requires one yield at the top level of its body")
        self.block(body[:at])
        given = body[at].value.value  # type: ignore[attr-defined]
        value = self.expression(given) if given is not None else NONE
        self.frames = list(outer)

        def cleanup() -> None:
            saved, self.frames = self.frames, list(guard_frames)
            outer[-1].node = node
            self.block(body[at + 1 :])
            self.frames = saved

        self.cleanups.append(cleanup)
        if item.optional_vars is not None:
            self._assign(item.optional_vars, value)
        self._with(node, position + 1)
        self.cleanups.pop()
        if not self.dead:
            cleanup()

    def _unwind(self, depth: int) -> None:
        """Compile the cleanups above `depth`, innermost first, and keep them for other paths."""
        saved = self.cleanups
        for i in reversed(range(depth, len(saved))):
            self.cleanups = saved[:i]
            saved[i]()
        self.cleanups = saved

    def _return(self, node: ast.Return) -> None:
        frame = self.frame
        frame.tail_call = call = node.value if isinstance(node.value, ast.Call) else None
        value: Value = self.expression(node.value) if node.value is not None else NONE
        if self.dead:
            return
        passed_on = call is not None and frame.tail_call is not call
        if frame.target and frame.source.returns_value and not passed_on:
            self._succeed(frame, value)
        self._unwind(frame.cleanup_depth)
        start = len(self.code.instrs)
        frame.returns.append((start, value))
        hint = frame.source.hints.get("return")
        if is_tuple_hint(hint):
            self._return_tuple(frame, value)
        elif (kind := self._result_kind(frame, value)) is not None:
            if frame.result is None:
                frame.result = self.variable(kind)
            assert isinstance(frame.result, Reg)
            self.move(frame.result, value)
        elif len(frame.returns) > 1 and frame.returns[0][1] != value:
            raise self.error(f"annotate the result of {frame.source.name}()")
        self.jump(frame.end)

    def _succeed(self, frame: Frame, value: Value) -> None:
        """Mark the target of an operation if `value`, which it returns, is no failure.

        The mark precedes the cleanups, so that no register has to keep the result through their steps.
        """
        if frame.source.hints.get("return") is bool:
            good: Value = self.truth_of(value)
        elif isinstance(value, Reg):
            least = 1 if isinstance(self.kind_of(value), RefKind) else 0
            good = self.compute(Op.LE, BOOL, self.constant(least), value)
        else:
            given = value.value if isinstance(value, Const) else value
            null = given is None and isinstance(self.kind_of_hint(frame.source.hints.get("return")), RefKind)
            good = Const(not null and (not isinstance(given, int) or given >= 0))
        self.reach(frame.target, good)

    def _result_kind(self, frame: Frame, value: Value) -> Kind | None:
        """Return the kind of register that a result goes to; None if the result must be a constant."""
        if isinstance(value, Const) and not isinstance(value.value, int | Record | None):
            return None
        found = self.kind_of(value)
        hinted = self.kind_of_hint(frame.source.hints.get("return"))
        if isinstance(found, RefKind) and found != hinted:
            return found
        if hinted is None and found is None and isinstance(frame.result, Reg):
            return frame.result.kind
        return hinted or found

    def _return_tuple(self, frame: Frame, value: Value) -> None:
        items = value.items if isinstance(value, Tuple) else tuple(Const(i) for i in value.value)  # type: ignore[union-attr]
        kinds = [self.kind_of_hint(h) for h in frame.source.hints["return"].__args__]
        if frame.result is None:
            frame.result = Tuple(tuple(self.variable(k or ANY_INT) for k in kinds))
        assert isinstance(frame.result, Tuple)
        for target, item in zip(frame.result.items, items, strict=True):
            assert isinstance(target, Reg)
            self.move(target, item)

    def _assert(self, node: ast.Assert) -> None:
        """Compile an assertion. ``assert x is not None`` stands for the dereference of a pointer that may be NULL."""
        if isinstance(node.test, ast.Call) and ast.unparse(node.test.func) == "isinstance":
            return  # for type checkers: a structure that a patch extends
        good, bad = self.new_label(), self.new_label()
        self.condition(node.test, good, bad)
        self.place(bad)
        if not self.dead:
            self.fail("null-dereference" if "None" in ast.unparse(node.test) else "assertion")
        self.place(good)
