# SPDX-License-Identifier: GPL-2.0-only
"""Compiles the actors of a system from the source of the model."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pfncache.check.emitter import Frame, Unit, Written
from pfncache.check.expressions import BINARY, Expressions, construct
from pfncache.check.ir import Code, LockUse, Op
from pfncache.check.source import FunctionSource, Location, function_source, unwrap
from pfncache.check.system import Actor, Call, Heap, System
from pfncache.check.values import (
    ANY_INT,
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
    is_tuple_hint,
    kind_of_hint,
)
from pfncache.kernel import model
from pfncache.kernel.model import Record

MAX_DEPTH = 60
HOST_FUNCTIONS = (len, range, min, max, abs, int, bool, enumerate, reversed, zip, tuple,
                  model.scalar_names, model.scalar_default, model.parts_of)  # fmt: skip


class ActorCompiler(Expressions):
    """The upper layer: statements, calls, and what the model's own functions mean."""

    def __init__(self, unit: Unit, task: Record | None) -> None:
        super().__init__(unit)
        self.task = task
        self.cleanups: list[Callable[[], None]] = []

    # Calls

    def call(self, node: ast.Call) -> Value:
        """A call: of the compiler's own vocabulary, of Python on known values, or of a model function."""
        if isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args:
            return Super(self.frame.locals[self.frame.source.parameters[0]], self.frame.owner or object)
        target = self.expression(node.func)
        if self.dead:
            return NONE
        plain = self.plain_function(target)
        if plain is None:
            raise self.error(f"{ast.unparse(node.func)} cannot be called in the model's language")
        if getattr(plain, "is_host_only", False):
            return NONE
        if plain is model.report:
            self.fail(self._text(node.args[0]))
            return NONE
        arguments = [self.expression(a) for a in node.args]
        keywords = {k.arg or "": self.expression(k.value) for k in node.keywords}
        if self.dead:
            return NONE
        self.frame.here = self.frame.source.location(node)
        special = self._special(plain, arguments, keywords)
        return special if special is not None else self.inline(target, arguments, keywords)

    def _text(self, node: ast.expr) -> str:
        value = self.expression(node)
        if isinstance(value, Const) and isinstance(value.value, str):
            return value.value
        raise self.error("report() wants the property's name as a plain string")

    def _special(self, plain: Any, arguments: list[Value], keywords: dict[str, Value]) -> Value | None:
        """The meaning of a function of the compiler's own vocabulary; None for any other."""
        if plain is model.running:
            return Const(self.task)
        if plain is model.block_until:
            self._block(arguments[0])
            return NONE
        if plain is model.choose:
            count = arguments[0]
            if not isinstance(count, Const) or self.atomic_depth == 0:
                raise self.error("choose() wants a known number of outcomes, inside an atomic function")
            return self.compute(Op.CHOOSE, IntKind(0, count.value - 1), count.value)
        if plain is model.lock_acquire or plain is model.lock_release:
            self._annotate(plain is model.lock_acquire, arguments, keywords)
            return NONE
        if plain is setattr:
            base, name, value = arguments
            assert isinstance(name, Const)
            self.store(base, name.value, value)
            return NONE
        if plain in (bool, int) and isinstance(arguments[0], Reg):
            return self.truth_of(arguments[0]) if plain is bool else arguments[0]
        if plain is len and isinstance(arguments[0], Parts):
            return Const(len(arguments[0].rows[0]))
        if getattr(plain, "__name__", "") == "cast" and getattr(plain, "__module__", "") == "typing":
            return arguments[1]
        if plain in HOST_FUNCTIONS:
            return self._on_host(plain, arguments)
        return None

    def _on_host(self, plain: Any, arguments: list[Value]) -> Value:
        if plain in (model.scalar_names, model.scalar_default, model.parts_of) and isinstance(arguments[0], Reg):
            raise self.error(f"{plain.__name__}() wants a known record")
        values = []
        for argument in arguments:
            if not isinstance(argument, Const):
                raise self.error(f"{plain.__name__}() of what is not known: compare and branch instead")
            values.append(argument.value)
        result = plain(*values)
        return Const(tuple(result) if plain in (range, enumerate, reversed, zip) else result)

    def _block(self, value: Value) -> None:
        if self.atomic_depth == 0:
            raise self.error("block_until() belongs at the start of an atomic function")
        self.emit(Op.BLOCK, self.scalar(self.truth_of(value)))

    def _annotate(self, acquire: bool, arguments: list[Value], keywords: dict[str, Value]) -> None:
        lock = arguments[0]
        if isinstance(lock, Const):
            locks: tuple[Record, ...] = (lock.value,)
        else:
            assert isinstance(lock, Reg) and isinstance(lock.kind, RefKind)
            locks = tuple(self.unit.heap.pools.get(lock.kind.record, ()))
        given = {"exclusive": True, "excludes": True}
        for name, value in [*zip(("exclusive", "excludes"), arguments[1:], strict=False), *keywords.items()]:
            assert isinstance(value, Const)
            given[name] = value.value
        role = locks[0].role if locks else ""
        self.emit(Op.ACQUIRE if acquire else Op.RELEASE, LockUse(locks, role, given["exclusive"], given["excludes"]))

    def _enter(self, target: Value, arguments: list[Value], keywords: dict[str, Value]) -> tuple[Frame, FunctionSource]:
        """A frame for a call of a model function, with its parameters bound."""
        owner: type | None = None
        if isinstance(target, Method):
            function, owner = target.function, target.owner
            arguments = [target.receiver, *arguments]
        else:
            assert isinstance(target, Const)
            function = target.value
        plain = unwrap(function)
        if not hasattr(plain, "__code__"):
            raise self.error(
                f"{getattr(plain, '__name__', plain)!r} is not a model function and not in the model's language"
            )
        if len(self.frames) > MAX_DEPTH:
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
        frame = Frame(source, owner, {}, self.new_label(), len(self.cleanups), source.location(source.tree))
        self.frames.append(frame)
        for name in names:
            self._bind(name, bound[name])
        return frame, source

    def inline(self, target: Value, arguments: list[Value], keywords: dict[str, Value]) -> Value:
        """Compile a model function into its caller. Returns its result."""
        function = target.function if isinstance(target, Method) else target.value  # type: ignore[union-attr]
        is_atomic = getattr(function, "is_atomic", False)
        if is_atomic:
            self.event(atomic=True)
        frame, source = self._enter(target, arguments, keywords)
        if source.is_generator:
            raise self.error(f"{source.name}() is a generator: use it in a for or with statement")
        self.atomic_depth += is_atomic
        self.block(source.tree.body)
        result = self._leave(frame)
        self.atomic_depth -= is_atomic
        self.frames.pop()
        return result

    def repeat(self, turns: int, target: Value, arguments: list[Value]) -> None:
        """Call a function several times."""
        if turns == 1 or self.dead:
            self.inline(target, arguments, {})
            return
        counter, again = self.variable(IntKind(0, turns)), self.new_label()
        self.emit(Op.MOVE, counter, self.constant(0))
        self.labels_used.add(again)
        self.place(again)
        self.inline(target, arguments, {})
        self.emit(Op.ADD, counter, counter, self.constant(1))
        more = self.compute(Op.LT, IntKind(0, 1), counter, self.constant(turns))
        self.emit(Op.JNZ, more, again)

    def _leave(self, frame: Frame) -> Value:
        """The end of a function: its result."""
        if not frame.returns:
            self.place(frame.end)
            return NONE
        start, value = frame.returns[0]
        last = self.code.instrs[-1]
        alone = len(frame.returns) == 1 and self.dead and last.op == Op.JUMP and last.args[0] == frame.end
        self.place(frame.end)
        if not alone:
            return frame.result if frame.result is not None else NONE
        if start < len(self.code.instrs):  # the copies to the common result are not needed
            for label in [k for k, v in self.code.labels.items() if v > start]:
                self.code.labels[label] = start
            del self.code.instrs[start:]
        return value

    # Statements

    def block(self, statements: list[ast.stmt]) -> None:
        """Compile statements one after the other, as long as execution gets there."""
        for statement in statements:
            if self.dead:
                return
            self.frame.here = self.frame.source.location(statement)
            self.statement(statement)

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
                self.emit(Op.JUMP, label)
            case ast.Assert():
                self._assert(node)
            case ast.Pass():
                pass
            case _:
                raise self.error(
                    f"{construct(node)} is not in the model's language: use if, while, for, with, return and assignments"
                )

    def _hint(self, node: ast.AnnAssign) -> Any:
        scope = {**self.frame.source.function.__globals__, **Record.registry}
        try:
            return eval(compile(ast.Expression(node.annotation), self.frame.here.file, "eval"), scope)
        except NameError as error:
            raise self.error(f"an annotation names {error.name!r}, which is not known here") from None

    def _assign(self, target: ast.expr, value: Value, hint: Any = None) -> None:
        if self.dead:
            return
        match target:
            case ast.Name():
                self._bind(target.id, value, hint)
            case ast.Attribute():
                base = self.expression(target.value)
                self.frame.here = self.frame.source.location(target)
                if isinstance(base, Const) and base.value is None:
                    self.fail("null-dereference")
                    return
                self.store(base, target.attr, value)
            case ast.Tuple():
                for i, item in enumerate(target.elts):
                    self._assign(item, self.element(value, Const(i)))
            case _:
                raise self.error("only a local or a scalar of a record can be assigned")

    def _bind(self, name: str, value: Value, hint: Any = None) -> None:
        """Give a local its value: an alias when it has only one, a register when it has several."""
        frame = self.frame
        if name in frame.source.stable or isinstance(value, Parts | Method | Super | Tuple):
            if isinstance(value, Reg) and value.variable:
                copy = self.result(self.kind_of(value) or ANY_INT)
                self.emit(Op.MOVE, copy, value)
                value = copy
            frame.locals[name] = value
            return
        current = frame.variables.get(name)
        if current is None:
            kind = kind_of_hint(hint) if hint is not None else kind_of_hint(frame.source.hints.get(name))
            kind = kind or self.kind_of(value)
            if kind is None:
                raise self.error(f"annotate the local {name!r}: None alone does not say what it will be")
            if isinstance(kind, IntKind) and hint is None and kind != IntKind(0, 1):
                kind = IntKind(min(kind.low, ANY_INT.low), max(kind.high, ANY_INT.high))
            if isinstance(value, Const) and not isinstance(value.value, int | Record | None):
                raise self.error(
                    f"the local {name!r} is assigned more than once, and {value.value!r} cannot be kept in a register"
                )
            current = frame.variables[name] = self.variable(kind)
        frame.locals[name] = current
        self.move(current, value)

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
            self.frame.here = self.frame.source.location(node.target)
            self.store(base, node.target.attr, value)
        else:
            raise self.error("only a local or a scalar of a record can be assigned")

    def _if(self, node: ast.If) -> None:
        yes, no, end = self.new_label(), self.new_label(), self.new_label()
        self.condition(node.test, yes, no)
        self.place(yes)
        before = dict(self.frame.locals)
        self.block(node.body)
        self.emit(Op.JUMP, end)
        after = self.frame.locals
        self.frame.locals = before
        self.place(no)
        self.block(node.orelse)
        self.emit(Op.JUMP, end)
        self.place(end)
        for name, value in after.items():
            self.frame.locals.setdefault(name, value)

    def _while(self, node: ast.While) -> None:
        if node.orelse:
            raise self.error("while ... else is not in the model's language")
        head, body, end = self.new_label(), self.new_label(), self.new_label()
        self.emit(Op.JUMP, head)
        self.place(head)
        self.labels_used.add(head)
        self.condition(node.test, body, end)
        self.place(body)
        depth = len(self.cleanups)
        self.frame.loops.append(((end, depth), (head, depth)))
        self.block(node.body)
        self.frame.loops.pop()
        self.emit(Op.JUMP, head)
        self.place(end)

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
        for item in self._items(iterable):
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
            return [self.element(iterable, Const(i)) for i in range(len(iterable.rows[0]))]
        if self.dead:
            return []
        raise self.error(
            "a for loop runs over a tuple of records, range() of known numbers, or a generator of the model"
        )

    def _loop_body(self, node: ast.For, item: Value, end: int, break_depth: int) -> None:
        """One unrolled turn; break also runs the ends of guards above `break_depth`, which a generator may hold."""
        again = self.new_label()
        self.frame.here = self.frame.source.location(node)
        self._assign(node.target, item)
        self.frame.loops.append(((end, break_depth), (again, len(self.cleanups))))
        self.block(node.body)
        self.frame.loops.pop()
        self.emit(Op.JUMP, again)
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
        """One guard after the other, then the body, then their ends in reverse."""
        if position == len(node.items):
            self.block(node.body)
            return
        item = node.items[position]
        call = item.context_expr
        if not isinstance(call, ast.Call):
            raise self.error("with wants a guard of the model, such as spin_lock(lock)")
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
            raise self.error(f"the guard {source.name}() wants one yield at the top of its body")
        self.block(body[:at])
        given = body[at].value.value  # type: ignore[attr-defined]
        value = self.expression(given) if given is not None else NONE
        self.frames = list(outer)

        def cleanup() -> None:
            saved, self.frames = self.frames, list(guard_frames)
            outer[-1].here = outer[-1].source.location(node)
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
        """Run the ends of the guards above `depth`, innermost first, and keep them for other paths."""
        saved = self.cleanups
        for i in reversed(range(depth, len(saved))):
            self.cleanups = saved[:i]
            saved[i]()
        self.cleanups = saved

    def _return(self, node: ast.Return) -> None:
        frame = self.frame
        value: Value = self.expression(node.value) if node.value is not None else NONE
        if self.dead:
            return
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
        self.emit(Op.JUMP, frame.end)

    def _result_kind(self, frame: Frame, value: Value) -> Kind | None:
        """The kind of register that a result goes to; None when the result has to be known."""
        if isinstance(value, Const) and not isinstance(value.value, int | Record | None):
            return None
        found = self.kind_of(value)
        hinted = kind_of_hint(frame.source.hints.get("return"))
        if isinstance(found, RefKind) and found != hinted:
            return found
        if hinted is None and found is None and isinstance(frame.result, Reg):
            return frame.result.kind
        return hinted or found

    def _return_tuple(self, frame: Frame, value: Value) -> None:
        items = value.items if isinstance(value, Tuple) else tuple(Const(i) for i in value.value)  # type: ignore[union-attr]
        kinds = [kind_of_hint(h) for h in frame.source.hints["return"].__args__]
        if frame.result is None:
            frame.result = Tuple(tuple(self.variable(k or ANY_INT) for k in kinds))
        assert isinstance(frame.result, Tuple)
        for target, item in zip(frame.result.items, items, strict=True):
            assert isinstance(target, Reg)
            self.move(target, item)

    def _assert(self, node: ast.Assert) -> None:
        """``assert x is not None``: the pointer is about to be followed. Any other assertion is one of the model's."""
        good, bad = self.new_label(), self.new_label()
        self.condition(node.test, good, bad)
        self.place(bad)
        if not self.dead:
            self.fail("null-dereference" if "None" in ast.unparse(node.test) else "assertion")
        self.place(good)


