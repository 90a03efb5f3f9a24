# SPDX-License-Identifier: GPL-2.0-only
"""Calls: model functions are inlined; the functions of the modelling language are compiled by their meaning."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from typing import Any

from pfncache.check.compile.emitter import Frame
from pfncache.check.compile.expressions import Expressions
from pfncache.check.compile.function_code import FunctionCode, Inlined
from pfncache.check.compile.source import FunctionSource, function_source, unwrap
from pfncache.check.compile.transfer import PassedArguments, concrete, registers_of, renumbered
from pfncache.check.compile.unit import Unit
from pfncache.check.compile.values import (
    ANY_INT,
    BOOL,
    NONE,
    Const,
    IntKind,
    Kind,
    Method,
    Parts,
    RefKind,
    Reg,
    Super,
    Tuple,
    Value,
)
from pfncache.check.ir import LockUse, Variable
from pfncache.check.ops import Op
from pfncache.lang.atomic import block_until
from pfncache.lang.choose import choose, symmetric
from pfncache.lang.locks import lock_acquire, lock_release
from pfncache.lang.reached import reached
from pfncache.lang.records import Record, parts_of, scalar_default, scalar_names
from pfncache.lang.report import report
from pfncache.lang.tracing import running

MAX_DEPTH = 60
"""Frames of the call stack; more means recursion."""
HOST_FUNCTIONS = (len, range, min, max, abs, int, bool, enumerate, reversed, zip, tuple,
                  scalar_names, scalar_default, parts_of)  # fmt: skip
"""Functions that are evaluated at compile time, on constants."""
ANNOTATIONS = frozenset({symmetric, reached, lock_acquire, lock_release})


class Calls(Expressions):
    """The layer above expressions: calls, and the functions of the modelling language."""

    def __init__(self, unit: Unit, arguments: Sequence[Kind] = (), depth: int = 0) -> None:
        super().__init__(unit, arguments, depth)
        self.cleanups: list[Callable[[], None]] = []

    def call(self, node: ast.Call) -> Value:
        """Compile a call: of the modelling language, of Python on constants, or of a model function."""
        if isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args:
            return Super(
                self.frame.locals[self.frame.source.parameters[0]], self.frame.owner or object, self.frame.query
            )
        target = self.expression(node.func)
        if self.dead:
            return NONE
        plain = self.plain_function(target)
        if plain is None:
            raise self.error(f"{ast.unparse(node.func)} cannot be called in the model's language")
        if getattr(plain, "is_host_only", False):
            self._host_arguments(node)
            return NONE
        if plain is report:
            self.fail(self._text(node.args[0]))
            return NONE
        arguments = [self.expression(a) for a in node.args]
        keywords = {k.arg or "": self.expression(k.value) for k in node.keywords}
        if self.dead:
            return NONE
        self.frame.node = node
        special = self._special(plain, arguments, keywords)
        return special if special is not None else self.inline(target, arguments, keywords)

    def _host_arguments(self, node: ast.Call) -> None:
        """Check the arguments of a call that is skipped: Python evaluates them, so they must not contain steps."""
        start = len(self.code.instrs)
        for argument in (*node.args, *(k.value for k in node.keywords)):
            self.expression(argument)
            if self.code.touches_state(start):
                self.frame.node = argument
                what, where = ast.unparse(argument), ast.unparse(node.func)
                raise self.error(
                    f"{what} reads shared state, but {where}() is host_only and no step: read it into a local before"
                )

    def _text(self, node: ast.expr) -> str:
        value = self.expression(node)
        if isinstance(value, Const) and isinstance(value.value, str):
            return value.value
        raise self.error("report() requires the property's name as a string constant")

    def _special(self, plain: Any, arguments: list[Value], keywords: dict[str, Value]) -> Value | None:
        """Compile a call of the modelling language or of Python; return None for any other function."""
        if plain is running:
            return self.unit.running()
        if plain is block_until:
            self._block(arguments[0])
            return NONE
        if plain is choose:
            count = arguments[0]
            if not isinstance(count, Const) or self.atomic_depth == 0:
                raise self.error("choose() requires a constant number of outcomes, inside an atomic function")
            if self.at_end:
                return Const(0)
            return self.compute(Op.CHOOSE, IntKind(0, count.value - 1), subject=count.value)
        if plain in ANNOTATIONS:
            self._annotate(plain, arguments, keywords)
            return NONE
        if plain is setattr:
            base, name, value = arguments
            assert isinstance(name, Const)
            self.store(base, name.value, value)
            return NONE
        if plain in (bool, int) and isinstance(arguments[0], Reg):
            return self.truth_of(arguments[0]) if plain is bool else arguments[0]
        if plain is len and isinstance(arguments[0], Parts):
            return self.width(arguments[0])
        if getattr(plain, "__name__", "") == "cast" and getattr(plain, "__module__", "") == "typing":
            return arguments[1]
        if plain in (min, max) and any(isinstance(a, Reg) for a in arguments):
            return self._extreme(arguments, least=plain is min)
        if plain in HOST_FUNCTIONS:
            return self._on_host(plain, arguments)
        return None

    def _reached(self, arguments: list[Value], keywords: dict[str, Value]) -> None:
        target, *rest = arguments
        if not isinstance(target, Const) or not isinstance(target.value, str):
            raise self.error("reached() requires the target as a string constant")
        condition = rest[0] if rest else keywords.get("condition", Const(True))
        self.reach(target.value, self.truth_of(condition))

    def _extreme(self, arguments: list[Value], least: bool) -> Value:
        """Compile min() or max() of numbers."""
        kinds = [k for k in map(self.kind_of, arguments) if isinstance(k, IntKind)]
        best = self.variable(IntKind(min(k.low for k in kinds), max(k.high for k in kinds)))
        self.move(best, arguments[0])
        for other in arguments[1:]:
            keep = self.new_label()
            pair = (self.scalar(other), best) if least else (best, self.scalar(other))
            self.emit(Op.JZ, self.compute(Op.LT, BOOL, *pair), subject=keep)
            self.move(best, other)
            self.place(keep)
        return best

    def _on_host(self, plain: Any, arguments: list[Value]) -> Value:
        if plain in (scalar_names, scalar_default, parts_of) and isinstance(arguments[0], Reg):
            raise self.error(f"{plain.__name__}() requires a record that is a constant")
        values = []
        for argument in arguments:
            if not isinstance(argument, Const):
                raise self.error(f"{plain.__name__}() requires constants: compare and branch instead")
            self.unit.inspect(argument.value)
            values.append(argument.value)
        result = plain(*values)
        return Const(tuple(result) if plain in (range, enumerate, reversed, zip) else result)

    def _block(self, value: Value) -> None:
        if self.atomic_depth == 0:
            raise self.error("block_until() belongs at the start of an atomic function")
        enabled = self.truth_of(value)
        if not self.at_end:
            self.emit(Op.BLOCK, self.scalar(enabled))
        elif isinstance(enabled, Reg):
            self.check(enabled, "deadlock")
        elif not enabled.value:
            self.fail("deadlock")

    def _annotate(self, plain: Any, arguments: list[Value], keywords: dict[str, Value]) -> None:
        """Compile an annotation, which is no step and changes no state."""
        if plain is symmetric and self.at_end:
            return
        if plain is symmetric:
            self.emit(Op.SYMMETRIC, self.scalar(self.truth_of(arguments[0])))
        elif plain is reached:
            self._reached(arguments, keywords)
        else:
            self._lock(plain is lock_acquire, arguments, keywords)

    def _lock(self, acquire: bool, arguments: list[Value], keywords: dict[str, Value]) -> None:
        lock = arguments[0]
        if isinstance(lock, Const):
            locks: list[Record] = [lock.value]
        else:
            assert isinstance(lock, Reg) and isinstance(lock.kind, RefKind)
            locks = self.unit.pool(lock.kind.record)
        given = {"exclusive": True, "excludes": True, "waits": True}
        for name, value in [*zip(given, arguments[1:], strict=False), *keywords.items()]:
            assert isinstance(value, Const)
            given[name] = value.value
        role = lock.kind.role if isinstance(lock, Reg) and isinstance(lock.kind, RefKind) else ""
        if locks and not role:
            role = self.unit.role(locks[0])
        use = LockUse(tuple(map(self.unit.heap.ref, locks)), role, **given)
        self.emit(Op.ACQUIRE if acquire else Op.RELEASE, subject=use)

    def _callee(
        self, target: Value, arguments: list[Value], keywords: dict[str, Value]
    ) -> tuple[Frame, dict[str, Value]]:
        """Return the frame of a call of a model function, and the values of its parameters, which are not bound."""
        owner, query = None, None
        if isinstance(target, Method):
            function, owner, query = target.function, target.owner, target.query
            arguments = [target.receiver, *arguments]
        else:
            assert isinstance(target, Const)
            function = target.value
        plain = unwrap(function)
        if not hasattr(plain, "__code__"):
            raise self.error(
                f"{getattr(plain, '__name__', plain)!r} is not a model function and not in the model's language"
            )
        self.code.depth = max(self.code.depth, len(self.frames))
        if self.depth + len(self.frames) > MAX_DEPTH:
            raise self.error("calls nest too deeply: the model's language has no recursion")
        source = function_source(plain)
        names = source.parameters
        defaults = plain.__defaults__ or ()
        bound: dict[str, Value] = dict(zip(names[len(names) - len(defaults) :], map(Const, defaults), strict=True))
        bound.update(zip(names, arguments, strict=False))
        bound.update(keywords)
        missing = [n for n in names if n not in bound]
        if missing or len(arguments) > len(names) or len(bound) > len(names):
            raise self.error(f"{source.name}() takes {', '.join(names)}; the call does not match")
        frame = Frame(source, owner, query, {}, 0, len(self.cleanups), source.tree)
        return frame, {name: bound[name] for name in names}

    def _push(self, frame: Frame, values: dict[str, Value]) -> None:
        """Make `frame` the innermost one, and bind its parameters."""
        frame.end = self.new_label()
        self.frames.append(frame)
        for name, value in values.items():
            self._bind(name, value)

    def _enter(self, target: Value, arguments: list[Value], keywords: dict[str, Value]) -> tuple[Frame, FunctionSource]:
        """Push and return the frame of a guard or a generator, which is compiled as a part of its caller."""
        frame, values = self._callee(target, arguments, keywords)
        self._push(frame, values)
        return frame, frame.source

    def inline(self, target: Value, arguments: list[Value], keywords: dict[str, Value]) -> Value:
        """Inline a model function into its caller, and return its result."""
        caller, reach = self.frame, ""
        if caller.target and caller.tail_call is caller.node:
            reach, caller.tail_call = caller.target, None
        return self._inline(target, arguments, keywords, reach)

    def _inline(self, target: Value, arguments: list[Value], keywords: dict[str, Value], reach: str) -> Value:
        """Inline a model function; `reach` is the target that is reached if it succeeds."""
        function = target.function if isinstance(target, Method) else target.value  # type: ignore[union-attr]
        is_atomic = getattr(function, "is_atomic", False)
        if is_atomic:
            self.event(atomic=True)
        if self.dead:
            return NONE
        frame, values = self._callee(target, arguments, keywords)
        frame.target, frame.cleanup_depth = reach, 0
        given = PassedArguments(self.code.kinds, self.unit.key_of)
        taken = {name: given.take(value) for name, value in values.items()}
        is_atomic = is_atomic or self.atomic_depth > 0
        keys = (self.unit.key_of(function), frame.query, *(key for _, key in taken.values()))
        key = (self.unit.coverage, self.unit.queries.endless, self.at_end, is_atomic, reach, keys)
        code = self.unit.find(key)
        if code is None or self.depth + len(self.frames) + code.depth > MAX_DEPTH:
            inner = type(self)(self.unit.inner(), given.kinds, self.depth + len(self.frames))
            inner.at_end, inner.atomic_depth = self.at_end, int(is_atomic)
            code = inner.compiled(frame, {name: value for name, (value, _) in taken.items()})
            self.unit.memo.keep(key, code)
        return self._include(code, given.registers)

    def compiled(self, frame: Frame, values: dict[str, Value]) -> FunctionCode:
        """Compile a call on its own."""
        self._push(frame, values)
        source = frame.source
        if source.is_generator:
            raise self.error(f"{source.name}() is a generator: use it in a for or with statement")
        self.block(source.tree.body)
        result = self._leave(frame)
        self.frames.pop()
        if frame.target and not source.returns_value:
            self.reach(frame.target, Const(True))
        return self.code.finished(self.unit, result, ends=not self.dead)

    def _include(self, code: FunctionCode, arguments: list[Reg]) -> Value:
        """Append the code of a call, and return its result."""
        self.unit.include(code)
        self.code.depth = max(self.code.depth, len(self.frames) + code.depth)
        given = dict(enumerate(arguments))
        own = {register.number: register for register in registers_of(code.result) if register.number not in given}
        numbers = tuple([register.number for register in arguments])
        inlined = Inlined(code.body, numbers, tuple(own), self.stack(), code.touches_state)
        for number, here in self.code.inline(inlined, code.kinds).items():
            given[number] = own[number]._replace(number=here)
        if code.body.rows:
            self.placed_here.clear()
        self.dead = not code.ends
        return concrete(renumbered(code.result, given), self.unit.heap)

    def repeat(
        self, turns: int, target: Value, arguments: list[Value], reach: str = "", into: Variable | None = None
    ) -> None:
        """Compile `turns` calls of a function as a loop; `reach` is the target that is reached if one succeeds.

        A number that it returns is stored `into` a variable.
        """
        if turns == 1 or self.dead:
            self._store(self._inline(target, arguments, {}, reach), into)
            return
        counter, again = self.variable(IntKind(0, turns)), self.new_label()
        self.emit(Op.MOVE, self.constant(0), dest=counter)
        self.labels_used.add(again)
        self.place(again)
        self._store(self._inline(target, arguments, {}, reach), into)
        self.emit(Op.ADD, counter, self.constant(1), dest=counter)
        more = self.compute(Op.LT, BOOL, counter, self.constant(turns))
        self.jump_if(more, again)

    def _store(self, value: Value, into: Variable | None) -> None:
        """Store a number as a part of the last step: no other actor accesses the variable."""
        if into is None or self.dead or not isinstance(value, Reg | Const):
            return
        if isinstance(self.kind_of(value), IntKind):
            self.unit.store(into)
            self.emit(Op.STORE, self.scalar(value), subject=into)

    def _leave(self, frame: Frame) -> Value:
        """Compile the end of a function, and return its result."""
        if not frame.returns:
            self.place(frame.end)
            return NONE
        start, value = frame.returns[0]
        last = self.last_jump()
        alone = len(frame.returns) == 1 and last is not None and last.label == frame.end
        self.place(frame.end)
        if not alone:
            return frame.result if frame.result is not None else NONE
        if start < len(self.code.instrs):  # the copies to the common result are not needed
            for label in self.labels_after(start):
                self.code.labels[label] = start
            del self.code.instrs[start:]
        return value

    def _bind(self, name: str, value: Value, hint: Any = None) -> None:
        """Assign to a local: an alias of the value if it is assigned once, a register otherwise."""
        frame = self.frame
        if name in frame.source.stable or isinstance(value, Parts | Method | Super | Tuple):
            if isinstance(value, Reg) and value.variable:
                copy = self.result(self.kind_of(value) or ANY_INT)
                self.emit(Op.MOVE, value, dest=copy)
                value = copy
            frame.locals[name] = value
            return
        current = frame.variables.get(name)
        if current is None:
            kind = self.kind_of_hint(hint) if hint is not None else self.kind_of_hint(frame.source.hints.get(name))
            kind = kind or self.kind_of(value)
            if kind is None:
                raise self.error(f"annotate the local {name!r}: None alone does not say what it will be")
            if isinstance(kind, IntKind) and hint is None and kind != BOOL:
                kind = IntKind(min(kind.low, ANY_INT.low), max(kind.high, ANY_INT.high))
            if isinstance(value, Const) and not isinstance(value.value, int | Record | None):
                raise self.error(
                    f"the local {name!r} is assigned more than once, and {value.value!r} cannot be kept in a register"
                )
            current = frame.variables[name] = self.variable(kind)
        frame.locals[name] = current
        self.move(current, value)

    def block(self, statements: list[ast.stmt]) -> None:
        """Compile statements; overridden by the layer above."""
        raise NotImplementedError