@dataclass
class Compiled:
    """The step code of a system."""

    system: System
    heap: Heap
    written: Written
    codes: list[Code]
    """By actor; then, when there is one, what runs at the end."""
    constants: dict[int, int]
    """Number to the register that holds it."""
    registers: int
    used: frozenset[str]
    """Names of the kernel's functions that the code comes from."""

    def constant_registers(self) -> dict[int, int]:
        """Register to the number that it holds for ever."""
        return {register: value for value, register in self.constants.items()}


def compile_system(system: System) -> Compiled:
    """Compile every actor of `system`.

    Scalars that nobody writes are constants. What is written is found by compiling again until nothing that was taken
    for a constant turns out to be written: a constant may close a branch in which another scalar would be written.
    """
    heap = Heap.of(system)
    written = Written()
    unit = Unit(heap, written)
    codes: list[Code] = []
    used: set[str] = set()
    while unit.outdated:
        unit = Unit(heap, written)
        unit.outdated = False
        codes = [_compile_actor(unit, actor) for actor in system.actors]
        used |= unit.used
    if system.at_end is not None:
        codes.append(_compile_calls(unit, None, (system.at_end,), atomic=True))
    return Compiled(system, heap, written, codes, unit.constants, unit.registers, frozenset(used | unit.used))


def _compile_actor(unit: Unit, actor: Actor) -> Code:
    return _compile_calls(unit, actor.task, actor.calls, atomic=False)


def _compile_calls(unit: Unit, task: Record | None, calls: tuple[Call, ...], atomic: bool) -> Code:
    compiler = ActorCompiler(unit, task)
    compiler.atomic_depth = int(atomic)
    for call, turns in _repeated(calls):
        compiler.frames = [
            Frame(function_source(_bottom), None, {}, compiler.new_label(), 0, Location("", 0, str(call)))
        ]
        unit.used.add(call.function.__name__)
        compiler.repeat(turns, _target(call), [Const(a) for a in call.args])
    compiler.emit(Op.HALT)
    return compiler.code


def _repeated(calls: tuple[Call, ...]) -> list[tuple[Call, int]]:
    """Consecutive calls of the same, counted: they become a loop."""
    found: list[tuple[Call, int]] = []
    for call in calls:
        if found and found[-1][0] == call:
            found[-1] = (call, found[-1][1] + 1)
        else:
            found.append((call, 1))
    return found


def _target(call: Call) -> Value:
    receiver = getattr(call.function, "__self__", None)
    if receiver is None:
        return Const(call.function)
    name = call.function.__name__
    for owner in type(receiver).__mro__:
        if name in owner.__dict__:
            return Method(owner.__dict__[name], Const(receiver), owner)
    raise AttributeError(name)


def _bottom() -> None:
    """Stands at the bottom of every actor's stack."""
